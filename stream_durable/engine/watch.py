"""Checks owned partitions from time to time: same log, same state, records arriving.

A client reading a recreated topic longer than its position reads on without an error; a fetcher may stall; a
restored database is noticed only by the next commit of a partition. None of these shows in arriving records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import count

from stream_durable.core.errors import TransientError
from stream_durable.engine.partition import Partition
from stream_durable.ports import Log, Store
from stream_durable.telemetry import DEPENDENCY_FAILED, PARTITION_RESTORED, PARTITION_STALLED, logger

_log = logger(__name__)

#: Between two looks at the rows of all partitions, which are one query.
_ROWS_SECONDS = 5.0
#: Before the first look: until then nothing is published ahead.
_FIRST_SECONDS = 1.0
#: How long what a look has found may be trusted.
_FRESH_SECONDS = _ROWS_SECONDS + 0.5
#: The logs are looked at with every so many of them: that is a request for each partition.
_LOGS_EVERY = 6


class Watch:
    """Compares owned partitions with rows and logs."""

    def __init__(
        self,
        log: Log,
        store: Store,
        partitions: Mapping[int, Partition],
        lost: Callable[[int, str], None],
        fenced: Callable[[list[int]], None],
        redrive: Callable[[int], None],
        is_held: Callable[[int], bool],
    ) -> None:
        """Call `lost` for a partition with a different log, `fenced` for partitions with a different owner.

        Call `redrive` for a partition whose outstanding work must be asked for again after another
        partition's log was lost. Held partitions stand still on purpose and are not reported.
        """
        self._log = log
        self._store = store
        self._partitions = partitions
        self._lost = lost
        self._fenced = fenced
        self._redrive = redrive
        self._is_held = is_held
        #: When the rows were last seen to be ours, by the loop's clock.
        self._looked = -_FRESH_SECONDS
        #: Where each partition stood at the last look, and under which takeover.
        self._stood: dict[int, tuple[Partition, int]] = {}

    @property
    def is_fresh(self) -> bool:
        """Whether ownership of the partitions was confirmed a moment ago.

        By default a group reassigns partitions after six seconds of silence. So a process stopped for longer
        cannot be sure.
        """
        return asyncio.get_running_loop().time() - self._looked < _FRESH_SECONDS

    async def run(self) -> None:
        """Look until cancelled."""
        for look in count(1):
            await asyncio.sleep(_ROWS_SECONDS if look > 1 else _FIRST_SECONDS)
            try:
                await self._look_at_rows()
            except TransientError as error:
                _log.warning(DEPENDENCY_FAILED, reason=str(error), doing="read the rows of partitions")
            for partition in list(self._partitions.values()) if not look % _LOGS_EVERY else ():
                try:
                    await self._look_at_log(partition)
                except TransientError as error:
                    _log.warning(DEPENDENCY_FAILED, reason=str(error), doing="check the log")

    async def _look_at_rows(self) -> None:
        """Find partitions whose row has another owner or an offset already passed at the query."""
        stood = {p.id: (p, p.next_offset) for p in self._partitions.values()}
        if not stood:
            return
        looked = asyncio.get_running_loop().time()
        cursors = await self._store.cursors(list(stood))
        self._looked = looked
        gone = []
        for number, (partition, offset) in stood.items():
            cursor = cursors.get(number)
            if self._partitions.get(number) is not partition:
                continue
            if cursor is None or cursor.token != partition.token or cursor.next_offset < offset:
                gone.append(number)
                _log.warning(
                    PARTITION_RESTORED, partition=number, offset=offset, stored=cursor and cursor.next_offset
                )
            elif cursor.must_redrive and not partition.is_redriving:
                self._redrive(number)
        if gone:
            self._fenced(gone)

    async def _look_at_log(self, partition: Partition) -> None:
        if self._partitions.get(partition.id) is not partition:
            return
        bounds = await self._log.bounds(partition.id)
        if self._partitions.get(partition.id) is not partition:
            return
        if partition.topic_id != bounds.topic_id:
            text = f"the topic was recreated: it was {partition.topic_id} and is {bounds.topic_id}"
            self._lost(partition.id, text)
            return
        stood = self._stood.get(partition.id)
        self._stood[partition.id] = (partition, partition.next_offset)
        stands = stood == (partition, partition.next_offset)
        may_go_on = not (self._is_held(partition.id) or partition.is_full)
        if bounds.high > partition.next_offset and stands and may_go_on:
            _log.warning(
                PARTITION_STALLED,
                partition=partition.id,
                offset=partition.next_offset,
                high_watermark=bounds.high,
            )
            # What came and was not taken comes again.
            self._log.stop_fetching(partition.id)
            self._log.fetch(partition.id, partition.position, partition.leader_epoch)
