"""A step that ends its worker fails in the end, and what stands beside it comes through; so do limits."""

import asyncio
import json
import os
import secrets
from collections import Counter
from pathlib import Path

import pytest
from instances import SECONDS
from waiting import eventually

import stream_durable
from kill.deadly import deadly, well
from kill.fleet import RECONCILER, WORKER, Fleet
from kill.instance import Instance
from kill.limited import BURST, RATE, WINDOW_MS, limited
from kill.scene import Ground
from kill.workflows import JOURNALS
from stream_durable import RunFailed, connecting
from stream_durable.client import AsyncClient
from stream_durable.core.effects import Effects
from stream_durable.core.entities import Entity
from stream_durable.core.fold import create, fold
from stream_durable.core.gate.state import gate_id
from stream_durable.core.messages import PlaceGiven
from stream_durable.core.run.attempts import LOSSES_MAX
from stream_durable.services.supervisor import Program, Supervisor
from stream_durable.wire.inbox import decode_message

pytestmark = pytest.mark.kill

_SETTINGS = {
    "STREAM_DURABLE_WORKER__LEASE_MS": "3000",
    "STREAM_DURABLE_WORKER__HEARTBEAT_MS": "1000",
    "STREAM_DURABLE_KAFKA__SESSION_TIMEOUT_MS": "2500",
    "STREAM_DURABLE_KAFKA__HEARTBEAT_MS": "400",
}


async def test_a_step_that_ends_its_worker_fails_in_the_end(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"deadly_{secrets.token_hex(3)}"
    instance = Instance(name, ground.kafka, ground.postgres.dsn(), _SETTINGS)
    await instance.create()
    journals = ground.home / name
    journals.mkdir()
    environment = {
        **instance.environment,
        JOURNALS: str(journals),
        "PYTHONPATH": f"{Path(stream_durable.__file__).parents[1]}{os.pathsep}{Path(__file__).parents[1]}",
    }
    log = journals / "log"
    programs = [Program("reconciler", ("reconciler",), environment, log)]
    programs += [Program(f"worker-{n}", ("worker", "kill.deadly:app"), environment, log) for n in (1, 2)]
    supervising = asyncio.create_task(Supervisor(programs, drain_seconds=5.0).run())
    try:
        await eventually(lambda: _are_known(instance), "the workflows are known", seconds=SECONDS)
        async with AsyncClient(lambda: connecting.client_ports(instance.settings)) as client:
            bad = await client.start(deadly, id="bad")
            good = [await client.start(well, id=f"good-{n}") for n in range(5)]
            for run in good:
                await run.result(timeout="120s")
            with pytest.raises(RunFailed) as raised:
                await bad.result(timeout="240s")
            attempts = await bad.attempts("dies")
    finally:
        supervising.cancel()
        await asyncio.gather(supervising, return_exceptions=True)
        instance.disconnect()
    assert raised.value.failure.code == "worker_lost"
    assert attempts[-1].attempt == 2
    calls = Counter(
        (call["run"], call["attempt"])
        for journal in journals.glob("*.jsonl")
        for call in map(json.loads, journal.read_text().splitlines())
    )
    # Its first call was not announced, so it was not counted.
    assert max(calls[f"good-{n}", 1] for n in range(5)) <= LOSSES_MAX + 1, calls
    assert calls["bad", 1] <= LOSSES_MAX + 2, calls
    assert calls["bad", 2] <= LOSSES_MAX + 2, calls
    assert '"step": "dies"' in log.read_text()
    # From its second call on it was noted before it was called, and the supervisor names it.
    ended = [record.getMessage() for record in caplog.records if "process.ended" in record.getMessage()]
    assert sum("'bad/dies/1'" in line for line in ended) >= LOSSES_MAX, ended


async def test_a_rate_is_kept_to_while_workers_are_killed(ground: Ground) -> None:
    name = f"limited_{secrets.token_hex(3)}"
    instance = Instance(name, ground.kafka, ground.postgres.dsn(), _SETTINGS)
    await instance.create()
    fleet = Fleet(instance, ground.home / name, "kill.limited:app")
    try:
        for role in (RECONCILER, *[WORKER] * 4):
            fleet.start(role)
        await eventually(lambda: _are_known(instance, 1), "the workflow is known", seconds=SECONDS)
        async with AsyncClient(lambda: connecting.client_ports(instance.settings)) as client:
            runs = [await client.start(limited, id=f"run-{n}") for n in range(30)]
            for count in (6, 16):
                await eventually(lambda least=count: _have_ended(instance, least), "some end", seconds=60)
                for killed in fleet.of(WORKER)[:2]:
                    killed.kill()
                    fleet.start(WORKER)
            for run in runs:
                await run.result(timeout="60s")
        await fleet.stop()
        passed, told = await _passages(instance)
    finally:
        fleet.end()
        instance.disconnect()
    assert told == set(passed) == {run.id for run in runs}
    times = sorted(passed.values())
    for n, end in enumerate(times):
        within = sum(end - WINDOW_MS < time <= end for time in times[: n + 1])
        assert within <= RATE + BURST, times
    # No call begins before the log has let it pass, whoever makes it.
    calls: dict[str, int] = {}
    for journal in fleet.journals.glob("*.jsonl"):
        for call in map(json.loads, journal.read_text().splitlines()):
            assert call["attempt"] == 1, call
            at = int(call["at"] * 1_000)
            calls[call["run"]] = min(at, calls.get(call["run"], at))
    assert all(calls[run] >= time for run, time in passed.items())


async def _passages(instance: Instance) -> tuple[dict[str, int], set[str]]:
    """When each run passed, by the log, and which were let in by a message."""
    gate: Entity | None = None
    passed: dict[str, int] = {}
    told = set()
    for partition, records in enumerate(await instance.records("inbox")):
        now = 0
        for record in records:
            now, value = max(now, record.timestamp()[1]), record.value()
            assert value is not None
            message = decode_message(value)
            if isinstance(message, PlaceGiven):
                told.add(message.key)
            if message.kind == "gate" and message.key == gate_id("narrow"):
                gate = gate or create(message, partition, lambda fingerprint: None)
                out = Effects()
                fold(gate, message, now, out)
                for given in out.messages:
                    passed.setdefault(given.key, now)
    return passed, told


async def _have_ended(instance: Instance, count: int) -> bool:
    return (await instance.value("select count(*) from run where ended is not null") or 0) >= count


async def _are_known(instance: Instance, count: int = 2) -> bool:
    return await instance.definitions() == count
