"""The consumer of the README as a process of its own, stopped between events, on the real topics."""

import asyncio
import signal
import sqlite3
import sys
from asyncio.subprocess import DEVNULL, Process
from contextlib import closing, suppress
from pathlib import Path

import pytest
from instances import running, settings_of
from waiting import eventually

from stream_durable import App, Workflow
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
RUNS = 40
PARTS = 5
SECONDS = 60.0

chain = Workflow("chain")


@chain.step
async def first() -> int:
    return 1


@chain.step
async def second(first: int) -> int:
    return first + 1


@chain.step
async def third(second: int) -> int:
    return second + 1


APP = App("downstream", workflows=[chain])


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, database, prefix)


async def consumer(settings: Settings, home: Path) -> Process:
    # Isolated from this package: what it needs is a Kafka client, fastavro and the schema files.
    program, schemas = ROOT / "docs" / "examples" / "downstream.py", ROOT / "schemas"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(program), settings.kafka.bootstrap, str(schemas), settings.prefix,
        cwd=home, stdout=DEVNULL, stderr=DEVNULL, preexec_fn=may_be_interrupted,
    )  # fmt: skip


def may_be_interrupted() -> None:
    """Heed interrupts, also where a shell has started these tests in the background, which ignores them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def interrupted(process: Process) -> None:
    """Interrupt a consumer, and kill it if its client stands still while it leaves its group."""
    process.send_signal(signal.SIGINT)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 30)
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def ledger(home: Path, query: str) -> list[tuple[object, ...]]:
    """Look into what the consumer keeps; it may not have begun to."""
    with closing(sqlite3.connect(home / "downstream.db", timeout=10)) as database:
        try:
            return database.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


async def test_a_consumer_that_stops_again_and_again_misses_nothing_and_acts_once(
    settings: Settings, tmp_path: Path
) -> None:
    async with running(settings, APP) as instance:
        for part in range(PARTS):
            process = await consumer(settings, tmp_path)
            ids = [f"run-{n}" for n in range(part * RUNS // PARTS, (part + 1) * RUNS // PARTS)]
            before = len(ledger(tmp_path, "select * from effect"))
            await asyncio.gather(*(instance.client.start(chain, id=i) for i in ids))

            async def has_acted(before: int = before) -> bool:
                return len(ledger(tmp_path, "select * from effect")) > before

            await eventually(has_acted, "the consumer acts", seconds=SECONDS)
            # In the middle of what it has to do, but for the last.
            if part < PARTS - 1:
                await interrupted(process)

        # Proven by the sequence: as many events about steps were taken as the end of the run speaks of.
        complete = "select run from ended natural join seen where topic = 'steps' and sequence = steps"

        async def has_all() -> bool:
            return len(ledger(tmp_path, complete)) == RUNS

        await eventually(has_all, "every run is complete for the consumer", seconds=SECONDS)
        process.kill()
        await process.wait()

    expected = {(f"run-{n}", step, 1) for n in range(RUNS) for step in ("first", "second", "third")}
    assert set(ledger(tmp_path, "select run, step, count(*) from effect group by run, step")) == expected
