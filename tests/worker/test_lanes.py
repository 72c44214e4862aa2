"""What has begun goes first, and first attempts get a share: one queue, two lanes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from waiting import eventually
from worker_site import SECONDS, Site, working

from stream_durable import App, Context, Workflow
from stream_durable.core.effects import CancelAttempt

FIRST = "default.first"
BUSY = 320


def flow_of(called: list[str], release: asyncio.Event) -> Workflow:
    flow = Workflow("flow")

    @flow.step
    async def work(ctx: Context[None]) -> None:
        await release.wait()
        called.append(ctx.run_id)

    return flow


def ask(site: Site, begun: int, first: int, **fields: int) -> None:
    """Ask for attempts of both lanes: the first lane comes to the worker first."""
    for number in range(first):
        site.ask("work", run=f"first-{number}", queue=FIRST, **fields)
    for number in range(begun):
        site.ask("work", run=f"begun-{number}")


async def called_with(begun: int, first: int, **fields: int) -> list[str]:
    """Return the order of the calls of a worker with one place that finds all this."""
    called: list[str] = []
    release = asyncio.Event()
    settings = {"concurrency": 1, "is_paused": True}
    async with working(flow_of(called, release), **settings) as site:
        # So many wait in memory as may run.
        site.worker.attempts.places.lines["default"]._count_max = BUSY  # type: ignore[union-attr]
        site.worker.attempts.places.lines[FIRST]._count_max = BUSY  # type: ignore[union-attr]
        ask(site, begun, first, **fields)
        site.begin()
        async with asyncio.timeout(SECONDS):
            while site.worker.attempts.places.count < begun + first - 1:  # type: ignore[union-attr]
                await asyncio.sleep(0)
        release.set()
        await site.ends(begun + first)
    return called[1:]


async def test_what_has_begun_goes_first() -> None:
    called = await called_with(begun=20, first=10)

    kinds = [run.partition("-")[0] for run in called]
    assert kinds.index("first") >= 19, kinds
    assert kinds[-9:] == ["first"] * 9


async def test_first_attempts_get_one_turn_of_so_many() -> None:
    called = await called_with(begun=BUSY - 20, first=9)

    firsts = [place for place, run in enumerate(called) if run.startswith("first")]
    gaps = [later - earlier for earlier, later in zip(firsts, firsts[1:], strict=False)]
    assert len(firsts) >= 8 and set(gaps) == {32}, firsts


async def test_a_higher_priority_goes_before_what_has_begun() -> None:
    called = await called_with(begun=20, first=5, priority=1)

    assert [run.partition("-")[0] for run in called][:4] == ["first"] * 4


async def test_each_lower_priority_gets_a_share() -> None:
    called: list[str] = []
    release = asyncio.Event()
    flow = flow_of(called, release)
    App("app", workflows=[flow]).queue("default", lanes=True)
    async with working(flow, concurrency=1, is_paused=True) as site:
        lines = site.worker.attempts.places.lines  # type: ignore[union-attr]
        assert [*lines] == [
            "default.high", "default.high.first", "default", FIRST, "default.low", "default.low.first",
        ]  # fmt: skip
        for line in lines.values():
            line._count_max = BUSY
        for kind, count, priority in (("low", 20, -50), ("usual", 20, 0), ("high", 120, 50)):
            part = {"low": "default.low.first", "usual": FIRST, "high": "default.high"}[kind]
            for number in range(count):
                site.ask("work", run=f"{kind}-{number}", queue=part, priority=priority)
        site.begin()
        async with asyncio.timeout(SECONDS):
            while site.worker.attempts.places.count < 159:  # type: ignore[union-attr]
                await asyncio.sleep(0)
        release.set()
        await site.ends(160)

    kinds = [run.partition("-")[0] for run in called[1:]]
    while_all_wait = kinds[: 8 * 18]
    assert Counter(while_all_wait) == {"high": 6 * 18, "usual": 18, "low": 18}
    for kind in ("usual", "low"):
        places = [place for place, each in enumerate(while_all_wait) if each == kind]
        gaps = {later - earlier for earlier, later in zip(places, places[1:], strict=False)}
        assert max(gaps) <= 9, places


async def test_without_others_the_low_lane_has_every_turn() -> None:
    called: list[str] = []
    release = asyncio.Event()
    release.set()
    flow = flow_of(called, release)
    App("app", workflows=[flow]).queue("default", lanes=True)
    async with working(flow, concurrency=1) as site:
        for number in range(10):
            site.ask("work", run=f"{number}", queue="default.low", priority=-1)
        await site.ends(10)
    assert called == [str(number) for number in range(10)]


async def test_a_cancellation_reaches_an_attempt_of_the_first_lane() -> None:
    called: list[str] = []
    release = asyncio.Event()
    async with working(flow_of(called, release), concurrency=1) as site:
        assert site.worker is not None
        ask(site, begun=1, first=0)
        await eventually(_is_true(lambda: len(site.worker.attempts.running) == 1), "a call", seconds=SECONDS)
        ask(site, begun=0, first=1)
        site.send(CancelAttempt(run="first-0", step="work", attempt=1, must_answer=True), FIRST)
        await site.end()
        release.set()
        ends = await site.ends(2)

    assert called == ["begun-0"]
    assert {end.key: type(end).__name__ for end in ends} == {
        "begun-0": "AttemptCompleted", "first-0": "AttemptFailed",
    }  # fmt: skip


async def test_a_held_queue_is_held_in_both_lanes() -> None:
    called: list[str] = []
    release = asyncio.Event()
    release.set()
    async with working(flow_of(called, release), concurrency=4) as site:
        assert site.worker is not None
        attempts = site.worker.attempts
        attempts.places.hold("default")
        ask(site, begun=1, first=1)
        await eventually(
            _is_true(lambda: attempts.places.waiting("default") == 2), "both wait", seconds=SECONDS
        )
        assert called == []
        attempts.release("default")
        await site.ends(2)
    assert sorted(called) == ["begun-0", "first-0"]


def _is_true(what: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return what()

    return look
