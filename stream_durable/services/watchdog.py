"""Ends the process when its event loop is stuck, since nobody else in it can.

A loop that does not turn sends no heartbeats and commits nothing, but its consumer's background thread
may hold on to partitions for another minute. So a thread asks the loop for a sign of life, and after
enough looks without one it writes the stacks of all threads and ends the process; the platform starts it
anew. Looks are counted, not seconds: a process that was stopped or a machine that slept is not stuck.

What keeps the whole interpreter from running, such as an endless match of a regular expression, keeps
this thread from looking too. Then `/livez` does not answer, and the platform has to act on that.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import threading
from types import TracebackType
from typing import Final, Self

from stream_durable.telemetry import LOOP_BLOCKED, logger

_log = logger(__name__)

#: EX_SOFTWARE of sysexits.h.
STUCK_EXIT_CODE: Final = 70
STUCK_SECONDS: Final = 30.0

_LOOKS: Final = 30
#: A log that nobody reads can block whoever writes to it; it must not keep us from ending.
_LAST_WORDS_SECONDS: Final = 2.0


class Watchdog:
    """Watches one loop while its context is open."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, seconds: float = STUCK_SECONDS) -> None:
        self._loop = loop
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
        while not self._closed.wait(self._seconds / _LOOKS):
            if self._looks_without_sign >= _LOOKS:
                self._end()
            self._looks_without_sign += 1
            try:
                self._loop.call_soon_threadsafe(self._sign)
            except RuntimeError:
                return

    def _sign(self) -> None:
        self._looks_without_sign = 0

    def _end(self) -> None:
        speaker = threading.Thread(target=self._speak, daemon=True)
        speaker.start()
        speaker.join(_LAST_WORDS_SECONDS)
        os._exit(STUCK_EXIT_CODE)

    def _speak(self) -> None:
        faulthandler.dump_traceback(sys.stderr)
        _log.error(LOOP_BLOCKED, seconds=self._seconds)
