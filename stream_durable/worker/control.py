"""What a worker does about the control topic: it holds paused queues, and says that it is there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

from stream_durable.core.format import FORMAT
from stream_durable.ports import Clock, Control, Outgoing, Publisher, Refusal
from stream_durable.retrying import retry_transient
from stream_durable.settings import WorkerSettings
from stream_durable.telemetry import MESSAGE_DROPPED, QUEUE_PAUSED, QUEUE_RESUMED, logger
from stream_durable.wire.control import KEPT_MS, QueueLoad, WorkerHere, encode_control, worker_key
from stream_durable.wire.topics import CONTROL
from stream_durable.worker.attempts import Attempts

_log = logger(__name__)

#: How often a worker with attempts of a paused queue looks whether they have ended.
_LOOK_SECONDS: Final = 0.25


class Pauses:
    """Holds the queues of a worker that are paused."""

    def __init__(self, control: Control, attempts: Attempts, queues: Sequence[str]) -> None:
        """Hold nothing yet."""
        self._control = control
        self._attempts = attempts
        self._queues = queues
        #: The paused queues of this worker.
        self.held: set[str] = set()
        #: The offset up to which the topic is obeyed.
        self.heard = 0
        #: Set with each pause and resumption.
        self.changed = asyncio.Event()

    async def begin(self) -> None:
        """Read the topic to the end, and hold what is paused. Waits for Kafka."""
        await retry_transient(self._control.catch_up, "read paused queues")
        self._obey()

    async def run(self) -> None:
        """Hold and release queues as the topic says, until cancelled."""
        while True:
            await retry_transient(self._control.more, "read paused queues")
            self._obey()

    def long_gone(self, now: int) -> list[bytes]:
        """Return the keys of processes unheard of for a day: killed, so nobody withdraws their records."""
        return [one.key for one in self._control.state.processes() if now - one.seen > KEPT_MS]

    def _obey(self) -> None:
        paused = self._control.state.paused
        for queue in self._queues:
            if queue in paused and queue not in self.held:
                self.held.add(queue)
                self._attempts.places.hold(queue)
                pause = paused[queue].pause
                _log.info(QUEUE_PAUSED, queue=queue, by=pause.by, reason=pause.reason)
                self.changed.set()
            elif queue not in paused and queue in self.held:
                self.held.discard(queue)
                self._attempts.release(queue)
                _log.info(QUEUE_RESUMED, queue=queue)
                self.changed.set()
        self.heard = self._control.position


class Presence:
    """Publishes a record about this worker: at the start, at an interval, and when a pause changes its load.

    One record per interval for each worker, and nothing for an attempt.
    """

    def __init__(
        self,
        publisher: Publisher,
        clock: Clock,
        settings: WorkerSettings,
        *,
        carries: Sequence[tuple[str, str]],
        version: str = "",
    ) -> None:
        """Publish nothing yet; `carries` has the workflows of this worker with their fingerprints."""
        self._version = version
        self._publisher = publisher
        self._clock = clock
        self._every_ms = settings.presence_ms
        self._concurrency = settings.concurrency
        self._carries = tuple(carries)
        self._since = clock.now()

    async def run(self, attempts: Attempts, pauses: Pauses, queues: Sequence[str]) -> None:
        """Publish until cancelled."""
        key = worker_key(attempts.worker)
        self._withdraw(pauses.long_gone(self._clock.now()))
        while True:
            pauses.changed.clear()
            loads = tuple(
                QueueLoad(queue, attempts.places.running(queue), attempts.places.waiting(queue))
                for queue in queues
            )
            here = WorkerHere(
                since=self._since, every_ms=self._every_ms, concurrency=self._concurrency,
                heard=pauses.heard, queues=loads, carries=self._carries,
                version=self._version, format=FORMAT, host=socket.gethostname(),
            )  # fmt: skip
            self._publisher.send([(Outgoing(CONTROL, 0, key, encode_control(here)), None)], _log_refusals)
            await self._until_due(attempts, pauses, loads)

    def leave(self, worker: str) -> None:
        """Withdraw the record."""
        self._withdraw([worker_key(worker)])

    def _withdraw(self, keys: Sequence[bytes]) -> None:
        records = [(Outgoing(CONTROL, 0, key, None), None) for key in keys]
        if records:
            self._publisher.send(records, _log_refusals)

    async def _until_due(self, attempts: Attempts, pauses: Pauses, said: Sequence[QueueLoad]) -> None:
        """Wait until the record is due again, or wrong about a paused queue."""
        due = self._clock.now() + self._every_ms
        while not pauses.changed.is_set() and (left := due - self._clock.now()) > 0:
            busy = [load for load in said if load.running and load.queue in pauses.held]
            if any(attempts.places.running(load.queue) != load.running for load in busy):
                return
            try:
                async with asyncio.timeout(_LOOK_SECONDS if busy else left / 1_000):
                    await pauses.changed.wait()
            except TimeoutError:
                pass


def _log_refusals(refusals: list[Refusal]) -> None:
    for refusal in refusals:
        _log.error(MESSAGE_DROPPED, topic=CONTROL, code=refusal.code, reason=refusal.reason)
