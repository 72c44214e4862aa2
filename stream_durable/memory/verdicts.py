"""The verdicts topic, in memory."""

from __future__ import annotations

from stream_durable.memory.broker import Broker
from stream_durable.wire.topics import VERDICTS
from stream_durable.wire.verdicts import Verdict, decode_verdict


class MemoryVerdicts:
    """Verdicts about records, on a topic of the broker."""

    def __init__(self, broker: Broker) -> None:
        """Read from this broker."""
        self._broker = broker

    async def about(self, partition: int, offset: int, since: int) -> list[Verdict]:
        """Return the verdicts about records from an offset on."""
        records = self._broker.topic(VERDICTS).partitions[partition].records
        found = [decode_verdict(record.value) for record in records]
        return [verdict for verdict in found if verdict.offset >= offset]
