"""The ingress: moves records from the events topic to the inbox.

Offsets of the group are kept in Kafka, and only acknowledged records are committed. So a crash repeats
records, and a repeat changes nothing, since ids come from the records, or from topic, partition and offset. A
partition without acknowledgements from the inbox waits, and blocks no other.

A start by name gets the current fingerprint: the decision is put on the log with the start. Unacceptable
records become dead letters with the reason, and the partition goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, assert_never

from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import EventUnkeyed, Message, SendLater
from stream_durable.engine import outbox
from stream_durable.metrics import Metrics
from stream_durable.ports import (
    Assigned,
    Catalogue,
    CommandLog,
    Headers,
    LogLost,
    Outgoing,
    Publisher,
    Record,
    Refusal,
    Revoked,
)
from stream_durable.retrying import retry_transient
from stream_durable.telemetry import MESSAGE_DROPPED, RECORD_POISONED, RECORD_REJECTED, logger
from stream_durable.wire import events
from stream_durable.wire.answers import judge_for_some
from stream_durable.wire.ends import OutsideEnd
from stream_durable.wire.held_values import judge_value_for_some
from stream_durable.wire.records import read as read_record
from stream_durable.wire.reviews import Completion
from stream_durable.wire.tokens import NO_TOKENS, Tokens
from stream_durable.wire.topics import DEAD, EVENTS, INBOX

_log = logger(__name__)

_NAMES_SHOWN = 20
#: What is judged by what is registered and declared.
_ABOUT_DEFINITIONS = (events.Start, events.Answer, Completion, EventUnkeyed, SendLater)


class _Read(NamedTuple):
    record: Record
    message: events.FromOutside | RejectedError


class _Taken:
    """Records of a partition put on the inbox together."""

    __slots__ = ("bytes", "is_settled", "reached")

    def __init__(self, reached: int, size: int) -> None:
        self.reached = reached
        self.bytes = size
        self.is_settled = False


class _Source:
    """An assigned partition being read."""

    __slots__ = ("bytes", "is_full", "next_offset", "taken", "topic_id")

    def __init__(self, topic_id: str, offset: int) -> None:
        #: A topic made anew has other ids.
        self.topic_id = topic_id
        self.next_offset = offset
        #: What the inbox has not acknowledged yet, the oldest first.
        self.taken: deque[_Taken] = deque()
        self.bytes = 0
        self.is_full = False


class Ingress:
    """Serves assigned partitions of the events topic."""

    def __init__(
        self,
        log: CommandLog,
        publisher: Publisher,
        catalogue: Catalogue,
        metrics: Metrics,
        *,
        ttl_ms: int,
        bytes_max: int = 16_000_000,
        tokens: Tokens = NO_TOKENS,
    ) -> None:
        """Take nothing yet; events without a wait are kept for `ttl_ms`.

        A partition waits while more than `bytes_max` lack an acknowledgement from the inbox.
        """
        self._log = log
        self._publisher = publisher
        self._catalogue = catalogue
        self._metrics = metrics
        self._ttl_ms = ttl_ms
        self._bytes_max = bytes_max
        self._tokens = tokens
        self._sources: dict[int, _Source] = {}
        #: Whether the group has taken us in, with partitions or to stand by.
        self.is_member = False

    @property
    def partitions(self) -> list[int]:
        """The partitions being read."""
        return list(self._sources)

    async def run(self) -> None:
        """Move records until cancelled; acknowledged records are committed."""
        try:
            while True:
                event = await self._log.next()
                if isinstance(event, list):
                    await self._take(event)
                elif isinstance(event, Assigned):
                    await asyncio.gather(*map(self._begin, event.partitions))
                    self.is_member = True
                elif isinstance(event, Revoked):
                    for partition in event.partitions:
                        self._sources.pop(partition, None)
                elif isinstance(event, LogLost):
                    await self._begin(event.partition)
                else:
                    assert_never(event)
        finally:
            await self._log.close()

    async def _begin(self, partition: int) -> None:
        """Continue at the group's offset, or at the first record left in the log."""
        offset, _ = await retry_transient(lambda: self._log.committed(partition), "read the committed offset")
        bounds = await retry_transient(lambda: self._log.bounds(partition), "read the log's bounds")
        if offset is None or not bounds.low <= offset <= bounds.high:
            offset = bounds.low
        self._sources[partition] = _Source(bounds.topic_id, offset)
        self._log.fetch(partition, offset, -1)

    async def _take(self, records: list[Record]) -> None:
        """Put arrived records on the inbox."""
        reads: dict[int, list[_Read]] = {}
        for record in records:
            source = self._sources.get(record.partition)
            if source is not None and record.offset >= source.next_offset:
                source.next_offset = record.offset + 1
                reads.setdefault(record.partition, []).append(self._read(record))
        if any(isinstance(read.message, _ABOUT_DEFINITIONS) for found in reads.values() for read in found):
            # What was registered a moment ago is what is meant.
            await retry_transient(self._catalogue.catch_up, "read the definitions")
        for partition, found in reads.items():
            # While we waited, partitions may have been taken away.
            if (source := self._sources.get(partition)) is not None:
                self._put(partition, source, found)

    def _put(self, partition: int, source: _Source, reads: list[_Read]) -> None:
        messages = [self._outgoing(read) for read in reads]
        size = sum(len(message.value or b"") for message, _ in messages)
        taken = _Taken(reads[-1].record.offset + 1, size)
        source.taken.append(taken)
        source.bytes += size
        if not source.is_full and source.bytes > self._bytes_max:
            source.is_full = True
            self._log.stop_fetching(partition)

        self._say(messages, [read.record for read in reads], lambda: self._settled(partition, source, taken))

    def _say(
        self,
        messages: list[tuple[Outgoing, Headers | None]],
        records: list[Record],
        then: Callable[[], None],
    ) -> None:
        """Publish messages made from records, or replacements; call `then` once all are settled."""

        def done(refusals: list[Refusal]) -> None:
            told = [(records[r.at], self._instead(messages[r.at][0], records[r.at], r)) for r in refusals]
            left = [(record, message) for record, message in told if message is not None]
            if left:
                self._say([message for _, message in left], [record for record, _ in left], then)
            else:
                then()

        self._publisher.send(messages, done)

    def _settled(self, partition: int, source: _Source, taken: _Taken) -> None:
        """Count acknowledged records, and all earlier ones, as taken."""
        taken.is_settled = True
        reached = None
        while source.taken and source.taken[0].is_settled:
            over = source.taken.popleft()
            source.bytes -= over.bytes
            reached = over.reached
        if reached is None or self._sources.get(partition) is not source:
            return
        # Should it fail, a later one covers it, or the records come again and change nothing.
        self._log.commit([(partition, reached, "")], _whether_stored)
        if source.is_full and source.bytes * 2 < self._bytes_max:
            source.is_full = False
            self._log.fetch(partition, source.next_offset, -1)

    def _instead(
        self, message: Outgoing, record: Record, refusal: Refusal
    ) -> tuple[Outgoing, Headers | None] | None:
        """Return the dead letter for a record refused by the inbox, shorter after a second refusal."""
        self._metrics.count_refused(refusal.code)
        if message.topic != DEAD:
            code = f"refused_{refusal.code}"
            self._metrics.count_dead_letters(code)
            return outbox.with_headers(outbox.dead_letter(EVENTS, record, code, refusal.reason), "")
        shorter = outbox.instead(message, refusal)
        if shorter is None:
            _log.error(MESSAGE_DROPPED, topic=DEAD, code=refusal.code, reason=refusal.reason)
            return None
        return outbox.with_headers(shorter, "")

    def _read(self, record: Record) -> _Read:
        own_id = f"{self._sources[record.partition].topic_id}-{record.partition}-{record.offset}"
        try:
            message = read_record(
                record.key,
                record.value,
                record.headers,
                own_id=own_id,
                ttl_ms=self._ttl_ms,
                time=record.time,
            )
        except RejectedError as error:
            return _Read(record, error)
        except Exception as error:
            # A bug of ours, and the same on every repeat: one record must not stop the others.
            _log.error(
                RECORD_POISONED,
                partition=record.partition,
                offset=record.offset,
                error=repr(error),
                exc_info=error,
            )
            return _Read(record, RejectedError("unreadable", f"reading it raised {type(error).__name__}"))
        return _Read(record, message)

    def _outgoing(self, read: _Read) -> tuple[Outgoing, Headers | None]:
        """Return the record for the inbox, or the dead letter."""
        try:
            message = self._resolved(read.message)
            data = events.admit(message)
            return Outgoing(INBOX, None, message.key.encode(), data), None
        except RejectedError as error:
            record, reason = read.record, str(error)
            _log.warning(
                RECORD_REJECTED,
                topic=EVENTS,
                partition=record.partition,
                offset=record.offset,
                reason=reason,
            )
            self._metrics.count_dead_letters(error.code)
            return outbox.with_headers(outbox.dead_letter(EVENTS, record, error.code, reason), "")

    def _resolved(self, message: events.FromOutside | RejectedError) -> Message:
        if isinstance(message, RejectedError):
            raise message
        if isinstance(message, events.Answer):
            judge_for_some(message, self._catalogue.known())
            return message.message()
        if isinstance(message, Completion):
            judge_value_for_some(message, self._catalogue.known(), self._catalogue.about)
            return message.message()
        if isinstance(message, OutsideEnd):
            return message.message(self._tokens)
        if not isinstance(message, events.Start):
            events.check_taken(message, self._catalogue.declared)
            return message
        fingerprint = self._catalogue.current(message.workflow)
        if fingerprint is None:
            known = self._catalogue.workflows()
            shown = ", ".join(known[:_NAMES_SHOWN]) or "none"
            raise RejectedError(
                "unknown_workflow",
                f"no workflow {message.workflow[:128]!r} is registered; there are: {shown}. Start a worker "
                "that has it, then redrive this",
            )
        refusal = self._catalogue.about(fingerprint).refusal(message.workflow, bytes(message.input))
        if refusal is not None:
            raise refusal
        return message.of(fingerprint)


def _whether_stored(is_stored: bool) -> None:  # noqa: FBT001
    """Ignore the outcome: nothing depends on this commit."""
