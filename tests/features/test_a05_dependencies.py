"""A5: all, any, some, a group, a graft; and edges that do not mind how the step before has ended."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from stream_durable import Context, Expand, Fail, Retry, Skip, Workflow, any_of, some_of
from stream_durable.testing import Engine


def racers(flow: Workflow, **seconds: float) -> list[Any]:
    """Add steps that take so long; a negative time is that of a failure."""

    def after(name: str, takes: float) -> Any:
        async def run() -> str:
            await asyncio.sleep(abs(takes))
            if takes < 0:
                raise Fail("lost", f"{name} fell", retryable=False)
            return name

        return run

    return [flow.add(name, after(name, takes)) for name, takes in seconds.items()]


def statuses(run: Any) -> dict[str, str]:
    return {name: step.status for name, step in run.steps.items()}


# All


async def test_all_is_the_default(engine: Engine) -> None:
    flow = Workflow("all")
    a, b, c = racers(flow, a=1, b=5, c=3)
    begun = engine.now

    @flow.step(after=[a, b, c])
    async def end() -> float:
        return (engine.now - begun).total_seconds()

    run = await engine.start(flow)
    await engine.until_idle()
    assert 5 <= run.output < 6


async def test_a_skipped_step_has_passed_and_one_that_may_fail_too(engine: Engine) -> None:
    flow = Workflow("all")
    flow.add("skipped", lambda: Skip("not today"))
    flow.add("unmet", lambda: 1, when=lambda: False)

    @flow.step(on_error="continue")
    def failed() -> None:
        raise Fail("down", retryable=False)

    @flow.step(after=["skipped", "unmet", "failed"])
    def end() -> str:
        return "went on"

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "went on")
    assert statuses(run) == {"skipped": "skipped", "unmet": "skipped", "failed": "failed", "end": "completed"}


# Any


async def test_any_goes_on_with_the_first_to_complete_and_leaves_the_others(engine: Engine) -> None:
    flow = Workflow("any")
    racers(flow, slow=60, quick=2)

    @flow.step(after=any_of("slow", "quick"))
    def end(slow: str | None, quick: str | None) -> list[str | None]:
        return [slow, quick]

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("end").output == [None, "quick"]
    assert statuses(run) == {"slow": "completed", "quick": "completed", "end": "completed"}
    assert run.status == "completed"


async def test_any_cancels_the_rest_if_asked(engine: Engine) -> None:
    flow = Workflow("any")
    a, b = racers(flow, slow=60, quick=2)
    begun = engine.now

    @flow.step(after=any_of(a, b, cancel_rest=True))
    def end(quick: str | None, slow: str = "nothing") -> list[str | None]:
        return [slow, quick]

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == ["nothing", "quick"]
    assert statuses(run) == {"slow": "cancelled", "quick": "completed", "end": "completed"}
    assert (engine.now - begun).total_seconds() < 10


async def test_the_first_to_fail_loses_only_the_race(engine: Engine) -> None:
    flow = Workflow("any")
    racers(flow, falls=-1, comes=5)
    flow.add("end", lambda falls, comes: [falls, comes], after=any_of("falls", "comes"))
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", [None, "comes"])
    assert run.step("falls").status == "failed"


async def test_a_race_that_nobody_can_win_fails_the_run(engine: Engine) -> None:
    flow = Workflow("any")
    racers(flow, one=-1, two=-2)
    flow.add("end", lambda: "never", after=any_of("one", "two"))
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "failed"
    assert run.failure is not None
    assert (run.failure.code, run.failure.message) == ("lost", "one fell")
    assert run.step("two").status == "failed"
    assert run.step("end").attempts == 0


async def test_a_skipped_member_does_not_win_unless_all_have_ended(engine: Engine) -> None:
    flow = Workflow("any")
    flow.add("skipped", lambda: Skip("no"))
    racers(flow, comes=5)
    flow.add("end", lambda skipped, comes: [skipped, comes], after=any_of("skipped", "comes"))

    none = Workflow("none")
    none.add("one", lambda: Skip("no"))
    none.add("two", lambda: Skip("no"))
    none.add("end", lambda one, two: [one, two], after=any_of("one", "two"))

    first, second = await engine.start(flow), await engine.start(none)
    await engine.until_idle()
    assert first.output == [None, "comes"]
    assert (second.status, second.output) == ("completed", [None, None])


async def test_a_member_that_was_not_waited_for_and_has_no_default_is_told(engine: Engine) -> None:
    flow = Workflow("any")
    racers(flow, slow=60, quick=2)

    @flow.step(after=any_of("slow", "quick"))
    def end(slow: str) -> str:
        return slow

    run = await engine.start(flow)
    await engine.until_idle()
    failure = run.step("end").failure
    assert failure is not None
    assert (failure.code, failure.message) == (
        "invalid_input",
        (
            "workflow 'any', step 'end': the parameter 'slow' does not fit: step 'slow' has no "
            "output (it was skipped, "
            "failed or not waited for): give the parameter a default or allow None"
        ),
    )


async def test_signals_and_sleeps_race_too(engine: Engine) -> None:
    flow = Workflow("first")
    flow.wait_signal("go")
    flow.sleep("tired", "1h")
    flow.add("end", lambda go: go, after=any_of("go", "tired", cancel_rest=True))

    told, waited = await engine.start(flow, id="told"), await engine.start(flow, id="waited")
    await engine.signal(told.id, "go", "now")
    assert (told.status, told.output) == ("completed", "now")
    assert told.step("tired").status == "cancelled"
    await engine.advance("1h")
    assert (waited.status, waited.output) == ("completed", None)
    assert waited.step("go").status == "cancelled"


# Some


@pytest.mark.parametrize("cancel_rest", [False, True])
async def test_two_of_three(engine: Engine, cancel_rest: bool) -> None:
    flow = Workflow("some")
    racers(flow, a=1, b=60, c=3)
    begun = engine.now
    after: list[float] = []

    @flow.step(after=some_of(2, "a", "b", "c", cancel_rest=cancel_rest))
    def end(a: str | None, b: str | None, c: str | None) -> list[str | None]:
        after.append((engine.now - begun).total_seconds())
        return [a, b, c]

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("end").output == ["a", None, "c"]
    assert 3 <= after[0] < 4
    assert run.step("b").status == ("cancelled" if cancel_rest else "completed")


async def test_some_can_be_met_as_long_as_enough_are_left(engine: Engine) -> None:
    met, unmet = Workflow("met"), Workflow("unmet")
    for flow, seconds in ((met, {"a": -1, "b": 2, "c": 3}), (unmet, {"a": -1, "b": -2, "c": 30})):
        racers(flow, **seconds)
        flow.add("end", lambda: "met", after=some_of(2, "a", "b", "c"))

    first = await engine.start(met)
    second = await engine.start(unmet)
    begun = engine.now
    await engine.until(second, "failed")
    assert (engine.now - begun).total_seconds() < 10, "it fails as soon as it cannot be met any more"
    await engine.until(first, "completed")
    assert first.output == "met"
    assert second.step("c").status == "cancelled"


async def test_a_step_waits_for_a_race_and_others_at_once(engine: Engine) -> None:
    flow = Workflow("mixed")
    racers(flow, a=1, b=2, c=9)
    flow.add("end", lambda a, b, c: [a, b, c], after=[any_of("a", "b"), "c"])
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == ["a", "b", "c"]


async def test_two_races_in_one_step(engine: Engine) -> None:
    flow = Workflow("mixed")
    racers(flow, a=1, b=2, c=3, d=9)
    flow.add(
        "end",
        lambda a, b, c, d: [a, b, c, d],
        after=[any_of("a", "b", cancel_rest=True), any_of("c", "d", cancel_rest=True)],
    )
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == ["a", None, "c", None]


async def test_a_member_that_others_wait_for_is_not_only_a_racer(engine: Engine) -> None:
    """Its failure is the run's, for somebody needs it."""
    flow = Workflow("mixed")
    racers(flow, a=-1, b=5)
    flow.add("race", lambda: 1, after=any_of("a", "b"))
    flow.add("needs", lambda a: a)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure.step == "a"


