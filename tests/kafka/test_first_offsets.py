"""New queues have offsets from the start, also on a cluster that has kept none so far."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from stream_durable.kafka.topics import Topics
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import KafkaSettings, Settings
from stream_durable.wire.topics import COMMANDS, WORKERS, full_name

pytestmark = pytest.mark.real

QUEUES = ("default", "slow")


async def test_the_first_topics_of_a_new_cluster_have_offsets(tmp_path: Path) -> None:
    broker = LocalKafka(tmp_path)
    broker.start()
    try:
        settings = Settings(prefix="first", kafka=KafkaSettings(bootstrap=broker.bootstrap, replication=1))
        await Topics(settings, QUEUES).apply()
        for queue in QUEUES:
            group = Consumer({
                "bootstrap.servers": broker.bootstrap, "log_level": 0,
                "group.id": full_name("first", WORKERS + queue),
            })  # fmt: skip
            topic = full_name("first", COMMANDS + queue)
            parts = group.committed([TopicPartition(topic, partition) for partition in range(8)], timeout=30)
            group.close()
            assert [part.offset for part in parts] == [0] * 8, queue
    finally:
        broker.stop()
