"""The log's clock, as known to a reconciler: log time alone decides when a timer is put on the log.

Each record carries log time from before the arrival: record time minus our time is a lower bound of the log's
lead. The highest bound of the last minute is used. A bound below zero may also mean a backlog, so our clock
is set back only after a timer arrived on the log too early.
"""

from __future__ import annotations

from stream_durable.ports import Clock

#: Bounds are forgotten after one to two of these.
_SPAN_MS = 30_000
#: Less than this is the network's, not the clock's.
_IGNORED_MS = 250


class LogClock:
    """Our clock, corrected by log time."""

    def __init__(self, clock: Clock) -> None:
        """Begin with our clock unchanged."""
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

    def age_ms(self, time: int) -> int:
        """Return how much older an arrived record is than the youngest of the last minute was."""
        bounds = [bound for bound in (self._earlier, self._bound) if bound is not None]
        return max(0, max(bounds) - (time - self._clock.now())) if bounds else 0

    def was_early(self) -> None:
        """Record a timer too early on the log: our clock is ahead."""
        self._is_ahead = True

    def _offset(self) -> int:
        bounds = [bound for bound in (self._earlier, self._bound) if bound is not None]
        offset = max(bounds, default=0)
        if offset >= -_IGNORED_MS:
            self._is_ahead = False
        return 0 if abs(offset) < _IGNORED_MS or (offset < 0 and not self._is_ahead) else offset