# Groups and grafts


async def test_a_group_and_a_graft_are_waited_for_as_steps_are(engine: Engine) -> None:
    flow = Workflow("both")
    racers(flow, a=1, b=4)
    flow.parallel("group", ["a", "b"])

    @flow.template
    async def scan(item: int) -> int:
        await asyncio.sleep(item)
        return item

    flow.add("graft", lambda: Expand([scan.of(2), scan.of(7)]))
    begun = engine.now
    flow.add("end", lambda: (engine.now - begun).total_seconds(), after=["group", "graft"])
    run = await engine.start(flow)
    await engine.until_idle()
    assert 7 <= run.output < 8


# Edges that do not mind


@pytest.mark.parametrize("how", ["completes", "fails", "is skipped", "is cancelled"])
async def test_clean_up_runs_however_the_step_has_ended(engine: Engine, how: str) -> None:
    flow = Workflow("clean")

    @flow.step
    async def work() -> str | Skip:
        if how == "fails":
            raise Fail("down", retryable=False)
        if how == "is cancelled":
            await asyncio.sleep(3_600)
        return Skip("no") if how == "is skipped" else "done"

    @flow.step(after=work.even_if_failed)
    def clean(work: str | None) -> str:
        return f"cleaned after {work}"

    @flow.step
    def then(clean: str) -> str:
        return f"{clean}, then"

    @flow.step(after=work)
    def not_then() -> None: ...

    run = await engine.start(flow)
    if how == "is cancelled":
        await run.cancel("enough")
    await engine.until_idle()
    done = "done" if how == "completes" else None
    assert run.step("then").output == f"cleaned after {done}, then"
    assert run.status == {"fails": "failed", "is cancelled": "cancelled"}.get(how, "completed")
    assert (run.step("not_then").status == "completed") == (how in ("completes", "is skipped"))


