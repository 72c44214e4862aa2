"""Durations as people write them: `"90s"`, `"1h30m"`, `"500ms"`; and as people read them: `2 min 49 s`."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

#: Bounds are part of the type: what is read can be stored and calculated with.
Millis = Annotated[int, Meta(ge=0, le=1 << 53)]

_FORM = re.compile(
    r"(?=.)(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m(?!s))?(?:([0-9]{1,9})s)?(?:([0-9]{1,12})ms)?"
)
_UNITS_MS = (86_400_000, 3_600_000, 60_000, 1_000, 1)

#: A hundred years: beyond it a moment no longer fits what databases and calendars can hold.
DURATION_MS_MAX = 36_500 * 86_400_000

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def parsed_ms(text: str) -> int | None:
    """Return a duration in milliseconds; None: it is none.

    >>> parsed_ms("1h30m"), parsed_ms("500ms"), parsed_ms("soon")
    (5400000, 500, None)
    """
    match = _FORM.fullmatch(text)
    if not match:
        return None
    return sum(int(part or 0) * unit for part, unit in zip(match.groups(), _UNITS_MS, strict=True))


def length(milliseconds: int) -> str:
    """Return a length of time in two units at most.

    >>> length(88), length(9_800), length(15_000), length(169_000), length(4_980_000), length(252_000_000)
    ('88 ms', '9.8 s', '15 s', '2 min 49 s', '1 h 23 min', '2 d 22 h')
    """
    if milliseconds < 1_000:
        return f"{max(0, milliseconds)} ms"
    seconds = milliseconds // 1_000
    if seconds < 10:
        return f"{milliseconds // 100 / 10:g} s"
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return _two(seconds, _MINUTE, "min", 1, "s")
    if seconds < _DAY:
        return _two(seconds, _HOUR, "h", _MINUTE, "min")
    return _two(seconds, _DAY, "d", _HOUR, "h")


def _two(seconds: int, large: int, large_name: str, small: int, small_name: str) -> str:
    first, rest = divmod(seconds, large)
    second = rest // small
    return f"{first} {large_name} {second} {small_name}" if second else f"{first} {large_name}"
