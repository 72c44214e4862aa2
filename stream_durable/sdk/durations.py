"""Authors' durations: `"90s"`, `"1h30m"`, `"500ms"`, or a `timedelta`."""

from __future__ import annotations

from datetime import timedelta

from stream_durable.core.durations import DURATION_MS_MAX, parsed_ms
from stream_durable.sdk.errors import OptionError

#: The type of duration options.
Duration = str | timedelta


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
        found = parsed_ms(value)
        if found is None:
            raise OptionError(f"{value!r} is not a duration; {_REMEDY}")
        total = found
    else:
        raise OptionError(f"{value!r} is not a duration; {_REMEDY}")
    if total > DURATION_MS_MAX:
        raise OptionError(f"{value!r} is longer than a hundred years")
    return total


def read_rate(text: object) -> tuple[int, int]:
    """Return the count of a rate, and its time in milliseconds.

    >>> read_rate("100/1m")
    (100, 60000)
    """
    count, _, time = text.partition("/") if isinstance(text, str) else ("", "", "")
    if not (count.isascii() and count.isdecimal()) or len(count) > _DIGITS_MAX:
        raise OptionError(f'{text!r} is not a rate; write "100/1m": so many, and in which time')
    return int(count), milliseconds(time)


#: Of a count that can be read; its bound is for others to judge.
_DIGITS_MAX = 12

_REMEDY = 'write "90s", "1h30m", "2d", "500ms", or a timedelta'
