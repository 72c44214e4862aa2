"""How what is broken on purpose has to be found."""

from collections.abc import Callable

import pytest

from stream_durable.memory.store import MemoryStore
from stream_durable.memory.weather import Faults
from stream_durable.simulation.trial import simulate


def found(
    within: int,
    by: str,
    *,
    faults: Faults | None = None,
    make_store: Callable[[int], MemoryStore] = MemoryStore,
    only: tuple[str, ...] = (),
) -> None:
    """Demand that one of so many seeds, or of the next ones, breaks this invariant."""
    seen: set[str] = set()
    # What a seed draws changes with every new kind of message, so there is room for bad luck.
    for seed in range(4 * within):
        trial = simulate(seed, faults=faults, make_store=make_store, only=only)
        broken = {text.split(":")[0] for text in trial.violations}
        if by in broken:
            return
        seen |= broken
    pytest.fail(f"{4 * within} seeds did not show it by {by}, but by {seen or 'nothing'}")
