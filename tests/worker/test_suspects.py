"""Attempts that may have ended the worker that had them: announced first, and alone when that was in vain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from waiting import eventually
from worker_site import SECONDS, TOPIC, Site, working

from stream_durable import Workflow
from stream_durable.connecting import SystemClock
from stream_durable.core.effects import Command
from stream_durable.core.messages import AttemptCompleted, AttemptHeartbeat, AttemptMessage, AttemptStarted
from stream_durable.settings import WorkerSettings
from stream_durable.telemetry import ROOT
from stream_durable.worker.isolation import Isolation
from stream_durable.worker.job import Job
from stream_durable.worker.leases import Leases
from stream_durable.worker.offsets import DoneOffsets


def flow_of(calls: list[tuple[str, int]], site: list[Site], release: asyncio.Event) -> Workflow:
    """A workflow whose step notes what was said and what was committed when it was called."""
    flow = Workflow("flow")

    @flow.step
    async def a(input: str) -> None:  # noqa: A002
        group = site[0].broker.group("worker", TOPIC)
        started = [one.key for one in site[0].said if isinstance(one, AttemptStarted)]
        calls.append((input, group.offsets[0][0] if input in started else -1))
        if input == "waits":
            await release.wait()

    return flow


async def test_what_a_lost_worker_may_have_begun_is_announced_before_it_is_called() -> None:
    calls, sites = list[tuple[str, int]](), list[Site]()
    async with working(flow_of(calls, sites, asyncio.Event()), is_paused=True) as site:
        sites.append(site)
        # The last member committed that it was at work, and no more was heard of it.
        was_at = DoneOffsets.resume(0, None)
        commit = was_at.snapshot(ahead=2)
        site.broker.group("worker", TOPIC).offsets[0] = (commit.offset, commit.metadata)
        for name in ("0", "1", "2", "3"):
            site.ask("a", run=name, input=name)
        site.begin()
        await site.ends(4)
        await site.all_done()
    committed = dict(calls)
    assert committed["0"] > 0
    assert committed["1"] > 1
    assert (committed["2"], committed["3"]) == (-1, -1)


async def test_after_a_stop_in_good_order_nothing_is_suspect() -> None:
    calls, sites = list[tuple[str, int]](), list[Site]()
    async with working(flow_of(calls, sites, asyncio.Event()), is_paused=True) as site:
        sites.append(site)
        commit = DoneOffsets.resume(0, None).snapshot()
        site.broker.group("worker", TOPIC).offsets[0] = (commit.offset, commit.metadata)
        site.ask("a", run="0", input="0")
        site.begin()
        await site.ends(1)
        # But whoever comes after us, should we be killed now, has to know that we were here.
        _, metadata = site.broker.group("worker", TOPIC).offsets[0]
    assert calls == [("0", -1)]
    assert DoneOffsets.resume(0, metadata).suspect_below > 1


async def test_one_asked_for_again_before_its_announcement_is_heard_is_announced_again() -> None:
    said = list[tuple[AttemptMessage, Callable[[], None]]]()
    job, again = _job(0), _job(1)
    leases = Leases({}, _who, lambda job, message, then: said.append((message, then)), SystemClock(),
                    WorkerSettings())  # fmt: skip
    began = asyncio.create_task(leases.announce_first(job, _settled))
    await eventually(_is_true(said), "it is announced", seconds=SECONDS)
    job.stand_for(again)

    said[0][1]()
    await eventually(_holds_two(said), "it is announced again", seconds=SECONDS)

    # The first lease was of the first command. The second command would be lost with us.
    (first, _), (second, _) = job.marks
    assert (first.unfinished, second.unfinished) == (0, 1)
    said[1][1]()
    await began
    assert (second.unfinished, job.is_suspect) == (0, False)


async def test_only_an_attempt_with_a_counted_loss_is_called_suspected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    leases = Leases({}, _who, lambda job, message, then: then(), SystemClock(), WorkerSettings())
    caplog.set_level(logging.INFO, ROOT)
    for losses in (0, 1):
        job = _job(losses)
        job.command.losses = losses
        await leases.announce_first(job, _settled)

    assert [(one.levelname, one.getMessage().split()[0]) for one in caplog.records] == [
        ("INFO", "attempt.announced"), ("WARNING", "attempt.suspected"),
    ]  # fmt: skip


def _job(offset: int) -> Job:
    offsets = DoneOffsets.resume(offset, None)
    offsets.take(offset)
    command = Command(run="r", step="a", attempt=1, workflow="flow", fingerprint="f")
    job = Job(command, offsets, offset)
    job.settle = _settled
    return job


def _who(job: Job) -> dict[str, Any]:
    return {"key": job.command.run, "step": job.command.step, "attempt": job.command.attempt, "worker": "w"}


async def _settled() -> None:
    """Whatever had to be stored is."""


def _holds_two(said: list[Any]):  # type: ignore[no-untyped-def]
    async def look() -> bool:
        return len(said) == 2

    return look


async def test_what_ended_several_workers_begins_alone() -> None:
    calls, sites, release = list[tuple[str, int]](), list[Site](), asyncio.Event()
    async with working(flow_of(calls, sites, release), started_after_ms=300) as site:
        sites.append(site)
        site.ask("a", run="waits", input="waits")
        await eventually(_is_true(calls), "the first is called", seconds=SECONDS)
        site.ask("a", run="hot", input="hot", losses=2)
        await site.ends(1)
    kinds = [(type(one), one.key) for one in site.said]
    # The neighbour had its lease before the other was called.
    assert kinds[:3] == [(AttemptStarted, "waits"), (AttemptStarted, "hot"), (AttemptCompleted, "hot")]


async def test_few_suspects_are_under_way_at_once() -> None:
    calls, release = list[tuple[str, int]](), asyncio.Event()
    async with working(_patient(calls, release), started_after_ms=60_000) as site:
        for number in range(20):
            site.ask("a", run=f"suspect-{number}", input=f"suspect-{number}", losses=1)
        site.ask("a", run="other", input="other")
        await eventually(lambda: _has(calls, "other"), "the other one is called", seconds=SECONDS)
        await eventually(lambda: _has(calls, "suspect-15"), "the first have their turns", seconds=SECONDS)
        # Should the worker be killed now, as many are blamed.
        assert len([one for one in site.said if isinstance(one, AttemptStarted)]) == 16
        assert len(calls) == 17
        release.set()
        await site.ends(21)
    assert len(calls) == 21


async def test_what_ended_several_workers_waits_for_other_suspects() -> None:
    calls, release = list[tuple[str, int]](), asyncio.Event()
    async with working(_patient(calls, release), started_after_ms=60_000) as site:
        site.ask("a", run="first", input="first", losses=1)
        site.ask("a", run="second", input="second", losses=2)
        site.ask("a", run="third", input="third", losses=1)
        site.ask("a", run="other", input="other")
        await eventually(lambda: _has(calls, "other"), "the other one is called", seconds=SECONDS)
        assert sorted(name for name, _ in calls) == ["first", "other"]
        release.set()
        await site.ends(4)
    assert [name for name, _ in calls][2:] == ["second", "third"]


def _patient(calls: list[tuple[str, int]], release: asyncio.Event) -> Workflow:
    flow = Workflow("flow")

    @flow.step
    async def a(input: str) -> None:  # noqa: A002
        calls.append((input, -1))
        await release.wait()

    return flow


async def test_others_go_on_when_it_has_lived_for_a_while() -> None:
    calls, sites, release = list[tuple[str, int]](), list[Site](), asyncio.Event()
    async with working(flow_of(calls, sites, release), started_after_ms=300) as site:
        sites.append(site)
        site.ask("a", run="waits", input="waits", losses=3)
        await eventually(_is_true(calls), "the suspect is called", seconds=SECONDS)
        site.ask("a", run="beside", input="beside")
        await site.ends(1)
        release.set()
        await site.ends(2)
    assert [name for name, _ in calls] == ["waits", "beside"]


async def test_what_blocked_a_worker_waits_for_its_neighbours_to_end_and_keeps_others_away() -> None:
    calls, sites, release = list[tuple[str, int]](), list[Site](), asyncio.Event()
    flow = flow_of(calls, sites, release)
    ends = asyncio.Event()

    @flow.step
    async def b(input: str) -> None:  # noqa: A002
        calls.append((input, -1))
        await ends.wait()

    async with working(flow, started_after_ms=50, lease_ms=60_000) as site:
        sites.append(site)
        site.ask("a", run="waits", input="waits")
        await eventually(_is_true(calls), "the first is called", seconds=SECONDS)
        site.ask("b", run="blocker", input="blocker", attempt=2, alone=True)
        site.ask("a", run="beside", input="beside")
        await eventually(lambda: _is_announced(site, "waits"), "it has its lease", seconds=SECONDS)
        # A lease does not help it: so it ends first, and only then the other begins.
        release.set()
        await eventually(lambda: _has(calls, "blocker"), "the blocker is called", seconds=SECONDS)
        assert [type(one) for one in site.said if one.key == "waits"] == [AttemptStarted, AttemptCompleted]
        await eventually(lambda: _is_beating(site, "blocker"), "it lives for a while", seconds=SECONDS)
        assert [name for name, _ in calls] == ["waits", "blocker"]
        ends.set()
        await site.ends(3)
    assert [name for name, _ in calls] == ["waits", "blocker", "beside"]


async def _is_announced(site: Site, run: str) -> bool:
    return any(isinstance(one, AttemptStarted) and one.key == run for one in site.said)


async def _is_beating(site: Site, run: str) -> bool:
    return any(isinstance(one, AttemptHeartbeat) and one.key == run for one in site.said)


async def _has(calls: list[tuple[str, int]], name: str) -> bool:
    return name in [called for called, _ in calls]


def _is_true(calls: list[tuple[str, int]]):  # type: ignore[no-untyped-def]
    async def look() -> bool:
        return bool(calls)

    return look


async def test_the_end_of_an_earlier_pass_takes_no_turn_from_the_next_one() -> None:
    isolation = Isolation({}, 0.05)
    one, alone = _job(0), _job(1)
    assert await isolation.enter(one, alone=False, patience=0.0)
    isolation.leave(one)
    assert await isolation.enter(alone, alone=True, patience=0.0)

    # The turn of the other one ends after that of the first pass would have.
    assert await isolation.enter(one, alone=False, patience=0.0)
