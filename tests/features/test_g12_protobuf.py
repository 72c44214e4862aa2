"""G12: topics in Protobuf by descriptors in the declaration, read and written without a registry."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from protobufs import descriptors, message_class

from stream_durable import App, Context, Workflow
from stream_durable.sdk.plain_json import UnfitError
from stream_durable.sdk.topic import Topic, TopicError
from stream_durable.testing import Engine

SET = descriptors()
NAME = "shop.OrderPlaced"


def shop(topic: Topic[Any], **options: Any) -> App:
    flow = Workflow("order")
    flow.add("same", lambda given: given)
    app = App("shop", workflows=[flow])
    app.on(topic, start=flow, id="id", name="orders", **options)
    return app


def outputs(engine: Engine) -> dict[str, Any]:
    return {run.id: run.output for run in engine.runs}


async def test_a_generated_class_is_enough_framed_and_bare(engine: Engine) -> None:
    kind = message_class()
    topic: Topic[Any] = Topic("proto.orders", kind, "protobuf")
    await engine.deploy_app(shop(topic, input={"id": "id", "country": "country"}))
    await engine.deliver(topic, kind(id="o1", country="AT", total=7))
    frame = b"\x00\x00\x00\x00\x09"
    await engine.deliver(topic, frame + b"\x00" + kind(id="o2", country="FR").SerializeToString())
    await engine.deliver(topic, frame + b"\x02\x00" + kind(id="o3").SerializeToString())
    await engine.deliver(topic, frame + b"\x08\x80")

    assert outputs(engine) == {
        f"o{number}": {"id": f"o{number}", "country": country}
        for number, country in ((1, "AT"), (2, "FR"), (3, ""))
    }
    assert (await engine.binding("orders")).bad_records == 1


@pytest.mark.parametrize("given", [SET, SET.SerializeToString()])
async def test_descriptors_and_a_name_are_enough_and_dicts_are_written(engine: Engine, given: Any) -> None:
    topic: Topic[Any] = Topic("proto.orders", NAME, "protobuf", schema=given)
    await engine.deploy_app(shop(topic))
    at = "2030-01-01T00:00:00Z"
    await engine.deliver(topic, {"id": "o1", "lines": [{"item": "tea", "price": 2.5}], "at": at})
    await engine.deliver(topic, message_class()(id="o2", total=7))

    assert outputs(engine) == {
        "o1": {
            "id": "o1", "country": "", "total": "0", "lines": [{"item": "tea", "price": 2.5}], "at": at,
        },
        "o2": {"id": "o2", "country": "", "total": "7", "lines": []},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"\x0a\xff", "id: ends too early"),
        (b"\x0a\x01a\x12\x02\xff\xff", "country: no UTF-8"),
        (b"\x22\x02\x0a\x00\x22\x04\x0a\x05ab", "lines.1.item: ends too early"),
        (b"\x22\x03\x0d\x00\x00", "lines.0.item: ends too early"),
        (b"\x08\x05", "id: a varint, where bytes with a length should be"),
        (b"\x1a\x01\x01", "total: bytes with a length, where a varint should be"),
        (b"\x80", "ends too early"),
        (b"\x0f", "id: of no kind that there is (7)"),
        (b'{"id": "o1"}', "Error parsing message"),
    ],
)
async def test_what_cannot_be_read_names_the_field_and_where_it_stands(
    engine: Engine, value: bytes, why: str
) -> None:
    kind = message_class()
    topic: Topic[Any] = Topic("proto.orders", kind, "protobuf")
    await engine.deploy_app(shop(topic, bad="stop"))
    await engine.deliver(topic, kind(id="o0"))
    await engine.deliver(topic, value)

    state = await engine.binding("orders")
    assert "partition 0 stands at offset 1: unreadable" in state.stopped and why in state.stopped
    assert f"not Protobuf of type {NAME}: " in state.stopped
    await engine.skip_record("orders")
    [letter] = engine._backend._deployment.broker.topic("dead").records()  # type: ignore[attr-defined]
    headers = {name: held.decode() for name, held in letter.headers or ()}
    assert (headers["sd_topic"], headers["sd_partition"], headers["sd_offset"]) == (":proto.orders", "0", "1")
    assert headers["sd_reason"].startswith("binding 'orders': ") and why in headers["sd_reason"]


async def test_a_required_field_is_missed_where_it_is_read_and_where_it_is_written(engine: Engine) -> None:
    kind = message_class(needs_id=True)
    topic: Topic[Any] = Topic("proto.orders", kind, "protobuf")
    await engine.deploy_app(shop(topic, bad="stop"))
    with pytest.raises(UnfitError, match="id: Field required"):
        topic.encode(kind(country="AT"))
    await engine.deliver(topic, kind(country="AT").SerializePartialToString())

    assert "id: Field required" in (await engine.binding("orders")).stopped


async def test_unknown_fields_are_those_of_a_newer_writer(engine: Engine) -> None:
    topic: Topic[Any] = Topic("proto.orders", message_class(), "protobuf")
    await engine.deploy_app(shop(topic))
    await engine.deliver(topic, b"\x0a\x02o1" + b"\xf8\x01\x07")

    assert outputs(engine).keys() == {"o1"}


async def test_steps_emit_what_bindings_read(engine: Engine) -> None:
    kind = message_class()
    by_class: Topic[Any] = Topic("proto.orders", kind, "protobuf")
    by_name: Topic[Any] = Topic("proto.orders", NAME, "protobuf", schema=SET)
    await engine.deploy_app(shop(by_class))
    seller = Workflow("seller")

    @seller.step
    def sell(ctx: Context) -> None:
        ctx.emit(by_class, key="k", value=kind(id="o1", total=7))
        ctx.emit(by_name, key="k", value={"id": "o2", "total": 7})

    @seller.step(after=sell, on_error="continue")
    def strange(ctx: Context) -> None:
        ctx.emit(by_name, value={"id": "o3", "totals": 7})

    @seller.step(after=sell, on_error="continue")
    def wrong(ctx: Context) -> None:
        ctx.emit(by_name, value={"id": "o3", "lines": [{"price": "dear"}]})

    run = await engine.start(seller, id="s")
    await engine.until_idle()
    assert [outputs(engine)[name]["total"] for name in ("o1", "o2")] == ["7", "7"]
    emitted = engine.emitted("proto.orders")
    assert dict(emitted[0].headers or ())["content-type"] == b"application/x-protobuf"
    for step, why in (("strange", "totals: there is no such field"), ("wrong", "lines.price: ")):
        failure = run.step(step).state.failure
        assert failure is not None and failure.code == "bad_emission" and why in failure.message


@pytest.mark.parametrize(
    ("value", "schema", "why"),
    [
        (dict, None, "is a class of messages that protoc has generated"),
        (NAME, None, "FileDescriptorSet"),
        (message_class(), SET, "value= is the full name of a message"),
        ("shop.Order", SET, "it has shop.OrderPlaced, shop.Line"),
        (NAME, b"garbage", "--include_imports"),
        (NAME, {"type": "record"}, "--include_imports"),
        (
            NAME,
            descriptor_pb2.FileDescriptorSet(file=SET.file[:1]),
            "imports line.proto, which schema= has not",
        ),
    ],
)
def test_impossible_declarations_are_refused_where_they_are_written(
    value: Any, schema: Any, why: str
) -> None:
    with pytest.raises(TopicError, match=f"'proto.orders'.*{why}"):
        Topic("proto.orders", value, "protobuf", schema)


def test_a_class_of_messages_asks_for_its_format() -> None:
    with pytest.raises(TopicError, match="format='protobuf'"):
        Topic("proto.orders", message_class())
