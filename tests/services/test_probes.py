"""Probes remember what was answered last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stream_durable.core.errors import TransientError
from stream_durable.services.probes import Probe
from stream_durable.telemetry import KAFKA_LOST, KAFKA_REGAINED


@asynccontextmanager
async def asking(probe: Probe) -> AsyncIterator[None]:
    task = asyncio.create_task(probe.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_was_not_asked_yet_is_not_good() -> None:
    async def ask() -> None:
        raise AssertionError

    assert Probe(ask, lost=KAFKA_LOST, regained=KAFKA_REGAINED).check() is not None


async def test_an_answer_is_good_and_a_failure_is_its_reason() -> None:
    asked = asyncio.Event()
    failure: list[TransientError] = []

    async def ask() -> None:
        asked.set()
        if failure:
            raise failure[0]

    good = Probe(ask, lost=KAFKA_LOST, regained=KAFKA_REGAINED)
    async with asking(good):
        await asked.wait()
        await asyncio.sleep(0)
        assert good.check() is None
    asked.clear()
    failure.append(TransientError("no broker"))
    bad = Probe(ask, lost=KAFKA_LOST, regained=KAFKA_REGAINED)
    async with asking(bad):
        await asked.wait()
        await asyncio.sleep(0)
        assert bad.check() == "no broker"
