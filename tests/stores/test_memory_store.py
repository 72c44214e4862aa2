"""The store in memory meets the contract of stores, so what the simulator proves holds for the real one."""

from uuid import UUID

import pytest
from stores.store_contract import *  # noqa: F403 - the tests of the contract

from stream_durable.core.format import FORMAT
from stream_durable.memory.store import MemoryStore
from stream_durable.ports import Attendance, Claim


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(4)


class Other(MemoryStore):
    """The same tables as another process has them."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(0)
        self.tables, self.present = store.tables, store.present
        self._number: int | None = None

    async def attend(self, number: int = 1) -> Attendance:
        self._number = number
        return await super().attend(number)

    async def claim(
        self, partition: int, owner: str, token: UUID, knows: int = FORMAT, *, number: int | None = None
    ) -> Claim:
        return await super().claim(partition, owner, token, knows, number=self._number)

    async def close(self) -> None:
        self.present.discard(self._number or 0)


@pytest.fixture
def other(store: MemoryStore) -> Other:
    return Other(store)
