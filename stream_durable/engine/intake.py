"""Moves records from a topic to the inbox.

Offsets of the group are kept in Kafka, and only acknowledged records are committed. So a crash repeats
records, and a repeat changes nothing, since ids come from the records, or from topic, partition and offset. A
partition without acknowledgements from the inbox waits, and blocks no other.

A start by name gets the current fingerprint: the decision is put on the log with the start. Unacceptable
records become dead letters with the reason, and the partition goes on, unless the feed says otherwise.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, assert_never

from stream_durable.admission import ABOUT_DEFINITIONS, resolved
from stream_durable.core.errors import RejectedError
from stream_durable.core.orders import Order
from stream_durable.engine import outbox
from stream_durable.engine.feed import Feed
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
from stream_durable.telemetry import (
    INTAKE_STOPPED,
    MESSAGE_DROPPED,
    RECORD_POISONED,
    RECORD_REJECTED,
    RECORD_SKIPPED,
    logger,
)
from stream_durable.wire import events
from stream_durable.wire.positions import REASON_MAX, Position, read_position, write_position
from stream_durable.wire.starts import unknown_queue
from stream_durable.wire.tokens import NO_TOKENS, Tokens
from stream_durable.wire.topics import DEAD, FOREIGN, INBOX

_log = logger(__name__)


class _Read(NamedTuple):
    record: Record
    message: events.FromOutside | RejectedError | None


class _Taken:
    """Records of a partition put on the inbox together."""

    __slots__ = ("bytes", "is_settled", "position", "reached")

    def __init__(self, reached: int, size: int, position: Position) -> None:
        self.reached = reached
        self.bytes = size
        self.position = position
        self.is_settled = False


class _Source:
    """An assigned partition being read."""

    __slots__ = ("bad", "bytes", "is_full", "next_offset", "stopped", "taken", "topic_id")

    def __init__(self, topic_id: str, offset: int, bad: int) -> None:
        #: A topic made anew has other ids.
        self.topic_id = topic_id
        self.next_offset = offset
        #: How many records could not be taken.
        self.bad = bad
        #: Why the next record is not passed over.
        self.stopped = ""
        #: What the inbox has not acknowledged yet, the oldest first.
        self.taken: deque[_Taken] = deque()
        self.bytes = 0
        self.is_full = False


class Intake:
    """Serves assigned partitions of one topic."""

    def __init__(
        self,
        log: CommandLog,
        feed: Feed,
        publisher: Publisher,
        catalogue: Catalogue,
        metrics: Metrics,
        *,
        bytes_max: int = 16_000_000,
        tokens: Tokens = NO_TOKENS,
    ) -> None:
        """Take nothing yet. A partition waits while more than `bytes_max` lack an acknowledgement."""
        self._log = log
        self._feed = feed
        self._publisher = publisher
        self._catalogue = catalogue
        self._metrics = metrics
        self._bytes_max = bytes_max
        self._tokens = tokens
        self._sources: dict[int, _Source] = {}
        self._is_paused = False
        #: How many commits are under way.
        self._commits = 0
        #: Whether the group has taken us in, with partitions or to stand by.
        self.is_member = False

    @property
    def partitions(self) -> list[int]:
        """The partitions being read."""
        return list(self._sources)

    @property
    def is_idle(self) -> bool:
        """Whether everything read is on the inbox, and the position committed."""
        return not self._commits and not any(source.taken for source in self._sources.values())

    def goes_by(self, feed: Feed, *, is_off: bool) -> bool:
        """Return whether records are read by this feed, or by none while it is off."""
        return self._feed is feed and self._is_paused == is_off

    def reached(self) -> dict[int, int | None]:
        """Return the next offset of each partition; None: nothing is read there now."""
        return {
            partition: None if self._is_paused or source.stopped else source.next_offset
            for partition, source in self._sources.items()
        }

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

    def pause(self) -> None:
        """Read nothing more, and stay in the group: so the positions are kept."""
        if not self._is_paused:
            self._is_paused = True
            for partition in self._sources:
                self._log.stop_fetching(partition)

    async def go_on(self, feed: Feed) -> None:
        """Read on by this feed, where reading was paused or has stopped at a record, too."""
        if any(source.stopped for source in self._sources.values()):
            # What was fetched behind the record comes again, after it.
            await feed.settled()
        self._feed = feed
        was_paused, self._is_paused = self._is_paused, False
        for partition, source in self._sources.items():
            if source.stopped:
                self._log.stop_fetching(partition)
            if source.stopped or was_paused:
                source.stopped = ""
                self._fetch(partition, source)

    def _fetch(self, partition: int, source: _Source) -> None:
        if not (self._is_paused or source.is_full or source.stopped):
            self._log.fetch(partition, source.next_offset, -1)

    async def _begin(self, partition: int) -> None:
        """Continue at the group's offset, or at the first record left in the log."""
        offset, metadata = await retry_transient(
            lambda: self._log.committed(partition), "read the committed offset"
        )
        bounds = await retry_transient(lambda: self._log.bounds(partition), "read the log's bounds")
        position = read_position(metadata)
        if offset is None:
            offset = await retry_transient(lambda: self._feed.first(partition, bounds), "find where to begin")
            # So it is where to begin for whoever comes next, too.
            begun = write_position(Position(bounds.topic_id))
            self._commit(partition, offset, begun)
        elif not bounds.low <= offset <= bounds.high or position.topic not in ("", bounds.topic_id):
            offset = bounds.low
        source = self._sources[partition] = _Source(bounds.topic_id, offset, position.bad)
        self._fetch(partition, source)

    async def _take(self, records: list[Record]) -> None:
        """Put arrived records on the inbox."""
        records = [record for record in records if not self._has_stopped(record.partition)]
        await self._feed.prepare(records)
        reads: dict[int, list[_Read]] = {}
        for record in records:
            source = self._sources.get(record.partition)
            if source is not None and record.offset >= source.next_offset:
                source.next_offset = record.offset + 1
                reads.setdefault(record.partition, []).append(self._read(record))
        if any(isinstance(read.message, ABOUT_DEFINITIONS) for found in reads.values() for read in found):
            # What was registered a moment ago is what is meant.
            await retry_transient(self._catalogue.catch_up, "read the definitions")
            for found in reads.values():
                await self._check_queues(found)
        for partition, found in reads.items():
            # While we waited, partitions may have been taken away.
            if (source := self._sources.get(partition)) is not None:
                self._put(partition, source, found)

    async def _check_queues(self, reads: list[_Read]) -> None:
        """Refuse starts for queues without a topic."""
        for i, (record, message) in enumerate(reads):
            if not isinstance(message, events.Start) or not message.queue:
                continue
            there = partial(self._catalogue.has_queue, message.queue)
            if not await retry_transient(there, f"look for queue {message.queue!r}"):
                reads[i] = _Read(record, unknown_queue(message.queue))

    def _put(self, partition: int, source: _Source, reads: list[_Read]) -> None:
        messages: list[tuple[Outgoing, Headers | None]] = []
        records: list[Record] = []
        reached, stopped = reads[-1].record.offset + 1, ""
        for read in reads:
            if read.message is None:
                continue
            try:
                made = self._outgoing(read.message)
            except RejectedError as error:
                order = self._feed.skip_of(read.record, source.topic_id)
                if self._feed.bad == "stop" and order is None:
                    reached, stopped = read.record.offset, f"{error.code}: {error}"[:REASON_MAX]
                    break
                source.bad += 1
                made_of_bad = self._refused(read.record, error, order)
                if made_of_bad is None:
                    continue
                made = made_of_bad
            messages.append(made)
            records.append(read.record)
        size = sum(len(message.value or b"") for message, _ in messages)
        taken = _Taken(reached, size, Position(source.topic_id, source.bad, stopped))
        source.taken.append(taken)
        source.bytes += size
        if stopped:
            self._stop(partition, source, reached, stopped)
        elif not source.is_full and source.bytes > self._bytes_max:
            source.is_full = True
            self._log.stop_fetching(partition)
        if messages:
            self._say(messages, records, lambda: self._settled(partition, source, taken))
        else:
            self._settled(partition, source, taken)

    def _has_stopped(self, partition: int) -> bool:
        source = self._sources.get(partition)
        return source is not None and bool(source.stopped)

    def _stop(self, partition: int, source: _Source, offset: int, reason: str) -> None:
        """Read no further than before a record, until `go_on`."""
        source.next_offset, source.stopped = offset, reason
        self._log.stop_fetching(partition)
        _log.error(INTAKE_STOPPED, topic=self._feed.topic, partition=partition, offset=offset, reason=reason)

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
        over = None
        while source.taken and source.taken[0].is_settled:
            over = source.taken.popleft()
            source.bytes -= over.bytes
        if over is None or self._sources.get(partition) is not source:
            return
        # Should it fail, a later one covers it, or the records come again and change nothing.
        self._commit(partition, over.reached, write_position(over.position))
        if source.is_full and source.bytes * 2 < self._bytes_max:
            source.is_full = False
            self._fetch(partition, source)

    def _commit(self, partition: int, offset: int, metadata: str) -> None:
        def done(is_stored: bool) -> None:  # noqa: FBT001 - the outcome is ignored: nothing depends on it
            self._commits -= 1

        self._commits += 1
        self._log.commit([(partition, offset, metadata)], done)

    def _instead(
        self, message: Outgoing, record: Record, refusal: Refusal
    ) -> tuple[Outgoing, Headers | None] | None:
        """Return the dead letter for a record refused by the inbox, shorter after a second refusal."""
        self._metrics.count_refused(refusal.code)
        if message.topic != DEAD:
            code = f"refused_{refusal.code}"
            self._metrics.count_dead_letters(code)
            reason = f"{self._feed.origin}{refusal.reason}"
            return outbox.with_headers(outbox.dead_letter(self._feed.topic, record, code, reason), "")
        shorter = outbox.instead(message, refusal)
        if shorter is None:
            _log.error(MESSAGE_DROPPED, topic=DEAD, code=refusal.code, reason=refusal.reason)
            return None
        return outbox.with_headers(shorter, "")

    def _read(self, record: Record) -> _Read:
        own_id = f"{self._sources[record.partition].topic_id}-{record.partition}-{record.offset}"
        try:
            message = self._feed.read(record, own_id)
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

    def _refused(
        self, record: Record, error: RejectedError, order: Order | None
    ) -> tuple[Outgoing, Headers | None] | None:
        """Return the dead letter of a record; None: it is skipped."""
        topic, reason = self._feed.topic, f"{self._feed.origin}{error}"
        if order is not None:
            reason += f" (skipped by {order.by or 'somebody'}: {order.reason or 'nobody said why'})"
        is_skipped = self._feed.bad == "skip"
        _log.warning(
            RECORD_SKIPPED if is_skipped else RECORD_REJECTED,
            topic=topic.removeprefix(FOREIGN),
            partition=record.partition,
            offset=record.offset,
            reason=reason,
        )
        if is_skipped:
            return None
        self._metrics.count_dead_letters(error.code)
        return outbox.with_headers(outbox.dead_letter(topic, record, error.code, reason), "")

    def _outgoing(self, message: events.FromOutside | RejectedError) -> tuple[Outgoing, Headers | None]:
        """Return the record for the inbox, or raise why there can be none."""
        if isinstance(message, RejectedError):
            raise message
        made = resolved(message, self._catalogue, self._tokens)
        return Outgoing(INBOX, None, made.key.encode(), events.admit(made)), None
