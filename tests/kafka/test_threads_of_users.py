"""Functions of users may hold all threads of the loop; what the services ask of Kafka waits for none."""

from __future__ import annotations

import asyncio
import secrets
import threading

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from stream_durable.kafka.log import GroupLog
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import KafkaSettings

pytestmark = pytest.mark.real

#: More than the loop has threads.
_CALLS = 64


async def test_bounds_are_known_while_all_threads_of_the_loop_are_held(kafka_broker: LocalKafka) -> None:
    name = f"held-{secrets.token_hex(4)}"
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(60)
    log = GroupLog(KafkaSettings(bootstrap=kafka_broker.bootstrap), name, name, client="c")
    over = threading.Event()
    held = [asyncio.get_running_loop().run_in_executor(None, over.wait) for _ in range(_CALLS)]
    log.open()
    try:
        async with asyncio.timeout(30):
            bounds = await log.bounds(0)
            await log.close()
    finally:
        over.set()
        await asyncio.gather(*held)
    assert (bounds.low, bounds.high) == (0, 0)
