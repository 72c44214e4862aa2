"""One lane of a queue at a worker: commands in, offsets out.

Attempts end out of order. Finished offsets are tracked per assignment and kept in the commit's metadata, so
that after a crash or a rebalance only unfinished commands run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import assert_never

from stream_durable.core.effects import CancelAttempt, Command
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import CommandsLost
from stream_durable.core.reference import MARK
from stream_durable.metrics import Metrics
from stream_durable.ports import (
    Assigned,
    CommandLog,
    LogBounds,
    LogEvent,
    LogLost,
    Outgoing,
    Publisher,
    Record,
    Refusal,
    Revoked,
)
from stream_durable.retrying import retry_transient
from stream_durable.settings import WorkerSettings
from stream_durable.telemetry import COMMAND_REJECTED, COMMANDS_LOST, MESSAGE_DROPPED, logger
from stream_durable.wire.dead import Letter, dead_letter_headers, letter, without_value
from stream_durable.wire.inbox import decode_command, encode
from stream_durable.wire.topics import COMMANDS, DEAD, INBOX
from stream_durable.worker.attempts import Attempts
from stream_durable.worker.job import Job
from stream_durable.worker.offsets import Commit, DoneOffsets

_log = logger(__name__)

#: How long a revocation may wait for what has begun; the log waits a little longer for us.
_HAND_OVER_SECONDS = 3.0
#: Of so many commands at least a commit says that they may begin before the next commit.
_AHEAD_MIN = 8
#: How long after a commit that was not stored the next is tried where something waits for it.
_AGAIN_SECONDS = 0.1


class Lane:
    """Takes the commands of one lane and commits finished ones."""

    def __init__(
        self,
        name: str,
        log: CommandLog,
        publisher: Publisher,
        attempts: Attempts,
        settings: WorkerSettings,
        metrics: Metrics,
    ) -> None:
        """Take nothing yet."""
        self._topic = COMMANDS + name
        self._line = attempts.line(name)
        self._log = log
        self._publisher = publisher
        self._attempts = attempts
        self._settings = settings
        self._metrics = metrics
        self._offsets: dict[int, DoneOffsets] = {}
        #: Partitions that are not fetched because one stuck command has too many done behind it, and
        #: where fetching goes on.
        self._held_back: dict[int, int] = {}
        #: Partitions that were assigned and whose offsets are still being asked for.
        self._resuming: dict[int, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        #: Whether a commit is under way; the next one waits for it.
        self._is_committing = False
        self._committed = asyncio.Event()
        #: Whether the group has taken us in, with partitions or to stand by.
        self.is_member = False

    @property
    def partitions(self) -> list[int]:
        """The partitions with commands being taken."""
        return list(self._offsets)

    async def run(self) -> None:
        """Take commands until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._commit_often())
            while True:
                event = await self._next()
                if isinstance(event, list):
                    self._take(event)
                elif isinstance(event, Assigned):
                    self.is_member = True
                    self._begin(event.partitions)
                elif isinstance(event, Revoked):
                    await self._hand_over(event.partitions)
                elif isinstance(event, LogLost):
                    self._begin([event.partition])
                elif event is not None:
                    assert_never(event)

    async def leave(self, *, is_clean: bool) -> None:
        """Leave the group: others take over at once. The leave is clean if they have nothing to repeat."""
        self._commit(tuple(self._offsets), is_last=is_clean)
        await self._log.close()

    def last_marks(self) -> list[tuple[int, int, str]]:
        """Return the final commit of all partitions, for a process about to be ended from outside."""
        found = ((partition, offsets.snapshot()) for partition, offsets in self._offsets.items())
        return [(partition, commit.offset, commit.metadata) for partition, commit in found]

    async def _next(self) -> LogEvent | None:
        """Wait for the next event or for room: for commands of moving partitions, or at all."""
        if self._attempts.has_room(self._line):
            return await self._log.next()
        moved = asyncio.create_task(self._log.moved())
        room = asyncio.create_task(self._attempts.room(self._line))
        try:
            await asyncio.wait((moved, room), return_when=asyncio.FIRST_COMPLETED)
            return moved.result() if moved.done() else None
        finally:
            moved.cancel()
            room.cancel()

    def _begin(self, partitions: Iterable[int]) -> None:
        """Resume partitions separately, unless revoked meanwhile."""
        assert self._group is not None
        for partition in partitions:
            if task := self._resuming.pop(partition, None):
                task.cancel()
            self._resuming[partition] = self._group.create_task(self._resume(partition))

    async def _hand_over(self, partitions: tuple[int, ...]) -> None:
        """Release partitions with as few repeats for the next worker as soon possible.

        Unbegun jobs are dropped and left to the next worker. Begun ones are announced: their leases count
        from then on.
        """
        left: list[tuple[DoneOffsets, int]] = []
        for partition in partitions:
            # Nothing goes on meanwhile: it is not ours to fetch any more.
            self._held_back.pop(partition, None)
            if task := self._resuming.pop(partition, None):
                task.cancel()
            if offsets := self._offsets.get(partition):
                left.append((offsets, self._attempts.leave(offsets, self._any_partition)))
        self._attempts.announce_all()
        with suppress(TimeoutError):
            async with asyncio.timeout(_HAND_OVER_SECONDS):
                while any(offsets.unfinished > dropped for offsets, dropped in left):
                    await self._attempts.heard()
        self._commit(partitions, is_last=all(offsets.unfinished <= dropped for offsets, dropped in left))
        for partition in partitions:
            self._offsets.pop(partition, None)

    def _any_partition(self) -> int | None:
        return next(iter(self._offsets), None)

    async def _resume(self, partition: int) -> None:
        """Continue after the group's last member, skipping finished commands."""
        committed = await retry_transient(lambda: self._log.committed(partition), "read the committed offset")
        bounds = await retry_transient(lambda: self._log.bounds(partition), "read the log's bounds")
        begin, metadata = committed
        if begin is None or not bounds.low <= begin <= bounds.high:
            begin, metadata = await self._begin_unknown(partition, begin, bounds), None
        offsets = DoneOffsets.resume(begin, metadata, topic_id=bounds.topic_id)
        offsets.begun_at = bounds.high
        self._offsets[partition] = offsets
        # Before anything is called: should that end us, the next worker has to know that we were here.
        await self._store(lambda: not offsets.is_due, (partition,))
        del self._resuming[partition]
        # Where fetching was to go on in the log before it.
        self._held_back.pop(partition, None)
        self._log.fetch(partition, begin, -1)

    async def _begin_unknown(self, partition: int, committed: int | None, bounds: LogBounds) -> int:
        """Return the offset to begin at when finished offsets are unknown or part of the log is missing.

        Kafka forgets the offsets of a group without members after a week. Remaining commands may be done long
        since; the reconciler asks for open attempts again, behind them.
        """
        if not bounds.high:
            return 0
        # Where it ended before the reconciler is asked: what comes later need not be among what is open then.
        begin = bounds.high if committed is None else bounds.low
        message = CommandsLost(
            key=str(partition), queue=self._topic.removeprefix(COMMANDS), worker=self._attempts.worker
        )
        record = Outgoing(INBOX, partition, message.key.encode(), encode(message))
        refusals = await retry_transient(
            lambda: self._publisher.publish([(record, None)]), "request lost commands"
        )
        _log.warning(
            COMMANDS_LOST, topic=self._topic, partition=partition, offset=committed, begun_at=begin,
            reason=refusals[0].reason if refusals else None,
        )  # fmt: skip
        # Unheard, we would rather do again what is done than leave undone what is not.
        return bounds.low if refusals else begin

    def _take(self, records: list[Record]) -> None:
        is_due = False
        for record in records:
            self._take_one(record)
            offsets = self._offsets.get(record.partition)
            is_due |= offsets is not None and record.offset >= offsets.commit_at
        if is_due and not self._is_committing:
            self._commit(tuple(self._offsets))

    def _take_one(self, record: Record) -> None:
        offsets = self._offsets.get(record.partition)
        if offsets is None or not offsets.take(record.offset):
            return
        try:
            command = self._read(record)
        except RejectedError as error:
            self._bury(record, error, offsets)
            return
        if isinstance(command, CancelAttempt):
            self._attempts.cancel(command, offsets, record.offset)
        else:
            self._attempts.add(self._job(command, record, offsets), self._line)
        if offsets.is_full:
            self._hold_back(record)

    def _job(self, command: Command, record: Record, offsets: DoneOffsets) -> Job:
        value = record.value or b""
        job = Job(
            command, offsets, record.offset, partition=record.partition, size=len(value),
            has_references=MARK in value,
        )  # fmt: skip
        is_suspect = record.offset < offsets.suspect_below
        job.is_repeat = is_suspect and record.offset < offsets.begun_at
        if is_suspect or command.losses or command.alone or command.is_suspect:
            job.settle = partial(self._settle, offsets)
        return job

    async def _settle(self, offsets: DoneOffsets) -> None:
        """Wait until finished commands are committed, as far as soon possible."""
        version = offsets.version
        await self._store(
            lambda: offsets.confirmed_version >= version or offsets not in self._offsets.values(),
            tuple(self._offsets),
        )

    async def _store(self, is_stored: Callable[[], bool], partitions: tuple[int, ...]) -> None:
        """Commit until something is stored, but not for long: without it a crash repeats more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_HAND_OVER_SECONDS):
                while not is_stored():
                    if not self._is_committing:
                        self._commit(partitions)
                    if self._is_committing:
                        await self._committed.wait()
                    elif not is_stored():
                        await asyncio.sleep(_AGAIN_SECONDS)

    def _hold_back(self, record: Record) -> None:
        """Bound the set of finished offsets behind a stuck command."""
        if record.partition not in self._held_back:
            self._log.stop_fetching(record.partition)
        # What has been read by now still comes, and moves this on.
        self._held_back[record.partition] = record.offset + 1

    def _go_on(self) -> None:
        for partition, offset in list(self._held_back.items()):
            if not self._offsets[partition].is_full:
                del self._held_back[partition]
                self._log.fetch(partition, offset, -1)

    def _read(self, record: Record) -> Command | CancelAttempt:
        if record.value is None:
            raise RejectedError("unreadable", "the record has no value")
        return decode_command(record.value)

    def _bury(self, record: Record, error: RejectedError, offsets: DoneOffsets) -> None:
        """Store a record other than a command as a dead letter."""
        _log.warning(
            COMMAND_REJECTED, topic=self._topic, partition=record.partition, offset=record.offset,
            reason=str(error),
        )  # fmt: skip
        headers = dead_letter_headers(
            self._topic, record.partition, record.offset, record.time, error.code, str(error)
        )
        self._publish_letter(
            letter(record.key, record.value, record.headers, headers), offsets, record.offset
        )
        self._metrics.count_dead_letters(error.code)

    def _publish_letter(self, made: Letter, offsets: DoneOffsets, offset: int) -> None:
        """Publish a dead letter, without the value after a refusal, and count the record as done after."""

        def done(refusals: list[Refusal]) -> None:
            if refusals and made.is_whole:
                self._publish_letter(without_value(made), offsets, offset)
                return
            for refusal in refusals:
                _log.error(MESSAGE_DROPPED, topic=DEAD, code=refusal.code, reason=refusal.reason)
            offsets.done(offset)

        self._publisher.send([(Outgoing(DEAD, None, made.key, made.value), made.headers)], done)

    async def _commit_often(self) -> None:
        while True:
            await asyncio.sleep(self._settings.offset_commit_ms / 1_000)
            self._go_on()
            if not self._is_committing:
                self._commit(tuple(self._offsets))

    def _commit(self, partitions: tuple[int, ...], *, is_last: bool = False) -> None:
        """Commit finished commands; a partition's last commit also states that nothing else was begun."""
        share = 2 * self._settings.concurrency // max(1, len(self._offsets))
        ahead = 0 if is_last else max(_AHEAD_MIN, share)
        taken: list[tuple[DoneOffsets, Commit]] = []
        marks: list[tuple[int, int, str]] = []
        for partition in partitions:
            offsets = self._offsets.get(partition)
            if offsets is not None and (offsets.is_dirty or offsets.is_due or is_last):
                commit = offsets.snapshot(ahead=ahead)
                taken.append((offsets, commit))
                marks.append((partition, commit.offset, commit.metadata))
        if not marks:
            return
        self._is_committing = True

        def done(is_stored: bool) -> None:  # noqa: FBT001
            self._is_committing = False
            self._committed.set()
            self._committed.clear()
            for offsets, commit in taken:
                if is_stored:
                    offsets.confirmed(commit)
                else:
                    offsets.refused()

        self._log.commit(marks, done)
