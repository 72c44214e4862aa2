"""Queues and their workers: list, pause, resume, drain; and processes of all kinds."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from stream_durable.client.edge import Edge
from stream_durable.client.latest import OrderState
from stream_durable.client.processes import ProcessState, processes
from stream_durable.client.starting import check_queue
from stream_durable.core.errors import RejectedError
from stream_durable.core.moments import moment
from stream_durable.ports import Outgoing
from stream_durable.retrying import retry_transient
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.wire.control import (
    BY_LENGTH_MAX,
    REASON_LENGTH_MAX,
    ControlState,
    Present,
    QueuePause,
    QueueResume,
    encode_control,
    queue_key,
)
from stream_durable.wire.topics import CONTROL


class PauseState(NamedTuple):
    """Who paused a queue, when and why."""

    at: datetime
    by: str
    reason: str


class QueueState(NamedTuple):
    """A queue, as its workers report it."""

    name: str
    #: None: it is not paused.
    paused: PauseState | None
    #: The latest order: `pause` or `resume`.
    orders: tuple[OrderState, ...]
    workers: tuple[str, ...]
    #: Attempts under way.
    running: int
    #: Commands read and not begun; more may be on the topic.
    waiting: int


class WorkerState(NamedTuple):
    """A worker, as of its last record."""

    name: str
    since: datetime
    seen: datetime
    #: Whether three records are missing: it was killed, or cannot reach Kafka.
    is_gone: bool
    concurrency: int
    queues: tuple[str, ...]
    running: int
    waiting: int
    #: The fingerprints of its workflows, by name.
    workflows: Mapping[str, str]
    #: The release that it runs; empty: one that does not say.
    version: str = ""


class QueueOrders:
    """Orders to queues, and states of queues and workers."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def pause_queue(self, queue: str, *, reason: str = "", by: str = "") -> None:
        """Let workers begin nothing from a queue until `resume_queue`; attempts under way go on to their end.

        Returns after the acknowledgement; workers obey moments later. Time-outs of runs and steps go on.
        Raises for a queue without a topic.
        """
        order = QueuePause(at=_ms(self._edge.now()), by=by, reason=reason)
        await self._put(queue, order, f"pause queue {queue!r}")

    async def resume_queue(self, queue: str, *, reason: str = "", by: str = "") -> None:
        """Let workers serve a queue again; a queue that is not paused stays as it is."""
        order = QueueResume(at=_ms(self._edge.now()), by=by, reason=reason)
        await self._put(queue, order, f"resume queue {queue!r}")

    async def drain_queue(
        self,
        queue: str,
        *,
        timeout: Duration | None = None,  # noqa: ASYNC109 - the word for it everywhere
        reason: str = "",
        by: str = "",
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Pause a queue, and wait until no attempt of it is under way.

        `progress` is called with the number of attempts left, as workers report it. Raises `TimeoutError`
        after the time-out; the queue stays paused in any case.
        """
        await self.pause_queue(queue, reason=reason, by=by)
        control = self._edge.ports.control
        seconds = None if timeout is None else milliseconds(timeout) / 1_000
        async with asyncio.timeout(seconds):
            await retry_transient(control.catch_up, "read the workers")
            while left := self._undrained(control.state, queue):
                if progress is not None:
                    progress(sum(load.running for one in left if (load := one.load(queue))))
                await retry_transient(control.more, "read the workers")

    async def queues(self) -> list[QueueState]:
        """Return the queues that workers serve, or that were paused or resumed, by name."""
        state = await self._read()
        now = _ms(self._edge.now())
        served = {load.queue for one in state.workers.values() for load in one.here.queues}
        names = served.union(state.paused, state.resumed)
        return [_queue_state(state, name, now) for name in sorted(names)]

    async def workers(self) -> list[WorkerState]:
        """Return the workers by name, with those that have gone without a word in the last day."""
        state = await self._read()
        now = _ms(self._edge.now())
        return [_worker_state(one, now) for _, one in sorted(state.workers.items())]

    async def processes(self) -> list[ProcessState]:
        """Return reconcilers, workers, ingresses and processes of the API, by kind and name.

        With processes gone without a word in the last day.
        """
        return processes(await self._read(), _ms(self._edge.now()))

    def _undrained(self, state: ControlState, queue: str) -> list[Present]:
        """Return the workers with an attempt under way, or without a record since the pause."""
        paused = state.paused.get(queue)
        if paused is None:
            raise RejectedError("resumed", f"queue {queue!r} was resumed meanwhile; drain it again")
        return [
            one
            for one in state.serving(queue, _ms(self._edge.now()))
            if one.here.heard <= paused.offset or ((load := one.load(queue)) and load.running)
        ]

    async def _read(self) -> ControlState:
        control = self._edge.ports.control
        await self._edge.ask(control.catch_up, "read the control topic")
        return control.state

    async def _put(self, queue: str, order: QueuePause | QueueResume, doing: str) -> None:
        await check_queue(self._edge, queue)
        bounds = (("reason", order.reason, REASON_LENGTH_MAX), ("by", order.by, BY_LENGTH_MAX))
        for name, text, most in bounds:
            if len(text) > most:
                raise RejectedError(
                    "too_long", f"{name}= has {len(text)} characters; at most {most} are kept"
                )
        await self._edge.put([Outgoing(CONTROL, 0, queue_key(queue), encode_control(order))], doing)


def _queue_state(state: ControlState, name: str, now: int) -> QueueState:
    workers = state.serving(name, now)
    loads = [load for one in workers if (load := one.load(name)) is not None]
    paused = state.paused.get(name)
    pause = None if paused is None else paused.pause
    latest = pause or state.resumed.get(name)
    act = "resume" if pause is None else "pause"
    return QueueState(
        name,
        None if pause is None else PauseState(moment(pause.at), pause.by, pause.reason),
        () if latest is None else (OrderState(act, moment(latest.at), latest.by, latest.reason),),
        tuple(sorted(one.name for one in workers)),
        sum(load.running for load in loads),
        sum(load.waiting for load in loads),
    )


def _worker_state(one: Present, now: int) -> WorkerState:
    here = one.here
    return WorkerState(
        one.name,
        moment(here.since),
        moment(one.seen),
        one.is_gone(now),
        here.concurrency,
        tuple(load.queue for load in here.queues),
        sum(load.running for load in here.queues),
        sum(load.waiting for load in here.queues),
        dict(here.carries),
        here.version,
    )


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1_000)
