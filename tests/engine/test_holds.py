"""A run whose definition is missing holds its partition, and never the others."""

import pytest
from waiting import eventually

from engine.held_world import (
    PARTITIONS,
    held,
    is_held,
    living,
    none_is_held,
    others,
    run_in,
    signal,
    start,
    status_of,
    waiters,
)
from stream_durable.core.errors import TransientError
from stream_durable.core.format import FORMAT
from stream_durable.core.messages import SignalRun
from stream_durable.engine import outbox
from stream_durable.engine.reconciler import Reconciler
from stream_durable.memory.definitions import MemoryDefinitions
from stream_durable.memory.remote import RemoteDefinitions
from stream_durable.memory.remote_log import RemoteLog
from stream_durable.simulation.world import World
from stream_durable.wire import inbox

STUCK = run_in(0, "stuck")


async def lose_definitions(world: World, *kept: object) -> None:
    """Let the topic of definitions hold these and no others, and every reconciler read it anew."""
    world.broker.recreate("definitions")
    for workflow in kept:
        await MemoryDefinitions(world.broker).register(workflow.definition())  # type: ignore[attr-defined]
    for slot in world.slots:
        if slot.role == "reconciler":
            world.crash(slot)


@pytest.mark.parametrize("reconcilers", [1, 2])
def test_a_missing_definition_holds_one_partition_until_it_is_there(reconcilers: int) -> None:
    async def story(world: World) -> None:
        await world.open()
        start(world, STUCK, waiters)
        await status_of(world, STUCK, "waiting")
        await lose_definitions(world, others)

        signal(world, STUCK)
        behind = run_in(0, "behind")
        start(world, behind)
        reason = await is_held(world, 0)
        for partition in range(1, PARTITIONS):
            run = run_in(partition, "beside")
            start(world, run)
            await status_of(world, run, "completed")
        assert waiters.fingerprint in reason
        assert set(held(world)) == {0}
        assert behind not in world.store.tables.runs

        await MemoryDefinitions(world.broker).register(waiters.definition())
        await status_of(world, STUCK, "completed")
        await status_of(world, behind, "completed")
        await none_is_held(world)

    world = living(story, reconcilers=reconcilers)

    assert not world.store.tables.dead
    assert not world.wrong


def test_what_comes_before_the_record_it_is_held_at_is_folded_and_nothing_is_skipped() -> None:
    """All records come in one batch; afterwards what was fetched too early does not count."""

    async def story(world: World) -> None:
        await world.open()
        start(world, STUCK, waiters)
        await status_of(world, STUCK, "waiting")
        await lose_definitions(world, others)
        runs = [f"{run_in(0, f'r{i}')}" for i in range(30)]
        for run in runs[:10]:
            start(world, run)
        signal(world, STUCK)
        for run in runs[10:]:
            start(world, run)
        await is_held(world, 0)
        for run in runs[:10]:
            await status_of(world, run, "running")
        assert runs[10] not in world.store.tables.runs

        await MemoryDefinitions(world.broker).register(waiters.definition())
        for run in (STUCK, *runs):
            await status_of(world, run, "completed")

    assert not living(story).store.tables.dead


def test_a_start_waits_while_the_definitions_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    is_away = False
    catch_up = RemoteDefinitions.catch_up

    async def away(self: RemoteDefinitions) -> None:
        if is_away:
            raise TransientError("no leader")
        await catch_up(self)

    monkeypatch.setattr(RemoteDefinitions, "catch_up", away)

    async def story(world: World) -> None:
        nonlocal is_away
        await world.open()
        ready = run_in(1, "ready")
        start(world, ready)
        await status_of(world, ready, "completed")
        is_away = True
        lost = run_in(0, "lost")
        start(world, lost, fingerprint="0123456789abcdef")
        assert "no leader" in await is_held(world, 0)
        beside = run_in(2, "beside")
        start(world, beside)
        await status_of(world, beside, "completed")
        assert not world.store.tables.dead

        is_away = False
        await none_is_held(world)
        # Now that they could be read, it is known that there is none.
        behind = run_in(0, "behind")
        start(world, behind)
        await status_of(world, behind, "completed")

    world = living(story)

    assert [dead.code for dead in world.store.tables.dead.values()] == ["unknown_workflow"]


