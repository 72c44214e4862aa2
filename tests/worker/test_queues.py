"""Queues of one worker: slow steps of one hold up no other, and together they keep to the worker's bounds."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from waiting import eventually
from worker_site import SECONDS, working

from stream_durable import Workflow
from stream_durable.worker.shares import Shares

QUEUES = ("default", "other", "third")


def flow_of(called: Counter[str], release: threading.Event) -> Workflow:
    flow = Workflow("flow")

    @flow.step
    async def slow(input: str) -> None:  # noqa: A002
        called[input] += 1
        while not release.is_set():
            await asyncio.sleep(0.01)

    @flow.step
    def blocks(input: str) -> None:  # noqa: A002
        called[input] += 1
        release.wait(SECONDS)

    @flow.step
    async def quick(input: str) -> None:  # noqa: A002
        called[input] += 1

    @flow.step
    def plain(input: str) -> None:  # noqa: A002
        called[input] += 1

    return flow


@pytest.mark.parametrize(("slow", "quick"), [("slow", "quick"), ("blocks", "plain"), ("blocks", "quick")])
async def test_slow_steps_of_one_queue_hold_up_no_other(slow: str, quick: str) -> None:
    called, release = Counter[str](), threading.Event()
    flow = flow_of(called, release)
    async with working(flow, queues=QUEUES, concurrency=6, threads=6) as site:
        try:
            for number in range(50):
                site.ask(slow, run=f"slow-{number}", input="slow")
            # One place is kept for each of the other two.
            await eventually(_is_true(lambda: called["slow"] == 4), "they take theirs", seconds=SECONDS)
            for number in range(50):
                site.ask(quick, run=f"other-{number}", queue="other", input="other")
                site.ask(quick, run=f"third-{number}", queue="third", input="third")
            await eventually(
                _is_true(lambda: called["other"] == called["third"] == 50), "the others", seconds=SECONDS
            )
            assert called["slow"] == 4
        finally:
            release.set()
        await site.ends(150)


async def test_what_waits_is_bounded_in_bytes_over_all_queues() -> None:
    called, release = Counter[str](), threading.Event()
    flow = flow_of(called, release)
    settings = {"queues": QUEUES, "concurrency": 300, "threads": 3, "waiting_bytes_max": 3_000_000}
    async with working(flow, **settings) as site:
        assert site.worker is not None
        for queue in QUEUES:
            for number in range(1_500):
                site.ask("blocks", run=f"{queue}-{number}", queue=queue, input=queue + "x" * 10_000)
        await eventually(_is_true(lambda: called.total() == 3), "all threads are taken", seconds=SECONDS)
        lines = [site.worker.attempts.places.lines[queue] for queue in QUEUES]
        await eventually(_is_true(lambda: not any(line.has_room for line in lines)), "full", seconds=SECONDS)
        waiting = [line.count for line in lines]
        release.set()
    # A megabyte of each, and the batch that was read last.
    assert max(waiting) <= 100 + 500, waiting


def test_shares_are_kept_for_those_who_come_later() -> None:
    shares = Shares(12, 3)
    taken = 0
    while shares.has(0):
        shares.take(0)
        taken += 1
    assert taken == 8
    for queue in (1, 2):
        for _ in range(2):
            assert shares.has(queue)
            shares.take(queue)
    assert not any(map(shares.has, range(3)))
    shares.leave(0)
    assert all(map(shares.has, range(3)))
    shares.take(1)
    shares.leave(2)
    assert [shares.has(queue) for queue in range(3)] == [False, False, True]


def test_one_queue_has_all_places_and_many_share_few() -> None:
    alone, few = Shares(2, 1), Shares(1, 2)
    alone.take(0)
    assert alone.has(0)
    few.take(0)
    assert not few.has(1)


def _is_true(look: Callable[[], object]):  # type: ignore[no-untyped-def]
    async def now() -> bool:
        return bool(look())

    return now
