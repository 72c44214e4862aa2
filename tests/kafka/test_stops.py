"""A partition that is fetched no more, and then again, loses no record: also none that is read meanwhile."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from stream_durable.kafka.arrivals import Arrivals
from stream_durable.kafka.log import GroupLog
from stream_durable.local.kafka import LocalKafka
from stream_durable.ports import Assigned, Record
from stream_durable.settings import KafkaSettings

_RECORDS = 6_000


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
async def test_records_come_without_a_gap_after_stops(kafka_broker: LocalKafka) -> None:
    name = f"stops-{secrets.token_hex(4)}"
    servers = {"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0}
    admin = AdminClient(servers)
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(60)
    producer = Producer(servers)
    for number in range(_RECORDS):
        producer.produce(name, str(number).encode() * 20)
        producer.poll(0)
    assert producer.flush(60) == 0
    log = GroupLog(KafkaSettings(bootstrap=kafka_broker.bootstrap), name, name, client="c", records_max=300)
    log.open()
    expected = 0
    try:
        async with asyncio.timeout(120):
            while expected < _RECORDS:
                event = await log.next()
                if isinstance(event, Assigned):
                    log.fetch(0, expected, -1)
                elif isinstance(event, list):
                    for one in event:
                        assert one.offset <= expected, f"{one.offset - expected} records are left out"
                        expected = max(expected, one.offset + 1)
                    log.stop_fetching(0)
                    log.fetch(0, expected, -1)
    finally:
        await log.close()
