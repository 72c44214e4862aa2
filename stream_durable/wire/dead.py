"""Dead letters: the bytes of a record untouched, and beside them in headers where it was and why."""

from __future__ import annotations

_REASON_LENGTH_MAX = 1_000


def storable(reason: str) -> str:
    """Return a reason as a database keeps it: bounded and nothing but text, whatever it quotes."""
    text = reason[:_REASON_LENGTH_MAX].replace("\x00", "\\0")
    return text.encode("utf-8", "replace").decode()


def dead_letter_headers(
    topic: str, partition: int, offset: int, time: int, code: str, reason: str
) -> list[tuple[str, bytes]]:
    """Return the headers that are added to those the record had."""
    return [
        ("sd_code", code.encode()),
        ("sd_reason", storable(reason).encode()),
        ("sd_topic", topic.encode()),
        ("sd_partition", b"%d" % partition),
        ("sd_offset", b"%d" % offset),
        ("sd_time", b"%d" % time),
    ]
