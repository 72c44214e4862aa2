"""The verdicts topic."""

from __future__ import annotations

from typing import Protocol

from stream_durable.wire.verdicts import Verdict


class VerdictLog(Protocol):
    """What was decided about records of the inbox and does not follow from the inbox alone."""

    async def about(self, partition: int, offset: int, since: int) -> list[Verdict]:
        """Return the verdicts on records of a partition from an offset on, the first for each record first.

        `since` is a log time before all of these records.
        """
