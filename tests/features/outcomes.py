"""What several of these tests ask: why something failed, when functions were called, and how many at once."""

from __future__ import annotations

import asyncio
from typing import Any

from stream_durable.core.failure import Failure
from stream_durable.testing.handles import TestedRun, TestedStep


def failure_of(of: TestedRun | TestedStep) -> Failure:
    """Return why a run or a step failed, for it has."""
    failure = of.failure
    assert failure is not None, f"{of!r} has no failure"
    return failure


class Clock:
    """Notes when it is told that something happens; seconds since the first time."""

    def __init__(self) -> None:
        self._noted: list[float] = []

    def note(self) -> int:
        """Note this moment, and return how often that was done."""
        self._noted.append(asyncio.get_running_loop().time())
        return len(self._noted)

    @property
    def times(self) -> list[float]:
        return [noted - self._noted[0] for noted in self._noted]

    @property
    def waits(self) -> list[float]:
        """The time between each two."""
        return [later - sooner for sooner, later in zip(self._noted, self._noted[1:], strict=False)]


class Inside:
    """Counts calls under way, and notes their order."""

    def __init__(self, seconds: float = 10) -> None:
        self.seconds, self.now, self.most = seconds, 0, 0
        self.order: list[Any] = []
        self.clock = Clock()

    async def call(self, about: Any = None) -> None:
        self.clock.note()
        self.order.append(about)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.now -= 1
