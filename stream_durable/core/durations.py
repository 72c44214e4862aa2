"""Durations as people write them: `"90s"`, `"1h30m"`, `"500ms"`."""

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


def parsed_ms(text: str) -> int | None:
    """Return a duration in milliseconds; None: it is none.

    >>> parsed_ms("1h30m"), parsed_ms("500ms"), parsed_ms("soon")
    (5400000, 500, None)
    """
    match = _FORM.fullmatch(text)
    if not match:
        return None
    return sum(int(part or 0) * unit for part, unit in zip(match.groups(), _UNITS_MS, strict=True))
