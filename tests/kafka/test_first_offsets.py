"""New queues have offsets from the start, also on a cluster that has kept none; a new inbox has a format."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from stream_durable.core.format import FORMAT
from stream_durable.core.lanes import lanes_of
from stream_durable.engine.outbox import format_record
from stream_durable.kafka.reader import KafkaReader
from stream_durable.kafka.topics import Topics
from stream_durable.local.kafka import LocalKafka
from stream_durable.ports import Span
from stream_durable.settings import KafkaSettings, Settings
from stream_durable.wire.topics import COMMANDS, INBOX, WORKERS, full_name

pytestmark = pytest.mark.real

QUEUES = ("default", "slow")


async def test_the_first_topics_of_a_new_cluster_have_offsets_and_the_newest_format(tmp_path: Path) -> None:
    broker = LocalKafka(tmp_path)
    broker.start()
    try:
        settings = Settings(prefix="first", kafka=KafkaSettings(bootstrap=broker.bootstrap, replication=1))
        await Topics(settings, QUEUES).apply()
        for lane in (lane for queue in QUEUES for lane in lanes_of(queue)):
            group = Consumer({
                "bootstrap.servers": broker.bootstrap, "log_level": 0,
                "group.id": full_name("first", WORKERS + lane),
            })  # fmt: skip
            topic = full_name("first", COMMANDS + lane)
            parts = group.committed([TopicPartition(topic, partition) for partition in range(8)], timeout=30)
            group.close()
            assert [part.offset for part in parts] == [0] * 8, lane
        assert await _said(broker) == [format_record(partition, FORMAT).value for partition in range(8)]
        # Only a new one: what is there already may be read by an older release.
        await Topics(settings, (*QUEUES, "later")).apply()
        assert len(await _said(broker)) == 8
    finally:
        broker.stop()


async def _said(broker: LocalKafka) -> list[bytes | None]:
    """Return what is on the inbox, by partition."""
    kafka = KafkaSettings(bootstrap=broker.bootstrap)
    reader = KafkaReader(kafka, full_name("first", INBOX), client="test", records_max=100)
    spans = [Span(p, found.low, found.high) for p, found in (await reader.bounds()).items()]
    found = [record async for records in reader.read(spans) for record in records]
    return [record.value for record in sorted(found, key=lambda record: record.partition)]
