"""Authors' durations: `"90s"`, `"1h30m"`, `"500ms"`, or a `timedelta`."""

from __future__ import annotations

import re
from datetime import timedelta

from stream_durable.sdk.errors import OptionError

#: The type of duration options.
Duration = str | timedelta

_FORM = re.compile(
    r"(?=.)(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m(?!s))?(?:([0-9]{1,9})s)?(?:([0-9]{1,12})ms)?"
)
_UNITS_MS = (86_400_000, 3_600_000, 60_000, 1_000, 1)

#: A hundred years: beyond it a moment no longer fits what databases and calendars can hold.
DURATION_MS_MAX = 36_500 * 86_400_000


def milliseconds(value: Duration) -> int:
    """Return a duration in milliseconds, rounded up.

    >>> milliseconds("1h30m"), milliseconds("500ms"), milliseconds(timedelta(days=1))
    (5400000, 500, 86400000)
    """
    if isinstance(value, timedelta):
        total = -(-value // timedelta(milliseconds=1))
        if total < 0:
            raise OptionError(f"{value!r} is less than nothing")
    elif isinstance(value, str):
        match = _FORM.fullmatch(value)
        if not match:
            raise OptionError(f"{value!r} is not a duration; {_REMEDY}")
        total = sum(int(part or 0) * unit for part, unit in zip(match.groups(), _UNITS_MS, strict=True))
    else:
        raise OptionError(f"{value!r} is not a duration; {_REMEDY}")
    if total > DURATION_MS_MAX:
        raise OptionError(f"{value!r} is longer than a hundred years")
    return total


_REMEDY = 'write "90s", "1h30m", "2d", "500ms", or a timedelta'
