"""What several of these tests ask: why something failed, and when functions were called."""

from __future__ import annotations

import asyncio

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
