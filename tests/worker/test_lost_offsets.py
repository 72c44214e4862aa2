"""Kafka has forgotten how far a queue's workers were, or their commands have expired."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from instances import PARTITIONS, Instance, another_worker, running, settings_of

from stream_durable import App, Context, Workflow
from stream_durable.client import RunHandle
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

calls: Counter[str] = Counter()
short = Workflow("short")


@short.step
async def count(ctx: Context[None]) -> str:
    calls[ctx.run_id] += 1
    return "counted"


APP = App("short", workflows=[short])
#: Where the first attempts of runs are.
COMMANDS, WORKERS = "commands.default.first", "worker.default.first"


@pytest.fixture(autouse=True)
def none_called() -> None:
    calls.clear()


async def test_what_has_completed_is_not_called_again_and_what_is_open_is(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix)
    async with running(settings, None) as instance, asyncio.timeout(60):
        ended = await _all_done(instance, settings)
        waiting = await _asked(instance, 20, so_far=len(ended))

        admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
        group = f"{prefix}.{WORKERS}"
        await asyncio.to_thread(admin.delete_consumer_groups([group])[group].result, 10)

        async with another_worker(settings, APP):
            await asyncio.gather(*(run.result() for run in waiting))
    assert calls == dict.fromkeys((run.id for run in ended + waiting), 1)


async def test_expired_commands_are_asked_for_again(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix)
    async with running(settings, None) as instance, asyncio.timeout(60):
        ended = await _all_done(instance, settings)
        waiting = await _asked(instance, 20, so_far=len(ended))

        topic = f"{prefix}.{COMMANDS}"
        admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
        deleted = admin.delete_records([TopicPartition(topic, p, -1) for p in range(PARTITIONS)])
        await asyncio.gather(*(asyncio.to_thread(future.result, 10) for future in deleted.values()))

        async with another_worker(settings, APP):
            await asyncio.gather(*(run.result() for run in waiting))
    assert calls == dict.fromkeys((run.id for run in ended + waiting), 1)


async def test_the_first_worker_of_a_queue_reads_what_was_written_before_it_came(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix)
    async with running(settings, None) as instance, asyncio.timeout(60):
        waiting = await _asked(instance, 20, so_far=0)

        async with another_worker(settings, APP):
            await asyncio.gather(*(run.result() for run in waiting))
        inbox = await instance.records("inbox", lambda found: len(found) >= 2 * len(waiting))
    assert calls == dict.fromkeys((run.id for run in waiting), 1)
    assert not [m for m in inbox if b'"log.commands_lost"' in (m.value() or b"")]


async def _all_done(instance: Instance, settings: Settings) -> list[RunHandle]:
    """Start runs, have a worker complete them, and let it leave."""
    async with another_worker(settings, APP):
        runs = await asyncio.gather(*(instance.client.start(short) for _ in range(20)))
        await asyncio.gather(*(run.result() for run in runs))
    return runs


async def _asked(instance: Instance, count: int, *, so_far: int) -> list[RunHandle]:
    """Start runs that no worker is there for, and wait until their commands are on the topic."""
    runs = await asyncio.gather(*(instance.client.start(short) for _ in range(count)))
    await instance.records(COMMANDS, lambda found: len({m.key() for m in found}) == so_far + count)
    return runs
