"""Partitions and records of newer releases: held and left alone, never buried or rewritten."""

import copy

import pytest

from engine.held_world import held, is_held, living, run_in, start, status_of, waiters
from stream_durable.core.format import FORMAT, FORMATS_AHEAD_MAX
from stream_durable.core.messages import FormatRaised
from stream_durable.engine.outbox import format_record
from stream_durable.simulation.world import World
from stream_durable.wire import inbox

NEXT = FORMAT + 1
#: What a partition has until somebody raises it.
FIRST = 1
UNKNOWN = b'{"type":"run.dance","run":"%s","format":%d,"with":"somebody"}'


def put(world: World, partition: int, key: bytes, value: bytes) -> None:
    world.broker.append("inbox", partition, key, value)


def raise_format(world: World, partition: int, to: int = NEXT) -> None:
    record = format_record(partition, to)
    put(world, partition, record.key or b"", record.value or b"")


def test_a_record_of_a_newer_type_is_not_buried_and_the_others_go_on() -> None:
    run = run_in(0, "dancer")

    async def story(world: World) -> None:
        await world.open()
        put(world, 0, run.encode(), UNKNOWN % (run.encode(), NEXT))
        assert f"format {NEXT}" in await is_held(world, 0)
        beside = run_in(1, "beside")
        start(world, beside)
        await status_of(world, beside, "completed")

    assert not living(story).store.tables.dead


@pytest.mark.parametrize(
    "value",
    [
        UNKNOWN % (b"%s", FORMAT),
        b'{"type":"run.dance","run":"%s"}',
        b'{"type":"Run.Dance","run":"%s","format":2}',
        b'{"type":"run.dance","run":"%s","format":"2"}',
        b'{"type":7,"run":"%s","format":2}',
        b'["run.dance","%s",2]',
        b"garbage",
    ],
)
def test_what_does_not_say_that_it_is_newer_is_buried(value: bytes) -> None:
    run = run_in(0, "dancer")

    async def story(world: World) -> None:
        await world.open()
        put(world, 0, run.encode(), value.replace(b"%s", run.encode()))
        behind = run_in(0, "behind")
        start(world, behind)
        await status_of(world, behind, "completed")

    assert [dead.code for dead in living(story).store.tables.dead.values()] == ["unreadable"]


@pytest.mark.parametrize("ahead", [FORMATS_AHEAD_MAX + 1, (1 << 31) - 1 - FORMAT])
@pytest.mark.parametrize("what", ["log.format", "an unknown type"])
def test_a_format_that_no_release_will_ever_have_is_buried(what: str, ahead: int) -> None:
    run = run_in(0, "dancer")

    async def story(world: World) -> None:
        await world.open()
        if what == "log.format":
            raise_format(world, 0, FORMAT + ahead)
        else:
            put(world, 0, run.encode(), UNKNOWN % (run.encode(), FORMAT + ahead))
        behind = run_in(0, "behind")
        start(world, behind)
        await status_of(world, behind, "completed")
        assert world.store.tables.partitions[0].format == FIRST

    [letter] = living(story).store.tables.dead.values()
    assert letter.code == "unreadable"
    assert ("no release is so far ahead" in letter.reason) is (what == "log.format")


def test_the_log_raises_the_format_and_only_newer_releases_go_on() -> None:
    before = run_in(0, "before")

    async def old(world: World) -> None:
        await world.open()
        start(world, before, waiters)
        await status_of(world, before, "waiting")
        raise_format(world, 0)
        assert f"format {NEXT}" in await is_held(world, 0)
        assert world.store.tables.partitions[0].format == FIRST
        for slot in world.slots:
            if slot.role == "reconciler":
                slot.knows = NEXT
                world.crash(slot)
        behind = run_in(0, "behind")
        start(world, behind)
        await status_of(world, behind, "completed")
        assert [world.store.tables.partitions[p].format for p in range(4)] == [NEXT, FIRST, FIRST, FIRST]
        raise_format(world, 0, FORMAT)

        # And back: the older release stands by, and changes nothing.
        for slot in world.slots:
            if slot.role == "reconciler":
                slot.knows = FORMAT
                world.crash(slot)
        assert f"format {NEXT}" in await is_held(world, 0)
        rows = copy.deepcopy(world.store.tables.runs), world.store.tables.partitions[0].owner
        beside = run_in(1, "beside")
        start(world, beside)
        await status_of(world, beside, "completed")
        assert set(held(world)) == {0}
        assert {k: v for k, v in world.store.tables.runs.items() if k in rows[0]} == rows[0]
        assert world.store.tables.partitions[0].owner == rows[1]

    assert not living(old, reconcilers=1).store.tables.dead


def test_a_format_is_raised_where_it_says_and_nowhere_else() -> None:
    async def story(world: World) -> None:
        await world.open()
        for key in ("1", "x", "00", "-1", "²"):
            message = FormatRaised(key=key, format=NEXT)
            put(world, 0, key.encode(), inbox.encode(message))
        behind = run_in(0, "behind")
        start(world, behind)
        await status_of(world, behind, "completed")
        assert all(row.format == FIRST for row in world.store.tables.partitions.values())

    codes = [dead.code for dead in living(story, knows=NEXT).store.tables.dead.values()]
    assert codes == ["wrong_partition"] * 5