def test_a_definition_of_a_newer_format_holds_its_start_and_is_not_refused() -> None:
    newer = b'{"format":%d,"name":"other","nodes":[{"kind":"dance"}]}' % (FORMAT + 1)

    async def story(world: World) -> None:
        from stream_durable.core.definition.nodes import fingerprint_of
        from stream_durable.core.definition.reading import definition_key

        await world.open()
        fingerprint = fingerprint_of(newer)
        world.broker.append("definitions", 0, definition_key("other", fingerprint), newer)
        start(world, STUCK, fingerprint=fingerprint)
        assert f"format {FORMAT + 1}" in await is_held(world, 0)
        beside = run_in(1, "beside")
        start(world, beside)
        await status_of(world, beside, "completed")

    world = living(story)

    assert not world.store.tables.dead
    assert STUCK not in world.store.tables.runs


def test_an_operator_may_bury_the_record_that_a_partition_is_held_at() -> None:
    async def story(world: World) -> None:
        await world.open()
        start(world, STUCK, waiters)
        await status_of(world, STUCK, "waiting")
        await lose_definitions(world, others)
        signal(world, STUCK)
        behind = run_in(0, "behind")
        start(world, behind)
        await is_held(world, 0)

        stuck = SignalRun(key=STUCK, id=f"go {STUCK}", signal="go")
        log = world.broker.topic("inbox").partitions[0].records
        (record,) = [each for each in log if each.value == inbox.encode(stuck)]
        verdict = outbox.verdict(record, "buried", "its definition is gone for good")
        world.broker.append("verdicts", verdict.partition, verdict.key, verdict.value)

        await status_of(world, behind, "completed")

    world = living(story)

    assert [dead.code for dead in world.store.tables.dead.values()] == ["buried"]
    assert world.store.tables.runs[STUCK].status == "waiting"


def test_a_partition_stands_still_for_long_while_too_much_of_it_is_unpublished() -> None:
    behind = run_in(0, "behind")

    async def story(world: World) -> None:
        await world.open()
        start(world, STUCK)
        await status_of(world, STUCK, "completed")
        [program] = [slot.program for slot in world.slots if isinstance(slot.program, Reconciler)]
        partition, log = program.partitions[0], program._log
        assert isinstance(log, RemoteLog)
        partition.is_full = True
        program._holds.hold_back(partition, True)
        start(world, behind)
        until = world.clock.now() + 120_000

        async def is_late() -> bool:
            assert 0 not in log.log.fetching
            return world.clock.now() > until

        await log.bounds(0)
        await eventually(is_late, "the log was looked at several times", seconds=60)
        partition.is_full = False
        program._holds.hold_back(partition, False)
        await status_of(world, behind, "completed")

    assert not living(story, reconcilers=1).wrong


def test_a_released_partition_is_not_fetched_while_too_much_of_it_is_unpublished() -> None:
    async def story(world: World) -> None:
        await world.open()
        start(world, STUCK, waiters)
        await status_of(world, STUCK, "waiting")
        await lose_definitions(world, others)
        signal(world, STUCK)
        await is_held(world, 0)
        [program] = [slot.program for slot in world.slots if isinstance(slot.program, Reconciler)]
        partition, log = program.partitions[0], program._log
        assert isinstance(log, RemoteLog)
        partition.is_full = True
        program._holds.hold_back(partition, True)

        await MemoryDefinitions(world.broker).register(waiters.definition())
        await none_is_held(world)
        await log.bounds(0)
        assert 0 not in log.log.fetching

        partition.is_full = False
        program._holds.hold_back(partition, False)
        await status_of(world, STUCK, "completed")

    assert not living(story, reconcilers=1).wrong
