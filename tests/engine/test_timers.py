"""Many timers: loaded in windows, fired at their moment in order, and a mass of them holds up nobody."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import Raw

from stream_durable import App, Workflow
from stream_durable.core.ids import partition_of
from stream_durable.core.messages import MESSAGE_TYPES, RunTimerFired, ScheduleTimerFired, StartRun
from stream_durable.engine.timers import (
    APART_SECONDS,
    IN_A_ROW_MAX,
    UNDER_WAY_MAX,
    WINDOWS_MIN,
    Timers,
)
from stream_durable.memory.deployment import Deployment
from stream_durable.memory.loop import VirtualLoop
from stream_durable.memory.ports import VirtualClock
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.weather import Faults
from stream_durable.metrics import Metrics
from stream_durable.ports import TimerPosition, TimerRow
from stream_durable.settings import EngineSettings, WorkerSettings
from stream_durable.wire.inbox import decode_message, encode
from stream_durable.wire.topics import INBOX

HORIZON_MS = 60_000
SECONDS = 600.0
NOW = VirtualClock.EPOCH_MS


class Counting(MemoryStore):
    """Counts the queries for timers, and the rows that they brought."""

    def __init__(self, partitions: int) -> None:
        super().__init__(partitions)
        self.queries = self.rows = self.most = 0

    async def timers(
        self, partition: int, after: TimerPosition, until: int, limit: int
    ) -> list[TimerPosition]:
        found = await super().timers(partition, after, until, limit)
        self.queries += 1
        self.rows += len(found)
        self.most = max(self.most, len(found))
        return found


class World:
    """Timers of partitions, on virtual time; what they fire is folded at once, or not at all."""

    def __init__(self, rows: list[TimerRow], *, held_max: int = 1_000, folds: bool = True) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop.time)
        self.store = Counting(4)
        for kind, key, name, partition, due in rows:
            assert due is not None
            self.store.tables.timers[kind, key, name] = (partition, due)
        self.folds = folds
        self.fired: list[tuple[int, int, str]] = []
        #: How many timers were in memory at most.
        self.held = 0
        self.timers = Timers(
            self.store,
            self,
            self.clock,
            Metrics(),
            horizon_ms=HORIZON_MS,
            held_max=held_max,  # type: ignore[arg-type]
        )

    def send(self, messages: Any, done: Any, instead: Any = None) -> None:
        """Take what is published, as a broker that acknowledges at once."""
        types: dict[int, list[int]] = {}
        for outgoing, _ in messages:
            message = decode_message(outgoing.value)
            assert isinstance(message, RunTimerFired | ScheduleTimerFired)
            self.fired.append((message.due, self.clock.now(), message.key))
            types.setdefault(outgoing.partition, []).append(MESSAGE_TYPES.index(type(message)))
        self.held = max(self.held, self.timers.held)
        done([])
        if self.folds:
            for partition, each in types.items():
                self.loop.call_later(0.001, self.timers.folded, partition, each)

    def lived(self, seconds: float, *partitions: int) -> None:
        """Take partitions over, and let time pass."""

        async def story() -> None:
            for partition in partitions or (0,):
                await self.timers.load(partition)
            self.held = max(self.held, self.timers.held)
            running = asyncio.ensure_future(self.timers.run())
            await asyncio.sleep(seconds)
            running.cancel()

        try:
            self.loop.run_until_complete(story())
        finally:
            self.loop.close()


def rows(count: int, first: int, last: int, partition: int = 0) -> list[TimerRow]:
    """Return timers spread evenly over some milliseconds."""
    span = last - first
    return [
        TimerRow("run", f"r{partition}-{n}", "", partition, first + span * n // count) for n in range(count)
    ]


def test_a_mass_of_distant_timers_costs_a_takeover_one_query_and_no_row() -> None:
    world = World(rows(50_000, NOW + 2 * HORIZON_MS, NOW + 90 * HORIZON_MS))
    world.lived(1.0)

    assert (world.store.queries, world.store.rows, world.held, world.fired) == (1, 0, 0, [])


def test_schedules_known_for_some_time_fire_together_at_whole_seconds() -> None:
    ahead = TimerRow("schedule", "ahead", "", 0, NOW + 20_250)
    whole = TimerRow("schedule", "whole", "", 0, NOW + 20_000)
    soon = TimerRow("schedule", "soon", "", 0, NOW + 1_250)
    run = TimerRow("run", "run", "", 0, NOW + 20_250)
    assert NOW % 1_000 == 0
    world = World([ahead, whole, soon, run])
    world.lived(60.0)

    assert world.fired == [
        (NOW + 1_250, NOW + 1_250, "soon"),
        (NOW + 20_000, NOW + 20_000, "whole"),
        (NOW + 20_250, NOW + 20_250, "run"),
        (NOW + 20_250, NOW + 21_000, "ahead"),
    ]


@pytest.mark.parametrize("partitions", [1, 4])
def test_a_mass_of_near_timers_is_loaded_in_windows_that_memory_holds(partitions: int) -> None:
    count, held_max = 2_000, 400
    window = held_max // WINDOWS_MIN
    near = [row for p in range(partitions) for row in rows(count, NOW + 500, NOW + 4_000, p)]
    world = World(near, held_max=held_max)
    world.lived(10.0, *range(partitions))

    assert len(world.fired) == count * partitions == world.store.rows
    assert world.held <= partitions * window * 3 // 2
    # Each query brings a full window, but for the last ones.
    assert world.store.queries <= count * partitions // window + 6 * partitions


def test_a_timer_fires_at_its_moment_and_not_before_and_nothing_is_asked_meanwhile() -> None:
    moments = [NOW + n for n in (1, 999, 1_000, 1_001, 30_017, 59_999)]
    world = World([TimerRow("run", f"r{due}", "", 0, due) for due in moments])
    world.lived(60.0)

    assert [due for due, _, _ in world.fired] == moments
    assert all(0 <= at - due <= 1 for due, at, _ in world.fired)
    # The windows of the beginning, and those five seconds before the end of each.
    assert world.store.queries <= 3


def test_timers_due_close_together_are_fired_together_and_none_much_later() -> None:
    world = World([row for p in range(4) for row in rows(500, NOW + 1_000, NOW + 11_000, p)], held_max=50_000)
    world.lived(20.0, *range(4))

    rounds = len({at for _, at, _ in world.fired})
    assert len(world.fired) == 2_000
    assert rounds <= IN_A_ROW_MAX + 10.0 / APART_SECONDS + 1
    assert all(0 <= at - due <= 1_000 * APART_SECONDS + 1 for due, at, _ in world.fired)


def test_a_timer_after_a_quiet_time_waits_for_no_other() -> None:
    moments = [NOW + 1_000 + n for n in range(0, 1_000, 10)] + [NOW + 5_000 + n for n in range(IN_A_ROW_MAX)]
    world = World([TimerRow("run", f"r{due}", "", 0, due) for due in moments])
    world.lived(10.0)

    assert all(0 <= at - due <= 1 for due, at, _ in world.fired[-IN_A_ROW_MAX:])


def test_due_timers_fire_in_order_though_they_are_more_than_a_window() -> None:
    overdue = rows(5_000, NOW - 90_000, NOW - 1_000)
    world = World(overdue, held_max=300)
    world.lived(20.0)

    assert [due for due, _, _ in world.fired] == sorted(row.due for row in overdue if row.due is not None)
    assert world.held <= 300 // WINDOWS_MIN * 3 // 2


def test_so_many_and_no_more_are_under_way_until_they_are_folded() -> None:
    due = rows(UNDER_WAY_MAX * 2 + 1, NOW - 1_000, NOW - 500)
    world = World(due, held_max=50_000, folds=False)
    # Some may never be folded: after a second the next ones are fired all the same.
    world.lived(0.9)
    assert len(world.fired) == UNDER_WAY_MAX

    stalled = World(due, held_max=50_000, folds=False)
    stalled.lived(2.5)
    assert len(stalled.fired) == len(due)


def test_a_partition_that_folds_nothing_keeps_no_other_waiting() -> None:
    world = World([*rows(5_000, NOW - 1_000, NOW), *rows(10, NOW + 100, NOW + 200, 1)], held_max=50_000)
    world.folds = False
    world.lived(0.9, 0, 1)

    assert sum(key.startswith("r1-") for *_, key in world.fired) == 10


def test_timers_that_are_cancelled_make_room_for_those_behind_them() -> None:
    near = rows(1_000, NOW + 2_000, NOW + 3_000)
    world = World([*near, TimerRow("run", "late", "", 0, NOW + 4_000)], held_max=1_000)

    async def story() -> None:
        await world.timers.load(0)
        running = asyncio.ensure_future(world.timers.run())
        await asyncio.sleep(1.0)
        gone = [row._replace(due=None) for row in near]
        for row in near:
            del world.store.tables.timers[row[:3]]
        world.timers.apply(gone)
        await asyncio.sleep(3.5)
        running.cancel()

    world.loop.run_until_complete(story())
    world.loop.close()
    [(_, at, key)] = world.fired
    assert key == "late"
    assert 0 <= at - (NOW + 4_000) <= 1


RUNS = 5 * UNDER_WAY_MAX


class Sleepers:
    """Runs that all wake in the same second, and others beside them, on one partition."""

    def __init__(self) -> None:
        sleeping = Workflow("sleeping")
        sleeping.sleep("asleep", until="input.at")
        chain = Workflow("chain")
        self.steps: list[float] = []

        @chain.step
        async def first() -> None:
            self.steps.append(self.world.loop.time())

        @chain.step(after=[first])
        async def second() -> None:
            self.steps.append(self.world.loop.time())

        self.flows = {flow.name: flow for flow in (sleeping, chain)}
        self.world = Deployment(
            2, App("app", workflows=[sleeping, chain]), partitions=2, reconcilers=1, workers=1,
            faults=Faults(delay=0.001), engine=EngineSettings(), worker=WorkerSettings(),
        )  # fmt: skip

    def start(self, name: str, run: str, given: bytes = b"null") -> None:
        fingerprint = self.flows[name].fingerprint
        message = StartRun(key=run, id=run, workflow=name, fingerprint=fingerprint, input=Raw(given))
        self.world.broker.append(INBOX, None, run.encode(), encode(message))

    def behind(self) -> int:
        """How many records of the partition are not folded yet."""
        end = self.world.broker.topic(INBOX).partitions[0].high
        return end - self.world.store.tables.partitions[0].next_offset


def test_what_is_not_due_stands_behind_few_of_those_that_are() -> None:
    sleepers = Sleepers()
    world = sleepers.world
    names = (f"run-{n}" for n in range(10 * RUNS))
    runs = [run for run in names if partition_of(run, 2) == 0][:RUNS]
    beside = [run for run in (f"beside-{n}" for n in range(400)) if partition_of(run, 2) == 0]
    most = 0

    async def story() -> None:
        nonlocal most
        await world.open()
        at = world.clock.now() + 60_000
        given = b'{"at":"%b"}' % datetime.fromtimestamp(at / 1_000, UTC).isoformat().encode()
        for run in runs:
            sleepers.start("sleeping", run, given)
        async with asyncio.timeout(SECONDS):
            while world.clock.now() < at - 1_000:
                await asyncio.sleep(0.5)
            left = list(beside)
            while any(world.store.tables.timers):
                most = max(most, sleepers.behind())
                if left and world.clock.now() >= at:
                    sleepers.start("chain", left.pop())
                await asyncio.sleep(0.001)

    try:
        world.loop.run_until_complete(story())
    finally:
        world.end()
    assert world.wrong == []
    # Beside the timers stand the few records of the others.
    assert UNDER_WAY_MAX <= most <= UNDER_WAY_MAX * 3 // 2, most
