"""Removes acknowledged rows of messages: with later commits as a rule, and here without one.

Now and then for partitions that are idle, and before partitions are released: no successor must publish
messages again that were acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from itertools import count

from stream_durable.engine import batch
from stream_durable.engine.backlog import Backlog
from stream_durable.engine.partition import Partition
from stream_durable.engine.publishing import Publishing
from stream_durable.engine.saving import Saving
from stream_durable.ports import Log
from stream_durable.telemetry import DEPENDENCY_FAILED, logger

_log = logger(__name__)

#: An idle partition's acknowledged rows are removed after this long.
_TIDY_SECONDS = 1.0
#: Looks between which progress is noted again although there was none.
_NOTE_AGAIN = 5
#: How long leaving may take to say what has been saved.
LEAVE_SECONDS = 3.0


class Tidying:
    """Looks after the rows of owned partitions."""

    def __init__(
        self,
        log: Log,
        partitions: Mapping[int, Partition],
        publishing: Publishing,
        saving: Saving,
        backlog: Backlog,
        writing: asyncio.Lock,
    ) -> None:
        """Remove nothing yet; `writing` is the lock for saving."""
        self._log = log
        self._partitions = partitions
        self._publishing = publishing
        self._saving = saving
        self._backlog = backlog
        self._writing = writing

    async def run(self) -> None:
        """Now and then report positions to lag tools, and remove rows left by commits, until cancelled."""
        noted: dict[int, int] = {}
        for look in count():
            await asyncio.sleep(_TIDY_SECONDS)
            now_at = {p.id: p.next_offset for p in self._partitions.values()}
            # Now and then although nothing has changed: a commit during a rebalance is refused.
            if now_at and (now_at != noted or not look % _NOTE_AGAIN):
                noted = now_at
                self._log.note_progress(now_at)
            if not self._writing.locked():
                await self._remove(self._partitions)

    async def before_leaving(self, partitions: Iterable[int]) -> None:
        """Publish saved messages and remove their rows, within bounded time; what is held back stays."""
        owned = [p for i in partitions if (p := self._partitions.get(i)) is not None]
        if not owned:
            return
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                self._backlog.leave(owned)
                await self._publishing.settled(owned)
                await self._remove(partitions)
        except TimeoutError:
            _log.warning(
                DEPENDENCY_FAILED, reason="it takes too long", doing="publish the rest before leaving"
            )

    async def _remove(self, partitions: Iterable[int]) -> None:
        async with self._writing:
            owned = [p for i in partitions if (p := self._partitions.get(i)) is not None]
            shares = [p.share() for p in owned if p.published or p.begun]
            if shares:
                await self._saving.save([batch.Finished(share, [], {}) for share in shares])
