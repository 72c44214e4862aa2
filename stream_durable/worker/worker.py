"""A worker: takes commands from queues, makes the attempts, reports to the inbox. Has no database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from stream_durable.payloads import Payloads
from stream_durable.ports import Blobs, Clock, CommandLog, Publisher
from stream_durable.sdk.handler import Handler
from stream_durable.settings import WorkerSettings
from stream_durable.telemetry import Metrics
from stream_durable.worker.attempts import Attempts
from stream_durable.worker.lane import Lane
from stream_durable.worker.reports import Reports


class Worker:
    """Serves the queues whose logs it is given."""

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
    ) -> None:
        """Do nothing yet; `worker` is the name under which attempts are reported."""
        self._settings = settings
        self._logs = logs
        self._reports = Reports(publisher)
        self._attempts = Attempts(
            handler, self._reports, Payloads(blobs), clock, settings, metrics, worker=worker
        )
        self._lanes = [Lane(q, log, publisher, self._attempts, settings, metrics) for q, log in logs.items()]

    @property
    def partitions(self) -> dict[str, list[int]]:
        """The partitions whose commands are taken now, by queue."""
        return {queue: lane.partitions for queue, lane in zip(self._logs, self._lanes, strict=True)}

    @property
    def is_member(self) -> bool:
        """Whether the groups of all queues have taken us in."""
        return all(lane.is_member for lane in self._lanes)

    async def run(self) -> None:
        """Work until cancelled; then drain: finish or give back, report, commit, leave."""
        reporting = asyncio.create_task(self._reports.run())
        try:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._attempts.watch())
                    for lane in self._lanes:
                        group.create_task(lane.run())
            finally:
                await self._attempts.drain(self._settings.drain_ms / 1_000)
        finally:
            await self._reports.flushed()
            reporting.cancel()
            for lane in self._lanes:
                lane.commit_now()
            for log in self._logs.values():
                await log.close()
