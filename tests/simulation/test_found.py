"""Bugs that seeds have found and that need too rare a moment to be left to chance."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast
from uuid import uuid4

from stream_durable.core.effects import Command
from stream_durable.engine.timers import Timers
from stream_durable.memory.loop import VirtualLoop
from stream_durable.memory.ports import VirtualClock
from stream_durable.memory.store import MemoryStore
from stream_durable.metrics import Metrics
from stream_durable.ports import Headers, Outgoing, Refusal, Share, TimerRow
from stream_durable.worker.job import Job
from stream_durable.worker.offsets import DoneOffsets


class Refusing:
    """A publisher that refuses the first call."""

    def __init__(self) -> None:
        self.refused = asyncio.Event()
        self.published: list[Outgoing] = []

    def send(
        self, messages: Sequence[tuple[Outgoing, Headers | None]], done: Callable[[list[Refusal]], None]
    ) -> None:
        if not self.refused.is_set():
            self.refused.set()
            done([Refusal(0, "invalid", "not now")])
            return
        self.published += [message for message, _ in messages]
        done([])

    async def publish(self, messages: Sequence[tuple[Outgoing, Headers | None]]) -> list[Refusal]:
        refusals: list[Refusal] = []
        self.send(messages, refusals.extend)
        return refusals

    async def close(self) -> None:
        pass


def test_a_timer_that_could_not_be_published_fires_after_its_partition_came_back() -> None:
    async def story() -> list[Outgoing]:
        clock, store, publisher = VirtualClock(loop.time), MemoryStore(1), Refusing()
        token = uuid4()
        await store.claim(0, "owner", token)
        share = Share(0, token, 0, 1, 0, 0, 0, 0)
        share.timers = [TimerRow("run", "r", "s", 0, clock.now() + 50)]
        assert await store.commit([share])
        timers = Timers(store, publisher, clock, Metrics(), horizon_ms=60_000, held_max=100)
        await timers.load(0)
        running = asyncio.ensure_future(timers.run())
        await publisher.refused.wait()

        timers.drop([0])
        await asyncio.sleep(1.0)
        await timers.load(0)
        await asyncio.sleep(1.0)

        running.cancel()
        return publisher.published

    loop = VirtualLoop()
    try:
        published = loop.run_until_complete(story())
    finally:
        loop.close()

    assert [message.key for message in published] == [b"r"]


def command(attempt: int = 1) -> Command:
    return Command(run="r", step="s", attempt=attempt, workflow="flow", fingerprint="f" * 16)


def taken(offset: int) -> DoneOffsets:
    offsets = DoneOffsets.resume(offset, None)
    assert offsets.take(offset)
    return offsets


def test_a_repeated_command_is_done_when_the_attempt_is_and_not_before() -> None:
    before, after = taken(5), taken(5)
    job = Job(command(), before, 5)

    job.stand_for(Job(command(), after, 5))
    assert (before.base, after.base) == (5, 5)
    job.done()

    assert (before.base, after.base) == (6, 6)


def test_an_attempt_that_was_given_back_answers_the_question_that_was_asked_last() -> None:
    waiting, running = Job(command(), taken(5), 5), Job(command(), taken(5), 5)
    running.task = cast("asyncio.Task[None]", object())
    again = command()
    again.returns = 1

    for job in (waiting, running):
        job.stand_for(Job(again, taken(6), 6))
        job.stand_for(Job(command(), taken(7), 7))

    assert (waiting.returns, running.returns) == (1, 1)
    assert waiting.command is again
    assert running.command is not again


def test_a_job_that_is_wanted_in_one_partition_outlives_the_loss_of_another() -> None:
    lost, kept = taken(5), taken(9)
    job: Any = Job(command(), lost, 5)
    job.stand_for(Job(command(), kept, 9))

    assert not job.leave(lost)
    assert job.leave(kept)
