"""Times and numbers as people read them."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Final, NamedTuple

from stream_durable.core.durations import length

#: A message of a failure within a sentence goes so far.
_QUOTE_MAX: Final = 200


class Times(NamedTuple):
    """Moments in the words of a reader: by the clocks of a zone, at a moment."""

    now: datetime
    #: None: that of this machine.
    zone: tzinfo | None = None

    def on(self, moment: datetime) -> str:
        """Return a moment within a sentence: ` at 12:41:08`, or ` on 20 Nov 12:41`."""
        text = self.at(moment)
        return f" on {text}" if " " in text else f" at {text}"

    def at(self, moment: datetime) -> str:
        """Return a moment: of today the time, otherwise the day too."""
        local, today = moment.astimezone(self.zone), self.now.astimezone(self.zone)
        if local.date() == today.date():
            return f"{local:%H:%M:%S}"
        if local.year == today.year:
            return f"{local.day} {local:%b %H:%M}"
        return f"{local.day} {local:%b %Y %H:%M}"

    def since(self, moment: datetime | None) -> str:
        """Return ` since 12:41:08`, or nothing."""
        return "" if moment is None else f" since {self.at(moment)}"

    def until(self, moment: datetime | None) -> str:
        """Return `, until 14:41:08, in 2 h`, or nothing."""
        return "" if moment is None else f", until {self.soon(moment)}"

    def soon(self, moment: datetime) -> str:
        """Return a moment with the time left, or with the time since."""
        left = round((moment - self.now).total_seconds() * 1_000)
        return f"{self.at(moment)}, {self._left(left)}"

    def coming(self, moment: datetime) -> str:
        """Return ` at 14:41:08, in 2 h`."""
        left = round((moment - self.now).total_seconds() * 1_000)
        return f"{self.on(moment)}, {self._left(left)}"

    @staticmethod
    def _left(milliseconds: int) -> str:
        return f"in {length(milliseconds)}" if milliseconds >= 0 else f"{length(-milliseconds)} ago"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun.

    >>> counted(1, "step"), counted(3, "step"), counted(2, "worker reads it", "workers read it")
    ('1 step', '3 steps', '2 workers read it')
    """
    return f"{count:,} {one}" if count == 1 else f"{count:,} {many or one + 's'}"


def times(count: int) -> str:
    """Return how often.

    >>> times(1), times(2), times(7)
    ('once', 'twice', '7 times')
    """
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def quoted(text: str) -> str:
    """Return the first line of a message, shortened, behind a colon; or nothing."""
    line = text.strip().partition("\n")[0].strip().rstrip(".")
    if not line:
        return ""
    return f": {line if len(line) <= _QUOTE_MAX else line[: _QUOTE_MAX - 1] + '…'}"


def attempt_of(attempt: int, attempts: int) -> str:
    """Return `attempt 3 of 5`, or without a policy `attempt 3`."""
    return f"attempt {attempt} of {attempts}" if attempts > 1 else f"attempt {attempt}"
