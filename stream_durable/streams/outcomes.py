"""Outcomes of messages, and their encoding for the events topic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import fits
from stream_durable.core.messages import Message
from stream_durable.sdk.given import Values, run_id
from stream_durable.sdk.workflow import Workflow
from stream_durable.wire import events
from stream_durable.wire.changes import RunChange
from stream_durable.wire.ends import OutsideEnd
from stream_durable.wire.records import read as read_record
from stream_durable.wire.reviews import Completion


@dataclass(frozen=True)
class Start:
    """Start a run. An `id` names one run; by default the id is derived from the source message."""

    workflow: Workflow | str
    input: Any = None
    id: str | None = None
    tags: Sequence[str] = ()


@dataclass(frozen=True)
class Signal:
    """Give a signal to a run."""

    run: str
    name: str
    data: Any = None


@dataclass(frozen=True)
class Publish:
    """Publish an event."""

    event: str
    key: str | int
    data: Any = None


One = Start | Signal | Publish
Outcome = One | Sequence[One] | None


class Written(NamedTuple):
    """A record for the events topic. The key orders messages of one run or one event key."""

    key: bytes
    value: bytes


#: More than any message keeps an event; only whether it can be taken is asked here.
_ANY_TTL_MS: Final = 1_000


class Writer:
    """Encodes outcomes, and refuses outcomes unacceptable to the ingress."""

    def __init__(self) -> None:
        self._values = Values()

    def write(self, outcome: object, place: str) -> list[Written]:
        """Return the records of all outcomes of a message; `place` is the same for it on every repeat."""
        if outcome is None:
            return []
        if not isinstance(outcome, list | tuple):
            return [self._one(outcome, _message_id(place))]
        return [self._one(one, _message_id(f"{place}-{index}")) for index, one in enumerate(outcome)]

    def _one(self, outcome: object, message_id: str) -> Written:
        key, fields = self._fields(outcome, message_id)
        try:
            written = Written(key.encode(), msgspec.json.encode({**fields, "message_id": message_id}))
        except UnicodeEncodeError:
            raise RejectedError("invalid", "a text in it is not valid Unicode") from None
        read = read_record(written.key, written.value, None, own_id=message_id, ttl_ms=_ANY_TTL_MS)
        # Which definition a start means is decided later; any fingerprint will do here.
        events.admit(_message(read))
        return written

    def _fields(self, outcome: object, message_id: str) -> tuple[str, dict[str, Any]]:
        """Return the record's key and its fields, in the JSON forms of the events topic."""
        if isinstance(outcome, Start):
            name = outcome.workflow if isinstance(outcome.workflow, str) else outcome.workflow.name
            run = message_id if outcome.id is None else run_id(outcome.id)
            data = self._values.input_of(outcome.workflow, outcome.input)
            return run, {"start": name, "id": run, "input": data, "tags": tuple(outcome.tags)}
        if isinstance(outcome, Signal):
            data = self._values.plain(outcome.data, f"the data of signal {outcome.name!r}")
            return outcome.run, {"signal": outcome.name, "run": run_id(outcome.run), "data": data}
        if isinstance(outcome, Publish):
            data = self._values.plain(outcome.data, f"the data of event {outcome.event!r}")
            key = str(outcome.key)
            return key, {"type": outcome.event, "key": key, "data": data}
        text = f"a turn returns Start, Signal, Publish, a list of them or None, not {type(outcome).__name__}"
        raise RejectedError("invalid", text)


def _message(read: events.FromOutside) -> Message:
    match read:
        case events.Start():
            return read.of("")
        case events.Answer() | Completion() | RunChange():
            return read.message()
        case OutsideEnd():
            raise AssertionError("no outcome of a turn ends a step")
        case _:
            return read


def _message_id(text: str) -> str:
    if fits(text):
        return text
    return blake2b(text.encode(), digest_size=20).hexdigest()
