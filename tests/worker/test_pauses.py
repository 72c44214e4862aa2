"""A worker with a control topic: it holds paused queues, and publishes what it is and has."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from waiting import eventually
from worker_site import SECONDS, Site, working

from stream_durable import Workflow
from stream_durable.memory.control import MemoryControl
from stream_durable.wire.control import QueuePause, encode_control, queue_key
from stream_durable.wire.topics import CONTROL

QUEUES = ("default", "other")


def flow_of(called: Counter[str], release: asyncio.Event) -> Workflow[Any, Any]:
    flow = Workflow("flow")

    @flow.step
    async def quick(input: str) -> None:  # noqa: A002
        called[input] += 1

    @flow.step
    async def slow(input: str) -> None:  # noqa: A002
        called[input] += 1
        await release.wait()

    return flow


def pause(site: Site, queue: str = "default") -> int:
    """Publish a pause; return the offset of its record."""
    value = encode_control(QueuePause(at=0))
    return site.broker.append(CONTROL, 0, queue_key(queue), value).offset


def resume(site: Site, queue: str = "default") -> None:
    site.broker.append(CONTROL, 0, queue_key(queue), None)


async def obeyed(site: Site, *held: str) -> None:
    """Wait until exactly these queues are held."""
    assert site.worker is not None
    pauses = site.worker._pauses
    assert pauses is not None
    await eventually(_is_true(lambda: pauses.held == set(held)), f"holds {held}", seconds=SECONDS)


async def test_what_runs_goes_on_and_nothing_more_begins() -> None:
    called, release = Counter[str](), asyncio.Event()
    async with working(flow_of(called, release), queues=QUEUES) as site:
        site.ask("slow", run="first", input="first")
        await eventually(_is_true(lambda: called["first"] == 1), "it begins", seconds=SECONDS)
        pause(site)
        await obeyed(site, "default")
        for number in range(3):
            site.ask("quick", run=f"run-{number}", input="held")
            site.ask("quick", run=f"other-{number}", queue="other", input="other")
        await eventually(_is_true(lambda: called["other"] == 3), "the other queue", seconds=SECONDS)
        release.set()
        assert {end.key for end in await site.ends(4)} == {"first", "other-0", "other-1", "other-2"}
        assert called["held"] == 0

        resume(site)
        await site.ends(7)
        assert called["held"] == 3


async def test_a_worker_that_starts_while_a_queue_is_paused_begins_nothing() -> None:
    called, release = Counter[str](), asyncio.Event()
    async with working(flow_of(called, release), is_paused=True) as site:
        pause(site)
        site.ask("quick", input="held")
        site.begin()
        await obeyed(site, "default")
        await site.taken("default", 1)
        assert called["held"] == 0
        resume(site)
        await site.end()


async def test_a_cancelled_attempt_of_a_paused_queue_is_never_called() -> None:
    called, release = Counter[str](), asyncio.Event()
    async with working(flow_of(called, release)) as site:
        pause(site)
        await obeyed(site, "default")
        site.ask("quick", run="gone", input="gone")
        site.cancel("quick", run="gone")
        site.ask("quick", run="kept", input="kept")
        await site.taken("default", 1)
        resume(site)
        await site.all_done()
        assert called == {"kept": 1}


async def test_a_cancelled_attempt_of_a_paused_queue_answers_at_once_and_makes_room() -> None:
    called, release = Counter[str](), asyncio.Event()
    async with working(flow_of(called, release), concurrency=2) as site:
        pause(site)
        await obeyed(site, "default")
        for run in ("gone", "gone-too"):
            site.ask("quick", run=run, input=run)
            site.cancel("quick", run=run, must_answer=True)
        site.ask("quick", run="kept", input="kept")
        ends = await site.ends(2)
        assert [(end.key, end.failure.code) for end in ends] == [
            ("gone", "cancelled"),
            ("gone-too", "cancelled"),
        ]
        await site.taken("default", 1)
        assert not called
        resume(site)
        await site.all_done()
        assert called == {"kept": 1}


async def test_a_worker_says_what_it_serves_carries_and_does() -> None:
    called, release = Counter[str](), asyncio.Event()
    async with working(flow_of(called, release), queues=QUEUES, presence_ms=60_000) as site:
        control = MemoryControl(site.broker)

        async def seen(running: int, heard: int) -> bool:
            await control.catch_up()
            found = control.state.workers.get("w")
            load = found and found.load("default")
            return bool(found and load and found.here.heard > heard and load.running == running)

        await eventually(lambda: seen(0, -1), "present", seconds=SECONDS)
        here = control.state.workers["w"].here
        assert [load.queue for load in here.queues] == list(QUEUES)
        assert here.carries == (("flow", "f"),)

        site.ask("slow", run="first", input="first")
        await eventually(_is_true(lambda: called["first"] == 1), "it begins", seconds=SECONDS)
        offset = pause(site)
        # What a drain waits for: the worker has heard of the pause, and then that nothing runs any more.
        await eventually(lambda: seen(1, offset), "one runs", seconds=SECONDS)
        release.set()
        await eventually(lambda: seen(0, offset), "none runs", seconds=SECONDS)

        site.stop()
        await eventually(lambda: left(control), "withdrawn", seconds=SECONDS)


async def left(control: MemoryControl) -> bool:
    await control.catch_up()
    return not control.state.workers


def _is_true(check: Any) -> Any:
    async def ask() -> bool:
        return bool(check())

    return ask
