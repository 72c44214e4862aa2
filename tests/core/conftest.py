"""Everything here is told to the fold with an eye on each move that a step or a run makes."""

from collections.abc import Iterator

import pytest
from moves import checked


@pytest.fixture(autouse=True, scope="session")
def moves() -> Iterator[None]:
    with checked():
        yield