async def test_the_plain_policy_ends_what_waits_for_a_failed_step(engine: Engine) -> None:
    flow = Workflow("plain")
    racers(flow, a=-1, other=60)
    flow.add("b", lambda: 1, after="a")
    flow.add("c", lambda: 1, after="b")
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "failed"
    assert run.step("other").status == "cancelled"
    assert run.step("b").status in ("cancelled", "pending")
    assert engine.calls("b") == engine.calls("c") == 0


async def test_clean_up_waits_for_the_step_to_be_out_of_attempts(engine: Engine) -> None:
    flow = Workflow("clean", retry=Retry(3, base="10s", backoff="fixed"))
    begun = engine.now

    @flow.step
    def work() -> None:
        raise Fail("down")

    @flow.step(after=work.even_if_failed)
    def clean() -> float:
        return (engine.now - begun).total_seconds()

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("work").attempts == 3
    assert 20 <= run.step("clean").output < 22


async def test_clean_up_that_waits_for_a_step_that_never_began_runs_too(engine: Engine) -> None:
    flow = Workflow("clean")
    racers(flow, first=-1)
    never = flow.add("never", lambda: 1, after="first")
    flow.add("clean", lambda: "cleaned", after=never.even_if_failed)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "failed"
    assert run.step("clean").output == "cleaned"


async def test_clean_up_that_fails_leaves_the_runs_failure_as_it_was(engine: Engine) -> None:
    flow = Workflow("clean")
    (work,) = racers(flow, work=-1)

    @flow.step(after=work.even_if_failed)
    def clean() -> None:
        raise Fail("worse", retryable=False)

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure.code == "lost"
    assert run.step("clean").status == "failed"


async def test_a_group_can_be_waited_for_however_it_ended(engine: Engine) -> None:
    flow = Workflow("clean")
    racers(flow, a=-1, b=60)
    group = flow.parallel("group", ["a", "b"])
    flow.add("clean", lambda: "cleaned", after=group.even_if_failed)
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.step("clean").output) == ("failed", "cleaned")
    assert statuses(run)["b"] == "cancelled"


async def test_clean_up_sees_the_context_and_the_input(engine: Engine) -> None:
    flow = Workflow("clean")

    @flow.step
    def first(ctx: Context) -> None:
        ctx.put("file", "/tmp/x")

    @flow.step(after=first)
    def work() -> None:
        raise Fail("down", retryable=False)

    @flow.step(after=work.even_if_failed)
    def clean(ctx: Context) -> list[Any]:
        return [ctx.get("file"), ctx.input]

    run = await engine.start(flow, "in")
    await engine.until_idle()
    assert run.step("clean").output == ["/tmp/x", "in"]


