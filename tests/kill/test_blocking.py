"""A step that blocks its worker's loop fails; what stands beside it is repeated once and comes through."""

import asyncio
import json
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from instances import SECONDS
from waiting import eventually

import stream_durable
from kill.blocking import NEIGHBOURS, blocking, nested, patient
from kill.instance import Instance
from kill.scene import Ground
from kill.workflows import JOURNALS
from stream_durable import RunFailed, connecting
from stream_durable.client import AsyncClient
from stream_durable.services.supervisor import Program, Supervisor

pytestmark = pytest.mark.kill

#: Less than by default, so that a test need not wait as long, and more than a busy machine takes for nothing.
_SETTINGS = {
    "STREAM_DURABLE_WORKER__LEASE_MS": "9000",
    "STREAM_DURABLE_WORKER__HEARTBEAT_MS": "3000",
    "STREAM_DURABLE_WORKER__STARTED_AFTER_MS": "200",
    "STREAM_DURABLE_WORKER__BLOCKED_AFTER_MS": "2500",
    "STREAM_DURABLE_WORKER__BLOCKED_MAX_MS": "6000",
    "STREAM_DURABLE_LOG__FORMAT": "json",
}


class Scene(NamedTuple):
    instance: Instance
    client: AsyncClient
    journals: Path

    def calls(self) -> Counter[tuple[str, int]]:
        return Counter(
            (call["run"], call["attempt"])
            for journal in self.journals.glob("*.jsonl")
            for call in map(json.loads, journal.read_text().splitlines())
        )

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = (self.journals / "log").read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line["event"] == event]


@asynccontextmanager
async def supervised(ground: Ground, workers: int, **settings: str) -> AsyncIterator[Scene]:
    """A reconciler and workers that are started again when they end."""
    name = f"blocking_{secrets.token_hex(3)}"
    instance = Instance(name, ground.kafka, ground.postgres.dsn(), {**_SETTINGS, **settings})
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
    app = ("worker", "kill.blocking:app")
    programs += [Program(f"worker-{n}", app, environment, log) for n in range(workers)]
    supervising = asyncio.create_task(Supervisor(programs, drain_seconds=5.0).run())

    async def are_known() -> bool:
        return await instance.definitions() == 3

    try:
        await eventually(are_known, "the workflows are known", seconds=SECONDS)
        async with AsyncClient(lambda: connecting.client_ports(instance.settings)) as client:
            yield Scene(instance, client, journals)
    finally:
        supervising.cancel()
        await asyncio.gather(supervising, return_exceptions=True)
        instance.disconnect()


async def test_neighbours_of_a_step_that_blocks_the_loop_are_repeated_once(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    def ended() -> list[str]:
        return [record.getMessage() for record in caplog.records if "process.ended" in record.getMessage()]

    async def both_have_ended() -> bool:
        return len(ended()) == 2

    async with supervised(ground, workers=1) as scene:
        bad = await scene.client.start(blocking, id="bad")
        good = [await scene.client.start(patient, NEIGHBOURS, id=f"good-{n}") for n in range(NEIGHBOURS)]
        for run in good:
            await run.result(timeout="120s")
        with pytest.raises(RunFailed) as raised:
            await bad.result(timeout="120s")
        attempts = await bad.attempts("blocks")
        losses = await scene.instance.value("select max(losses) from step")
        # A worker says that it was blocked before it ends.
        await eventually(both_have_ended, "both workers have ended", seconds=SECONDS)
    calls = scene.calls()
    # The second attempt waits until its neighbours have ended, and begins alone.
    assert all(calls[f"good-{n}", 1] <= 2 for n in range(3)), calls
    assert sum(calls[f"good-{n}", 1] for n in range(3)) > 3, calls
    assert (calls["bad", 1], calls["bad", 2]) == (1, 1)
    assert [one.failure.code for one in attempts if one.failure] == ["loop_blocked", "loop_blocked"]
    assert "kept the event loop of its worker from turning" in raised.value.failure.message
    assert not losses, "nobody was lost"

    blocked = scene.logged("attempt.blocked")
    assert [(one["run"], one["step"], one["attempt"]) for one in blocked] == [
        ("bad", "blocks", 1),
        ("bad", "blocks", 2),
    ]
    assert "blocking.py" in blocked[0]["stack"][0]
    for n, line in enumerate(ended(), 1):
        assert "code=70" in line
        assert f"attempts=['bad/blocks/{n}'" in line
    assert [one["returned"] for one in scene.logged("attempt.abandoned")] == [3, 0]


async def test_a_block_that_ends_costs_nobody_anything(ground: Ground) -> None:
    # Longer than a lease, which would have been over but for the heartbeats.
    longer = {"STREAM_DURABLE_WORKER__BLOCKED_MAX_MS": "60000"}
    async with supervised(ground, workers=1, **longer) as scene:
        bad = await scene.client.start(blocking, id="bad")
        good = [await scene.client.start(patient, NEIGHBOURS, id=f"good-{n}") for n in range(NEIGHBOURS)]
        for run in (bad, *good):
            await run.result(timeout="120s")
    assert set(scene.calls().values()) == {1}
    assert len(scene.logged("attempt.blocked")) == 1


async def test_the_time_out_of_a_step_counts_while_it_blocks_the_loop(ground: Ground) -> None:
    longer = {"STREAM_DURABLE_WORKER__BLOCKED_MAX_MS": "60000"}
    async with supervised(ground, workers=1, **longer) as scene:
        bad = await scene.client.start(nested, id="bad")
        with pytest.raises(RunFailed) as raised:
            await bad.result(timeout="120s")
        good = await scene.client.start(patient, 1, id="good")
        await good.result(timeout="60s")
    assert raised.value.failure.code == "loop_blocked"
    assert "its time-out of 1000 ms is over" in raised.value.failure.message
    (blocked,) = scene.logged("attempt.blocked")
    # The step is known, although a task that it has made is what blocks.
    assert (blocked["run"], blocked["step"]) == ("bad", "blocks_inside")
    assert blocked["stack"][0].endswith("inside")
