"""Of many starts at once few runs are under way, though workers are fast: on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Raw
from waiting import eventually

from stream_durable import App, Context, Workflow
from stream_durable.core.ids import partition_of
from stream_durable.core.messages import CancelRun, Message, SignalRun, StartRun
from stream_durable.engine import backlog as engine_backlog
from stream_durable.engine.following import Following
from stream_durable.engine.reconciler import Reconciler
from stream_durable.memory.deployment import Deployment
from stream_durable.memory.remote import RemoteStore
from stream_durable.memory.weather import Faults
from stream_durable.ports import Keys, Loaded, Owned, Record, Share
from stream_durable.settings import EngineSettings, WorkerSettings
from stream_durable.wire.inbox import encode
from stream_durable.wire.topics import COMMANDS, INBOX

RUNS = 3_000
#: A virtual moment for each call of a service.
DELAY = 0.001
PORTION = 250
#: What has doubled twice, and what ends between two looks.
UNDER_WAY_MAX = 5 * PORTION
SECONDS = 600.0
#: A backlog begun with so few is a long one, of which so many runs stay in memory at most.
LITTLE = 5
KEPT_MAX = 600
RUNS_FEW = 20


class Backlog:
    """A deployment that finds many starts on the log."""

    def __init__(
        self, *, begin_at_once: int = PORTION, step_seconds: float = 0.0, batch_records_max: int = 2_000
    ) -> None:
        self.begun: set[str] = set()
        self.ended: set[str] = set()
        self.order: list[str] = []
        self.calls = 0
        self.most = 0
        #: First commands on their topic.
        self.published = 0
        flow = Workflow("flow")

        @flow.step
        async def first(ctx: Context[None]) -> None:
            self.calls += 1
            self.begun.add(ctx.run_id)
            self.order.append(ctx.run_id)
            self.most = max(self.most, len(self.begun) - len(self.ended))
            if step_seconds:
                await asyncio.sleep(step_seconds)

        @flow.step(after=[first])
        async def last(ctx: Context[None]) -> None:
            self.calls += 1
            self.ended.add(ctx.run_id)

        self.flow = flow
        self.world = Deployment(
            2, App("app", workflows=[flow]), partitions=2, reconcilers=1, workers=1,
            faults=Faults(delay=DELAY), worker=WorkerSettings(concurrency=RUNS),
            engine=EngineSettings(begin_at_once=begin_at_once, batch_records_max=batch_records_max),
        )  # fmt: skip
        self.fingerprint = flow.definition().fingerprint()

    @property
    def reconciler(self) -> Reconciler:
        found = self.world.slots[0].program
        assert isinstance(found, Reconciler)
        return found

    async def is_fresh(self) -> bool:
        """Whether the reconciler has looked at its rows, and folds on while it saves."""
        return self.world.slots[0].program is not None and self.reconciler._watch.is_fresh

    async def have_ended(self) -> bool:
        return all(run.ended is not None for run in self.world.store.tables.runs.values())

    def start(self, count: int, name: str = "run", priority: int = 0) -> None:
        for number in range(count):
            message = StartRun(
                key=f"{name}-{number}", id=f"s-{name}-{number}", workflow="flow",
                fingerprint=self.fingerprint, input=Raw(b"null"), priority=priority,
            )  # fmt: skip
            self.world.broker.append(INBOX, None, message.key.encode(), encode(message))

    async def until(self, count: int) -> None:
        async with asyncio.timeout(SECONDS):
            while len(self.ended) < count:
                await asyncio.sleep(0.05)

    def lived(self, *, crash_at: int = 0, stops_at: tuple[int, ...] = ()) -> None:
        """Let all runs end; the reconciler crashes, or ends in good order, once so many have."""

        async def story() -> None:
            await self.world.open()
            self.start(RUNS)
            if crash_at:
                await self.until(crash_at)
                self.world.crash(self.world.slots[0])
            for count in stops_at:
                await self.until(count)
                process = self.world.slots[0].process
                assert process is not None
                process.stop()
            await self.until(RUNS)
            async with asyncio.timeout(SECONDS):
                while self.world.store.tables.backlog or self.world.store.tables.outbox:
                    await asyncio.sleep(0.05)
            self.published = len(self.world.broker.topic(COMMANDS + "default.first").records())

        try:
            self.world.loop.run_until_complete(story())
        finally:
            self.world.end()
        assert self.world.wrong == []


def test_few_of_many_runs_are_under_way() -> None:
    backlog = Backlog()
    backlog.lived()

    assert backlog.most <= UNDER_WAY_MAX, backlog.most
    assert backlog.calls == 2 * RUNS


def test_without_portions_all_are() -> None:
    backlog = Backlog(begin_at_once=100_000)
    backlog.lived()

    assert backlog.most > RUNS * 0.4, backlog.most


@pytest.mark.parametrize("crash_at", [PORTION, RUNS // 2])
def test_a_successor_goes_on_in_portions(crash_at: int) -> None:
    backlog = Backlog()
    backlog.lived(crash_at=crash_at)

    assert backlog.most <= UNDER_WAY_MAX + 4 * PORTION, backlog.most
    assert backlog.begun == backlog.ended


def test_a_reconciler_that_leaves_has_nothing_begun_twice() -> None:
    backlog = Backlog()
    backlog.lived(stops_at=(1, PORTION, RUNS // 4, RUNS // 2))

    assert backlog.published == RUNS


def test_runs_that_take_long_do_not_keep_workers_waiting() -> None:
    backlog = Backlog(step_seconds=60.0)
    began = backlog.world.loop.time()
    backlog.lived()

    # One step of all at once, after portions that double each half second.
    assert backlog.most > RUNS * 0.9
    assert backlog.world.loop.time() - began < 60 + 15


def test_a_higher_priority_does_not_wait() -> None:
    backlog = Backlog()

    async def story() -> None:
        await backlog.world.open()
        backlog.start(RUNS)
        await backlog.until(1)
        backlog.start(1, "urgent", priority=1)
        await backlog.until(RUNS + 1)

    try:
        backlog.world.loop.run_until_complete(story())
    finally:
        backlog.world.end()
    assert backlog.order.index("urgent-0") < RUNS / 2


def test_first_attempts_wait_in_no_topic_meanwhile() -> None:
    backlog = Backlog()
    seen: list[int] = []

    async def story() -> None:
        await backlog.world.open()
        backlog.start(RUNS)
        await backlog.until(1)
        topic = backlog.world.broker.topic(COMMANDS + "default.first")
        seen.append(len(topic.records()))
        seen.append(sum(count for count, _ in backlog.world.store.tables.backlog.values()))
        await backlog.until(RUNS)

    try:
        backlog.world.loop.run_until_complete(story())
    finally:
        backlog.world.end()
    published, held = seen
    assert published <= UNDER_WAY_MAX
    assert held > 0


def test_runs_of_a_long_backlog_leave_memory_and_are_loaded_again_before_they_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backlog = Backlog(begin_at_once=LITTLE, batch_records_max=100)
    tables, load = backlog.world.store.tables, RemoteStore.load
    seen: list[int] = []
    loads: list[int] = []

    async def counted(store: RemoteStore, keys: Keys, owned: Owned) -> Loaded:
        loads.append(len(keys.get("run", ())))
        return await load(store, keys, owned)

    async def are_there() -> bool:
        return len(tables.runs) == RUNS

    async def story() -> None:
        await backlog.world.open()
        backlog.start(RUNS)
        await eventually(are_there, "all runs are saved", seconds=60)
        seen.append(len(backlog.reconciler._cache.of("run")))
        seen.append(len(tables.backlog))
        monkeypatch.setattr(RemoteStore, "load", counted)
        await backlog.until(RUNS)

    try:
        backlog.world.loop.run_until_complete(story())
    finally:
        backlog.world.end()
    kept, rows = seen
    assert kept < KEPT_MAX, kept
    # One query for each row of commands, or two; and no others.
    assert sum(loads) >= RUNS - KEPT_MAX
    assert len(loads) <= 2 * rows, (len(loads), rows)


def test_a_run_changed_since_is_not_loaded_as_it_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A held run leaves memory with the save of its start, before its cancellation is saved."""
    monkeypatch.setattr(engine_backlog, "KEPT_TIMES", 0)
    backlog = Backlog(begin_at_once=1)
    world = backlog.world
    commit, fold = RemoteStore.commit, Following.fold
    is_saving, may_hold, may_cancel = asyncio.Event(), asyncio.Event(), asyncio.Event()
    late: list[tuple[int, int]] = []
    followed: list[tuple[int, int]] = []
    #: Of the partition whose commands go first.
    held = next(run for run in (f"run-{number}" for number in range(RUNS_FEW)) if partition_of(run, 2) == 0)

    async def wait_for_us(store: RemoteStore, shares: Sequence[Share]) -> bool:
        if any(share.held is not None for share in shares):
            is_saving.set()
            await may_hold.wait()
        if any((share.partition, share.from_offset) in late for share in shares):
            await may_cancel.wait()
        return await commit(store, shares)

    def noted(following: Following, records: list[Record], *more: Any) -> bool:
        is_folded = fold(following, records, *more)
        followed.extend((record.partition, record.offset) for record in records if is_folded)
        return is_folded

    def send(message: Message) -> tuple[int, int]:
        world.broker.append(INBOX, None, message.key.encode(), encode(message))
        partition = partition_of(message.key, 2)
        return partition, world.broker.topic(INBOX).partitions[partition].records[-1].offset

    async def story() -> None:
        await world.open()

        async def is_loaded() -> bool:
            return bool(backlog.reconciler._cache.of("run").keys() - {held})

        async def has_followed() -> bool:
            return at in followed

        await eventually(backlog.is_fresh, "the owner has looked at its rows", seconds=60)
        monkeypatch.setattr(RemoteStore, "commit", wait_for_us)
        monkeypatch.setattr(Following, "fold", noted)
        backlog.start(RUNS_FEW)
        await is_saving.wait()
        at = send(CancelRun(key=held, id="cancel"))
        late.append(at)
        await eventually(has_followed, "the cancellation is folded", seconds=60)
        may_hold.set()
        await eventually(is_loaded, "runs about to begin are loaded", seconds=60)
        at = send(SignalRun(key=held, id="late", signal="go"))
        await eventually(has_followed, "the signal is folded", seconds=60)
        may_cancel.set()
        await eventually(backlog.have_ended, "all runs have ended", seconds=60)

    try:
        world.loop.run_until_complete(story())
    finally:
        world.end()
    assert world.store.tables.runs[held].status == "cancelled"
