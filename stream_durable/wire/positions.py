"""The metadata committed with offsets of topics read into the inbox."""

from __future__ import annotations

import msgspec

#: Brokers keep 4,096 bytes beside an offset.
REASON_MAX = 500


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a partition was read so far."""

    #: The identity of the log: a topic made anew has other offsets.
    topic: str = ""
    #: How many records could not be read, or fitted nothing.
    bad: int = 0
    #: Why the record at the offset is not passed over; empty: it is not read yet.
    stopped: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Position).decode


def write_position(position: Position) -> str:
    """Return the metadata of an offset."""
    return _encode(position).decode()


def read_position(metadata: str | None) -> Position:
    """Read the metadata of an offset; foreign metadata counts as empty."""
    try:
        return _decode(metadata or "{}")
    except msgspec.DecodeError:
        return Position()
