"""The store in memory meets the contract of stores, so what the simulator proves holds for the real one."""

import pytest
from stores.store_contract import *  # noqa: F403 - the tests of the contract

from stream_durable.testing.store import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(4)
