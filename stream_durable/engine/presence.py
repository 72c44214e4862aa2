"""Adopts partitions of a dead owner, before the group notices.

A group waits `kafka.session_timeout_ms` for a heartbeat, while the database knows at once about the end of a
process's connections. Each living reconciler holds a lock there, and looks every second for partitions with
an owner without a lock. For each, all choose the same heir among the living.

The group catches up later. If the partition is assigned to another member, that member claims it as usual,
and the adopter lets go. So a wrong guess costs only a takeover.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from zlib import crc32

from stream_durable.core.errors import TransientError
from stream_durable.engine.takeover import Takeovers
from stream_durable.ports import Attendance, Store
from stream_durable.telemetry import DEPENDENCY_FAILED, logger

_log = logger(__name__)

_LOOK_SECONDS = 1.0
#: Looks in a row that must find no owner: a process whose connection was cut has reconnected by then. After
#: as many more without an adoption the heir tries again, or the next one: the first may have died, too.
_LOOKS = 2


class Presence:
    """The look for partitions of dead owners."""

    def __init__(self, store: Store, owned: Container[int], takeovers: Takeovers) -> None:
        """Adopt partitions neither owned nor on their way."""
        self._store = store
        self._owned = owned
        self._takeovers = takeovers
        #: How often in a row each (partition, epoch) was found to be an orphan.
        self._found: dict[tuple[int, int], int] = {}

    async def run(self) -> None:
        """Look until cancelled. One connection, and a short query a second."""
        is_away = False
        while True:
            try:
                seen = await self._store.attend()
                self._takeovers.present.set()
                self._judge(seen)
            except TransientError as error:
                # Others may have lost their connections as we have.
                self._found.clear()
                if not is_away:
                    _log.warning(DEPENDENCY_FAILED, reason=str(error), doing="report that this process lives")
                is_away = True
            else:
                is_away = False
            await asyncio.sleep(_LOOK_SECONDS)

    def _judge(self, seen: Attendance) -> None:
        self._found = {orphan: self._found.get(orphan, 0) + 1 for orphan in seen.orphans.items()}
        for (partition, epoch), looks in self._found.items():
            is_ours = partition in self._owned or self._takeovers.has(partition)
            if looks % _LOOKS == 0 and not is_ours and heir(partition, seen.living) == seen.number:
                self._takeovers.adopt(partition, epoch)


def heir(partition: int, living: frozenset[int]) -> int | None:
    """Return the heir of a partition among the living: all choose the same, with equal shares."""
    return max(living, key=lambda number: (crc32(b"%d/%d" % (partition, number)), number), default=None)
