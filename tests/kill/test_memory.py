"""What a reconciler and a worker hold follows from their settings, not from what waits for them."""

import asyncio
import random
import secrets
import string
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from confluent_kafka import Producer
from memory import MEGABYTE, MemoryWatch, resident
from msgspec import Raw
from waiting import eventually

from kill.fleet import RECONCILER, WORKER, Fleet
from kill.heavy import app, heavy
from kill.instance import Instance
from kill.scene import Ground
from stream_durable.core.messages import StartRun
from stream_durable.kafka.config import PARTITIONER
from stream_durable.wire.inbox import encode

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(900)]

RUNS = 300
#: Each is handed to two attempts.
BYTES = 880_000
#: What they may hold beyond what they held before the first run; all that waits for them is 264 and 528 MB. A
#: reconciler's cache, what is unpublished of four partitions, fetched and in a batch are 64, 64, 48 and 8 MB:
#: with the copies of a batch, and what the allocator keeps, twice that.
BOUNDS = {RECONCILER: 500 * MEGABYTE, WORKER: 250 * MEGABYTE}


class Site(NamedTuple):
    """One reconciler and one worker."""

    instance: Instance
    fleet: Fleet


@pytest.fixture
async def site(ground: Ground) -> AsyncIterator[Site]:
    name = f"memory_{secrets.token_hex(3)}"
    more = {
        "STREAM_DURABLE_WORKER__CONCURRENCY": "10",
        "STREAM_DURABLE_ENGINE__CACHE_BYTES_MAX": str(64 * 1024 * 1024),
    }
    instance = Instance(name, ground.kafka, ground.postgres.dsn(), more, partitions=4)
    await instance.create()
    fleet = Fleet(instance, ground.home / name, "kill.heavy:app")
    try:
        for role in BOUNDS:
            fleet.start(role)
        yield Site(instance, fleet)
    finally:
        fleet.end()
        instance.disconnect()


async def test_large_starts_and_attempts_pass_through_bounded_memory(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    instance, fleet = site
    await eventually(lambda: _is_defined(instance), "the workflow is known", seconds=60)
    await asyncio.to_thread(_start, instance, "first", 1, 10)
    await eventually(lambda: _have_ended(site, 1), "a first run ends", seconds=60)
    rest = {process.role: resident(process.pid) for process in fleet.processes}

    memory = MemoryWatch(lambda: fleet.processes, seconds=0.05)
    memory.start()
    await asyncio.to_thread(_start, instance, "heavy", RUNS, BYTES)
    await eventually(lambda: _have_ended(site, 1 + RUNS), "all runs end", seconds=600)
    memory.stop()

    grown = {role: memory.peaks[role] - rest[role] for role in BOUNDS}
    with capsys.disabled():
        said = ", ".join(f"{role} {more // MEGABYTE} MB" for role, more in grown.items())
        print(f"\n  {RUNS} starts of {BYTES:,} bytes, {2 * RUNS} attempts; more than at rest: {said}", end="")
    assert all(grown[role] < BOUNDS[role] for role in BOUNDS), grown


async def _is_defined(instance: Instance) -> bool:
    return await instance.definitions() == len(app.workflows)


async def _have_ended(site: Site, runs: int) -> bool:
    assert not site.fleet.died(), site.fleet.died()
    return await site.instance.value("select count(*) from run where status = 'completed'") == runs


def _start(instance: Instance, name: str, runs: int, size: int) -> None:
    """Put starts on the inbox, faster than anybody folds them."""
    producer = Producer(
        {"bootstrap.servers": instance.settings.kafka.bootstrap, "log_level": 0, "partitioner": PARTITIONER}
    )
    # Nothing that compresses.
    text = "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=size))
    data = Raw(b'{"text":"%b"}' % text.encode())
    for number in range(runs):
        run = f"{name}-{number}"
        start = StartRun(key=run, id=run, workflow=heavy.name, fingerprint=heavy.fingerprint, input=data)
        producer.produce(instance.topic("inbox"), encode(start), run)
        producer.poll(0)
    assert producer.flush(120) == 0
