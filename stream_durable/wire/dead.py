"""Dead letters: the bytes of a record untouched, and beside them in headers where it was and why."""

from __future__ import annotations


def dead_letter_headers(
    topic: str, partition: int, offset: int, time: int, code: str, reason: str
) -> list[tuple[str, bytes]]:
    """Return the headers that are added to those the record had."""
    return [
        ("sd_code", code.encode()),
        ("sd_reason", reason.encode("utf-8", "replace")),
        ("sd_topic", topic.encode()),
        ("sd_partition", b"%d" % partition),
        ("sd_offset", b"%d" % offset),
        ("sd_time", b"%d" % time),
    ]
