"""Adopts partitions whose owner has died, before the group notices.

A group waits for a heartbeat for `kafka.session_timeout_ms`, while the database knows at once that the
connections of a process have ended. Each reconciler holds a lock there as long as it lives, and looks every
second for partitions whose owner holds none. Of the living, one is chosen for each: the same by everybody.

The group catches up later. If it gives the partition to another member, that one claims it as it always
does, and the adopter lets it go. So a wrong guess costs a takeover and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from zlib import crc32

from stream_durable.core.errors import TransientError
from stream_durable.ports import Attendance, Store
from stream_durable.telemetry import DEPENDENCY_FAILED, logger

_log = logger(__name__)

_LOOK_SECONDS = 1.0
#: Looks in a row that must find no owner: a process whose connection was cut has reconnected by then.
_LOOKS = 2


class Presence:
    """The look for partitions of dead owners."""

    def __init__(self, store: Store, adopt: Callable[[int, int], None]) -> None:
        """Call `adopt` with a partition and the epoch of its dead owner, once for each."""
        self._store = store
        self._adopt = adopt
        #: How often in a row each (partition, epoch) was found to be an orphan.
        self._found: dict[tuple[int, int], int] = {}

    async def run(self) -> None:
        """Look until cancelled. One connection, and two or three short queries a second."""
        while True:
            try:
                self._judge(await self._store.attend())
            except TransientError as error:
                # Others may have lost their connections as we have.
                self._found.clear()
                _log.warning(DEPENDENCY_FAILED, reason=str(error), doing="report that this process lives")
            await asyncio.sleep(_LOOK_SECONDS)

    def _judge(self, seen: Attendance) -> None:
        self._found = {orphan: self._found.get(orphan, 0) + 1 for orphan in seen.orphans.items()}
        for (partition, epoch), looks in self._found.items():
            if looks == _LOOKS and heir(partition, seen.living) == seen.number:
                self._adopt(partition, epoch)


def heir(partition: int, living: frozenset[int]) -> int | None:
    """Return which of the living adopts a partition: all choose the same, and share what there is."""
    return max(living, key=lambda number: (crc32(b"%d/%d" % (partition, number)), number), default=None)
