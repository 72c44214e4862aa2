"""E7: a section of several steps keeps one place, from its first step's beginning until it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from refusals import refusal

from stream_durable import Context, Fail, Gate, Jump, Retry, Workflow, any_of
from stream_durable.testing import Engine
from stream_durable.testing.handles import TestedRun

BANK = Gate("bank", at_once=1)


class Log:
    """Notes which step of which run begins."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def step(self, name: str, seconds: float = 10) -> Callable[..., Any]:
        async def function(ctx: Context[Any]) -> str:
            self.begun.append(f"{ctx.input}/{name}")
            await asyncio.sleep(seconds)
            return name

        return function


def section(
    gate: Gate = BANK, *, seconds: float = 10, name: str = "shop", **options: Any
) -> tuple[Workflow, Log]:
    """Two steps in a row that keep one place, and one behind them."""
    flow, log = Workflow(name), Log()
    flow.add("first", log.step("first", seconds), retry=Retry(2, backoff="fixed", base="1s"))
    flow.add("second", log.step("second", seconds), after="first", on_error=options.pop("on_error", "fail"))
    flow.parallel("both", ["first", "second"], gate=gate, **options)
    flow.add("end", log.step("end"), after="both")
    return flow, log


async def inside(engine: Engine) -> list[tuple[str, str]]:
    places = await engine.gate_places("bank//", is_inside=True)
    return [(place.run, place.step) for place in places]


async def test_a_section_keeps_one_place_until_its_last_step_has_ended(engine: Engine) -> None:
    flow, log = section()
    runs = [await engine.start(flow, n, id=f"run-{n}") for n in range(3)]
    await engine.advance("5s")
    assert await inside(engine) == [("run-0", "both")]
    [cause] = runs[1].step("first").waits_for
    assert "a place at gate bank" in cause
    for asked in ("first", "both", None):
        assert "at gate bank (1 at once), held by both of run-0" in str(await runs[1].why(asked))
    assert runs[1].step("both").waits_for == runs[1].step("first").waits_for
    assert "both waits for its members" in str(await runs[0].why("both"))
    await engine.until(runs[2], "completed")
    sections = [each for each in log.begun if not each.endswith("end")]
    assert sections == ["0/first", "0/second", "1/first", "1/second", "2/first", "2/second"]
    assert await inside(engine) == []


async def test_the_place_is_asked_for_when_the_first_member_may_begin(engine: Engine) -> None:
    flow, log = Workflow("shop"), Log()
    flow.add("before", log.step("before", 60))
    flow.add("first", log.step("first"), after="before")
    flow.parallel("both", ["first"], gate=BANK)
    run = await engine.start(flow, 0)
    await engine.advance("10s")
    assert run.step("both").status == "running"
    assert await inside(engine) == []
    await engine.advance("51s")
    assert await inside(engine) == [(run.id, "both")]


async def test_keys_priorities_and_a_rate(engine: Engine) -> None:
    flow, log = section(Gate("bank", rate="6/1m", per="input.tenant"), seconds=1)
    for n, tenant in enumerate("aba"):
        run = await engine.start(flow, {"tenant": tenant, "n": n}, id=f"run-{n}")
    await engine.advance("5s")
    assert sum("first" in each for each in log.begun) == 2
    await engine.until(run, "completed")
    assert sum("first" in each for each in log.begun) == 3, "a section passes once"

    low, log = section(Gate("turns", at_once=1), name="low", priority="low")
    high = Workflow("high")
    high.add("first", log.step("high", 1))
    high.parallel("both", ["first"], gate=Gate("turns", at_once=1), priority="high")
    for each, about in ((low, 1), (low, 2), (high, 3)):
        await engine.start(each, about)
    await engine.advance("25s")
    assert [each for each in log.begun if "end" not in each] == ["1/first", "1/second", "3/high", "2/first"]


async def other_gets_in(engine: Engine, flow: Workflow, log: Log) -> None:
    """Check that the place is free."""
    other = await engine.start(flow, "other")
    await engine.advance("2s")
    assert "other/first" in log.begun
    await other.cancel()
    await engine.advance("2s")
    assert await inside(engine) == []


async def cancel(run: TestedRun) -> None:
    await run.cancel()


async def cancel_group(run: TestedRun) -> None:
    await run.cancel_step("both")


