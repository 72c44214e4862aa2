"""A backlog of runs completes run by run: on a broker and a database, with one worker of few places."""

from __future__ import annotations

import asyncio

import pytest
from instances import another_worker, running, settings_of

from stream_durable import App, Context, Workflow
from stream_durable.core.lanes import lanes_of
from stream_durable.local.kafka import LocalKafka

pytestmark = pytest.mark.real

RUNS, STEPS, PLACES = 100, 3, 8
#: What is at a place, and what is between two steps meanwhile: a run takes longer for that than for a step.
UNDER_WAY_MAX = 5 * PLACES

begun, ended = set[str](), set[str]()
most = 0

flow = Workflow("flow")


async def work(ctx: Context[None]) -> None:
    global most  # noqa: PLW0603 - counted by the calls of one test
    begun.add(ctx.run_id)
    most = max(most, len(begun - ended))
    await asyncio.sleep(0.2)
    if ctx.step == f"s{STEPS - 1}":
        ended.add(ctx.run_id)


for number in range(STEPS):
    flow.add(f"s{number}", work, after=[f"s{number - 1}"] if number else [])

APP = App("flow", workflows=[flow])


async def test_of_a_backlog_few_runs_are_under_way(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix).override({"worker.concurrency": PLACES})
    async with running(settings, None) as instance, asyncio.timeout(120):
        runs = await asyncio.gather(*(instance.client.start(flow) for _ in range(RUNS)))
        _, first = lanes_of("default")
        await instance.records(f"commands.{first}", lambda found: len(found) == RUNS)

        async with another_worker(settings, APP):
            await asyncio.gather(*(run.result() for run in runs))

    assert len(ended) == RUNS
    assert most <= UNDER_WAY_MAX, most