@pytest.mark.parametrize("on_error", ["skip", "continue"])
async def test_what_may_fail_lets_plain_edges_go_on(
    engine: Engine, on_error: Literal["skip", "continue"]
) -> None:
    flow = Workflow("optional")

    @flow.step(on_error=on_error)
    def work() -> None:
        raise Fail("down", retryable=False)

    flow.add("end", lambda work: work)
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", None)
    assert run.step("work").status == {"skip": "skipped", "continue": "failed"}[on_error]


# Edges to what is no function


async def test_a_group_in_a_race_may_fail_as_any_racer(engine: Engine) -> None:
    flow = Workflow("race")
    racers(flow, falls=-1, other=60, comes=5)
    flow.parallel("group", ["falls", "other"])
    flow.add("end", lambda group, comes: [group, comes], after=any_of("group", "comes"))
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", [None, "comes"])
    assert statuses(run)["group"] == "failed"
    assert statuses(run)["other"] == "cancelled"


async def test_each_a_branch_and_an_expansion_may_fail_in_a_race(engine: Engine) -> None:
    flow = Workflow("race")
    racers(flow, comes=5)

    @flow.each("input")
    def each(item: int) -> None:
        raise Fail("down", retryable=False)

    @flow.template
    def torn(item: int) -> None:
        raise Fail("torn", retryable=False)

    flow.add("graft", lambda: Expand([torn.of(1)]))
    kind = flow.branch("kind", on="input.0")

    @kind.otherwise
    def bad() -> None:
        raise Fail("bad", retryable=False)

    flow.add("end", lambda comes: comes, after=any_of("each", "graft", "kind", "comes"))
    run = await engine.start(flow, [1, 2])
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "comes"), run.table
    assert {statuses(run)[name] for name in ("each", "graft", "kind")} == {"failed"}


async def test_cancelling_the_rest_reaches_all_that_is_in_it(engine: Engine) -> None:
    small = Workflow("small")
    small.sleep("nap", "1d")
    flow = Workflow("race")
    racers(flow, quick=1, member=3_600)
    flow.child("child", small)
    flow.parallel("group", ["member"])

    @flow.each("input")
    async def each(item: int) -> None:
        await asyncio.sleep(3_600)

    losers = ["child", "group", "each"]
    flow.add("end", lambda quick: quick, after=any_of("quick", *losers, cancel_rest=True))
    run = await engine.start(flow, [1, 2])
    begun = engine.now
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "quick")
    assert (engine.now - begun).total_seconds() < 10
    found = statuses(run)
    assert {found[name] for name in (*losers, "member", "each[0]", "each[1]")} == {"cancelled"}
    assert run.children[0].status == "cancelled"


async def test_clean_up_after_a_wait_a_child_and_each(engine: Engine) -> None:
    bad = Workflow("bad")
    bad.add("only", lambda: 1 / 0)
    flow = Workflow("clean")
    go = flow.wait_signal("go", timeout="1m", on_error="continue")
    child = flow.child("child", bad, after=go)

    @flow.each("input", after=child)
    def each(item: int) -> int:
        return item

    flow.add("after_go", lambda: "go", after=go.even_if_failed)
    flow.add("after_child", lambda: "child", after=child.even_if_failed)
    flow.add("after_each", lambda: "each", after=each.even_if_failed)
    run = await engine.start(flow, [1])
    await engine.advance("1m")
    await engine.until_idle()
    assert run.status == "failed"
    assert [run.step(f"after_{name}").output for name in ("go", "child", "each")] == ["go", "child", "each"]


async def test_a_member_of_a_group_is_a_racer_too(engine: Engine) -> None:
    flow = Workflow("race")
    racers(flow, a=-1, b=5, c=60)
    flow.parallel("group", ["a", "b", "c"], on_error="complete_all")
    flow.add("first", lambda a, b: [a, b], after=any_of("a", "b"))
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert run.step("first").output == [None, "b"]


async def test_an_edge_twice_is_one_edge(engine: Engine) -> None:
    flow = Workflow("twice")
    a = flow.add("a", lambda: 1)
    flow.add("b", lambda a: a + 1, after=[a, "a", a])
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == 2
