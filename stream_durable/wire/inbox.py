"""The engine's own topics: inbox messages and commands as JSON that any Kafka tool can show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from stream_durable.core.effects import CancelAttempt, Command
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import Format
from stream_durable.core.ids import ID_BYTES_MAX, MESSAGE_BYTES_MAX, byte_length, fits
from stream_durable.core.messages import AnyMessage, Message, Plan

#: A record's value above this is refused unread: no tool of ours writes one.
VALUE_BYTES_MAX = MESSAGE_BYTES_MAX

_encode = msgspec.json.Encoder().encode
_message: Callable[[bytes], AnyMessage] = msgspec.json.Decoder(AnyMessage).decode
_command: Callable[[bytes], Command | CancelAttempt] = msgspec.json.Decoder(Command | CancelAttempt).decode


def encode(value: Message | Command | CancelAttempt) -> bytes:
    """Return a message or a command as the bytes of a record."""
    return _encode(value)


class UnknownTypeError(RejectedError):
    """A well-formed message of a type, or a form of a type, unknown to this release."""

    def __init__(self, cause: Exception, type: str, format: int) -> None:  # noqa: A002 - as the message says it
        super().__init__("unreadable", f"not a message of the inbox: {cause}")
        #: The format given by the message; the first needs no newer release.
        self.format = format
        self.type = type


class _Stamp(msgspec.Struct):
    """The fields common to messages of all releases."""

    type: Annotated[str, Meta(pattern=r"^[a-z]{1,40}\.[a-z_]{1,40}$")]
    format: Format = 1


_stamp = msgspec.json.Decoder(_Stamp).decode


def decode_message(value: bytes) -> AnyMessage:
    """Read a record of the inbox, or say why it cannot be read."""
    try:
        is_ascii = value.isascii()
        if not is_ascii:
            # Payloads are passed on unread; what is not text must not get that far.
            value.decode()
        message = _message(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(value, error) from error
    if not is_ascii or b"\\u" in value:
        _check_texts(message)
    return message


def _unreadable(value: bytes, cause: Exception) -> RejectedError:
    """Distinguish messages of a newer release from unreadable ones."""
    try:
        stamp = _stamp(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return RejectedError("unreadable", f"not a message of the inbox: {cause}")
    return UnknownTypeError(cause, stamp.type, stamp.format)


def decode_command(value: bytes) -> Command | CancelAttempt:
    """Read a record of a command topic, or say why it cannot be read."""
    try:
        return _command(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RejectedError("unreadable", f"not a command: {error}") from error


#: Kept inside JSON, where a NUL does no harm.
_FREE_TEXT = frozenset({"reason", "label", "comment"})


def _check_texts(message: Message | Plan) -> None:
    """Refuse names and ids unfit for the database: with a NUL, or with too many bytes."""
    for name in message.__struct_fields__:
        if name in _FREE_TEXT:
            continue
        value = getattr(message, name)
        if isinstance(value, Message | Plan):
            _check_texts(value)
        for text in value if isinstance(value, tuple) else (value,):
            if not isinstance(text, str):
                continue
            if "\x00" in text:
                raise RejectedError("unreadable", f"{name} holds a NUL character")
            if not fits(text):
                size = f"{byte_length(text)} bytes of UTF-8, {ID_BYTES_MAX} are the most"
                raise RejectedError("bad_id", f"{name} has {size}: take a shorter one, or a digest of it")
