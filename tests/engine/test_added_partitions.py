"""Somebody adds partitions to the inbox of a live instance: it is said, and the others go on."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from instances import PARTITIONS, settings_of
from waiting import eventually

from stream_durable import bootstrap
from stream_durable.kafka.topics import Topics
from stream_durable.local.kafka import LocalKafka
from stream_durable.metrics import Metrics
from stream_durable.postgres.migrate import migrate
from stream_durable.retrying import retry_transient

pytestmark = pytest.mark.real


async def test_a_partition_that_was_added_is_refused_with_what_to_do(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix).override(
        {"kafka.properties": {"topic.metadata.refresh.interval.ms": "500"}}
    )
    await migrate(settings.postgres, PARTITIONS)
    await Topics(settings, ("default",)).apply()
    async with AsyncExitStack() as stack:
        # Topics that were just made have no leader for a moment.
        assembled = lambda: stack.enter_async_context(bootstrap.reconciler(settings, Metrics()))  # noqa: E731
        reconciler = await retry_transient(assembled, "assemble")
        serving = asyncio.create_task(reconciler.run())

        async def owns_all() -> bool:
            return set(reconciler.partitions) == set(range(PARTITIONS))

        await eventually(owns_all, "all partitions are owned", seconds=60)
        admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0})
        inbox = f"{prefix}.inbox"
        await asyncio.to_thread(admin.create_partitions([NewPartitions(inbox, PARTITIONS + 1)])[inbox].result)

        async def is_said() -> str:
            return reconciler.held().get(PARTITIONS, "")

        assert "somebody added partitions to the inbox" in await eventually(is_said, "it is said", seconds=60)
        await eventually(owns_all, "the others are owned", seconds=60)
        assert not reconciler.is_taking_over
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    [refused] = [s for s in await Topics(settings, ("default",)).plan() if s.action == "refuse"]
    assert "it has 5 partitions, not 4" in refused.detail
