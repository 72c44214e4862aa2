"""A worker that joins a busy one gets its share of the work and repeats none of it."""

import asyncio
from collections import Counter

import pytest
from instances import another_worker, running, settings_of
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


APP = App("busy", workflows=[busy])


async def test_a_worker_that_joins_a_busy_one_repeats_nothing(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix).override({"worker.concurrency": 10})
    first, second = (settings.override({"worker.id": name}) for name in ("first", "second"))
    async with running(first, APP) as instance, asyncio.timeout(120):
        runs = await asyncio.gather(*(instance.client.start(busy) for _ in range(RUNS)))
        await eventually(_has_called(20), "the first is at work", seconds=30)

        async with another_worker(second, APP):
            await asyncio.gather(*(run.result() for run in runs))

        states = await asyncio.gather(*(run.state() for run in runs))
    shares = Counter(state.steps["work"].worker for state in states)
    assert sum(calls.values()) == len(calls) == RUNS
    assert shares["second"] >= RUNS / 5, shares


def _has_called(count: int):  # type: ignore[no-untyped-def]
    async def look() -> bool:
        return len(calls) >= count

    return look
