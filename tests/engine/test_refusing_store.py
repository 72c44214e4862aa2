"""A store that refuses: nobody is suspected by that, and what it has to give to others is given."""

from collections.abc import Sequence
from functools import partial

import pytest
from waiting import eventually

from engine.held_world import PARTITIONS, is_held, living, run_in, start, status_of
from stream_durable.core.errors import StatementError, SystemicError, TransientError
from stream_durable.core.ids import partition_of
from stream_durable.core.run.rows import RunRow
from stream_durable.engine.batch import Read
from stream_durable.engine.reconciler import Reconciler
from stream_durable.memory.remote import RemoteStore
from stream_durable.ports import Keys, Loaded, Owned, Share
from stream_durable.simulation.world import World

#: More than it takes for a partition's records to be folded alone, and for one of them to be set aside.
OWNERS = 12
RUN = run_in(0, "run")


@pytest.mark.parametrize("asked", ["commit", "load"])
@pytest.mark.parametrize(
    "refusal",
    [SystemicError("it is read-only"), StatementError("a constraint", is_data=False)],
    ids=lambda error: error.code,
)
def test_restarts_while_the_database_refuses_everybody_bury_nothing(
    monkeypatch: pytest.MonkeyPatch, asked: str, refusal: TransientError
) -> None:
    answers, is_mended = getattr(RemoteStore, asked), False
    refused = 0

    async def broken(self: RemoteStore, *arguments: object) -> object:
        nonlocal refused
        if is_mended:
            return await answers(self, *arguments)
        refused += 1
        raise refusal

    async def has_waited(world: World, takeovers: int) -> bool:
        return refused >= 3 and world.store.tables.partitions[0].epoch > takeovers

    async def story(world: World) -> None:
        nonlocal is_mended, refused
        await world.open()
        await eventually(lambda: owned(world), "it is owned", seconds=60)
        monkeypatch.setattr(RemoteStore, asked, broken)
        start(world, RUN)
        before = 0
        for _ in range(OWNERS):
            refused = 0
            waits = partial(has_waited, world, before)
            await eventually(waits, "the database has refused the next owner", seconds=60)
            before = world.store.tables.partitions[0].epoch
            for slot in world.slots:
                world.crash(slot)
        is_mended = True
        await status_of(world, RUN, "completed")

    world = living(story)

    assert world.store.tables.partitions[0].epoch > OWNERS
    assert not world.store.tables.dead


def test_an_entity_that_cannot_be_read_holds_its_own_partition_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    load, is_mended = RemoteStore.load, False

    async def damaged(self: RemoteStore, keys: Keys, owned: Owned) -> Loaded:
        if RUN in keys.get("run", ()) and not is_mended:
            raise StatementError("missing chunk number 0", is_data=True)
        return await load(self, keys, owned)

    async def story(world: World) -> None:
        nonlocal is_mended
        monkeypatch.setattr(RemoteStore, "load", damaged)
        await world.open()
        names = [RUN, *(f"other-{i}" for i in range(12))]
        for name in names:
            start(world, name)

        assert "missing chunk" in await is_held(world, 0)
        for name in names:
            if partition_of(name, PARTITIONS) != 0:
                await status_of(world, name, "completed")
        is_mended = True
        for name in names:
            await status_of(world, name, "completed")

    world = living(story)

    assert not world.store.tables.dead


async def owned(world: World) -> bool:
    return any(isinstance(s.program, Reconciler) and {0, 1} <= set(s.program.partitions) for s in world.slots)


def test_a_record_is_not_blamed_for_one_that_went_to_another_owner_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, good = run_in(1, "bad"), run_in(0, "good")
    commit, apply_less = RemoteStore.commit, Reconciler._apply_less
    met = 0

    async def refusing(self: RemoteStore, shares: Sequence[Share]) -> bool:
        if any(row.id == bad for share in shares for row in share.rows.get(RunRow, ())):
            raise StatementError("no column holds this", is_data=True)
        return await commit(self, shares)

    async def given_away(self: Reconciler, reads: list[Read], refused: StatementError) -> None:
        nonlocal met
        if {r.record.key for r in reads} >= {bad.encode(), good.encode()}:
            met += 1
            self._partitions.pop(1)
        await apply_less(self, reads, refused)

    async def story(world: World) -> None:
        monkeypatch.setattr(RemoteStore, "commit", refusing)
        monkeypatch.setattr(Reconciler, "_apply_less", given_away)
        await world.open()
        await eventually(lambda: owned(world), "it is owned", seconds=60)
        start(world, bad)
        start(world, good)
        await eventually(lambda: over(world, good), "the other run has ended or is dead", seconds=60)

    world = living(story, reconcilers=1)

    assert met == 1
    assert world.store.tables.runs[good].status == "completed"
    assert not world.store.tables.dead


async def over(world: World, run: str) -> bool:
    row = world.store.tables.runs.get(run)
    return bool(world.store.tables.dead) or (row is not None and row.status == "completed")
