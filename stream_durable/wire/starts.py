"""Starts from outside: their forms on the events topic, and what the edge refuses of any start."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from stream_durable.core.attributes import attributes_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import QUEUE, QUEUE_RULE, is_derived
from stream_durable.core.messages import NULL, Attribute, OptionalRaw, OptionalText, Text
from stream_durable.wire.events import Start, check_signal
from stream_durable.wire.form import UNREADABLE, Moment, Place, Timed, duration_ms

Priority = Annotated[int, Meta(ge=-100, le=100)]


class _MomentForm(msgspec.Struct, forbid_unknown_fields=True):
    moment: Moment


class StartForm(Timed, kw_only=True):
    """A start of a workflow by its name."""

    title = "a start"

    start: Text
    id: Text | None = None
    input: Raw = NULL
    tags: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()
    timeout: Text | None = None
    queue: Text | None = None
    priority: Priority = 0
    metadata: OptionalRaw = None
    attributes: OptionalRaw = None

    def message(self, place: Place) -> Start:
        """Return the start of a run named by `id`, else by the message."""
        identity = self.message_id or place.id
        at, after_ms = self._moment()
        return Start(
            id=identity,
            run=self.id or _run_of(identity),
            workflow=self.start,
            input=self.input,
            tags=self.tags,
            trace=place.trace,
            at=at if after_ms is None else place.time + after_ms,
            timeout_ms=None if self.timeout is None else _time_limit(self.timeout),
            queue=queue_name(self.queue),
            priority=self.priority,
            metadata=_object("metadata", self.metadata),
            attributes=_attributes(_object("attributes", self.attributes)),
        )


class StartWithSignalForm(StartForm, kw_only=True):
    """A start and a signal in one message."""

    title = "a start with a signal"

    signal: Text
    data: Raw = NULL
    by: OptionalText | None = None
    ttl: Text | None = None

    def message(self, place: Place) -> Start:
        """Return the start with its signal."""
        check_signal(self.signal)
        start = super().message(place)
        by = place.by if self.by is None else self.by
        ttl_ms = None if self.ttl is None else duration_ms("ttl", self.ttl)
        return msgspec.structs.replace(start, signal=self.signal, data=self.data, by=by, ttl_ms=ttl_ms)


def queue_name(name: str | None) -> str:
    """Return a queue's name for a message, or raise for an impossible name."""
    if name and not QUEUE.match(name):
        raise RejectedError("bad_queue", f"{name[:128]!r} is not a name for a queue: {QUEUE_RULE}")
    return name or ""


def unknown_queue(queue: str) -> RejectedError:
    """Return the refusal of a start for a queue without a topic: no step could ever be requested there."""
    return RejectedError(
        "unknown_queue",
        f"queue {queue!r} has no topic, so no worker serves it: is the name right? "
        f"`stream-durable topics apply --queue {queue}` makes it",
    )


def attributes_in(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes given as JSON, where a moment is `{"moment": "2030-01-31T09:00:00Z"}`."""
    return {name: _value(name, held) for name, held in given.items()}


def _attributes(given: Raw | None) -> tuple[Attribute, ...]:
    return () if given is None else attributes_of(attributes_in(msgspec.json.decode(given)))


def _value(name: str, held: Any) -> Any:
    if not isinstance(held, dict) or "moment" not in held:
        return held
    try:
        return msgspec.convert(held, _MomentForm).moment
    except UNREADABLE as error:
        text = f"attribute {name[:64]!r} is no moment: {error}"
        raise RejectedError("bad_attribute", f'{text}. Write {{"moment": "2030-01-31T09:00:00Z"}}') from error


def _object(field: str, given: Raw | None) -> Raw | None:
    """Return a JSON object, if there is anything."""
    if given is None or given == NULL:
        return None
    if not isinstance(msgspec.json.decode(given), dict):
        text = f"{field!r} has to be an object, not {bytes(given)[:64].decode(errors='replace')}"
        raise RejectedError("invalid", text)
    return given


def _time_limit(timeout: str) -> int:
    limit = duration_ms("timeout", timeout)
    if limit < 1:
        text = f"'timeout' of a start is no time: {timeout[:128]!r}. Write 1ms or more"
        raise RejectedError("bad_duration", text)
    return limit


def _run_of(identity: str) -> str:
    """Return the id of a run named by its message; a source may hold what is reserved for children."""
    if not is_derived(identity):
        return identity
    return blake2b(identity.encode("utf-8", "replace"), digest_size=20).hexdigest()
