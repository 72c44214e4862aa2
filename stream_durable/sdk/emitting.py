"""Emissions of a step: checked and encoded at the call, so errors are the step's."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from msgspec import Raw

from stream_durable.core.emissions import EMISSIONS_MAX
from stream_durable.core.ids import (
    ID_BYTES_MAX,
    NAME,
    PAYLOAD_BYTES_MAX,
    RESERVED_RULE,
    channel_id,
    fits,
    is_derived,
)
from stream_durable.core.messages import (
    NULL,
    Emission,
    EmittedEvent,
    EmittedRecord,
    EmittedSignal,
    EmittedStart,
)
from stream_durable.core.reference import holds_reference
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.errors import OptionError
from stream_durable.sdk.handover import DOES_NOT_FIT, problems
from stream_durable.sdk.topic import Topic
from stream_durable.sdk.untyped import write_untyped

if TYPE_CHECKING:
    from stream_durable.sdk.workflow import Workflow

#: Bytes of an emission beside its value.
_AROUND_BYTES = 200


_encode = msgspec.json.Encoder().encode


class Emissions:
    """The emissions of one attempt so far. Threads of the attempt may share them."""

    __slots__ = ("_lock", "list", "size")

    def __init__(self) -> None:
        """Nothing yet."""
        self._lock = Lock()
        self.list: list[Emission] = []
        #: Bytes within the message about the attempt's end.
        self.size = 0

    def record(self, topic: Topic[Any] | str, key: str | int | bytes | None, value: Any) -> None:
        """Emit a record."""
        to = topic if isinstance(topic, Topic) else Topic(topic)
        if not isinstance(key, bytes):
            key = None if key is None else str(key).encode()
        data = None if value is None else _encoded(to, value)
        emitted = EmittedRecord(
            topic=to.name, record_key=key, value=data, content="" if data is None else to.content,
            schema="" if data is None else to.fingerprint,
        )  # fmt: skip
        # Bytes travel as base64.
        self._add(emitted, (len(data or b"") + len(key or b"")) * 4 // 3)

    def event(self, event: str, key: str | int | None, data: Any, ttl: Duration | None) -> None:
        """Emit an event."""
        named, of = _named("event", event), "" if key is None else str(key)
        if (key is not None and not of) or not fits(channel_id(named, of)):
            _refuse(
                f"event {event!r} with key {of[:100]!r}", f"name and key have at most {ID_BYTES_MAX} bytes"
            )
        body = _body(f"event {event!r}", data)
        ttl_ms = _ttl_ms(f"event {event!r}", ttl) or 0
        self._add(EmittedEvent(event=named, event_key=of, data=body, ttl_ms=ttl_ms), len(bytes(body)))

    def signal(self, run: str, name: str, data: Any, ttl: Duration | None) -> None:
        """Emit a signal."""
        named, to = _named("signal", name), _id(f"signal {name!r}", run)
        body, ttl_ms = _body(f"signal {name!r}", data), _ttl_ms(f"signal {name!r}", ttl)
        self._add(EmittedSignal(run=to, signal=named, data=body, ttl_ms=ttl_ms), len(bytes(body)))

    def start(self, workflow: Workflow[Any, Any] | str, given: Any, run: str, tags: tuple[str, ...]) -> None:
        """Emit the start of a run."""
        name, fingerprint = (
            (workflow, "") if isinstance(workflow, str) else (workflow.name, workflow.fingerprint)
        )
        what = f"the start of workflow {name!r}"
        to = _id(what, run)
        if is_derived(to):
            _refuse(what, f"{to[:100]!r} cannot be a run's id: {RESERVED_RULE}")
        body = _body(what, given)
        started = EmittedStart(run=to, workflow=name, fingerprint=fingerprint, input=body, tags=tags)
        self._add(started, len(bytes(body)))

    def extend(self, emissions: Iterable[Emission]) -> None:
        """Add checked emissions."""
        for emission in emissions:
            self._add(emission, len(_encode(emission)))

    def _add(self, emission: Emission, size: int) -> None:
        with self._lock:
            if len(self.list) >= EMISSIONS_MAX:
                _refuse(
                    "this attempt", f"{EMISSIONS_MAX} are the most of one attempt: let several steps emit"
                )
            self.size += size + _AROUND_BYTES
            if self.size > PAYLOAD_BYTES_MAX:
                _refuse(
                    "this attempt",
                    f"it would emit {self.size} bytes in all, and {PAYLOAD_BYTES_MAX} are the most: emit "
                    "where the data is, not the data, or let several steps emit",
                )
            self.list.append(emission)


def _encoded(topic: Topic[Any], value: Any) -> bytes:
    try:
        return topic.encode(value)
    except DOES_NOT_FIT as error:
        _refuse(f"the value for topic {topic.name!r}", "; ".join(map(str, problems(error))))


def _body(what: str, value: Any) -> Raw:
    try:
        data = write_untyped(value)
    except DOES_NOT_FIT as error:
        _refuse(f"the data of {what}", "; ".join(map(str, problems(error))))
    if holds_reference(data):
        _refuse(
            f"the data of {what}", "the key $blob stands for a value that is kept elsewhere: take another"
        )
    return NULL if data == b"null" else Raw(data)


def _ttl_ms(what: str, ttl: Duration | None) -> int | None:
    try:
        return None if ttl is None else milliseconds(ttl)
    except OptionError as error:
        _refuse(what, f"ttl= cannot be used: {error}")


def _named(what: str, name: str) -> str:
    if not NAME.match(str(name)):
        _refuse(f"{what} {str(name)[:100]!r}", "a name has letters, digits and _ . : - only, at most 128")
    return name


def _id(what: str, run: object) -> str:
    found = run if isinstance(run, str) else getattr(run, "id", None)
    if not isinstance(found, str) or not found or not fits(found):
        _refuse(what, f"a run's id is a text of 1 to {ID_BYTES_MAX} bytes, not {str(run)[:100]!r}")
    return found


def _refuse(what: str, why: str) -> NoReturn:
    raise Fail("bad_emission", f"{what} cannot be emitted: {why}", retryable=False)
