"""Dead letters: the unchanged bytes of a record, with its position and the reason in headers.

If the topic `dead` refuses a letter as too large (its record was compressed on arrival), the letter is
written without the value: headers give size and digest, and the record stays at its original position.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

_REASON_LENGTH_MAX = 1_000
_KEY_BYTES_MAX = 1_024
_SIZE, _DIGEST = "sd_value_bytes", "sd_value_sha256"
_ORIGIN = frozenset({"sd_code", "sd_reason", "sd_topic", "sd_partition", "sd_offset", "sd_time"})

Header = tuple[str, bytes]


class Letter(NamedTuple):
    """A record keeping an inapplicable record."""

    key: bytes | None
    value: bytes | None
    headers: list[Header]

    @property
    def is_whole(self) -> bool:
        """Whether the letter has everything of the record."""
        return not any(name == _DIGEST for name, _ in self.headers)


def letter(
    key: bytes | None, value: bytes | None, headers: Sequence[Header] | None, origin: list[Header]
) -> Letter:
    """Return the letter for a record, with the record's headers and ours after them."""
    return Letter(key, value, [*(headers or ()), *origin])


def without_value(whole: Letter) -> Letter:
    """Return a letter with the value's size, digest and position instead of the value."""
    key, value, headers = whole
    value = value or b""
    # Ours come last, and what the record brought along may be what is too large.
    ours = {name: said for name, said in headers if name in _ORIGIN}
    said = [*ours.items(), (_SIZE, b"%d" % len(value)), (_DIGEST, sha256(value).hexdigest().encode())]
    return Letter(key if key is None or len(key) <= _KEY_BYTES_MAX else None, None, said)


class Origin(NamedTuple):
    """Where a record came from, and why it could not be applied."""

    #: As in `Outgoing`; of a stream the full name.
    topic: str
    partition: int
    offset: int
    #: Milliseconds.
    time: int
    code: str
    reason: str


class Opened(NamedTuple):
    """A dead letter taken apart."""

    origin: Origin
    #: The record's own.
    headers: list[Header]
    #: The size of the record's value; None: there was none.
    bytes: int | None
    #: Whether the letter has everything of the record.
    is_whole: bool


def opened(value: bytes | None, headers: Sequence[tuple[str, bytes | None]] | None) -> Opened | None:
    """Return the parts of a record of the topic `dead`; None: nobody of ours wrote it."""
    said = [(name, held or b"") for name, held in headers or ()]
    size, is_whole = None if value is None else len(value), True
    try:
        if [name for name, _ in said[-2:]] == [_SIZE, _DIGEST]:
            size, is_whole = int(said[-2][1]), False
            said = said[:-2]
        own, ours = said[: -len(_ORIGIN)], dict(said[-len(_ORIGIN) :])
        if ours.keys() != _ORIGIN:
            return None
        text = {name: held.decode(errors="replace") for name, held in ours.items()}
        origin = Origin(
            text["sd_topic"], int(text["sd_partition"]), int(text["sd_offset"]), int(text["sd_time"]),
            text["sd_code"], text["sd_reason"],
        )  # fmt: skip
    except ValueError:
        return None
    return Opened(origin, own, size, is_whole)


def storable(reason: str) -> str:
    """Return a reason fit for a database: bounded and pure text, whatever is quoted."""
    text = reason[:_REASON_LENGTH_MAX].replace("\x00", "\\0")
    return text.encode("utf-8", "replace").decode()


def dead_letter_headers(
    topic: str, partition: int, offset: int, time: int, code: str, reason: str
) -> list[tuple[str, bytes]]:
    """Return our headers, added to those of the record."""
    return [
        ("sd_code", code.encode()),
        ("sd_reason", storable(reason).encode()),
        ("sd_topic", topic.encode()),
        ("sd_partition", b"%d" % partition),
        ("sd_offset", b"%d" % offset),
        ("sd_time", b"%d" % time),
    ]
