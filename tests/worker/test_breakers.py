"""A breaker before a dependency that is down: two workers, real Kafka, real Postgres."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import NamedTuple

import pytest
from instances import Instance, running, settings_of
from waiting import eventually

from stream_durable import App, Breaker, Context, Retry, Workflow, bootstrap
from stream_durable.core.gate.summary import GateSummary
from stream_durable.local.kafka import LocalKafka
from stream_durable.metrics import Metrics
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

RUNS = 20
RESET_SECONDS = 1.0


class Call(NamedTuple):
    """One call of the dependency."""

    worker: str
    run: int
    attempt: int
    at: float
    is_ok: bool


class Bank:
    """A dependency that can be down, and keeps a list of who called it."""

    def __init__(self) -> None:
        self.is_down = True
        self.calls: list[Call] = []

    def app(self, worker: str) -> App:
        """Return the app as one worker carries it."""
        flow = Workflow("payment")
        breaker = Breaker("bank", failures=3, window="1m", reset="1s")

        @flow.step(breaker=breaker, retry=Retry(100, backoff="fixed", base="20ms"))
        async def charge(input: int, ctx: Context) -> int:  # noqa: A002 - the name says what it is
            self.calls.append(Call(worker, input, ctx.attempt, time.monotonic(), not self.is_down))
            if self.is_down:
                raise ConnectionError("the bank does not answer")
            return input

        return App("breakers", workflows=[flow])

    def attempts(self) -> list[Call]:
        """Return the first call of each attempt: a worker that joins may have what was begun made again."""
        first: dict[tuple[int, int], Call] = {}
        for call in self.calls:
            first.setdefault((call.run, call.attempt), call)
        return list(first.values())


@asynccontextmanager
async def one_more_worker(settings: Settings, app: App) -> AsyncIterator[None]:
    async with bootstrap.worker(settings, app, Metrics()) as worker:
        serving = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def gate_of(instance: Instance) -> GateSummary | None:
    found = await instance.ports.views.gate_list()
    assert len(found) <= 1
    return found[0] if found else None


async def test_a_breaker_holds_all_workers_back_lets_one_try_and_then_everybody_pass(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings, bank = settings_of(kafka_broker, database, prefix), Bank()
    async with running(settings, bank.app("w1")) as instance, one_more_worker(settings, bank.app("w2")):
        runs = [await instance.client.start("payment", number, id=f"run-{number}") for number in range(RUNS)]

        async def is_full() -> bool:
            gate = await gate_of(instance)
            return gate is not None and (gate.state, gate.waiting) == ("open", RUNS)

        await eventually(is_full, "it is open and all runs wait", seconds=60)
        before = len(bank.attempts())

        async def has_been_tried() -> bool:
            return len(bank.attempts()) >= before + 4

        await eventually(has_been_tried, "it has been tried four times", seconds=60)
        tried = [call.at for call in bank.attempts()[before:]]
        assert all(later - earlier > 0.9 * RESET_SECONDS for earlier, later in pairwise(tried))
        gate = await gate_of(instance)
        assert gate is not None
        assert (gate.failures_max, gate.failures >= 3) == (3, True)

        bank.is_down = False
        assert [await run.result() for run in runs] == list(range(RUNS))

        gate = await gate_of(instance)
        assert gate is not None
        assert (gate.state, gate.failures, gate.waiting, gate.due) == ("closed", 0, 0, None)
    assert {call.worker for call in bank.calls} == {"w1", "w2"}
    assert [call.run for call in bank.attempts() if call.is_ok].count(0) == 1
