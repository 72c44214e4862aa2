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


_REMEDY = 'write "90s", "1h30m", "2d", "500ms", or a timedelta'
