"""Leases of long attempts, and of attempts suspected of having killed their worker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from stream_durable.core.messages import AttemptHeartbeat, AttemptMessage, AttemptStarted
from stream_durable.ports import Clock
from stream_durable.settings import WorkerSettings
from stream_durable.telemetry import ATTEMPT_ANNOUNCED, ATTEMPT_SUSPECTED, logger
from stream_durable.worker.isolation import Isolation
from stream_durable.worker.job import Job, JobKey
from stream_durable.worker.note import Note

_log = logger(__name__)

#: How much of a usual lease a suspect has until its first heartbeat.
_SUSPECTS_SHARE = 3
#: The shortest lease there is.
_LEASE_MS_MIN = 1_000


class Say(Protocol):
    """Publishes a message about an attempt, and calls `then` on acknowledgement."""

    def __call__(self, job: Job, message: AttemptMessage, then: Callable[[], None]) -> None: ...


class Leases:
    """Announces attempts and renews leases: after the acknowledgement the lease counts, not Kafka."""

    def __init__(
        self, running: Mapping[JobKey, Job], who: Callable[[Job], dict[str, Any]], say: Say, clock: Clock,
        settings: WorkerSettings,
    ) -> None:  # fmt: skip
        """Announce nothing yet; `who` names an attempt and its worker in a message."""
        self._running = running
        self._who = who
        self._say = say
        self._clock = clock
        self._settings = settings
        #: Where it is noted what is on, for whoever sees to our end.
        self.note: Note | None = None
        #: Lets one of them begin at a time.
        self.isolation = Isolation(running, settings.started_after_ms / 1_000)

    def look(self, say: Say | None = None) -> None:
        """Announce long attempts and send due heartbeats.

        A guard acting for a blocked loop passes its own `say`.
        """
        say = say or self._say
        self.write_note()
        settings, now = self._settings, self._clock.now()
        for job in list(self._running.values()):
            if job.is_suspect or (job.is_cancelled and not job.must_answer):
                continue
            if not job.announced:
                if now - job.started >= settings.started_after_ms:
                    self._announce(job, now, settings.lease_ms, say)
            elif now - job.beat >= settings.heartbeat_ms:
                job.beat = now
                beat = AttemptHeartbeat(
                    **self._who(job), lease_ms=settings.lease_ms, percent=job.percent, label=job.label,
                    reply_to=None if job.reply_to is None else job.reply_to(),
                )  # fmt: skip
                say(job, beat, lambda: None)

    def write_note(self, first: Job | None = None) -> None:
        """Write a note of the running attempts, a given attempt first."""
        if self.note is not None:
            others = [job for job in list(self._running.values()) if job is not first]
            self.note.write(others if first is None else [first, *others])

    def announce_all(self) -> None:
        """Announce all running attempts, so that their leases count rather than their partitions."""
        now = self._clock.now()
        for job in self._running.values():
            if not job.announced and not job.is_cancelled and not job.is_suspect:
                self._announce(job, now, self._settings.lease_ms, self._say)

    async def announce_first(self, job: Job, settle: Callable[[], Awaitable[None]]) -> bool:
        """Announce a suspect attempt before calling its function.

        The command is not delivered again then; when the lease ends, the attempt is counted as lost and asked
        for again. The lease is short until the first heartbeat, sent once the attempt has survived for a
        while.

        Return False if the command was left to another worker before the call.
        """
        settings, command = self._settings, job.command
        patience = settings.lease_ms / 1_000 if command.alone else 0.0
        is_alone = command.alone or command.losses > 1
        if not await self.isolation.enter(job, alone=is_alone, patience=patience):
            return False
        lease_ms = max(_LEASE_MS_MIN, settings.lease_ms // _SUSPECTS_SHARE)
        # Asked for once more before it is heard, the attempt needs another lease: the first is over.
        while not job.announced:
            now = job.started = self._clock.now()
            heard = asyncio.Event()
            self._announce(job, now, lease_ms, self._say, heard.set)
            job.beat = now - settings.heartbeat_ms + settings.started_after_ms
            await heard.wait()
            if job.is_left:
                return False
        command = job.command
        # Should it end us as well, this is the last that is heard of us.
        self.write_note(job)
        who = {"run": command.run, "step": command.step, "attempt": command.attempt}
        if command.losses:
            _log.warning(ATTEMPT_SUSPECTED, **who, losses=command.losses)
        else:
            # Most of these were only near one that ended a worker, or near a deployment's kill.
            _log.info(ATTEMPT_ANNOUNCED, **who)
        await settle()
        job.settle = None
        return not job.is_left

    def _announce(
        self, job: Job, now: int, lease_ms: int, say: Say, then: Callable[[], None] = lambda: None
    ) -> None:
        # Asked for again meanwhile, the attempt is not done for that: the lease is of what was asked before.
        marks = tuple(job.marks)

        def heard() -> None:
            for offsets, offset in marks:
                offsets.done(offset)
            then()

        job.announced = job.beat = now
        timeout = job.timeout_ms
        left = None if timeout is None else max(0, job.started + timeout - now) + self._settings.lease_ms
        started = AttemptStarted(**self._who(job), lease_ms=lease_ms, timeout_ms=left)
        if job.handler is not None and job.handler.takes_context:
            started.call = job.announced_call
        say(job, started, heard)
