"""G16: records that could not be applied are listed, shown with what may help, and given again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from stream_durable import App, Workflow
from stream_durable.client import DeadFilter, DeadRecord, RedrivenRecord, dead_letters
from stream_durable.client.dead_letters import plain_name
from stream_durable.client.edge import Edge
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import FormatRaised, SignalRun
from stream_durable.ports import Outgoing
from stream_durable.testing import Engine
from stream_durable.wire.dead import dead_letter_headers
from stream_durable.wire.inbox import encode
from stream_durable.wire.topics import DEAD, EVENTS, INBOX


def waiting(name: str = "order") -> Workflow[Any, Any]:
    flow = Workflow(name)
    flow.wait_signal("go")
    return flow


def append(engine: Engine, topic: str, key: bytes | None, value: bytes | None, headers: Any = None) -> None:
    engine._backend._deployment.broker.append(topic, None, key, value, headers)  # type: ignore[attr-defined]


async def put(
    engine: Engine, topic: str, key: bytes | None, value: bytes | None, headers: Any = None
) -> None:
    """Put a record on a topic, as anybody may, and wait for what follows."""
    append(engine, topic, key, value, headers)
    await engine.until_idle()


async def listed(engine: Engine, **which: Any) -> tuple[DeadRecord, ...]:
    page = await engine.dead_records(DeadFilter(**which), limit=100)
    assert page.following is None
    return page.records


async def only(engine: Engine, **which: Any) -> DeadRecord:
    (record,) = await listed(engine, **which)
    return record


async def test_a_record_of_the_inbox_is_listed_shown_and_given_again_once(engine: Engine) -> None:
    flow = waiting()
    engine.deploy(flow)
    await engine.signal("o1", "go", {"n": 1}, id="s1")
    dead = await only(engine)
    assert (dead.topic, dead.code, dead.key, dead.redriven) == ("inbox", "unknown_run", "o1", None)
    whole = await engine.dead_record(dead.id)
    assert whole.record == dead and whole.value is not None and '"n":1' in whole.value
    assert whole.can_redrive and f"records redrive {dead.id}" in whole.remedy

    run = await engine.start(flow, id="o1")
    told = await engine.redrive_record(dead.id, reason="it is there by now", by="ann")

    assert told == RedrivenRecord(dead.id, "inbox", is_ordered=True)
    assert run.status == "completed"
    mark = (await only(engine)).redriven
    assert mark is not None and (mark.by, mark.reason) == ("ann", "it is there by now")
    again = await engine.redrive_record(dead.id, by="bob")
    assert not again.is_ordered
    assert (await only(engine)).redriven == mark


async def test_what_still_cannot_be_applied_is_a_new_record(engine: Engine) -> None:
    engine.deploy(waiting())
    await engine.signal("nobody", "go")
    first = await only(engine)
    await engine.redrive_record(first.id)

    second = await only(engine, redriven=False)
    assert second.id != first.id and second.code == "unknown_run"
    assert (await only(engine, redriven=True)).id == first.id


async def test_an_event_is_read_again_and_has_one_id_however_often_it_is_given(engine: Engine) -> None:
    reason = dead_letter_headers(EVENTS, 1, 7, 5, "unknown_workflow", "no workflow 'order' is registered")
    await put(engine, DEAD, b"k", b'{"start":"order","input":{}}', reason)
    dead = await only(engine, topic="events")
    with pytest.raises(RejectedError, match=f"record {dead.id} cannot be given again: unknown_workflow"):
        await engine.redrive_record(dead.id)
    assert (await only(engine)).redriven is None

    engine.deploy(waiting())
    await engine.redrive_record(dead.id)
    # As after a crash before the mark was written.
    engine.ports.catalogue.declared.redriven.clear()
    await engine.redrive_record(dead.id)

    assert [run.status for run in engine.runs] == ["waiting"]


async def test_a_record_of_others_goes_to_the_binding_that_could_not_take_it(engine: Engine) -> None:
    flow, other = waiting(), waiting("other")
    app = App("shop", workflows=[flow, other])
    orders = app.topic("orders")
    app.on(orders, start=flow, id="id", name="orders")
    app.on(orders, start=other, id="c", name="others")
    await engine.deploy_app(app)
    await engine.deliver("orders", {"b": "b", "c": "c"}, key="k", headers={"theirs": "h"})
    dead = await only(engine, topic="orders")
    assert dead.reason.startswith("binding 'orders': ")
    whole = await engine.dead_record(dead.id)
    assert [(each.name, each.value) for each in whole.headers] == [("theirs", "h")]

    with pytest.raises(RejectedError, match="path_missing"):
        await engine.redrive_record(dead.id)
    # The binding is corrected, and the record given again.
    mended = App("shop", workflows=[flow, other])
    mended.on(mended.topic("orders"), start=flow, id="b", name="orders")
    await engine.deploy_app(mended)
    await engine.redrive_record(dead.id)
    await engine.redrive_records()

    assert sorted((run.id, run.state.workflow) for run in engine.runs) == [("b", "order"), ("c", "other")]


async def test_a_binding_that_passes_a_record_over_by_now_is_not_given_it(engine: Engine) -> None:
    flow = waiting()
    app = App("shop", workflows=[flow])
    app.on(app.topic("orders"), start=flow, id="id", name="orders")
    await engine.deploy_app(app)
    await engine.deliver("orders", {"b": "b"}, key="k")
    changed = App("shop", workflows=[flow])
    changed.on(changed.topic("orders"), start=flow, id="b", name="orders", match={"value.c": "c"})
    await engine.deploy_app(changed)

    with pytest.raises(RejectedError, match="its match= is not met"):
        await engine.redrive_record((await only(engine)).id)
    assert (await only(engine)).redriven is None


async def test_records_of_one_key_are_given_in_the_order_of_their_coming(engine: Engine) -> None:
    reason = dead_letter_headers(EVENTS, 1, 7, 5, "unknown_workflow", "no workflow 'order' is registered")
    await put(engine, DEAD, b"o9", b'{"start":"order","id":"o9","input":null}', reason)
    await engine.signal("o9", "go", 1)
    assert [one.code for one in await listed(engine)] == ["unknown_run", "unknown_workflow"]
    engine.deploy(waiting())

    done = await engine.redrive_records(by="ann")

    assert (done.told, done.refused) == (2, 0)
    assert [run.status for run in engine.runs] == ["completed"]
    assert not await listed(engine, redriven=False)


async def test_what_was_not_marked_is_given_again_and_changes_nothing(engine: Engine) -> None:
    flow = Workflow[Any, Any]("order")
    first = flow.wait_signal("first", any_of=["go"])
    flow.wait_signal("second", any_of=["go"], after=first)
    engine.deploy(flow)
    await engine.signal("o1", "go", id="s1")
    dead = await only(engine)
    run = await engine.start(flow, id="o1")

    for _ in range(3):
        await engine.redrive_record(dead.id)
        # As after a crash before the mark was written.
        engine.ports.catalogue.declared.redriven.clear()

    assert {name: one.status for name, one in run.state.steps.items()} == {
        "first": "completed",
        "second": "waiting",
    }


async def test_a_page_looks_at_so_many_records_and_the_next_goes_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(400):
        append(engine, DEAD, b"k%d" % n, b"{}", dead_letter_headers(INBOX, 0, n, 5, "some", f"number {n}"))
    monkeypatch.setattr(dead_letters, "LOOKED_MAX", 100)
    monkeypatch.setattr(dead_letters, "_PORTION", 50)
    found, pages, after = list[str](), 0, None
    while True:
        page = await engine.dead_records(DeadFilter(key="k1"), after=after)
        found += [one.key or "" for one in page.records]
        pages += 1
        if (after := page.following) is None:
            break
    assert found == ["k1"] and 2 < pages < 10


@pytest.mark.parametrize(
    ("topic", "key", "value", "why"),
    [
        (INBOX, b"r", b"garbage", "unreadable"),
        (INBOX, b"other", encode(SignalRun(key="r", id="s", signal="go")), "wrong_key"),
        (INBOX, b"0", encode(FormatRaised(key="0", format=1)), "partition of the inbox as a whole"),
        (INBOX, b"r", None, "has no value: publish it on inbox anew"),
        ("commands.default", b"r", b"{}", "requested again by themselves"),
        ("runs", b"r", b"{}", "max.message.bytes"),
        ("stream:their.orders", b"r", b"{}", "a function of yours reads their.orders"),
        ("stream:events", b"r", b'{"event":"e","key":"k"}', "a function of yours reads events"),
        (
            ":orders",
            b"r",
            b"{}",
            "the binding of topic 'orders' .* is not declared any more",
        ),
    ],
)
async def test_what_would_change_nothing_is_refused(
    engine: Engine, topic: str, key: bytes, value: bytes | None, why: str
) -> None:
    await put(engine, DEAD, key, value, dead_letter_headers(topic, 0, 3, 5, "some", "why"))
    dead = await only(engine)
    assert (dead.topic, dead.offset, dead.code) == (
        plain_name(topic),
        3,
        "some",
    )

    with pytest.raises(RejectedError, match=why) as refused:
        await engine.redrive_record(dead.id)

    assert refused.value.code == "not_redrivable"
    assert (await only(engine)).redriven is None


async def test_a_record_of_nobody_is_shown_as_that(engine: Engine) -> None:
    await put(engine, DEAD, None, b"\xff", [("x", b"\xff")])
    dead = await only(engine, code="unknown")
    whole = await engine.dead_record(dead.id)
    assert (dead.topic, dead.bytes, whole.value, whole.can_redrive) == ("", 1, "�", False)


async def test_a_letter_without_its_value_says_how_large_it_was(engine: Engine) -> None:
    ours = dead_letter_headers("inbox", 1, 2, 3, "too_large", "it is")
    await put(engine, DEAD, b"r", None, [*ours, ("sd_value_bytes", b"17"), ("sd_value_sha256", b"00")])
    dead = await only(engine)
    assert (dead.bytes, (await engine.dead_record(dead.id)).value) == (17, None)
    with pytest.raises(RejectedError, match="too large to be kept"):
        await engine.redrive_record(dead.id)


async def test_pages_have_each_record_once_newest_first(engine: Engine) -> None:
    for n in range(150):
        headers = dead_letter_headers(INBOX, 0, n, 5, "odd" if n % 2 else "even", f"number {n}")
        append(engine, DEAD, b"k%d" % n, b"{}", headers)
    whole = (await engine.dead_records(limit=1_000)).records
    assert len({one.id for one in whole}) == 150
    assert [one.time for one in whole] == sorted((one.time for one in whole), reverse=True)

    seen, after = list[str](), None
    while True:
        page = await engine.dead_records(DeadFilter(code="odd"), limit=7, after=after)
        seen += [one.id for one in page.records]
        if (after := page.following) is None:
            break
    assert seen == [one.id for one in whole if one.code == "odd"]
    assert (await only(engine, key="k3")).reason == "number 3"
    assert (await only(engine, reason="NUMBER 149")).key == "k149"
    for wrong in ("x", ".".join("1" * 40)):
        with pytest.raises(RejectedError, match="is no position in a list"):
            await engine.dead_records(after=wrong)


async def test_moments_bound_the_list(engine: Engine) -> None:
    headers = dead_letter_headers(INBOX, 0, 1, 5, "some", "why")
    await put(engine, DEAD, b"a", b"{}", headers)
    await engine.advance("2h")
    await put(engine, DEAD, b"b", b"{}", headers)

    assert [one.key for one in await listed(engine)] == ["b", "a"]
    assert [one.key for one in await listed(engine, since="1h")] == ["b"]
    assert [one.key for one in await listed(engine, before="1h")] == ["a"]


@pytest.mark.parametrize("wrong", ["", "x", "0", "0-", "0-x", "99-0", "0-99999", "-1-2", "0-" + "9" * 30])
async def test_an_unknown_record_is_refused(engine: Engine, wrong: str) -> None:
    with pytest.raises(RejectedError, match="records list") as refused:
        await engine.dead_record(wrong)
    assert refused.value.code == "unknown_record"


async def test_many_are_given_again_by_conditions(engine: Engine) -> None:
    flow = waiting()
    engine.deploy(flow)
    for n in range(5):
        await engine.signal(f"o{n}", "go", n)
    await put(engine, INBOX, b"o0", b"garbage")
    for n in range(5):
        await engine.start(flow, id=f"o{n}")
    before = await engine.redrive_records(DeadFilter(topic="inbox"), preview=True)
    assert (before.records, before.told, before.refused) == (6, 5, 1)
    assert not await listed(engine, redriven=True)

    assert (await engine.redrive_records(DeadFilter(code="unknown_run"), at_most=2, by="ann")).told == 2
    steps = list[int]()
    done = await engine.redrive_records(progress=steps.append)

    assert (done.told, done.refused, steps) == (3, 1, [3])
    assert "unreadable" in done.reasons[0]
    assert [run.status for run in engine.runs] == ["completed"] * 5
    assert [one.code for one in await listed(engine, redriven=False)] == ["unreadable"]


async def test_what_the_inbox_does_not_take_is_counted_and_the_others_are_given(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = waiting()
    engine.deploy(flow)
    for n in range(3):
        await engine.signal(f"o{n}", "go", n)
    for n in range(3):
        await engine.start(flow, id=f"o{n}")
    publish = Edge.put

    async def put_some(edge: Edge, records: Sequence[Outgoing], doing: str) -> None:
        if any(record.key == b"o1" for record in records):
            raise RejectedError("too_large", "topic inbox does not take it: it is too large")
        await publish(edge, records, doing)

    monkeypatch.setattr(Edge, "put", put_some)
    done = await engine.redrive_records()

    assert (done.records, done.told, done.refused) == (3, 2, 1)
    assert "cannot be given again: too_large: topic inbox" in done.reasons[0]
    assert (await only(engine, redriven=False)).key == "o1"
    assert {run.id: run.status for run in engine.runs} == {
        "o0": "completed", "o1": "waiting", "o2": "completed",
    }  # fmt: skip
