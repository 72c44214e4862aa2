"""What is waited for over all runs, events that are kept, and counts by status: in memory and on Postgres."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from waiting import eventually

from stream_durable import Batch, Context, RunFilter, Single, Workflow
from stream_durable.client import Explanation
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


def shop() -> Workflow:
    flow = Workflow("shop")
    paid = flow.wait_event("paid", "payment.captured", key="input.id", timeout="3d")
    flow.wait_signal("released", any_of=["released", "forced"], after=paid)
    return flow


def other() -> Workflow:
    flow = Workflow("other")
    flow.wait_event("paid", "payment.captured", key="input.id")
    flow.wait_signal("asked", "answer")
    return flow


def ask(engine: Engine, method: Callable[..., Any], **options: Any) -> Any:
    return engine.ask(lambda: method(**options))


async def test_open_waits_are_listed_over_all_runs_and_found_by_what_is_known(engine: Engine) -> None:
    flow, second = shop(), other()
    for i in range(3):
        await engine.start(flow, {"id": f"k{i}"}, id=f"shop-{i}")
    await engine.advance("1s")
    await engine.start(second, {"id": "k1"}, id="other-0")
    await engine.publish("payment.captured", key="k0")
    waits = engine._target.waits

    def found(**options: Any) -> list[tuple[str, str, str, str | None]]:
        return [(w.run, w.kind, w.name, w.key) for w in ask(engine, waits, **options).waits]

    event = "payment.captured"
    assert found() == [
        ("other-0", "event", event, "k1"), ("shop-1", "event", event, "k1"), ("shop-2", "event", event, "k2"),
        ("shop-0", "signal", "released or forced", None), ("other-0", "signal", "answer", None),
    ]  # fmt: skip
    assert found(workflow="other") == [
        ("other-0", "event", event, "k1"),
        ("other-0", "signal", "answer", None),
    ]
    assert found(event=event, key="k2") == found(key="k2") == [("shop-2", "event", event, "k2")]
    assert found(event="payment") == found(event=event, key="k") == []
    assert found(signal="forced") == [("shop-0", "signal", "released or forced", None)]
    first = ask(engine, waits, key="k2").waits[0]
    assert (first.since, first.step) == (engine.run("shop-2").state.created, "paid")
    assert first.until is not None and (first.until - first.since).days == 3


async def test_all_of_several_signals_across_a_new_start(engine: Engine) -> None:
    flow = Workflow("checked")
    flow.wait_signal("checks", all_of=["stock", "fraud"])
    run = await engine.start(flow)
    await engine.signal(run, "fraud", {"n": 1})
    engine.restart()
    await engine.until_waiting(run)
    await engine.signal(run, "stock", 2)
    await engine.until_idle()
    assert run.output == {"stock": 2, "fraud": {"n": 1}}


async def test_one_message_starts_a_run_and_brings_it_a_signal(engine: Engine) -> None:
    flow = Workflow("cart")
    first = flow.wait_signal("first", "add")
    flow.wait_signal("second", "add", after=first)
    run = await engine.start(flow, id="cart-1", signal=("add", "tea"))
    engine.restart()
    again = await engine.start(flow, id="cart-1", signal=("add", "milk"), signal_id="m2")
    await engine.start(flow, id="cart-1", signal=("add", "milk"), signal_id="m2")
    await engine.until_idle()
    assert (run.created, again.created) == (True, False)
    assert (run.step("first").output, run.output) == ("tea", "milk")


async def test_pages_of_waits_miss_and_double_nothing(engine: Engine) -> None:
    flow, second = shop(), other()
    for i in range(3):
        await engine.start(flow, {"id": f"k{i}"}, id=f"shop-{i}")
    await engine.advance("1s")
    await engine.start(second, {"id": "k1"}, id="other-0")
    await engine.publish("payment.captured", key="k0")
    waits = engine._target.waits
    everything = ask(engine, waits).waits

    for limit in (1, 2, 3, 4, 5, 6):
        paged: list[Any] = []
        after: str | None = None
        while True:
            page = ask(engine, waits, limit=limit, after=after)
            paged += page.waits
            after = page.following
            if after is None:
                break
        assert paged == everything, limit
    with pytest.raises(RejectedError, match="no position in a list"):
        ask(engine, waits, after="there")


async def test_kept_events_are_listed_with_when_they_expire(engine: Engine) -> None:
    await engine.publish("payment.captured", key="k 1", data={"amount": 1}, id="e1", ttl="1h")
    await engine.publish("payment.captured", key="k2", id="e2", ttl="2h")
    await engine.publish("payment", key="k1", id="e3")
    events = engine._target.events

    page = ask(engine, events, event="payment.captured")
    assert [(e.event, e.key, e.id, e.data) for e in page.events] == [
        ("payment.captured", "k 1", "e1", {"amount": 1}), ("payment.captured", "k2", "e2", None),
    ]  # fmt: skip
    assert (page.events[1].expires - page.events[0].expires).total_seconds() == pytest.approx(3_600, abs=5)
    assert [e.id for e in ask(engine, events, key="k1").events] == ["e3"]
    first = ask(engine, events, limit=2)
    assert [e.id for e in first.events] == ["e1", "e2"]
    rest = ask(engine, events, limit=2, after=first.following)
    assert {e.id for e in (*first.events, *rest.events)} == {"e1", "e2", "e3"}
    assert rest.following is None


async def test_of_a_kept_event_it_is_known_when_it_came_and_when_it_was_taken(engine: Engine) -> None:
    """Taken is what woke a run: one that waited already, or one that came to its wait later."""
    flow = other()
    await engine.start(flow, {"id": "k0"}, id="other-0")
    await engine.publish("payment.captured", key="k0", id="on time")
    await engine.publish("payment.captured", key="k1", id="early")
    await engine.publish("payment.captured", key="mistyped", id="lost")
    events = engine._target.events
    assert {e.id for e in ask(engine, events, untaken=True).events} == {"early", "lost"}
    await engine.advance("2s")
    await engine.start(flow, {"id": "k1"}, id="other-1")
    await engine.advance("2s")
    await engine.start(flow, {"id": "k1"}, id="other-2")
    await engine.advance("1s")

    found = {e.id: e for e in ask(engine, events).events}
    assert [e.id for e in ask(engine, events, untaken=True).events] == ["lost"]
    on_time, early, lost = found["on time"], found["early"], found["lost"]
    assert (on_time.taken, lost.taken) == (on_time.published, None)
    assert early.published is not None and early.taken is not None
    assert 1.5 < (early.taken - early.published).total_seconds() < 3.9, "the first that took it"
    await engine.start(flow, {"id": "mistyped"}, id="other-3")
    await engine.advance("1s")
    assert ask(engine, events, untaken=True).events == []


async def test_runs_are_counted_by_status_in_one_call(engine: Engine) -> None:
    flow, second = shop(), other()
    for i in range(3):
        await engine.start(flow, {"id": f"k{i}"}, id=f"shop-{i}")
    await engine.advance("1s")
    await engine.start(second, {"id": "k1"}, id="other-0")
    await engine.run("shop-0").cancel()

    counts = engine.ask(engine._target.statuses)
    assert counts == ({"waiting": 3, "cancelled": 1}, True)
    which = RunFilter(workflow="shop")
    assert ask(engine, engine._target.statuses, which=which).counts == {"waiting": 2, "cancelled": 1}
    assert not ask(engine, engine._target.statuses, at_most=2).is_exact


async def test_figures_of_workflows_and_of_children_come_in_one_call_each(engine: Engine) -> None:
    flow, second = shop(), other()
    parent = Workflow("parent")
    parent.child("one", second, input={"id": '="a"'})
    parent.child("two", second, input={"id": '="b"'})
    await engine.start(flow, {"id": "k0"}, id="shop-0")
    await engine.start(flow, {}, id="shop-1")
    await engine.start(parent, id="parent-0")
    await engine.until_waiting(engine.run("parent-0"))
    await engine.run("parent-0").cancel()
    await engine.until_idle()

    found = {one.name: one for one in engine.ask(engine._target.workflows)}
    assert list(found) == sorted(found)
    assert found["shop"][1:6] == (1, 1, 1, 2, 0), "the one without an id has failed"
    assert (found["other"].open, found["other"].started, found["other"].last_status) == (0, 2, "cancelled")
    assert found["parent"][1:6] == (0, 0, 0, 1, 0), "who cancels a run need not be told of it"
    assert found["parent"].last_created == engine.run("parent-0").state.created
    runs = ["shop-0", "parent-0", "nobody"]
    assert ask(engine, engine._target.child_counts, runs=runs) == {"shop-0": 0, "parent-0": 2, "nobody": 0}
    with pytest.raises(RejectedError, match="takes a list"):
        ask(engine, engine._target.child_counts, runs="parent-0")


async def test_runs_that_meet_wait_and_go_with_each_other(engine: Engine) -> None:
    mails = Workflow("mails", starts=Batch(key="input.to", size=3, within="1h"))

    @mails.step
    def send(ctx: Context[Any]) -> list[int]:
        return [one["n"] for one in ctx.inputs]

    single = Workflow("single", starts=Single(key="input.to", busy="queue"))
    single.wait_signal("go")
    runs = [await engine.start(mails, {"to": "a", "n": n}, id=f"mail-{n}") for n in range(2)]
    line = [await engine.start(single, {"to": "a"}, id=f"single-{n}", priority=n) for n in range(3)]
    await engine.until_waiting(line[0])
    engine.restart()
    found = {one.id: one for one in ask(engine, engine._target.admissions)}
    assert {(one.id, one.waiting, one.under_way) for one in found.values()} == {
        ("mails//a", 2, 0),
        ("single//a", 2, 1),
    }
    assert found["mails//a"].begins is not None
    assert ask(engine, engine._target.admissions, after="mails//a") == [found["single//a"]]
    members = engine.ask(lambda: engine._target.admission_members("single//a"))
    assert [(one.run, one.stage, one.priority) for one in members] == [
        ("single-0", "begun", 0),
        ("single-1", "waiting", 1),
        ("single-2", "waiting", 2),
    ]

    async def at_admission() -> Explanation | None:
        """Say why, once the partitions have owners again."""
        why = await engine._target.run("single-2").why()
        return why if why.code == "at_admission" else None

    why = engine.ask(lambda: eventually(at_admission, "the run waits for others", seconds=30))
    assert (why.evidence["run"], why.evidence["waiting"]) == ("single-0", 2)

    await engine.start(mails, {"to": "a", "n": 2}, id="mail-2")
    assert await runs[0].result() == [0, 1, 2]
    assert (runs[1].status, runs[1].state.into) == ("merged", "mail-2")
    page = await engine.list(RunFilter(status=["merged"]))
    assert {(one.id, one.into, one.word) for one in page.runs} == {
        ("mail-0", "mail-2", "Done"),
        ("mail-1", "mail-2", "Done"),
    }
    for run in (line[0], line[2], line[1]):
        await run.signal("go", run.id)
        assert await run.result() == run.id
