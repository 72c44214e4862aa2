"""Publishes the worker's reports to the inbox and runs the callbacks after acknowledgement.

Reports go out in rounds: one burst to each partition, and what comes meanwhile joins the next round, so that
bursts are few and large. A round lasts until all of it is acknowledged, or a moment: a stuck partition delays
no other. A command counts as done only after its result is acknowledged, so a dying worker repeats an
attempt rather than losing one. A report refused for good becomes a failure of its attempt, with the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from threading import Lock
from typing import NamedTuple

from msgspec.structs import replace

from stream_durable.core.failure import Failure
from stream_durable.core.messages import (
    AttemptEmitted,
    AttemptEnd,
    AttemptFailed,
    AttemptMessage,
    PassMessage,
)
from stream_durable.ports import Headers, Outgoing, Publisher, Refusal
from stream_durable.telemetry import MESSAGE_DROPPED, logger
from stream_durable.wire.inbox import VALUE_BYTES_MAX, encode
from stream_durable.wire.topics import INBOX

_log = logger(__name__)

#: More reports than this that wait for the broker hold up new attempts.
_WAITING_MAX = 10_000
#: A round that lasts longer has a partition that is stuck: the others go on.
_ROUND_SECONDS = 0.05


class _Report(NamedTuple):
    message: AttemptMessage
    then: Callable[[], None]


class _Line:
    """The messages for one partition."""

    __slots__ = ("is_under_way", "waiting")

    def __init__(self) -> None:
        self.waiting: list[_Report] = []
        self.is_under_way = False


class Reports:
    """Publishes the messages of attempts."""

    def __init__(self, publisher: Publisher) -> None:
        """Nothing to say yet."""
        self._publisher = publisher
        self._lines: dict[int, _Line] = {}
        #: Lines that join the next round, and how many are in the present one.
        self._ready: list[_Line] = []
        self._under_way = 0
        #: Begins the next round, at the latest.
        self._next: asyncio.Handle | None = None
        #: Held while messages are handed over: what is said of an attempt in the loop's place must not come
        #: after its end.
        self.gate = Lock()
        #: Said, or to be said, and not heard.
        self._count = 0
        self._room = asyncio.Event()
        self._room.set()
        self._heard = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, partition: int, message: AttemptMessage, then: Callable[[], None]) -> None:
        """Publish a message, and call `then` after the acknowledgement. `partition` is the run's."""
        line = self._lines.get(partition)
        if line is None:
            line = self._lines[partition] = _Line()
        if not (line.waiting or line.is_under_way):
            self._ready.append(line)
            self._plan()
        line.waiting.append(_Report(message, then))
        self._count += 1
        self._idle.clear()
        if self._count >= _WAITING_MAX:
            self._room.clear()

    @property
    def has_room(self) -> bool:
        """Whether the broker keeps up."""
        return self._room.is_set()

    async def room(self) -> None:
        """Wait until the broker has caught up."""
        await self._room.wait()

    async def heard(self) -> None:
        """Wait until another message is acknowledged."""
        await self._heard.wait()

    async def flushed(self) -> None:
        """Wait until all messages are acknowledged."""
        await self._idle.wait()

    def _plan(self) -> None:
        """Begin the next round when the loop comes round, or when the present one has lasted long enough."""
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = (
                loop.call_later(_ROUND_SECONDS, self._begin)
                if self._under_way
                else loop.call_soon(self._begin)
            )

    def _begin(self) -> None:
        self._next = None
        ready, self._ready = self._ready, []
        for line in ready:
            self._say(line)

    def _say(self, line: _Line) -> None:
        reports, line.waiting = line.waiting, []
        line.is_under_way = True
        self._under_way += 1
        self._publish([report.message for report in reports], lambda: self._said(line, reports))

    def _publish(self, messages: list[AttemptMessage], then: Callable[[], None]) -> None:
        records = [record_of(message) for message in messages]
        if too_large := _too_large(records):
            # A broker may take such a record, compressed: the reconciler sets it aside, and nothing follows.
            told = [
                message if (refusal := too_large.get(at)) is None else _instead(message, refusal)
                for at, message in enumerate(messages)
            ]
            if left := [message for message in told if message is not None]:
                self._publish(left, then)
            else:
                then()
            return

        def done(refusals: list[Refusal]) -> None:
            told = [_instead(messages[refusal.at], refusal) for refusal in refusals]
            if left := [message for message in told if message is not None]:
                self._publish(left, then)
            else:
                then()

        with self.gate:
            self._publisher.send(records, done)

    def _said(self, line: _Line, reports: list[_Report]) -> None:
        line.is_under_way = False
        self._under_way -= 1
        for report in reports:
            report.then()
        self._count -= len(reports)
        if self._count < _WAITING_MAX:
            self._room.set()
        self._heard.set()
        self._heard.clear()
        if line.waiting:
            self._ready.append(line)
        if self._ready and not self._under_way:
            if self._next is not None:
                self._next.cancel()
            self._begin()
        elif self._ready:
            self._plan()
        elif not self._count:
            self._idle.set()


def record_of(message: AttemptMessage) -> tuple[Outgoing, Headers | None]:
    """Return the record of a message."""
    return Outgoing(INBOX, None, message.key.encode(), encode(message)), None


def _too_large(records: Sequence[tuple[Outgoing, Headers | None]]) -> dict[int, Refusal]:
    """Return the refusals of records beyond the limit of a reconciler, by position."""
    found = {}
    for at, (record, _) in enumerate(records):
        size = len(record.value or b"")
        if size > VALUE_BYTES_MAX:
            reason = f"it has {size} bytes, and {VALUE_BYTES_MAX} are the most"
            found[at] = Refusal(at, "too_large", reason)
    return found


def _instead(message: AttemptMessage, refusal: Refusal) -> AttemptMessage | None:
    """Return the replacement for a report refused by the inbox; None: nothing is left to report."""
    if isinstance(message, AttemptEmitted):
        message = message.end
    if not isinstance(message, AttemptEnd | PassMessage):
        # That an attempt runs, or how far it is, is no more than a note.
        _log.error(MESSAGE_DROPPED, topic=INBOX, code=refusal.code, reason=refusal.reason)
        return None
    failure = Failure(
        "report_refused",
        f"the step's result, failure or log does not fit into a message: {refusal.reason}",
        retryable=False,
    )
    if isinstance(message, AttemptFailed):
        if message.failure.code == failure.code:
            _log.error(MESSAGE_DROPPED, topic=INBOX, code=refusal.code, reason=refusal.reason)
            return None
        failure = replace(failure, message=f"{message.failure.code}; {failure.message}")
    return AttemptFailed(
        key=message.key, step=message.step, attempt=message.attempt, worker=message.worker,
        started=getattr(message, "started", 0), finished=getattr(message, "finished", 0), failure=failure,
        call=message.call if isinstance(message, AttemptEnd) else None,
    )  # fmt: skip
