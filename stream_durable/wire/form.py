"""What all forms of messages on the events topic have in common: the record around them, and their moment."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from stream_durable.core.durations import DURATION_MS_MAX, parsed_ms
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import Deferrable, Text
from stream_durable.wire.events import FromOutside, deferred

UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)

#: ISO 8601 with a time zone.
Moment = Annotated[datetime, Meta(tz=True)]


class Place(NamedTuple):
    """What a record says besides its value."""

    key: bytes | None
    #: The message's id, unless it brings one.
    id: str
    #: How long an event without a wait is kept.
    ttl_ms: int
    trace: str | None = None
    #: When it was put there, in milliseconds.
    time: int = 0
    #: Who sends it, unless the message says so: the source of a CloudEvent.
    by: str = ""

    def text_key(self) -> str | None:
        """Return the record's key, None if it has none; raise if it is not text."""
        if not self.key:
            return None
        try:
            return self.key.decode()
        except UnicodeDecodeError as error:
            raise RejectedError("bad_key", "the record's key is not UTF-8: write it as text") from error


class Titled(msgspec.Struct, kw_only=True):
    """An object that is called by its title in errors."""

    title: ClassVar[str]


_Shape = TypeVar("_Shape", bound=Titled)


def decode(value: bytes, form: type[_Shape]) -> _Shape:
    """Return an object's fields, or raise with the field, the cause and the fields that there are."""
    try:
        return msgspec.json.decode(value, type=form)
    except UNREADABLE as error:
        names = [field.encode_name for field in msgspec.structs.fields(form)]
        fields = ", ".join(sorted(names, key="message_id".__eq__))
        raise RejectedError(
            "invalid", f"{error}. {form.title[0].upper()}{form.title[1:]} has the fields {fields}"
        ) from error


class Form(Titled, forbid_unknown_fields=True, kw_only=True):
    """A message on the events topic."""

    message_id: Text | None = None

    def message(self, place: Place) -> FromOutside:
        """Return the message, or raise if something is missing or impossible."""
        raise NotImplementedError


def duration_ms(field: str, text: str) -> int:
    """Return a duration in milliseconds, or raise naming the field."""
    found = parsed_ms(text)
    if found is None or found > DURATION_MS_MAX:
        said = f"{field!r} is no duration of at most a hundred years: {text[:128]!r}"
        raise RejectedError("bad_duration", f'{said}. Write "90s", "1h30m" or "2d"')
    return found


class Timed(Form, kw_only=True):
    """A message that may be meant for later."""

    at: Moment | None = None
    after: Text | None = None

    def _moment(self) -> tuple[int | None, int | None]:
        """Return the moment, or how long to wait, in milliseconds; raise for both."""
        if self.at is not None and self.after is not None:
            text = f"{self.title} is sent 'at' a moment or 'after' a time: write one of the two"
            raise RejectedError("contradiction", text)
        if self.after is None:
            return None if self.at is None else max(0, round(self.at.timestamp() * 1_000)), None
        return None, duration_ms("after", self.after)

    def _timed(self, message: Deferrable) -> FromOutside:
        at, after_ms = self._moment()
        return message if at is after_ms is None else deferred(message, at=at, after_ms=after_ms)
