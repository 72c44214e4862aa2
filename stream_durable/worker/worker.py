"""A worker: takes commands from queues, makes the attempts, reports to the inbox. Has no database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from stream_durable.core.lanes import queue_of
from stream_durable.metrics import Metrics
from stream_durable.payloads import Payloads
from stream_durable.ports import Blobs, Clock, CommandLog, Control, Publisher
from stream_durable.sdk.handler import Handler
from stream_durable.settings import WorkerSettings
from stream_durable.worker.attempts import Attempts
from stream_durable.worker.control import Pauses, Presence
from stream_durable.worker.emitting import Emitting
from stream_durable.worker.fitting import Fitting
from stream_durable.worker.lane import Lane
from stream_durable.worker.reports import Reports
from stream_durable.worker.standstill import Standstill

#: How long a stop waits until it is heard that what runs is under way.
_HAND_OVER_SECONDS = 3.0


class Worker:
    """Serves the lanes of the given logs: both of each queue."""

    def __init__(
        self,
        logs: Mapping[str, CommandLog],
        publisher: Publisher,
        blobs: Blobs,
        handler: Callable[[str, str], Handler],
        clock: Clock,
        settings: WorkerSettings,
        metrics: Metrics,
        *,
        worker: str,
        emitting: Emitting | None = None,
        control: Control | None = None,
        presence: Presence | None = None,
    ) -> None:
        """Do nothing yet; `worker` is the name under which attempts are reported."""
        self._settings = settings
        self._logs = logs
        self._queues = tuple(dict.fromkeys(map(queue_of, logs)))
        self._reports = Reports(publisher)
        fitting = Fitting(Payloads(blobs), settings.payload_inline_bytes_max, emitting or Emitting())
        self.attempts = Attempts(
            handler, self._reports, fitting, clock, settings, metrics, worker=worker,
            lanes=tuple(logs),
        )  # fmt: skip
        #: Without a control topic no queue is ever paused.
        self._pauses = None if control is None else Pauses(control, self.attempts, self._queues)
        self._presence = presence
        #: Stands in for the loop while that does not turn, where somebody watches it.
        self.standstill: Standstill | None = None
        self._lanes = [
            Lane(name, log, publisher, self.attempts, settings, metrics) for name, log in logs.items()
        ]

    @property
    def partitions(self) -> dict[str, list[int]]:
        """The partitions with commands being taken, by lane."""
        return {name: lane.partitions for name, lane in zip(self._logs, self._lanes, strict=True)}

    @property
    def is_member(self) -> bool:
        """Whether this worker is a member of all lanes' groups."""
        return all(lane.is_member for lane in self._lanes)

    def trouble(self) -> str | None:
        """Return the reason for beginning nothing more, if any."""
        return self.attempts.trouble()

    def last_marks(self) -> dict[str, list[tuple[int, int, str]]]:
        """Return the final commits, by lane, for a process about to be ended from outside."""
        return {name: lane.last_marks() for name, lane in zip(self._logs, self._lanes, strict=True)}

    async def run(self) -> None:
        """Work until cancelled; then leave the groups, and let running attempts end or return them."""
        watching = asyncio.create_task(self.attempts.watch())
        try:
            try:
                await self._serve()
            finally:
                await self._leave()
                await self.attempts.drain(self._settings.drain_ms / 1_000)
        finally:
            await self._reports.flushed()
            watching.cancel()

    async def _serve(self) -> None:
        if self._pauses is not None:
            # What is paused must not begin in the moment between.
            await self._pauses.begin()
        async with asyncio.TaskGroup() as group:
            if self._pauses is not None:
                group.create_task(self._pauses.run())
                if self._presence is not None:
                    group.create_task(self._presence.run(self.attempts, self._pauses, self._queues))
            group.create_task(self.attempts.exhausted())
            for lane in self._lanes:
                group.create_task(lane.run())

    async def _leave(self) -> None:
        """Release all partitions at once: nothing more begins here, and begun attempts have leases."""
        self.attempts.begin_no_more()
        if self._presence is not None:
            self._presence.leave(self.attempts.worker)
        is_clean = False
        with suppress(TimeoutError):
            async with asyncio.timeout(_HAND_OVER_SECONDS):
                await self._reports.flushed()
                is_clean = True
        await asyncio.gather(*(lane.leave(is_clean=is_clean) for lane in self._lanes))
