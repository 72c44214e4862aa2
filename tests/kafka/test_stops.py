"""A partition that is fetched no more, and then again, loses no record: also none that is read meanwhile."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from waiting import eventually

from stream_durable.kafka.arrivals import Arrivals
from stream_durable.kafka.log import GroupLog
from stream_durable.local.kafka import LocalKafka
from stream_durable.ports import Assigned, Record
from stream_durable.settings import KafkaSettings

_RECORDS = 100


def record(partition: int, offset: int) -> Record:
    return Record(partition, offset, 0, b"k", b"v")


async def test_what_was_read_before_a_stop_is_dropped_however_late_it_comes() -> None:
    arrivals = Arrivals(100)
    arrivals.put([record(0, 0), record(1, 0)])

    assert arrivals.stop(0) == [record(0, 0)]
    # The log's thread has not heard of the stop yet.
    assert arrivals.put([record(0, 1), record(1, 1)]) == [record(0, 1)]
    assert arrivals.put([record(0, 2)]) == [record(0, 2)]
    arrivals.has_stopped(0)
    # It is fetched again.
    assert arrivals.put([record(0, 0)]) == []

    assert await arrivals.next() == [record(1, 0), record(1, 1), record(0, 0)]


@pytest.mark.real
async def test_records_come_without_a_gap_after_a_stop_that_is_carried_out_late(
    kafka_broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"stops-{secrets.token_hex(4)}"
    servers = {"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0}
    admin, producer = AdminClient(servers), Producer(servers)
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(60)

    def produce(count: int) -> None:
        for _ in range(count):
            producer.produce(name, b"v")
        assert producer.flush(60) == 0

    produce(_RECORDS)
    log = GroupLog(KafkaSettings(bootstrap=kafka_broker.bootstrap), name, name, client="c")
    log.open()
    expected = 0
    try:
        async with asyncio.timeout(120):
            while not isinstance(event := await log.next(), list):
                if isinstance(event, Assigned):
                    log.fetch(0, 0, -1)
            expected = event[-1].offset + 1
            # As on a busy machine: the thread reads on, and does not come to its orders.
            with monkeypatch.context() as patch:
                patch.setattr(log._orders, "follow", lambda: None)
                await asyncio.to_thread(produce, _RECORDS)
                await eventually(lambda: _has_read(log, _RECORDS), "what is to be dropped", seconds=60)
                log.stop_fetching(0)
                log.fetch(0, expected, -1)
                await asyncio.to_thread(produce, _RECORDS)
                await eventually(lambda: _has_read(log, 2 * _RECORDS), "what comes late", seconds=60)
            while expected < 3 * _RECORDS:
                for one in await log.next():
                    assert isinstance(one, Record)
                    assert one.offset == expected
                    expected += 1
    finally:
        await log.close()


async def _has_read(log: GroupLog, count: int) -> bool:
    """Whether the thread has handed over more than so many records in all."""
    return log._held._records_in > count
