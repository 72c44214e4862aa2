"""The ingress within a whole instance: what any program that speaks Kafka can put on the events topic."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec
import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from instances import PARTITIONS, SECONDS, Instance, running, settings_of
from pydantic import BaseModel

from stream_durable import App, RunFilter, Workflow
from stream_durable.client import RunCount
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.engine.ingress import Ingress
from stream_durable.kafka.log import GroupLog
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

orders = Workflow("order")
paid = orders.wait_event("paid", "payment.captured", key="input.id")
released = orders.wait_signal("released", after=paid)


@orders.step
async def ship(paid: object, released: object) -> list[object]:
    return [paid, released]


events = Workflow("event")
events.wait_event("paid", "payment.captured", key="input.id")

echoes = Workflow("echo")


@echoes.step
async def echo(input: object) -> object:  # noqa: A002 - the word for it everywhere
    return input


class Line(BaseModel):
    item: str
    price: float


typed = Workflow("typed", input=Line)
typed.add("same", lambda line: line.item)

rated = Workflow("rated")
rated.ask("rating", form=Line, prompt="What about {input}?")

parcels = Workflow("parcel")
parcels.wait_token("delivered", heartbeat="1h")

app = App("shop", workflows=[orders, events, echoes, typed, rated, parcels])


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, database, prefix)


@pytest.fixture
async def instance(settings: Settings) -> AsyncIterator[Instance]:
    async with running(settings, app) as found:
        # The ingress refuses what nobody carries, so the worker comes first.
        await found.client.start(echoes, {})
        for each in app.registrations():
            await found.ports.catalogue.register(*each)
        yield found


async def test_the_lines_of_the_documentation(instance: Instance) -> None:
    await instance.emit(
        b'{"start":"order","id":"order-43","input":{"id":"43","items":[],"total":1}}\n', key="order-43"
    )
    await instance.emit(b'{"type":"payment.captured","key":"43","data":{"amount":9.5}}', key="43")
    await instance.emit(b'{"signal":"released","run":"order-43","data":{"by":"tom"}}', key="order-43")

    run = await instance.begun("order-43")

    assert await run.result(timeout="90s") == [{"amount": 9.5}, {"by": "tom"}]


async def test_a_start_with_a_signal_begins_the_run_and_then_brings_the_signal_alone(
    instance: Instance,
) -> None:
    for number in (1, 2):
        await instance.emit(
            {"start": "order", "id": "order-9", "input": {"id": "9", "items": [], "total": number},
             "signal": "released", "data": number, "message_id": f"web-{number}"},
            key="order-9",
        )  # fmt: skip
    run = await instance.begun("order-9")
    await instance.emit(b'{"type":"payment.captured","key":"9","data":{"amount":9.5}}', key="9")

    assert await run.result(timeout="90s") == [{"amount": 9.5}, 1]
    assert (await run.state()).input["total"] == 1


async def test_a_start_says_what_the_run_is_called_and_tagged_and_traced(instance: Instance) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await instance.emit(
        {"start": "echo", "id": "a", "input": [1], "tags": ["vip"]}, headers={"traceparent": trace}
    )

    state = await (await instance.begun("a")).state()
    row = await instance.ports.views.run_get("a")

    assert state.tags == ("vip",)
    assert row is not None
    assert row.trace == trace


async def test_an_unnamed_start_is_one_run_named_by_its_message_or_its_place(instance: Instance) -> None:
    await instance.emit({"start": "echo", "input": 1, "message_id": "m1"})
    await instance.emit({"start": "echo", "input": 1, "message_id": "m1"})
    await (await instance.begun("m1")).result(timeout="90s")
    await instance.emit({"start": "echo", "input": 2}, partition=3)

    placed = await instance.records("runs", lambda found: any(b"-3-" in (m.key() or b"") for m in found))

    names = {(m.key() or b"").decode() for m in placed}
    (name,) = (name for name in names if "-3-" in name)
    assert await instance.client.run(name).result(timeout="90s") == 2
    assert len([m for m in placed if m.key() == b"m1"]) == 2  # started and completed, once


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (
            b'{"amount":1}',
            {
                "ce_specversion": "1.0", "ce_type": "payment.captured", "ce_id": "1", "ce_source": "/bank",
                "ce_subject": "42", "content-type": "application/json",
            },
        ),
        (b'{"amount":1}', {"ce_type": "payment.captured", "ce_id": "1"}),
        (
            (
                b'{"specversion":"1.0","type":"payment.captured","id":"1","source":"/bank","subject":"42",'
                b'"data":{"amount":1},"time":"2026-01-01T00:00:00Z","extension":1}'
            ),
            {"content-type": "application/cloudevents+json"},
        ),
    ],
)  # fmt: skip
async def test_a_cloud_event_wakes_a_run(
    instance: Instance, value: bytes, headers: dict[str, str | bytes | None]
) -> None:
    run = await instance.client.start(events, {"id": "42"}, id="r")

    await instance.emit(value, key="42", headers=headers)

    assert await run.result(timeout="90s") == {"amount": 1}


async def test_an_early_event_and_an_early_signal_are_found_and_repeats_do_nothing(
    instance: Instance,
) -> None:
    captured = {"type": "payment.captured", "key": 42, "data": 1, "message_id": "m1"}
    await instance.emit(captured, partition=0)
    await instance.emit({**captured, "data": 2}, partition=0)
    await instance.emit({"start": "order", "id": "r", "input": {"id": "42"}}, partition=0)
    for data in (1, 2):
        await instance.emit({"signal": "released", "run": "r", "data": data, "message_id": "m2"}, partition=0)

    assert await (await instance.begun("r")).result(timeout="90s") == [1, 1]


async def test_records_that_are_taken_again_make_the_same_messages_again(instance: Instance) -> None:
    """As after a crash between the acknowledgement and the commit."""
    for partition in range(PARTITIONS):
        await instance.emit({"type": "payment.captured", "key": "42", "data": partition}, partition=partition)
        await instance.emit({"start": "echo", "input": partition}, partition=partition)
    of = instance.settings
    log = GroupLog(of.kafka, f"{of.prefix}.events", f"{of.prefix}.again", client="again", reset="earliest")
    ports = instance.ports
    log.open()
    again = asyncio.create_task(
        Ingress(log, ports.publisher, ports.catalogue, instance.metrics, ttl_ms=86_400_000).run()
    )

    def is_enough(found: list[Message]) -> bool:
        return len(ours(found)) == 4 * PARTITIONS

    try:
        made = Counter(ours(await instance.records("inbox", is_enough)))
    finally:
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)

    assert len(made) == 2 * PARTITIONS
    assert set(made.values()) == {2}


def ours(found: list[Message]) -> list[bytes]:
    """Leave out what the engine says to itself."""
    values = [m.value() or b"" for m in found]
    return [v for v in values if b'"channel.event"' in v or (b'"run.start"' in v and b'"input":{}' not in v)]


async def test_an_answer_ends_the_question_and_one_that_fits_nothing_is_a_dead_letter(
    instance: Instance,
) -> None:
    run = await instance.client.start(rated, "tea", id="r1")
    async with aclosing(run.watch(timeout="90s")) as said:
        async for event in said:
            if event.type == "step.waiting":
                break
    await instance.emit({"answer": {"item": "tea", "price": "dear"}, "run": "r1", "wait": "rating"})
    await instance.emit({"answer": "yes", "run": "r1", "wait": "raiting"})
    await instance.emit({"answer": {"item": "tea", "price": 2}, "wait": "rating", "by": "tom"}, key="r1")

    assert await run.result(timeout="90s") == {"item": "tea", "price": 2}
    state = (await run.state()).steps["rating"]
    assert state.asked is not None and state.asked.answered is not None
    assert state.asked.answered.by == "tom"
    reasons = {letter.reason for letter in await instance.dead_letters(2)}
    assert any("price: it is not of type" in reason for reason in reasons)
    assert any("asks people in a step 'raiting'" in reason for reason in reasons)


async def test_a_token_ends_its_step_and_a_forged_or_strange_one_is_a_dead_letter(instance: Instance) -> None:
    run = await instance.client.start(parcels, id="p1")
    async with aclosing(run.watch(timeout="30s")) as said:
        async for event in said:
            if event.type == "step.waiting":
                break
    token = await run.token("delivered")
    await instance.emit({"complete": token[:-4] + "AAAA", "value": "forged"})
    await instance.emit({"complete": "p1/delivered", "value": "guessed"})
    await instance.emit({"heartbeat": token}, key="any")
    await instance.emit({"complete": token, "value": "there", "by": "dhl"}, key="any")
    await instance.emit({"complete": token, "value": "twice"}, key="any")

    assert await run.result(timeout="30s") == "there"
    outside = (await run.state()).steps["delivered"].outside
    assert outside is not None and outside.by == "dhl" and outside.beat is not None
    reasons = {letter.reason for letter in await instance.dead_letters(2)}
    assert any("fits no secret of this instance" in reason for reason in reasons)
    assert any("this is not a token" in reason for reason in reasons)


async def test_what_was_taken_is_committed_at_the_latest_when_the_ingress_ends(settings: Settings) -> None:
    async with running(settings, app) as instance:
        await instance.client.start(echoes, {})
        for i in range(3):
            await instance.emit({"start": "echo", "id": f"r{i}"}, partition=1)
        await instance.begun("r2")
    group = {
        "bootstrap.servers": settings.kafka.bootstrap,
        "log_level": 0,
        "group.id": f"{settings.prefix}.ingress",
    }
    consumer = Consumer(group)
    try:
        (mark,) = consumer.committed([TopicPartition(f"{settings.prefix}.events", 1)], timeout=SECONDS)
    finally:
        consumer.close()

    assert mark.offset == 3


async def test_a_start_means_the_version_that_was_registered_last(instance: Instance) -> None:
    for i in (1, 2):
        version = Workflow("versioned")
        for wait in range(i):
            version.wait_signal(f"go{wait}")
        await instance.ports.catalogue.register(version.definition())
        await instance.emit({"start": "versioned", "id": f"v{i}"})
        assert len((await (await instance.begun(f"v{i}")).state()).steps) == i


LONG = "x" * 10_000
DEEP = b'{"type":"payment.captured","key":"42","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
#: Fewer characters than an id may have bytes, and more bytes.
WIDE = "訂" * 500
NO_HEADERS: dict[str, str | bytes | None] = {}

#: The code of the reason, then the record.
BAD: list[tuple[str, bytes | None, bytes | None, dict[str, str | bytes | None]]] = [
    ("unreadable", b"42", random.Random(1).randbytes(1_000), NO_HEADERS),
    ("unreadable", random.Random(2).randbytes(20), random.Random(3).randbytes(3), {"theirs": b"\xff"}),
    ("unreadable", b"42", b'{"type":"payment.captured","key":"42","da', NO_HEADERS),
    ("unreadable", b"42", None, NO_HEADERS),
    ("unreadable", None, None, NO_HEADERS),
    ("unreadable", b"42", b"", NO_HEADERS),
    ("unreadable", b"42", b'{"type":"payment.captured","key":"42","data":"\xff"}', NO_HEADERS),
    ("unreadable", b"42", b'{"type":"payment.captured","key":"42","data":NaN}', NO_HEADERS),
    ("unreadable", b"42", DEEP, NO_HEADERS),
    ("unreadable", b"42", b'{"type":"payment.captured","key":"42"} {}', NO_HEADERS),
    ("unknown_form", b"42", b"[1]", NO_HEADERS),
    ("unknown_form", b"42", b'"payment.captured"', NO_HEADERS),
    ("unknown_form", b"42", b"null", NO_HEADERS),
    ("unknown_form", b"42", b"{}", NO_HEADERS),
    ("unknown_form", b"42", b'{"event":"payment.captured","key":"42"}', NO_HEADERS),
    ("ambiguous", b"42", b'{"type":"payment.captured","key":"42","start":"echo"}', NO_HEADERS),
    ("unknown_wait", b"r", b'{"answer":"yes","run":"order-42","wait":"approved"}', NO_HEADERS),
    ("bad_token", b"r", b'{"complete":"order-42/delivered/1"}', NO_HEADERS),
    ("forged_token", b"r", b'{"fail":"sdt_W10.AAAA","error":"gone"}', NO_HEADERS),
    ("not_supported", b"42", b'{"specversion":"1.0","type":"a","id":"1","data_base64":"eA=="}', NO_HEADERS),
    ("unknown_workflow", b"r", b'{"start":"nothing","id":"r"}', NO_HEADERS),
    ("unknown_workflow", b"r", b'{"start":"no/name","id":"r"}', NO_HEADERS),
    ("invalid", b"42", b'{"type":"payment.captured","key":"42","payload":1}', NO_HEADERS),
    ("invalid", b"42", b'{"type":"payment.captured","key":{"id":42}}', NO_HEADERS),
    ("invalid", b"42", b'{"type":"payment.captured","key":true}', NO_HEADERS),
    ("invalid", b"42", b'{"type":["payment.captured"],"key":"42"}', NO_HEADERS),
    ("invalid", b"r", b'{"signal":"released","run":7}', NO_HEADERS),
    ("invalid", b"r", b'{"start":"echo","id":"r","tags":"vip"}', NO_HEADERS),
    ("invalid", b"r", b'{"start":"echo","id":""}', NO_HEADERS),
    ("invalid", b"r", b'{"start":"echo","id":"a\\u0000b"}', NO_HEADERS),
    ("invalid", b"42", b'{"specversion":"1.0","type":"payment.captured"}', NO_HEADERS),
    ("invalid", b"r", msgspec.json.encode({"start": "echo", "id": LONG}), NO_HEADERS),
    ("invalid", b"42", msgspec.json.encode({"type": "a", "key": "1", "message_id": LONG}), NO_HEADERS),
    ("invalid", b"42", b"1", {"ce_type": "payment.captured", "ce_id": LONG}),
    ("bad_key", b"42", msgspec.json.encode({"type": "a", "key": "x" * 511}), NO_HEADERS),
    ("bad_key", b"42", msgspec.json.encode({"type": "a", "key": WIDE, "message_id": WIDE}), NO_HEADERS),
    ("invalid", b"42", msgspec.json.encode({"type": "a", "key": "42", "message_id": WIDE}), NO_HEADERS),
    ("bad_key", b"\xff", b'{"type":"payment.captured"}', NO_HEADERS),
    ("bad_name", b"42", b'{"type":"payment/captured","key":"42"}', NO_HEADERS),
    ("bad_name", b"r", b'{"signal":"","run":"r"}'.replace(b'""', b'"-"'), NO_HEADERS),
    ("no_key", None, b'{"type":"payment.captured","data":1}', NO_HEADERS),
    ("no_key", None, b'{"signal":"released","data":1}', NO_HEADERS),
    ("no_key", None, b"{}", {"ce_type": "payment.captured", "ce_id": "1"}),
    ("unreadable", b"42", b"\x00\x01", {"ce_type": "payment.captured", "ce_id": "1"}),
    ("unreadable", b"42", b"1", {"ce_type": b"\xff"}),
    ("invalid", b"42", b'{"amount":1}', {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/bank"}),
    ("not_supported", b"42", b"\xc3\x01" + bytes(20), {"ce_type": "payment.captured", "ce_id": "1"}),
    ("unknown_schema", b"42", b"\xc3\x01" + bytes(20), NO_HEADERS),
    ("unknown_schema", b"42", b"\x00\x00\x00\x00\x01" + bytes(20), NO_HEADERS),
    ("unknown_schema", b"42", b"Obj\x01" + bytes(20), NO_HEADERS),
    ("invalid", b"r", b'{"cancel":7,"run":"r"}', NO_HEADERS),
    ("no_key", None, b'{"cancel":"late"}', NO_HEADERS),
    ("invalid", b"r", b'{"claim":"tom","run":"r"}', NO_HEADERS),
    ("invalid", b"r", b'{"assign":"tom","run":"r","wait":"w","too":"x"}', NO_HEADERS),
    (
        "too_large",
        b"42",
        b'{"type":"payment.captured","key":"42","data":"%b"}' % (b"x" * 999_000),
        NO_HEADERS,
    ),
    (
        "too_large",
        b"42",
        b'{"type":"payment.captured","key":"42","data":"%b"}' % (b"x" * (PAYLOAD_BYTES_MAX - 1)),
        NO_HEADERS,
    ),
]


async def test_what_cannot_be_taken_is_kept_whole_and_holds_up_nothing(instance: Instance) -> None:
    for _, key, value, headers in BAD:
        await instance.emit(value, key=key, headers=headers, partition=0)
    largest = "x" * (PAYLOAD_BYTES_MAX - 2)
    await instance.emit({"type": "payment.captured", "key": "42", "data": largest}, partition=0)
    await instance.emit({"start": "event", "id": "r", "input": {"id": "42"}}, partition=0)

    assert await (await instance.begun("r")).result(timeout="90s") == largest

    letters = {int(one.headers["sd_offset"]): one for one in await instance.dead_letters(len(BAD))}
    assert sorted(letters) == list(range(len(BAD)))
    for offset, (code, key, value, headers) in enumerate(BAD):
        letter = letters[offset]
        assert (letter.code, letter.key, letter.value) == (code, key, value), letter.reason
        assert letter.reason
        assert len(letter.reason) < 1_000
        assert (letter.headers["sd_topic"], letter.headers["sd_partition"]) == (b"events", b"0")
        theirs = {name: held.encode() if isinstance(held, str) else held for name, held in headers.items()}
        assert theirs.items() <= letter.headers.items()
    counted = Counter(code for code, *_ in BAD)
    rendered = instance.metrics.render().decode()
    for code, count in counted.items():
        assert f'stream_durable_dead_letters_total{{reason="{code}"}} {count}.0' in rendered


async def test_the_reason_names_what_there_is_instead(instance: Instance) -> None:
    await instance.emit({"start": "ordre"})

    (letter,) = await instance.dead_letters(1)

    assert letter.reason == (
        "no workflow 'ordre' is registered; there are: echo, event, order, parcel, rated, typed. "
        "Start a worker that has it, then send this again"
    )


async def test_a_start_whose_input_does_not_fit_is_a_dead_letter_that_names_the_field(
    instance: Instance,
) -> None:
    await instance.emit({"start": "typed", "id": "bad", "input": {"item": "tea", "price": "dear"}})
    await instance.emit({"start": "typed", "id": "good", "input": {"item": "tea", "price": "9.5"}})

    assert await (await instance.begun("good")).result(timeout="90s") == "tea"
    (letter,) = await instance.dead_letters(1)

    assert letter.code == "invalid_input"
    assert letter.reason == (
        "the input of workflow 'typed' does not fit: price: Input should be a valid number"
    )
    assert await instance.client.count(RunFilter(workflow="typed")) == RunCount(1, is_exact=True)
