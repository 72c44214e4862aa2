"""Looks after the owned partitions: is it still the same log, and does what is there arrive?

A client that reads a topic which was made anew, longer than its position, reads on without a word;
and a fetcher may fall silent for reasons of its own. Neither shows in what arrives, so it is looked
at now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from stream_durable.core.errors import TransientError
from stream_durable.engine.partition import Partition
from stream_durable.ports import Log
from stream_durable.telemetry import PARTITION_STALLED, WORLD_REFUSED, logger

_log = logger(__name__)

_LOOK_SECONDS = 30.0


class Watch:
    """Compares each owned partition with its log."""

    def __init__(
        self,
        log: Log,
        partitions: Mapping[int, Partition],
        lost: Callable[[int, str], None],
        is_held: Callable[[int], bool] = lambda partition: False,
    ) -> None:
        """Call `lost` for a partition whose log is another one; one that is held stands still on purpose."""
        self._is_held = is_held
        self._log = log
        self._partitions = partitions
        self._lost = lost
        #: Where each partition stood at the last look, and under which takeover.
        self._stood: dict[int, tuple[Partition, int]] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for partition in list(self._partitions.values()):
                try:
                    await self._look(partition)
                except TransientError as error:
                    _log.warning(WORLD_REFUSED, reason=str(error), doing="look at the log")

    async def _look(self, partition: Partition) -> None:
        bounds = await self._log.bounds(partition.id)
        if self._partitions.get(partition.id) is not partition:
            return
        if partition.topic_id != bounds.topic_id:
            text = f"the topic was made anew: it was {partition.topic_id} and is {bounds.topic_id}"
            self._lost(partition.id, text)
            return
        stood = self._stood.get(partition.id)
        self._stood[partition.id] = (partition, partition.next_offset)
        stands = stood == (partition, partition.next_offset)
        if bounds.high > partition.next_offset and stands and not self._is_held(partition.id):
            _log.warning(
                PARTITION_STALLED,
                partition=partition.id,
                offset=partition.next_offset,
                high_watermark=bounds.high,
            )
            self._log.fetch(partition.id, partition.next_offset, partition.leader_epoch)
