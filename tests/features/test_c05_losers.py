"""C5: who loses a race or is dropped is undone if it went through, and its branch goes with it."""

from __future__ import annotations

import asyncio

import pytest

from stream_durable import Context, Fail, Workflow, any_of
from stream_durable.testing import Engine


def booking(*, is_broken: bool) -> tuple[Workflow, list[str]]:
    """Two hotels race, the slower cannot be stopped; what comes after may be broken."""
    flow = Workflow("booking")
    log: list[str] = []

    async def slow(ctx: Context) -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            log.append("slow")
        return "slow room"

    flow.add("quick", lambda: log.append("quick")).compensate(lambda: log.append("quick undone"))
    flow.add("slow", slow).compensate(lambda: log.append("slow undone"))

    @flow.step(after=any_of("quick", "slow", cancel_rest=True))
    async def pay() -> None:
        await asyncio.sleep(1)
        if is_broken:
            raise Fail("no_money", retryable=False)

    return flow, log


async def test_a_loser_that_went_through_is_undone_with_its_run(engine: Engine) -> None:
    flow, log = booking(is_broken=True)
    run = await engine.start(flow)
    await engine.until(run, "compensated")
    assert log == ["quick", "slow", "slow undone", "quick undone"]
    assert (run.step("quick").status, run.step("slow").status) == ("compensated", "compensated")


async def test_a_loser_that_went_through_is_kept_if_its_run_completes(engine: Engine) -> None:
    flow, log = booking(is_broken=False)
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert log == ["quick", "slow"]
    assert (run.step("slow").status, run.step("slow").output) == ("completed", "slow room")


async def test_a_loser_that_was_undone_is_not_made_anew(engine: Engine) -> None:
    flow, log = booking(is_broken=True)
    run = await engine.start(flow)
    await engine.until(run, "compensated")
    log.clear()
    await run.retry()
    await engine.until(run, "compensated")
    assert log == ["quick", "quick undone"]


async def test_a_cancelled_step_that_went_through_is_undone_with_its_run(engine: Engine) -> None:
    flow = Workflow("booking")
    log: list[str] = []

    async def hotel() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            log.append("hotel")

    flow.add("hotel", hotel).compensate(lambda: log.append("hotel undone"))
    flow.add("pay", lambda go: 1 / 0, after=flow.wait_signal("go"))
    run = await engine.start(flow)
    await engine.advance("1s")
    await run.cancel_step("hotel", "too dear")
    assert (run.step("hotel").status, log) == ("completed", ["hotel"])
    await engine.signal(run.id, "go")
    await engine.until(run, "compensated")
    assert log == ["hotel", "hotel undone"]


async def test_a_second_order_does_not_wait_for_an_answer(engine: Engine) -> None:
    flow = Workflow("booking")

    async def hotel() -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                await asyncio.sleep(3600)
                raise

    flow.add("hotel", hotel).compensate(lambda: None)
    flow.add("mail", lambda: "sent", after="hotel")
    run = await engine.start(flow)
    await engine.advance("1s")
    await run.skip_step("hotel")
    assert run.step("mail").status == "pending"
    await run.skip_step("hotel")
    assert (run.step("hotel").status, run.output) == ("skipped", "sent")


async def test_what_leads_to_a_loser_alone_goes_with_it(engine: Engine) -> None:
    flow = Workflow("race")
    ended: list[str] = []

    async def long(ctx: Context) -> None:
        await asyncio.sleep(3600)
        ended.append(ctx.step)

    async def quick() -> None:
        await asyncio.sleep(1)

    flow.add("first", long)
    flow.add("shared", long)
    flow.add("second", lambda: None, after=["first", "shared"])
    flow.add("quick", quick)
    flow.add("order", lambda: "done", after=any_of("quick", "second", cancel_rest=True))
    flow.add("audit", lambda: "seen", after="shared")
    run = await engine.start(flow)
    await engine.advance("10s")
    assert run.step("order").status == "completed"
    assert (run.step("first").status, run.step("second").status) == ("cancelled", "cancelled")
    assert run.step("shared").status == "running", "somebody else needs it"
    await engine.until(run, "completed")
    assert ended == ["shared"]


async def test_a_failure_early_in_a_branch_does_not_lose_the_race(engine: Engine) -> None:
    flow = Workflow("race")
    flow.add("first", lambda: 1 / 0)
    flow.add("second", lambda: None, after="first")
    flow.wait_signal("other")
    flow.add("order", lambda: "done", after=any_of("second", "other"))
    run = await engine.start(flow)
    await engine.until_waiting(run)
    assert (run.step("first").status, run.step("second").status) == ("failed", "cancelled")
    await engine.signal(run.id, "other")
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "done")