async def skip_group(run: TestedRun) -> None:
    await run.skip_step("both")


@pytest.mark.parametrize("how", [cancel, cancel_group, skip_group])
@pytest.mark.parametrize("when", ["inside", "waiting"])
async def test_however_it_ends_the_place_is_free(
    engine: Engine, how: Callable[[TestedRun], Any], when: str
) -> None:
    flow, log = section(seconds=3_000)
    run = await engine.start(flow, 0, id="run-0")
    waiting = await engine.start(flow, 1, id="run-1")
    await engine.advance("5s")
    if when == "waiting":
        await how(waiting)
        await engine.advance("1s")
        assert "1/first" not in log.begun
        await run.cancel()
    else:
        await waiting.cancel()
        await how(run)
    await engine.advance("2m")
    await other_gets_in(engine, flow, log)


async def test_a_retry_keeps_the_place_and_a_failure_frees_it(engine: Engine) -> None:
    flow, log = section()
    engine.fail("first", times=1)
    run, second = [await engine.start(flow, n) for n in range(2)]
    await engine.until(second, "completed")
    assert log.begun.index("0/second") < log.begun.index("1/first")
    assert run.step("first").attempts == 2
    engine.fail("first", times=2)
    failed = await engine.start(flow, 2)
    await engine.until(failed, "failed")
    await other_gets_in(engine, flow, log)


async def test_a_step_tried_again_by_hand_asks_for_a_place_again(engine: Engine) -> None:
    flow, log = section()
    engine.fail("second", times=1)
    run = await engine.start(flow, 0, id="run-0")
    await engine.until(run, "failed")
    assert await inside(engine) == []
    holder = await engine.start(flow, 1, id="run-1")
    await engine.advance("5s")
    await run.retry()
    await engine.advance("5s")
    assert await inside(engine) == [("run-1", "both")]
    await engine.until(run, "completed")
    assert holder.step("both").status == "completed"
    assert log.begun.index("1/second") < log.begun.index("0/second")
    assert log.begun.count("0/first") == 1, "only what had failed is made again"


async def test_a_loser_of_a_race_leaves(engine: Engine) -> None:
    flow, log = Workflow("shop"), Log()
    flow.add("fast", log.step("fast", 5))
    flow.add("first", log.step("first", 3_000))
    both = flow.parallel("both", ["first"], gate=BANK)
    flow.add("end", log.step("end", 1), after=any_of("fast", both, cancel_rest=True))
    run = await engine.start(flow, 0)
    await engine.until(run, "completed")
    assert run.step("both").status == "cancelled"
    await other_gets_in(engine, flow, log)


async def test_a_section_that_is_jumped_over_asks_for_nothing(engine: Engine) -> None:
    flow, log = Workflow("shop"), Log()
    flow.add("choose", lambda: Jump("end"))
    flow.add("first", log.step("first"), after="choose")
    flow.parallel("both", ["first"], gate=BANK, after="choose")
    flow.add("end", log.step("end"), after="both")
    run = await engine.start(flow, 0)
    await engine.until(run, "completed")
    assert run.step("both").status == "skipped"
    assert await engine.gates() == []


async def test_a_pause_keeps_the_place(engine: Engine) -> None:
    flow, log = section()
    run = await engine.start(flow, 0, id="run-0")
    other = await engine.start(flow, 1, id="run-1")
    await engine.advance("5s")
    await run.pause()
    await other.pause()
    await engine.advance("1h")
    assert await inside(engine) == [("run-0", "both")]
    await other.resume()
    await engine.advance("1m")
    assert log.begun == ["0/first"]
    await run.resume()
    await engine.until(other, "completed")
    assert log.begun.index("0/second") < log.begun.index("1/first")


async def test_a_held_step_keeps_the_place(engine: Engine) -> None:
    flow, log = section(on_error="hold")
    engine.fail("second", times=1)
    run = await engine.start(flow, 0, id="run-0")
    other = await engine.start(flow, 1)
    await engine.advance("2h")
    assert run.step("second").status == "held"
    assert await inside(engine) == [("run-0", "both")]
    assert log.begun == ["0/first"]
    await run.complete_step("second", "by hand")
    await engine.until(other, "completed")
    assert run.step("both").status == "completed"


