"""The doctor of one process: an examination at a time, for all who ask meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from stream_durable.services.doctor.finding import Finding, Repaired

#: So old findings are still returned: they cost a look at all open runs, and their pages follow each other.
_FRESH_SECONDS: Final = 5.0


class Doctor:
    """Examines the instance, and makes repairs that are safe at any time."""

    def __init__(
        self,
        examine: Callable[[], Awaitable[list[Finding]]],
        repair: Callable[[], Awaitable[Repaired]],
    ) -> None:
        """Examine nothing yet."""
        self._examine = examine
        self._repair = repair
        self._lock = asyncio.Lock()
        self._found: list[Finding] | None = None
        self._until = 0.0

    async def findings(self) -> list[Finding]:
        """Return everything that is wrong, at most five seconds old."""
        async with self._lock:
            now = asyncio.get_running_loop().time
            if self._found is None or now() > self._until:
                self._found = await self._examine()
                self._until = now() + _FRESH_SECONDS
            return self._found

    async def repair(self) -> Repaired:
        """Make every safe repair, and look again."""
        async with self._lock:
            self._found = None
            return await self._repair()
