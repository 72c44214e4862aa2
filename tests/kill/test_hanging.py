"""A worker whose threads hang says so, lets end what runs, and ends to be replaced."""

import asyncio
import json
import secrets
from collections import Counter

import pytest
from instances import SECONDS
from waiting import eventually

from kill.fleet import RECONCILER, WORKER, Fleet, Process
from kill.hanging import RELEASE, hanging, patient, plain
from kill.instance import Instance
from kill.scene import Ground
from stream_durable import RunFailed, connecting
from stream_durable.client import AsyncClient
from stream_durable.local.process import free_ports

pytestmark = pytest.mark.kill

_SETTINGS = {
    "STREAM_DURABLE_WORKER__THREADS": "2",
    "STREAM_DURABLE_WORKER__THREADS_OVERDUE_MAX": "2",
    "STREAM_DURABLE_KAFKA__SESSION_TIMEOUT_MS": "2500",
    "STREAM_DURABLE_KAFKA__HEARTBEAT_MS": "400",
}


async def test_a_worker_whose_threads_hang_is_replaced(ground: Ground) -> None:
    name = f"hanging_{secrets.token_hex(3)}"
    (port,) = free_ports(1)
    environment = {**_SETTINGS, "STREAM_DURABLE_HEALTH__PORT": str(port)}
    instance = Instance(name, ground.kafka, ground.postgres.dsn(), _SETTINGS)
    await instance.create()
    fleet = Fleet(instance, ground.home / name, "kill.hanging:app")
    try:
        fleet.start(RECONCILER)
        instance.environment = {**instance.environment, **environment}
        worker = fleet.start(WORKER)
        await eventually(lambda: _are_known(instance), "the workflows are known", seconds=SECONDS)
        async with AsyncClient(lambda: connecting.client_ports(instance.settings)) as client:
            neighbour = await client.start(patient, id="neighbour")
            bad = [await client.start(hanging, id=f"bad-{n}") for n in range(3)]
            for run in bad:
                with pytest.raises(RunFailed) as raised:
                    await run.result(timeout="60s")
                assert raised.value.failure.code == "timeout"

            reason = await eventually(lambda: _unready(port, "threads"), "it says so", seconds=SECONDS)
            # It begins nothing more, and another worker gets that.
            later = await client.start(plain, id="later")
            (fleet.journals / RELEASE).touch()
            await neighbour.result(timeout="60s")
            code = await asyncio.to_thread(worker.child.wait, SECONDS)
            worker.is_over = True

            fleet.start(WORKER)
            await later.result(timeout="60s")
        calls = Counter(
            call["run"]
            for journal in fleet.journals.glob("*.jsonl")
            for call in map(json.loads, journal.read_text().splitlines())
        )
    finally:
        fleet.end()
        instance.disconnect()
    assert code == 1
    assert "3 threads go on" in reason
    assert "step 'hangs' of run 'bad-0', attempt 1, since 20" in reason
    assert calls == {"neighbour": 1, "later": 1, "bad-0": 1, "bad-1": 1, "bad-2": 1}
    assert _events(worker)["thread.replaced"] == 3
    assert _events(worker)["service.failed"] == 1


def _events(process: Process) -> Counter[str]:
    lines = [line for line in process.log.read_text().splitlines() if line.startswith("{")]
    return Counter(json.loads(line)["event"] for line in lines)


async def _unready(port: int, check: str) -> str:
    """Return why a process is not ready by a check, as it says itself; nothing while it is."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return ""
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\n\r\n")
        answer = (await reader.read()).partition(b"\r\n\r\n")[2]
    finally:
        writer.close()
    reason: str = json.loads(answer)["checks"].get(check, "")
    return "" if reason == "ok" else reason


async def _are_known(instance: Instance) -> bool:
    return await instance.definitions() == 3
