"""E7, E8: a queue as a whole has so many places, and a rate, over all of its workers."""

from __future__ import annotations

from typing import Any

import pytest
from outcomes import Inside

from stream_durable import App, Context, DefinitionError, Fail, Gate, Retry, Workflow
from stream_durable.testing import Engine


def mails(name: str = "mails", **options: Any) -> tuple[Workflow, Inside]:
    flow, inside = Workflow(name), Inside()

    @flow.step(queue="mail", **options)
    async def send(ctx: Context[Any]) -> None:
        await inside.call(ctx.input)

    return flow, inside


async def test_all_workflows_of_a_queue_share_its_places(engine: Engine) -> None:
    one, inside = mails()
    other = Workflow("other")
    other.add("post", inside.call, queue="mail")
    other.add("beside", lambda: None)
    App("shop", workflows=[one, other]).queue("mail", at_once=2)
    runs = [await engine.start(flow, n) for n in range(3) for flow in (one, other)]
    await engine.advance("5s")
    assert inside.now == 2
    assert runs[1].step("beside").status == "completed", "other queues know nothing of it"
    [cause] = runs[5].step("post").waits_for
    assert "a place at gate queue:mail" in cause
    assert "at gate queue:mail (2 at once), held by send of" in str(await runs[5].why("post"))
    for run in runs:
        await engine.until(run, "completed")
    assert (inside.most, len(inside.order)) == (2, 6)
    assert inside.clock.times == pytest.approx([0, 0, 10, 10, 20, 20], abs=1)


async def test_a_rate_of_a_queue(engine: Engine) -> None:
    flow, inside = mails()
    App("shop", workflows=[flow]).queue("mail", rate="6/1m", burst=1)
    for n in range(4):
        run = await engine.start(flow, n)
    await engine.until(run, "completed")
    assert inside.clock.times == pytest.approx([0, 0, 10, 20], abs=1)


async def test_a_step_passes_its_own_gate_first_and_leaves_both(engine: Engine) -> None:
    flow, inside = mails(gate=Gate("bank", at_once=2), units=5)
    App("shop", workflows=[flow]).queue("mail", at_once=1)
    runs = [await engine.start(flow, n, id=f"run-{n}") for n in range(3)]
    await engine.advance("5s")
    places = {gate.id: (gate.inside, gate.waiting) for gate in await engine.gates()}
    assert places == {"bank//": (2, 1), "queue:mail//": (1, 1)}
    await runs[1].cancel()
    await engine.advance("1s")
    places = {gate.id: (gate.inside, gate.waiting) for gate in await engine.gates()}
    assert places == {"bank//": (2, 0), "queue:mail//": (1, 1)}
    await engine.until(runs[2], "completed")
    assert inside.order == [0, 2]
    assert all(not gate.inside and not gate.waiting for gate in await engine.gates())


async def test_whatever_a_worker_is_asked_for_counts(engine: Engine) -> None:
    """Also members, selectors, compensations, hooks and functions beside the graph."""
    inside = Inside(1)
    flow = Workflow("shop", queue="mail", retry=Retry(2, base="1s"))
    calls: list[str] = []

    def noting(name: str) -> Any:
        async def function(ctx: Context[Any]) -> Any:
            calls.append(name)
            await inside.call()
            return 1

        return function

    flow.add("reserve", noting("reserve"))
    kind = flow.branch("kind", on=noting("kind"), after="reserve")
    kind.add(1, "one", noting("one"))
    flow.each("input.items", name="all", after="kind")(noting("all"))

    @flow.step(after="all")
    async def last() -> None:
        raise Fail("no", retryable=False)

    flow.on_failure(noting("hook"))
    App("shop", workflows=[flow]).queue("mail", at_once=1)
    runs = [await engine.start(flow, {"items": [1, 2]}) for _ in range(3)]
    for run in runs:
        await engine.until(run, "failed")
    assert inside.most == 1
    assert {name: calls.count(name) for name in set(calls)} == {
        "reserve": 3, "kind": 3, "one": 3, "all": 6, "hook": 3,
    }  # fmt: skip


async def test_a_retry_asks_again_and_a_new_reconciler_goes_on(engine: Engine) -> None:
    flow = Workflow("mails", retry=Retry(2, backoff="fixed", base="5s"))
    inside = Inside(1)
    flow.add("send", inside.call, queue="mail")
    App("shop", workflows=[flow]).queue("mail", at_once=1)
    engine.fail("send", times=2)
    engine.crash_after("send")
    runs = [await engine.start(flow) for _ in range(4)]
    await engine.advance("500ms")
    engine.restart()
    engine.redeliver()
    for run in runs:
        await engine.until(run, "completed")
    assert inside.most == 1
    assert all(not gate.inside and not gate.waiting for gate in await engine.gates())


async def test_a_queue_chosen_at_the_start_counts(engine: Engine) -> None:
    flow, inside = Workflow("shop"), Inside()
    flow.add("send", inside.call)
    App("shop", workflows=[flow]).queue("mail", at_once=1)
    for queue in ("mail", "mail", None):
        await engine.start(flow, queue=queue)
    await engine.advance("5s")
    assert inside.now == 2, "one of the queue, and one of another"


async def test_limits_of_a_queue_are_changed_while_it_runs(engine: Engine) -> None:
    flow, inside = mails()
    App("shop", workflows=[flow]).queue("mail", at_once=1)
    for n in range(4):
        await engine.start(flow, n)
    await engine.advance("1s")
    await engine.set_gate("queue:mail", at_once=3)
    await engine.advance("1s")
    assert inside.now == 3
    await engine.reset_gate("queue:mail")
    await engine.advance("9s")
    assert inside.now == 1


async def test_children_keep_to_it_and_parents_find_them(engine: Engine) -> None:
    child, inside = mails("child")
    parent = Workflow("parent")
    parent.child("one", child)
    parent.child("two", child)
    before = parent.fingerprint
    App("shop", workflows=[parent]).queue("mail", at_once=1)
    assert parent.fingerprint != before
    run = await engine.start(parent)
    await engine.until(run, "completed")
    assert (inside.most, len(inside.order)) == (1, 2)


def test_impossible_limits_are_refused() -> None:
    flow, _ = mails()
    app = App("shop", workflows=[flow])
    for name, limits, why in (
        ("mail", {}, "queue 'mail' limits nothing: give at_once=, rate= or both"),
        ("mail", {"at_once": 0}, "queue 'mail': at_once is 0, and must be from 1"),
        ("mail", {"rate": "soon"}, "'soon' is not a rate"),
        ("mail", {"at_once": 1, "burst": 3}, "burst= goes with rate="),
        ("no name!", {"at_once": 1}, "has no name for a queue"),
    ):
        with pytest.raises(DefinitionError) as error:
            app.queue(name, **limits)
        assert why in str(error.value)
    app.queue("mail", at_once=1)
    app.queue("mail", at_once=1)
    with pytest.raises(DefinitionError, match="queue 'mail' is set twice"):
        app.queue("mail", at_once=2)
    flow = Workflow("flow")
    flow.add("a", lambda: 1, gate=Gate("queue:mail", at_once=1))
    with pytest.raises(DefinitionError, match="'queue:mail' is a name for the gate of a queue"):
        flow.definition()
