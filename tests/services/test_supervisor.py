"""Children are kept running, and end with their supervisor. The children are real commands of ours."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from stream_durable.services.supervisor import ChildUnusableError, Program, Supervisor

SECONDS = 60.0

Supervise = Callable[..., Supervisor]


class Events:
    """What a supervisor says of its children: pid, or None for an end."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[int | None] = asyncio.Queue()

    def __call__(self, program: Program, pid: int | None) -> None:
        self._events.put_nowait(pid)

    async def next(self) -> int | None:
        async with asyncio.timeout(SECONDS):
            return await self._events.get()


@pytest.fixture
def patient(tmp_path: Path) -> Program:
    """A reconciler that waits for a database which is not there."""
    environment = {
        "STREAM_DURABLE_POSTGRES__DSN": "postgresql://127.0.0.1:1/nowhere",
        "STREAM_DURABLE_KAFKA__BOOTSTRAP": "127.0.0.1:1",
    }
    return Program("reconciler", ("reconciler",), environment, tmp_path / "reconciler.log")


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_child_that_dies_is_started_again_and_ends_with_its_supervisor(patient: Program) -> None:
    events = Events()
    task = asyncio.create_task(Supervisor([patient], drain_seconds=1.0, on_change=events).run())

    first = await events.next()
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert await events.next() is None
    second = await events.next()
    assert second is not None
    await until(lambda: "dependency.failed" in patient.log.read_text())
    await end(task)

    assert first != second
    assert not psutil.pid_exists(second)
    assert "service.stopped" in patient.log.read_text()


async def test_a_restart_is_asked_for_by_name(patient: Program) -> None:
    events = Events()
    supervisor = Supervisor([patient], drain_seconds=1.0, on_change=events)
    task = asyncio.create_task(supervisor.run())

    first = await events.next()
    supervisor.restart("reconciler")
    assert await events.next() is None
    second = await events.next()
    assert supervisor.pid("reconciler") == second != first
    await end(task)


async def test_a_child_that_cannot_be_used_ends_all(patient: Program, tmp_path: Path) -> None:
    unusable = Program("worker", ("worker", "nowhere:app"), {}, tmp_path / "worker.log")
    supervisor = Supervisor([patient, unusable], drain_seconds=1.0)

    with pytest.raises(ChildUnusableError, match="worker"):
        await asyncio.wait_for(supervisor.run(), SECONDS)

    assert "cannot load 'nowhere:app'" in (tmp_path / "worker.log").read_text()
    assert supervisor.pid("reconciler") is None or not psutil.pid_exists(supervisor.pid("reconciler") or 0)


async def test_a_child_that_cannot_be_used_may_wait_to_be_mended(tmp_path: Path) -> None:
    events = Events()
    unusable = Program("worker", ("worker", "nowhere:app"), {}, tmp_path / "worker.log")
    supervisor = Supervisor([unusable], drain_seconds=1.0, keep_unusable=True, on_change=events)
    task: Awaitable[None] = asyncio.create_task(supervisor.run())

    assert await events.next() is not None
    assert await events.next() is None
    supervisor.restart("worker")
    assert await events.next() is not None
    await end(task)
