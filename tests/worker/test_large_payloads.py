"""Large values on a real broker."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from waiting import eventually

from stream_durable.core.errors import RejectedError
from stream_durable.core.reference import parse
from stream_durable.kafka.blobs import KafkaBlobs
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.kafka.topics import Topics
from stream_durable.local.kafka import LocalKafka
from stream_durable.payloads import STORED_BYTES_MAX, PayloadLostError, Payloads
from stream_durable.ports import Outgoing
from stream_durable.retrying import retry_transient
from stream_durable.settings import Settings

pytestmark = pytest.mark.real


@asynccontextmanager
async def kept(kafka: LocalKafka, prefix: str) -> AsyncIterator[tuple[KafkaBlobs, KafkaPublisher]]:
    settings = Settings().override(
        {
            "prefix": prefix,
            "kafka.bootstrap": kafka.bootstrap,
            "kafka.partitions": 2,
            "kafka.replication": 1,
        }
    )
    await Topics(settings, ()).apply()
    publisher = KafkaPublisher(settings.kafka, prefix, client="test")
    blobs = KafkaBlobs(settings.kafka, prefix, publisher, client="test")
    try:
        yield blobs, publisher
    finally:
        await blobs.close()
        await publisher.close()


async def test_the_largest_values_are_kept_and_found_in_any_order(
    kafka_broker: LocalKafka, prefix: str
) -> None:
    async with kept(kafka_broker, prefix) as (blobs, _):
        values = [bytes([65 + i]) * (STORED_BYTES_MAX - i) for i in range(3)] + [b"small"]
        places = [
            await retry_transient(lambda i=i: blobs.put(f"run/{i}/1", values[i]), "put") for i in range(4)
        ]

        for i in (2, 0, 3, 1, 0):
            assert await blobs.get(*places[i]) == values[i]


async def test_a_reference_leads_back_to_the_value_in_another_process(
    kafka_broker: LocalKafka, prefix: str
) -> None:
    async with kept(kafka_broker, prefix) as (blobs, _):
        reference = await Payloads(blobs).stored("run/step/1", b'{"a":"' + b"x" * 200_000 + b'"}', ("a",))

        assert await Payloads(blobs).resolved(b"[%b]" % reference) == b'[{"a":"' + b"x" * 200_000 + b'"}]'


async def test_a_value_that_was_deleted_is_lost_and_so_is_one_that_never_was(
    kafka_broker: LocalKafka, prefix: str
) -> None:
    async with kept(kafka_broker, prefix) as (blobs, _):
        reference = await Payloads(blobs).stored("run/step/1", b'"first"')
        where = parse(reference)
        later = await retry_transient(lambda: blobs.put("run/step/1", b'"second"'), "put")
        admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0})
        cut = TopicPartition(f"{prefix}.blobs", where.partition, later[1])
        for future in admin.delete_records([cut]).values():
            future.result()

        assert await blobs.get(*later) == b'"second"'
        assert await blobs.get(where.partition, where.offset) is None
        assert await blobs.get(where.partition, 99) is None
        with pytest.raises(PayloadLostError, match="the record is gone"):
            await Payloads(blobs).resolved(reference)


async def test_a_topic_that_takes_less_says_so_and_the_producer_goes_on(
    kafka_broker: LocalKafka, prefix: str
) -> None:
    async with kept(kafka_broker, prefix) as (blobs, publisher):
        await retry_transient(lambda: blobs.put("key", b"warm"), "put")
        admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0})
        small = ConfigEntry("max.message.bytes", "100000", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, f"{prefix}.blobs", incremental_configs=[small])
        for future in admin.incremental_alter_configs([resource]).values():
            future.result()

        said = ""

        async def is_refused() -> bool:
            nonlocal said
            try:
                await retry_transient(lambda: blobs.put("key", b"x" * 200_000), "put")
            except RejectedError as error:
                said = str(error)
            return bool(said)

        # The broker hears of its new setting a little later.
        await eventually(is_refused, "the topic takes less", seconds=60)
        assert re.search("takes no value of 200000 bytes .* max.message.bytes to 5000000", said)
        place = await retry_transient(lambda: blobs.put("key", b"after"), "put")
        await retry_transient(
            lambda: publisher.publish([(Outgoing("inbox", 0, b"key", b"{}"), None)]), "publish"
        )

        assert await blobs.get(*place) == b"after"
