"""The log's clock, as a reconciler knows it: when a timer is put on the log is decided by no other.

Each record carries the log's time, and arrives later than that: its time less our own is a lower bound of how
far the log's clock is ahead of ours. The highest bound of the last minute is used. A bound below zero may be
a backlog as well, so ours is set back by it only once a timer has come to the log before its moment.
"""

from __future__ import annotations

from stream_durable.ports import Clock

#: Bounds are forgotten after one to two of these.
_SPAN_MS = 30_000
#: Less than this is the network's, not the clock's.
_IGNORED_MS = 250


class LogClock:
    """Our own clock, corrected by what the log's says."""

    def __init__(self, clock: Clock) -> None:
        """Begin with our own clock as it is."""
        self._clock = clock
        self._until = 0
        self._earlier: int | None = None
        self._bound: int | None = None
        self._is_ahead = False

    def now(self) -> int:
        """Return the log's time in milliseconds, as far as is known."""
        return self._clock.now() + self._offset()

    def hear(self, time: int) -> None:
        """Take note of the time of a record that has just arrived."""
        own = self._clock.now()
        bound = time - own
        if not own < self._until <= own + _SPAN_MS:
            self._until, self._earlier, self._bound = own + _SPAN_MS, self._bound, None
        if self._bound is None or bound > self._bound:
            self._bound = bound

    def was_early(self) -> None:
        """Take note that a timer came to the log before its moment: our own clock is ahead."""
        self._is_ahead = True

    def _offset(self) -> int:
        bounds = [bound for bound in (self._earlier, self._bound) if bound is not None]
        offset = max(bounds, default=0)
        if offset >= -_IGNORED_MS:
            self._is_ahead = False
        return 0 if abs(offset) < _IGNORED_MS or (offset < 0 and not self._is_ahead) else offset
