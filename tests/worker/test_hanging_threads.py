"""Threads that hang are replaced, up to a bound; what only waits for a thread has not begun."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from waiting import eventually
from worker_site import SECONDS, Site, working

from stream_durable import Workflow
from stream_durable.core.messages import AttemptCompleted, AttemptEnd, AttemptFailed, AttemptHeartbeat
from stream_durable.worker.threads import WorkerExhaustedError


def hanging() -> tuple[Workflow, threading.Event, list[str]]:
    """A workflow with a plain step that hangs if it is told to, and an async one with a plain condition."""
    release, called = threading.Event(), list[str]()
    flow = Workflow("flow")

    @flow.step
    def a(input: str) -> None:  # noqa: A002
        called.append(input)
        if input == "hangs":
            release.wait(SECONDS)

    @flow.step(when=lambda input: input != "")  # noqa: A006
    async def b(input: str) -> None:  # noqa: A002
        called.append(input)
        while not release.is_set():
            await asyncio.sleep(0.01)

    return flow, release, called


async def test_threads_that_hang_do_not_keep_others_from_theirs() -> None:
    flow, release, called = hanging()
    async with working(flow, threads=2) as site:
        for number in range(4):
            site.ask("a", run=f"hangs-{number}", input="hangs", timeout_ms=50)
        for end in await site.ends(4):
            assert isinstance(end, AttemptFailed)
            assert end.failure.code == "timeout"

        site.ask("a", run="well", input="well")
        await eventually(_is_true(lambda: _ended(site, "well")), "the other is made", seconds=SECONDS)
        assert site.metrics.registry.get_sample_value("stream_durable_threads_overdue") == 4
        release.set()
        overdue = lambda: site.metrics.registry.get_sample_value("stream_durable_threads_overdue")  # noqa: E731
        await eventually(_is_true(lambda: overdue() == 0), "those that ended are back", seconds=SECONDS)
        # Two are kept, and the others have ended.
        await eventually(_is_true(lambda: len(_threads()) == 2), "some have ended", seconds=SECONDS)


async def test_a_cancelled_attempt_leaves_its_thread_to_others() -> None:
    flow, release, called = hanging()
    async with working(flow, threads=1) as site:
        site.ask("a", run="hangs", input="hangs")
        await eventually(_is_true(lambda: called), "it is called", seconds=SECONDS)
        site.cancel("a", run="hangs")
        site.ask("a", run="well", input="well")
        await site.ends(1)
        release.set()
    assert called == ["hangs", "well"]


async def test_what_waits_for_a_thread_has_not_begun() -> None:
    flow, release, called = hanging()
    settings = {"started_after_ms": 50, "heartbeat_ms": 100, "lease_ms": 1_000}
    async with working(flow, threads=1, **settings) as site:
        site.ask("a", run="hangs", input="hangs")
        await eventually(_is_true(lambda: called), "it is called", seconds=SECONDS)
        # Its time would be over and a lease of its own begun, if waiting counted.
        site.ask("a", run="waits", input="waits", timeout_ms=500)
        beats = lambda: len(_said(site, AttemptHeartbeat))  # noqa: E731
        await eventually(_is_true(lambda: beats() >= 8), "longer than its time", seconds=SECONDS)
        assert {one.key for one in site.said} == {"hangs"}
        release.set()
        ends = {end.key: end for end in await site.ends(2)}
    assert isinstance(ends["waits"], AttemptCompleted)


async def test_it_is_passed_by_what_needs_no_thread() -> None:
    flow, release, called = hanging()
    async with working(flow, threads=1) as site:
        site.ask("a", run="1", input="hangs")
        await eventually(_is_true(lambda: called), "it is called", seconds=SECONDS)
        for number in range(3):
            site.ask("a", run=f"waits-{number}", input=f"{number}")
        site.ask("c", run="async")
        # The worker has no such step, so it gives that back at once.
        await eventually(_is_true(lambda: _ended(site, "async")), "the async one", seconds=SECONDS)
        release.set()
        await site.ends(5)
    assert called == ["hangs", "0", "1", "2"]


async def test_a_condition_takes_a_thread_no_longer_than_it_is_called() -> None:
    flow, release, called = hanging()
    async with working(flow, threads=1) as site:
        for number in range(5):
            site.ask("b", run=f"{number}", input=f"{number}")
        await eventually(_is_true(lambda: len(called) == 5), "all are called", seconds=SECONDS)
        release.set()
        await site.ends(5)


async def test_with_too_many_the_worker_says_so_and_ends() -> None:
    flow, release, called = hanging()
    async with working(flow, threads=2, threads_overdue_max=1, ends_with=WorkerExhaustedError) as site:
        assert site.worker is not None and site.task is not None
        for number in range(2):
            site.ask("a", run=f"run-{number}", input="hangs", timeout_ms=50)
        await site.ends(2)
        await asyncio.wait([site.task], timeout=SECONDS)
        assert site.task.done()
        trouble = site.worker.trouble()
        release.set()
    assert trouble is not None
    assert "2 threads go on" in trouble
    assert "step 'a' of run 'run-0', attempt 1, since 20" in trouble


def _threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("attempt-")]


def _said(site: Site, kind: type) -> list[object]:
    return [one for one in site.said if isinstance(one, kind)]


def _ended(site: Site, run: str) -> bool:
    return any(isinstance(one, AttemptEnd) and one.key == run for one in site.said)


def _is_true(look: Callable[[], object]):  # type: ignore[no-untyped-def]
    async def now() -> bool:
        return bool(look())

    return now
