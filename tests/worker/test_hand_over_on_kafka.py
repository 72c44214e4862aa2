"""A worker that joins a busy one gets its share of the work and repeats none of it."""

import asyncio
from collections import Counter

import pytest
from confluent_kafka.admin import AdminClient
from instances import Instance, another_worker, running, settings_of
from waiting import eventually

from stream_durable import App, Context, Workflow
from stream_durable.local.kafka import LocalKafka

pytestmark = pytest.mark.real

RUNS = 240
calls: Counter[str] = Counter()

busy = Workflow("busy")


@busy.step
async def work(ctx: Context[None]) -> None:
    calls[ctx.run_id] += 1
    await asyncio.sleep(0.9)


endless = Workflow("endless")
begun, stopped = set[str](), set[str]()


@endless.step
async def wait(ctx: Context[None]) -> None:
    begun.add(ctx.run_id)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        stopped.add(ctx.run_id)
        raise


APP = App("busy", workflows=[busy, endless])


async def test_a_worker_that_joins_a_busy_one_repeats_nothing(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix).override({"worker.concurrency": 10})
    first, second = (settings.override({"worker.id": name}) for name in ("first", "second"))
    async with running(first, APP) as instance, asyncio.timeout(120):
        # Kafka knows where the first one is: what a new group finds there may be asked for twice.
        early = await asyncio.gather(*(instance.client.start(busy) for _ in range(16)))
        await asyncio.gather(*(run.result() for run in early))
        calls.clear()
        runs = await asyncio.gather(*(instance.client.start(busy) for _ in range(RUNS)))
        await eventually(_has_called(20), "the first is at work", seconds=60)

        async with another_worker(second, APP):
            await asyncio.gather(*(run.result() for run in runs))

        states = await asyncio.gather(*(run.state() for run in runs))
    shares = Counter(state.steps["work"].worker for state in states)
    assert sum(calls.values()) == len(calls) == RUNS
    assert shares["second"] >= RUNS / 5, shares


async def test_an_attempt_is_cancelled_though_its_partition_has_moved(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix).override({"worker.heartbeat_ms": 300})
    first, second = (settings.override({"worker.id": name}) for name in ("first", "second"))
    async with running(first, APP) as instance, asyncio.timeout(60):
        runs = await asyncio.gather(*(instance.client.start(endless) for _ in range(16)))
        await eventually(_holds(begun, 16), "all are at work", seconds=60)

        async with another_worker(second, APP):
            await eventually(_shares(instance), "the second has partitions", seconds=60)
            await asyncio.gather(*(run.cancel("not needed any more") for run in runs))

            await eventually(_holds(stopped, 16), "all have stopped", seconds=60)
    assert begun == stopped


def _shares(instance: Instance):  # type: ignore[no-untyped-def]
    """Whether the first worker has given up some of its partitions."""

    async def look() -> bool:
        groups = AdminClient({"bootstrap.servers": instance.settings.kafka.bootstrap, "log_level": 0})
        name = f"{instance.settings.prefix}.worker.default"
        found = await asyncio.to_thread(groups.describe_consumer_groups([name])[name].result, 10)
        return len([one for one in found.members if one.assignment.topic_partitions]) == 2

    return look


def _holds(found: set[str], count: int):  # type: ignore[no-untyped-def]
    async def look() -> bool:
        return len(found) >= count

    return look


def _has_called(count: int):  # type: ignore[no-untyped-def]
    async def look() -> bool:
        return len(calls) >= count

    return look
