"""Masses of timers in Postgres: a takeover reads few of them, and those due at once hold up no others."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import asyncpg
import pytest
from budget import TIMERS_AHEAD, TIMERS_AT_ONCE
from masses import NOW, SCHEMA, Counting

from stream_durable.core.messages import MESSAGE_TYPES, RunTimerFired
from stream_durable.engine.timers import UNDER_WAY_MAX, WINDOWS_MIN, Timers
from stream_durable.metrics import Metrics
from stream_durable.ports import Refusal
from stream_durable.settings import EngineSettings
from stream_durable.wire.inbox import decode_message

pytestmark = [pytest.mark.real, pytest.mark.slow]

ENGINE = EngineSettings()
WINDOW = ENGINE.timers_held_max // WINDOWS_MIN
TYPE = MESSAGE_TYPES.index(RunTimerFired)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.ms = NOW

    def now(self) -> int:
        return self.ms


class Folding:
    """A broker that acknowledges at once, and a reconciler that folds a little later."""

    def __init__(self) -> None:
        self.timers: Timers
        self.fired: list[tuple[int, int, str]] = []
        self.under_way = [0, 0]
        self.most = self.held = 0
        #: How many are waited for, and that they have all fired.
        self.wanted, self.reached = 0, asyncio.Event()

    def send(self, messages: Any, done: Any, instead: Any = None) -> None:
        partition = messages[0][0].partition
        for outgoing, _ in messages:
            message = decode_message(outgoing.value)
            assert isinstance(message, RunTimerFired)
            self.fired.append((partition, message.due, message.key))
        self.under_way[partition] += len(messages)
        self.most = max(self.most, *self.under_way)
        self.held = max(self.held, self.timers.held)
        if self.wanted and len(self.fired) >= self.wanted:
            self.reached.set()
        done([])
        asyncio.get_running_loop().call_soon(self.fold, partition, len(messages))

    async def publish(self, messages: Any) -> list[Refusal]:
        raise AssertionError("timers send, and await nothing")

    async def close(self) -> None:
        """Nothing is open."""

    def fold(self, partition: int, count: int) -> None:
        self.under_way[partition] -= count
        self.timers.folded(partition, [TYPE] * count)


async def insert(database: str, partition: int, count: int, first: int, span: int, name: str = "r") -> None:
    """Insert timers of a partition, spread evenly over some milliseconds."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        f"insert into {SCHEMA}.timer (kind, key, name, partition, due) "
        f"select 'run', '{name}' || n, '', {partition}, {first} + n::bigint * {span} / {count} "
        f"from generate_series(0, {count} - 1) n"
    )
    await connection.execute(f"analyze {SCHEMA}.timer")
    await connection.close()


def timers_of(store: Counting, publisher: Folding, clock: Clock) -> Timers:
    publisher.timers = Timers(
        store, publisher, clock, Metrics(), horizon_ms=ENGINE.timer_horizon_ms,
        held_max=ENGINE.timers_held_max,
    )  # fmt: skip
    return publisher.timers


@pytest.mark.parametrize(("first", "rows"), [(10 * ENGINE.timer_horizon_ms, 0), (1_000, WINDOW)])
async def test_a_takeover_reads_a_window_of_all_that_will_be_due(
    store: Counting, database: str, first: int, rows: int
) -> None:
    await insert(database, 0, TIMERS_AHEAD, NOW + first, ENGINE.timer_horizon_ms // 2)
    timers = timers_of(store, Folding(), Clock())
    # What the first query of a connection costs is no part of it.
    await store.timers(1, (-1, "channel", "", ""), NOW, 1)
    store.queries = 0

    tracemalloc.start()
    await timers.load(0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (store.queries, store.rows, timers.held) == (1, rows, rows)
    assert peak < 1_000_000 + 2_000 * rows, peak


async def test_all_that_is_due_at_once_is_fired_in_order_and_holds_up_nothing(
    store: Counting, database: str
) -> None:
    beside = 50
    await insert(database, 0, TIMERS_AT_ONCE, NOW + 1_000, 1_000)
    await insert(database, 1, beside, NOW + 1_000, 1_000, "beside")
    clock, publisher = Clock(), Folding()
    timers = timers_of(store, publisher, clock)
    for partition in (0, 1):
        await timers.load(partition)
    assert publisher.fired == []

    # The second is over before the first of them is looked at.
    clock.ms = NOW + 2_000
    publisher.wanted = TIMERS_AT_ONCE + beside
    running = asyncio.ensure_future(timers.run())
    reached = asyncio.ensure_future(publisher.reached.wait())
    await asyncio.wait([running, reached], timeout=300, return_when=asyncio.FIRST_COMPLETED)
    assert reached.done(), f"{len(publisher.fired)} of {publisher.wanted} have fired"
    running.cancel()

    mass = [(due, key) for partition, due, key in publisher.fired if partition == 0]
    assert len(set(mass)) == TIMERS_AT_ONCE and [due for due, _ in mass] == sorted(due for due, _ in mass)
    # The other partition has its turn after one round of this one.
    last = max(at for at, (partition, *_) in enumerate(publisher.fired) if partition == 1)
    assert last < UNDER_WAY_MAX + beside
    assert publisher.most <= UNDER_WAY_MAX
    assert publisher.held <= WINDOW * 3 // 2 + beside
    assert store.queries <= TIMERS_AT_ONCE * 2 // WINDOW + 6
