"""A user's function on a topic: each record is turned, written, and only then acknowledged.

A repeated record gives messages with the same ids, so a repeat changes nothing. A record impossible to turn
becomes a dead letter with the reason, and the next is taken.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError
from pydantic import BaseModel, ValidationError

from stream_durable.core.errors import RejectedError, TransientError
from stream_durable.retrying import retry_transient
from stream_durable.sdk.errors import PROBLEMS_SHOWN
from stream_durable.sdk.handover import problems
from stream_durable.streams.options import REQUEST_BYTES_MAX
from stream_durable.streams.outcomes import Outcome, Writer, Written
from stream_durable.telemetry import RECORD_REJECTED, logger
from stream_durable.wire.dead import dead_letter_headers
from stream_durable.wire.topics import STREAM

_log = logger(__name__)

#: Code of a dead letter: the user's function raised.
TURN_RAISED: Final = "turn_raised"
#: Left free in a request for the record's key and headers.
_ROOM_BYTES: Final = 100_000

Headers = list[tuple[str, bytes | None]]
Function = Callable[[Any], Outcome | Awaitable[Outcome]]


class Place(NamedTuple):
    """Where results go."""

    events: str
    dead: str


class Turn:
    """Takes the records of a topic for a function."""

    def __init__(self, app: Any, name: str, function: Function, value: type[BaseModel], place: Place) -> None:
        self._app = app
        self._name = name
        self._function = function
        self._value = value
        self._place = place
        self._writer = Writer()

    async def run(self, stream: Any) -> None:
        """Take records until cancelled.

        Records are acknowledged explicitly: Faust acknowledges a record cancelled halfway, which would be
        lost.
        """
        stream = stream.noack()
        async for event in stream.events():
            await self._take(event.message)
            await stream.ack(event)

    async def _take(self, record: Any) -> None:
        try:
            written = self._writer.write(await self._outcome(record.value), self._id_of(record))
        except RejectedError as error:
            await self._set_aside(record, error)
            return
        for one in written:
            await self._send(self._place.events, one, [])

    async def _outcome(self, value: bytes | None) -> object:
        message = self._validated(value)
        try:
            outcome: Any = self._function(message)
            return await outcome if inspect.isawaitable(outcome) else outcome
        except Exception as error:
            raise RejectedError(TURN_RAISED, f"{self._name} raised {error!r}") from error

    def _validated(self, value: bytes | None) -> BaseModel:
        if value is None:
            raise RejectedError("unreadable", "the record has no value")
        try:
            return self._value.model_validate_json(value)
        except ValidationError as error:
            code = "unreadable" if error.errors()[0]["type"] == "json_invalid" else "invalid"
            shown = "; ".join(map(str, problems(error)[:PROBLEMS_SHOWN]))
            # Without the cause, which shows the value.
            raise RejectedError(code, f"not a {self._value.__name__}: {shown}") from None

    def _id_of(self, record: Any) -> str:
        """Return a unique, repeatable id for this record and function.

        A recreated topic has the same offsets
            again, but not at the same times.
        """
        time = f"-{_time(record)}" if record.timestamp else ""
        return f"{self._name}:{record.topic}-{record.partition}-{record.offset}{time}"

    async def _set_aside(self, record: Any, error: RejectedError) -> None:
        reason = str(error)
        _log.warning(
            RECORD_REJECTED,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
            exc_info=error.__cause__,
        )
        value = record.value
        if value is not None and len(value) > REQUEST_BYTES_MAX - _ROOM_BYTES:
            reason, value = f"(too large to be kept here) {reason}", None
        origin = dead_letter_headers(
            f"{STREAM}{record.topic}", record.partition, record.offset, _time(record), error.code, reason
        )
        headers: Headers = [*_headers(record), *origin]
        await self._send(self._place.dead, Written(record.key, value), headers)

    async def _send(self, topic: str, written: Written, headers: Headers) -> None:
        async def send() -> None:
            try:
                producer = await self._app.maybe_start_producer()
                await producer.send_and_wait(topic, written.key, written.value, None, None, headers)
            except (KafkaError, ProducerSendError) as error:
                raise TransientError(f"Kafka: {error!r}") from error

        await retry_transient(send, f"write to {topic}")


def _time(record: Any) -> int:
    return round((record.timestamp or 0) * 1000)


def _headers(record: Any) -> Headers:
    held = record.headers or ()
    return list(held.items() if isinstance(held, dict) else held)
