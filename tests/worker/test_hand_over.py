"""Partitions that move while a worker has its hands full, and a worker that stops."""

from __future__ import annotations

import asyncio
from collections.abc import Sized
from typing import Any

import pytest
from waiting import eventually
from worker_site import SECONDS, TOPIC, Site, working

from stream_durable import Workflow
from stream_durable.core.messages import AttemptReturned, AttemptStarted
from stream_durable.memory.ports import MemoryLog
from stream_durable.worker.job import Job
from stream_durable.worker.leases import Leases


class Other(MemoryLog):
    """Another member of the group, which notes when it is given what."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.broker, TOPIC, "worker", asyncio.get_running_loop().call_later)
        self.given = asyncio.Event()

    def assign(self, partitions: list[int]) -> None:
        super().assign(partitions)
        if partitions:
            self.given.set()


def stubborn() -> tuple[Workflow, asyncio.Event, list[str]]:
    """A workflow whose one step goes on until it is allowed to end."""
    release, called = asyncio.Event(), list[str]()
    flow = Workflow("flow")

    @flow.step
    async def a(input: str) -> None:  # noqa: A002
        called.append(input)
        await release.wait()

    return flow, release, called


async def test_a_full_worker_gives_a_partition_up_at_once() -> None:
    flow, release, called = stubborn()
    async with working(flow, concurrency=1, started_after_ms=60_000) as site:
        for number in range(30):
            site.ask("a", run=f"run-{number}", input=f"{number}")
        await eventually(_holds(called, 1), "the first is called", seconds=SECONDS)
        other = Other(site)
        other.open()
        site.broker.group("worker", TOPIC).share_out({0: other})

        # The log itself would wait for five seconds.
        async with asyncio.timeout(3.0):
            await other.given.wait()

        offset, _ = site.broker.group("worker", TOPIC).offsets[0]
        release.set()
        await site.ends(1)
    # What had begun was announced and is done for Kafka; nothing else was called, and all of it comes there.
    assert (offset, called) == (1, ["0"])
    assert [type(one) for one in site.said[:1]] == [AttemptStarted]


@pytest.mark.parametrize("is_stopped", [True, False])
async def test_suspects_without_a_turn_are_left_to_the_next_worker(*, is_stopped: bool) -> None:
    flow, release, called = stubborn()
    async with working(flow, drain_ms=20_000, started_after_ms=60_000) as site:
        for number in range(20):
            site.ask("a", run=f"{number}", input=f"{number}", losses=1)
        await eventually(_holds(called, 16), "the first have their turns", seconds=SECONDS)
        other = Other(site)
        other.open()
        if is_stopped:
            site.stop()
        else:
            site.broker.group("worker", TOPIC).share_out({0: other})
        async with asyncio.timeout(3.0):
            await other.given.wait()

        release.set()
        await site.ends(16)
    assert called == [f"{number}" for number in range(16)]
    assert site.broker.group("worker", TOPIC).offsets[0][0] == 16


async def test_a_suspect_that_is_left_while_it_is_announced_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flow, release, called = stubborn()
    async with working(flow, started_after_ms=60_000) as site:
        assert site.worker is not None
        attempts, announced = site.worker.attempts, Leases._announce
        copies: list[Job] = []

        def announce(leases: Leases, job: Job, *arguments: Any) -> None:
            announced(leases, job, *arguments)
            if not copies:
                # Before that is acknowledged the command comes a second time, and the partition moves: there
                # and back.
                [(offsets, offset)] = job.marks
                copies.extend(Job(job.command, offsets, offset + more) for more in (1, 1))
                attempts.add(copies[0], job.line)
                attempts.leave(offsets, lambda: None)
                attempts.add(copies[1], job.line)

        monkeypatch.setattr(Leases, "_announce", announce)
        site.ask("a", run="suspect", input="suspect", losses=1)
        await eventually(_holds(called, 1), "the one that came back is called", seconds=SECONDS)
        [running] = attempts.running.values()
        assert running is copies[1]
        release.set()
        await site.ends(1)
        assert (called, attempts.running) == (["suspect"], {})


async def test_a_worker_that_stops_gives_its_partitions_up_before_what_runs_has_ended() -> None:
    flow, release, called = stubborn()
    async with working(flow, concurrency=1, drain_ms=20_000, started_after_ms=60_000) as site:
        for number in range(3):
            site.ask("a", run=f"run-{number}", input=f"{number}")
        await eventually(_holds(called, 1), "the first is called", seconds=SECONDS)
        other = Other(site)
        other.open()

        site.stop()
        async with asyncio.timeout(3.0):
            await other.given.wait()

        assert site.broker.group("worker", TOPIC).offsets[0][0] == 1
        release.set()
        await site.ends(1)
    assert called == ["0"]


async def test_a_worker_that_stops_keeps_the_leases_of_what_runs() -> None:
    flow, release, _ = stubborn()
    async with working(flow, drain_ms=20_000, heartbeat_ms=100, lease_ms=1_000, started_after_ms=50) as site:
        site.ask("a", input="")
        async with asyncio.timeout(SECONDS):
            while not site.said:
                await site.changed()
            site.stop()
            before = len(site.said)
            while len(site.said) < before + 3:
                await site.changed()
        release.set()
        await site.end()


async def test_what_does_not_end_in_time_is_handed_back() -> None:
    flow, _, called = stubborn()
    async with working(flow, drain_ms=0, started_after_ms=60_000) as site:
        site.ask("a", input="0")
        await eventually(_holds(called, 1), "it is called", seconds=SECONDS)
    assert [type(one) for one in site.said] == [AttemptStarted, AttemptReturned]


def _holds(calls: Sized, count: int):  # type: ignore[no-untyped-def]
    async def look() -> bool:
        return len(calls) >= count

    return look
