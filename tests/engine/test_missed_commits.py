"""A commit finds another owner's row, ours again a moment later: the database was set back between."""

from collections.abc import Sequence
from uuid import UUID

from waiting import eventually

from engine.held_world import living, run_in, start
from stream_durable.memory.store import MemoryStore
from stream_durable.ports import Claim, Share
from stream_durable.simulation.world import World

PARTITION = 2


class SetBack(MemoryStore):
    """Misses the first commit of records of a partition, and leaves its row as it was."""

    def __init__(self, partition_count: int) -> None:
        super().__init__(partition_count)
        self.missed = False
        self.claims: list[UUID] = []

    async def commit(self, shares: Sequence[Share]) -> bool:
        is_record = any(s.partition == PARTITION and s.to_offset > s.from_offset for s in shares)
        if is_record and not self.missed:
            self.missed = True
            return False
        return await super().commit(shares)

    async def claim(
        self, partition: int, owner: str, token: UUID, *args: int, **options: int | None
    ) -> Claim:
        if partition == PARTITION:
            self.claims.append(token)
        return await super().claim(partition, owner, token, *args, **options)  # type: ignore[arg-type]


def test_what_was_loaded_before_is_loaded_anew_after_another_takeover() -> None:
    async def story(world: World) -> None:
        store = world.store
        assert isinstance(store, SetBack)
        await world.open()
        run = run_in(PARTITION, "order")
        start(world, run)

        async def is_done() -> bool:
            row = store.tables.runs.get(run)
            return row is not None and row.ended is not None

        await eventually(is_done, "the run has ended", seconds=30)
        assert store.missed
        assert len(store.claims) == 2

    living(story, make_store=SetBack)
