"""Knows whether Kafka and Postgres answer, so that a check has no need to ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from stream_durable.core.errors import StreamDurableError
from stream_durable.telemetry import LogEvent, logger

_log = logger(__name__)

_PERIOD_SECONDS: Final = 5.0
#: Longer than the drivers wait by themselves, whose reasons are better than ours.
_PATIENCE_SECONDS: Final = 12.0


class Probe:
    """Queries a dependency repeatedly, and remembers the last result."""

    def __init__(self, ask: Callable[[], Awaitable[None]], *, lost: LogEvent, regained: LogEvent) -> None:
        """Ask nothing yet; `lost` and `regained` are the log events for changes."""
        self._ask = ask
        self._lost = lost
        self._regained = regained
        self._reason: str | None = "it was not asked yet"
        self._lost_at: float | None = None

    def check(self) -> str | None:
        """Return the problem, or None."""
        return self._reason

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_PERIOD_SECONDS)

    async def look(self) -> None:
        """Ask once, and remember the result; returns within some seconds, whatever comes."""
        self._note(await self._outcome())

    async def _outcome(self) -> str | None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._ask()
        except StreamDurableError as error:
            return str(error)
        except TimeoutError:
            return f"it did not answer within {_PATIENCE_SECONDS:.0f} s"
        return None

    def _note(self, reason: str | None) -> None:
        self._reason = reason
        if reason is not None and self._lost_at is None:
            self._lost_at = time.monotonic()
            _log.warning(self._lost, reason=reason)
        elif reason is None and self._lost_at is not None:
            _log.info(self._regained, seconds=round(time.monotonic() - self._lost_at, 3))
            self._lost_at = None
