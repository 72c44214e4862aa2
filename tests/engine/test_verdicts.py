"""What was decided about a record is decided once, also when the log is folded again."""

import copy
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from waiting import eventually

from stream_durable import App, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import StartRun
from stream_durable.engine import batch
from stream_durable.engine.cache import Cache
from stream_durable.engine.partition import Partition
from stream_durable.memory.definitions import MemoryDefinitions
from stream_durable.memory.weather import Faults
from stream_durable.ports import Claim, Record
from stream_durable.simulation.world import World
from stream_durable.wire import inbox
from stream_durable.wire.verdicts import decode_verdict

PARTITIONS = 2
parents = Workflow("parent")


@parents.step
async def work() -> int:
    return 1


late = Workflow("late")


@late.step
async def do() -> int:
    return 2


def told(run: str, of: Workflow = late) -> tuple[bytes, bytes]:
    message = StartRun(key=run, id=f"start {run}", workflow=of.name, fingerprint=of.fingerprint)
    return run.encode(), inbox.encode(message)


def lived(story: Callable[[World], Awaitable[Any]]) -> World:
    world = World(1, App("shop", workflows=[parents]), partitions=PARTITIONS, faults=Faults.none())
    world.run(story)
    return world


async def folded(world: World) -> None:
    async def look() -> bool:
        rows = world.store.tables.partitions
        logs = world.broker.topic("inbox").partitions
        return all(rows[p].next_offset >= log.high for p, log in enumerate(logs)) and not (
            world.store.tables.outbox
        )

    await eventually(look, "everything is folded and said", seconds=60)


async def set_back(world: World, tables: Any) -> None:
    """Let the store be what it was, with new owners."""
    for slot in world.slots:
        world.crash(slot)
    world.store.tables = tables


def codes(world: World) -> list[str]:
    return [dead.code for dead in world.store.tables.dead.values()]


def test_a_start_that_was_refused_is_refused_again_though_it_could_be_made_now() -> None:
    async def story(world: World) -> None:
        await world.open()
        await folded(world)
        before = copy.deepcopy(world.store.tables)
        world.broker.append("inbox", None, *told("r1"))
        await folded(world)
        assert codes(world) == ["unknown_workflow"]

        registrar = MemoryDefinitions(world.broker)
        await registrar.register(late.definition())
        await set_back(world, before)
        world.broker.append("inbox", None, *told("r2"))
        await folded(world)

    world = lived(story)

    assert codes(world) == ["unknown_workflow"]
    assert set(world.store.tables.runs) == {"r2"}


def test_a_verdict_about_another_record_at_the_same_offset_means_nothing() -> None:
    async def story(world: World) -> None:
        await world.open()
        world.broker.append("inbox", None, *told("r1"))
        await folded(world)
        world.broker.recreate("inbox")
        world.store.tables = type(world.store)(PARTITIONS).tables
        for slot in world.slots:
            world.crash(slot)
        await MemoryDefinitions(world.broker).register(late.definition())
        await folded(world)
        world.broker.append("inbox", None, *told("r1"))
        await folded(world)

    world = lived(story)

    assert not codes(world)
    assert set(world.store.tables.runs) == {"r1"}


@pytest.mark.parametrize("name", ["crashes", "unfoldable", "unstorable"])
def test_every_code_that_the_log_does_not_explain_leaves_a_verdict(name: str) -> None:
    record = Record(0, 7, 1_000, b"r1", b"garbage")
    partition = Partition(Claim(0, 1, 7, 0, "t", -1, 0, 0, 0, []), uuid4())
    read = batch.Read(record, RejectedError(name, "because"))
    (folding,) = batch.fold_records([read], {0: partition}, Cache(0), lambda _: None, {}, 1)

    said = {message.topic: message for message in batch.finish(folding).messages}
    assert said.keys() == {"verdicts", "dead"}
    assert (said["verdicts"].partition, decode_verdict(said["verdicts"].value).code) == (0, name)
