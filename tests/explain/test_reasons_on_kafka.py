"""What only Kafka and Postgres know: places of commands, readers, owners, lag, and services that are away."""

from __future__ import annotations

import asyncio
import re

import asyncpg
import pytest
from instances import PARTITIONS, another_worker, running
from reasons import explain

from stream_durable import App, Workflow, connecting
from stream_durable.client import Explanation, RunHandle
from stream_durable.client.edge import Edge
from stream_durable.core.ids import partition_of
from stream_durable.core.lanes import first_lane
from stream_durable.core.messages import StartRun
from stream_durable.local.process import free_ports
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

LONG = Workflow("long")


@LONG.step
async def work() -> None:
    await asyncio.sleep(3_600)


WAITING = Workflow("waiting")
WAITING.wait_signal("go")
OTHER = Workflow("other")
OTHER.add("a", lambda: 1)

#: Runs of one partition.
SAME = [f"run-{n}" for n in range(100) if partition_of(f"run-{n}", PARTITIONS) == 0][:3]
CLOCK = r"\d\d:\d\d:\d\d"


async def until(run: RunHandle, code: str, step: str | None = None) -> Explanation:
    """Ask until the explanation has this code."""
    found = await explain(run, step)
    async with asyncio.timeout(90):
        while found.code != code:
            await asyncio.sleep(0.1)
            found = await explain(run, step)
    return found


def like(found: Explanation, pattern: str) -> None:
    """Check a sentence whose times are those of this test."""
    assert re.fullmatch(pattern, str(found)), str(found)


async def test_a_command_that_nobody_reads_and_then_waits_behind_another(settings: Settings) -> None:
    one_place = settings.override({"worker.concurrency": 1, "worker.started_after_ms": 60_000})
    topic = re.escape(f"{settings.prefix}.commands.{first_lane('default')}/0")
    async with running(settings, None) as instance, asyncio.timeout(200):
        await instance.ports.catalogue.register(LONG.definition())
        first, second = [await instance.client.start(LONG, id=run) for run in SAME[:2]]
        found = await until(first, "no_worker", "work")
        like(found, rf"Blocked: work is on {topic} at 0, and no worker reads queue default\.")
        found = await until(second, "no_worker")
        like(
            found,
            rf"Blocked: work is on {topic} at \d+, 1 command is before it, and no worker reads queue "
            r"default\.",
        )
        assert found.evidence["before"] == 1
        async with another_worker(one_place, App("shop", workflows=[LONG])):
            found = await until(second, "queued", "work")
            if not found.evidence["reader"]:
                found = await _with_reader(second)
            like(
                found,
                rf"Runnable: work, attempt 1, is on {topic} at \d+, 1 command before it; worker-\S+ "
                r"reads it\.",
            )
            assert [check.name for check in found.checks if check.state == "holds"] == ["command"]
            await instance.client.pause_queue("default", reason="stocktaking", by="tom")
            found = await until(second, "queue_paused")
            like(
                found,
                r"Blocked: work waits, since queue default was paused by tom \(stocktaking\) at "
                rf"{CLOCK}; nothing resumes it by itself\.",
            )


async def _with_reader(run: RunHandle) -> Explanation:
    async with asyncio.timeout(60):
        while True:
            found = await explain(run, "work")
            if found.code == "queued" and found.evidence["reader"]:
                return found


async def test_workers_that_carry_something_else(settings: Settings) -> None:
    async with running(settings, App("shop", workflows=[OTHER])) as instance, asyncio.timeout(120):
        await instance.ports.catalogue.register(LONG.definition())
        run = await instance.client.start(LONG, id=SAME[0])
        codes = {"no_carrier", "not_carried", "queued", "handled"}
        found = await explain(run, "work")
        while found.code != "no_carrier":
            assert found.code in codes, str(found)
            found = await explain(run, "work")
        assert str(found) == (
            "Blocked: work waits for code: none of the 1 worker of queue default carries workflow long."
        )


async def test_a_partition_without_an_owner(settings: Settings) -> None:
    async with running(settings, None) as instance, asyncio.timeout(120):
        await instance.ports.catalogue.register(WAITING.definition())
        run = await instance.client.start(WAITING, id=SAME[0])
        found = await until(run, "signal")
        like(found, rf"Waiting: go waits for signal go since {CLOCK}\.")
    place = re.escape(f"{settings.prefix}.inbox/0")
    async with connecting.client(settings) as client, asyncio.timeout(120):
        run = client.run(SAME[0])
        found = await until(run, "no_owner")
        like(found, rf"Blocked: The run stands still: no reconciler reads {place}\.")
        await run.signal("go")
        found = await explain(run, "go")
        like(
            found,
            rf"Blocked: go stands still: no reconciler reads {place}, and 1 record waits since {CLOCK}\.",
        )
        assert [check.name for check in found.checks if check.state == "holds"] == ["run"]


async def test_an_owner_that_is_behind(settings: Settings) -> None:
    async with running(settings, None) as instance, asyncio.timeout(120):
        await instance.ports.catalogue.register(WAITING.definition())
        run = await instance.client.start(WAITING, id=SAME[0])
        await until(run, "signal")
        schema, dsn = settings.postgres.db_schema, settings.postgres.dsn.get_secret_value()
        connection = await asyncpg.connect(dsn)
        try:
            async with connection.transaction():
                await connection.execute(f'select from "{schema}".partition where id = 0 for update')
                await run.signal("go")
                found = await until(run, "behind")
                place = re.escape(f"{settings.prefix}.inbox/0")
                like(
                    found,
                    r"Blocked: The run may have moved on: reconciler-\S+ is 1 record behind on "
                    rf"{place}, with the oldest at {CLOCK}\.",
                )
        finally:
            await connection.close()
        assert (await until(run, "completed")).word == "Done"


async def test_a_queue_without_a_topic_has_failed_the_step(settings: Settings) -> None:
    async with running(settings, None) as instance, asyncio.timeout(120):
        await instance.ports.catalogue.register(OTHER.definition())
        # As a client starts it that does not look whether there is such a queue.
        start = StartRun(
            key=SAME[0], id="start", workflow=OTHER.name, fingerprint=OTHER.fingerprint, queue="nowhere"
        )
        await Edge(instance.ports).send(start, "start")
        run = await instance.begun(SAME[0])
        found = await until(run, "failed")
        like(
            found,
            rf"Needs review: a failed for good at {CLOCK} with no_queue: queue 'nowhere' has no topic.*",
        )


async def test_services_that_are_away(settings: Settings) -> None:
    async with running(settings, None) as instance, asyncio.timeout(120):
        await instance.ports.catalogue.register(WAITING.definition())
        run = await instance.client.start(WAITING, id=SAME[0])
        await until(run, "signal")
        [port] = free_ports(1)
        no_database = settings.override({"postgres.dsn": f"postgresql://nobody@127.0.0.1:{port}/none"})
        no_broker = settings.override({"kafka.bootstrap": f"127.0.0.1:{port}"})
        async with connecting.client(no_database) as client:
            found = await client.run(run.id).why()
            assert (found.code, found.word, found.status) == ("database_away", "Blocked", None)
            assert found.sentence.startswith(
                "The run cannot be read, and no run moves: the database does not answer: "
            )
        async with connecting.client(no_broker) as client:
            found = await client.run(run.id).why("go")
            assert (found.code, found.word) == ("broker_away", "Blocked")
            assert found.sentence.startswith("go cannot move, for no run does: Kafka does not answer: ")
