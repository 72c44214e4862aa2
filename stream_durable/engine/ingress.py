"""The ingress: takes what others put on the events topic and puts it on the inbox.

Its group's offsets are kept in Kafka and committed only after everything that came of a batch is
acknowledged. So a crash repeats records, and a repeat changes nothing, since ids are derived from the
record's own id, else from the topic, partition and offset.

A start by name is given the fingerprint that is current here and now: the decision is put on the log
with it. What cannot be taken goes to the dead letters with the reason, and the partition goes on.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import Message
from stream_durable.engine import outbox
from stream_durable.persistence import persist
from stream_durable.ports import (
    Assigned,
    Catalogue,
    CommandLog,
    Headers,
    LogLost,
    Outgoing,
    Publisher,
    Record,
    Revoked,
)
from stream_durable.telemetry import RECORD_POISONED, RECORD_REJECTED, Metrics, logger
from stream_durable.wire import events

_log = logger(__name__)

_TOPIC = "events"
_NAMES_SHOWN = 20


class _Read(NamedTuple):
    record: Record
    message: events.FromOutside | RejectedError


class Ingress:
    """Serves the partitions of the events topic that its group gives it."""

    def __init__(
        self, log: CommandLog, publisher: Publisher, catalogue: Catalogue, metrics: Metrics, *, ttl_ms: int
    ) -> None:
        """Take nothing yet; events that nobody waits for are kept for `ttl_ms`."""
        self._log = log
        self._publisher = publisher
        self._catalogue = catalogue
        self._metrics = metrics
        self._ttl_ms = ttl_ms
        #: Partitions that are read, and which topic they are of: a topic made anew has other ids.
        self._topic_ids: dict[int, str] = {}
        #: Whether the group has taken us in, with partitions or to stand by.
        self.is_member = False

    @property
    def partitions(self) -> list[int]:
        """The partitions that are read now."""
        return list(self._topic_ids)

    async def run(self) -> None:
        """Take records until cancelled; what was acknowledged by then is committed."""
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
                        self._topic_ids.pop(partition, None)
                elif isinstance(event, LogLost):
                    await self._begin(event.partition)
        finally:
            await self._log.close()

    async def _begin(self, partition: int) -> None:
        """Go on where the group stands; where that is not in the log, at what is left of it."""
        offset, _ = await persist(lambda: self._log.committed(partition), "read the committed offset")
        bounds = await persist(lambda: self._log.bounds(partition), "read the log's bounds")
        if offset is None or not bounds.low <= offset <= bounds.high:
            offset = bounds.low
        self._topic_ids[partition] = bounds.topic_id
        self._log.fetch(partition, offset, -1)

    async def _take(self, records: list[Record]) -> None:
        """Put on the inbox what has come, and only then count it as taken."""
        reads = [self._read(record) for record in records if record.partition in self._topic_ids]
        if any(isinstance(read.message, events.Start) for read in reads):
            # A version that was registered a moment ago is the one that is meant.
            await persist(self._catalogue.catch_up, "read the definitions")
        messages = [self._outgoing(read) for read in reads]
        await persist(lambda: self._publisher.publish(messages), "put events on the inbox")
        reached = {record.partition: record.offset + 1 for record, _ in reads}
        # Should it fail, a later one covers it, or the records come again and change nothing.
        self._log.commit([(p, offset, "") for p, offset in reached.items()], _whether_stored)

    def _read(self, record: Record) -> _Read:
        own_id = f"{self._topic_ids[record.partition]}-{record.partition}-{record.offset}"
        try:
            message = events.read(
                record.key, record.value, record.headers, own_id=own_id, ttl_ms=self._ttl_ms
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
            return Outgoing(outbox.INBOX, None, message.key.encode(), data), None
        except RejectedError as error:
            record, reason = read.record, str(error)
            _log.warning(
                RECORD_REJECTED,
                topic=_TOPIC,
                partition=record.partition,
                offset=record.offset,
                reason=reason,
            )
            self._metrics.count_dead_letters(error.code)
            return outbox.with_headers(outbox.dead_letter(_TOPIC, record, error.code, reason), "")

    def _resolved(self, message: events.FromOutside | RejectedError) -> Message:
        if isinstance(message, RejectedError):
            raise message
        if not isinstance(message, events.Start):
            return message
        fingerprint = self._catalogue.current(message.workflow)
        if fingerprint is None:
            known = self._catalogue.workflows()
            shown = ", ".join(known[:_NAMES_SHOWN]) or "none"
            raise RejectedError(
                "unknown_workflow",
                f"no workflow {message.workflow[:128]!r} is registered; there are: {shown}. Start a worker "
                "that carries it, then redrive this",
            )
        return message.of(fingerprint)


def _whether_stored(is_stored: bool) -> None:  # noqa: FBT001
    """Nothing depends on it."""