async def test_a_lost_worker_and_a_new_reconciler_change_nothing(engine: Engine) -> None:
    flow, log = section(seconds=1)
    engine.crash_after("first")
    runs = [await engine.start(flow, n) for n in range(3)]
    await engine.advance("500ms")
    engine.restart()
    engine.redeliver()
    for run in runs:
        await engine.until(run, "completed")
    sections = [each for each in log.begun if "end" not in each]
    numbers = [each[0] for each in sections]
    assert numbers == sorted(numbers), "no two are inside at the same time"


async def test_members_of_every_kind_share_the_place(engine: Engine) -> None:
    log = Log()
    page = Workflow("page")

    @page.step
    async def fetch(input: dict[str, int]) -> dict[str, Any]:  # noqa: A002
        log.begun.append(f"page {input['n']}")
        await asyncio.sleep(1)
        return {"done": input["n"] == 3, "next": input["n"] + 1}

    flow = Workflow("shop")
    flow.child("pages", page, input={"n": 1}, until="pages.done", again={"n": "pages.next"})

    @flow.each("input.items", concurrency=1, after="pages")
    async def send(item: int) -> int:
        log.begun.append(f"item {item}")
        await asyncio.sleep(1)
        return item

    flow.sleep("cool", "2s", after="send")
    flow.add("last", lambda: log.begun.append("last"), after="cool")
    flow.parallel("inner", ["send", "cool"])
    flow.parallel("all", ["pages", "inner", "last"], gate=BANK)
    runs = [await engine.start(flow, {"items": [1, 2]}) for _ in range(2)]
    for run in runs:
        await engine.until(run, "completed")
    once = ["page 1", "page 2", "page 3", "item 1", "item 2", "last"]
    assert log.begun == once * 2


async def test_a_key_that_cannot_be_read_fails_the_group(engine: Engine) -> None:
    flow, log = section(Gate("bank", at_once=1, per="input.tenant"))
    run = await engine.start(flow, {})
    await engine.until(run, "failed")
    assert run.step("both").failure.code == "path_missing"
    assert log.begun == []


async def test_the_whole_run_again_asks_again(engine: Engine) -> None:
    log = Log()
    flow = Workflow("shop", restart=Retry(2, backoff="fixed", base="1s"))
    flow.add("first", log.step("first", 1))
    flow.parallel("both", ["first"], gate=BANK)

    @flow.step(after="both")
    async def end() -> None:
        if log.begun.count("0/first") == 1:
            raise Fail("not yet")

    run = await engine.start(flow, 0)
    await engine.until(run, "completed")
    assert log.begun == ["0/first", "0/first"]
    assert await inside(engine) == []


def test_bad_sections_are_refused_with_the_remedy() -> None:
    flow = Workflow("shop")
    flow.add("a", lambda: 1, gate=BANK)
    flow.add("x", lambda: 1, gate=BANK)
    flow.add("b", lambda: 1, after="x")
    flow.add("c", lambda: 1)
    flow.parallel("inner", ["a"])
    flow.parallel("outer", ["inner", "b"], gate=BANK)
    flow.template(name="later", gate=BANK)(lambda item: item)
    found = refusal(flow)
    for text in (
        "step 'a' passes gate 'bank', of which 'outer' keeps a place meanwhile",
        "step 'x' passes gate 'bank', of which 'outer' keeps a place meanwhile",
        "template 'later' passes gate 'bank'",
    ):
        assert any(text in fault for fault in found), (text, found)
    flow = Workflow("shop")
    flow.add("a", lambda: 1, gate=Gate("bank", at_once=2))
    flow.add("c", lambda: 1)
    flow.parallel("outer", ["c"], gate=BANK, after="a")
    flow.add("d", lambda: 1)
    flow.parallel("other", ["d"], priority="high")
    flow.add("e", lambda: 1)
    flow.parallel("third", ["e"], gate=Gate("mail"), priority=1_000)
    found = refusal(flow)
    for text in (
        "group 'outer': gate 'bank' is set otherwise than by step 'a'",
        "group 'other': priority= says how it passes a gate, but gate= is missing",
        "group 'third': gate 'mail' limits nothing",
        "group 'third': priority= is 1000",
    ):
        assert any(text in fault for fault in found), (text, found)
