"""Ends the process when the event loop is stuck; no other code in the process can.

A stuck loop sends no heartbeats and commits nothing, but the consumer's background thread may keep partitions
for another minute. So a thread asks the loop for a sign of life; after enough checks without one, the thread
writes the stacks of all threads and ends the process, and the platform restarts. Checks are counted, not
seconds: a stopped process or a sleeping machine is not stuck. A guard acting for the loop decides alone when
to end.

Code blocking the whole interpreter, such as an endless regular expression match, blocks this thread too. Then
`/livez` does not answer, and the platform has to react.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import threading
from types import TracebackType
from typing import Final, Protocol, Self

from stream_durable.telemetry import LOOP_BLOCKED, logger

_log = logger(__name__)

#: EX_SOFTWARE of sysexits.h.
STUCK_EXIT_CODE: Final = 70
STUCK_SECONDS: Final = 30.0

_LOOKS: Final = 30
#: An unread log can block writers; it must not keep us from ending.
_LAST_WORDS_SECONDS: Final = 2.0


class Guard(Protocol):
    """Urgent work of a service during a standstill of the loop. Called by the watchdog's thread."""

    look_seconds: float

    def is_enough(self, seconds: float) -> bool:
        """Do what is due after so long; say whether the process has to end now."""


class Watchdog:
    """Watches a loop while the context is open."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, seconds: float = STUCK_SECONDS) -> None:
        self._loop = loop
        #: Set once the service is assembled.
        self.guard: Guard | None = None
        self._seconds = seconds
        self._looks_without_sign = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed.set()

    def _watch(self) -> None:
        blocked = 0.0
        while not self._closed.wait(pause := self._pause()):
            blocked = blocked + pause if self._looks_without_sign else 0.0
            if self._is_enough(blocked):
                self._end(blocked)
            self._looks_without_sign += 1
            try:
                self._loop.call_soon_threadsafe(self._sign)
            except RuntimeError:
                return

    def _pause(self) -> float:
        usual = self._seconds / _LOOKS
        return usual if self.guard is None else min(usual, self.guard.look_seconds)

    def _is_enough(self, blocked: float) -> bool:
        if self.guard is None:
            return blocked >= self._seconds
        return blocked > 0 and self.guard.is_enough(blocked)

    def _sign(self) -> None:
        self._looks_without_sign = 0

    def _end(self, blocked: float) -> None:
        speaker = threading.Thread(target=self._speak, args=(blocked,), daemon=True)
        speaker.start()
        speaker.join(_LAST_WORDS_SECONDS)
        os._exit(STUCK_EXIT_CODE)

    def _speak(self, blocked: float) -> None:
        faulthandler.dump_traceback(sys.stderr)
        _log.error(LOOP_BLOCKED, seconds=round(blocked, 3))