async def test_a_race_that_all_lose_fails_its_run_with_what_failed_first(engine: Engine) -> None:
    flow = Workflow("race")

    @flow.step
    def first() -> None:
        raise Fail("no_first", retryable=False)

    flow.add("second", lambda: None, after="first")

    @flow.step(after=flow.wait_signal("go"))
    def other() -> None:
        raise Fail("no_other", retryable=False)

    flow.add("order", lambda: "done", after=any_of("second", "other"))
    run = await engine.start(flow)
    await engine.signal(run.id, "go")
    await engine.until(run, "failed")
    assert run.failure is not None
    assert (run.failure.code, run.failure.step) == ("no_first", "first")


async def test_a_race_in_a_clause_is_a_race(engine: Engine) -> None:
    flow = Workflow("race")
    kind = flow.branch("kind", on="input.kind")
    clause = kind.clause("a")
    clause.add("first", lambda: 1 / 0)
    clause.add("second", lambda: None, after="first")
    clause.wait_signal("other")
    clause.add("order", lambda: "done", after=any_of("second", "other"))
    run = await engine.start(flow, {"kind": "a"})
    await engine.until_waiting(run)
    await engine.signal(run.id, "other")
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "done")


async def test_a_race_lost_in_a_clause_fails_its_branch(engine: Engine) -> None:
    flow = Workflow("race")
    kind = flow.branch("kind", on="input.kind", on_error="continue")
    clause = kind.clause("a")
    clause.add("first", lambda: 1 / 0)
    clause.add("second", lambda: None, after="first")
    clause.add("order", lambda: "done", after=any_of("second", clause.wait_signal("x", timeout="1s")))
    flow.add("end", lambda: "end", after=kind)
    run = await engine.start(flow, {"kind": "a"})
    await engine.until(run, "completed")
    assert (run.step("kind").status, run.step("order").status, run.output) == ("failed", "cancelled", "end")
    assert run.step("kind").failure is not None
    assert run.step("kind").failure.step == "first"


async def test_a_race_of_one_cancelled_and_one_skipped_goes_on(engine: Engine) -> None:
    flow = Workflow("race")
    flow.wait_signal("a")
    flow.wait_signal("b")
    flow.add("order", lambda: "done", after=any_of("a", "b"))
    run = await engine.start(flow)
    await run.cancel_step("a")
    await run.skip_step("b")
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "done")


async def test_a_race_of_which_all_were_cancelled_does_not_go_on(engine: Engine) -> None:
    flow = Workflow("race")
    flow.wait_signal("a")
    flow.wait_signal("b")
    flow.add("order", lambda: "done", after=any_of("a", "b"))
    run = await engine.start(flow)
    await run.cancel_step("a")
    await run.cancel_step("b")
    await engine.until_idle()
    assert (run.status, run.step("order").status) == ("cancelled", "cancelled")


async def test_a_run_that_a_retry_of_one_loser_cannot_complete_fails_and_is_undone(engine: Engine) -> None:
    """The retry decides the race, so that the failure is its loser's; what the failure cancelled stays so."""
    flow = Workflow("auction")
    log: list[str] = []
    works = False

    async def third() -> str:
        if not works:
            raise Fail("no_offer", retryable=False)
        return "offer"

    async def look() -> None:
        await asyncio.sleep(1)
        raise Fail("no_sight", retryable=False)

    async def sold() -> None:
        await asyncio.sleep(60)

    flow.add("look", look)
    flow.add("third", third).compensate(lambda: log.append("third undone"))
    flow.add("first", lambda: None, after="look")
    flow.sleep("closing", "500ms")
    flow.add("sold", sold, after=any_of("first", "closing"))
    flow.add("any", lambda: None, after=any_of("third", "look"))
    flow.add("shipped", lambda: None, after=["sold", "any"])
    run = await engine.start(flow)
    await engine.until(run, "failed")
    works = True
    await run.retry("third")
    await engine.until(run, "compensated")
    assert log == ["third undone"]
    assert run.state.failure is not None
    assert run.state.failure.code == "no_sight"


@pytest.mark.parametrize(("compensate", "end"), [(True, "compensated"), (False, "cancelled")])
async def test_a_run_that_a_retry_after_a_cancel_cannot_complete_ends_as_it_was_cancelled(
    engine: Engine, *, compensate: bool, end: str
) -> None:
    flow = Workflow("auction")
    log: list[str] = []

    async def slow() -> None:
        await asyncio.sleep(60)

    flow.add("paid", lambda: log.append("paid")).compensate(lambda: log.append("undone"))
    flow.add("slow", slow)
    flow.add("shipped", lambda: None, after=["paid", "slow"])
    run = await engine.start(flow)
    await engine.until(run, "running")
    await engine.advance("1s")
    await run.cancel(compensate=compensate)
    await engine.until(run, end)
    log.clear()
    await run.retry("paid")
    await engine.until(run, end)
    assert log == (["paid", "undone"] if compensate else ["paid"])
