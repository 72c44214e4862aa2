"""How what is broken on purpose has to be found."""

import json
import os
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import pytest

from stream_durable.memory.store import MemoryStore
from stream_durable.memory.weather import Faults
from stream_durable.simulation.trial import simulate

#: By test, the seed that showed the defect when this was written, with `SEEN=write`. It is tried first.
_SEEN = Path(__file__).with_name("seen.json")


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
    for seed in _in_turn(4 * within):
        trial = simulate(seed, faults=faults, make_store=make_store, only=only)
        broken = {text.split(":")[0] for text in trial.violations}
        if by in broken:
            _note(seed)
            return
        seen |= broken
    pytest.fail(f"{4 * within} seeds did not show it by {by}, but by {seen or 'nothing'}")


def _in_turn(count: int) -> Iterable[int]:
    first = _seen().get(_test())
    return range(count) if first is None else chain([first], range(count))


def _seen() -> dict[str, int]:
    seeds: dict[str, int] = json.loads(_SEEN.read_text())
    return seeds


def _test() -> str:
    return os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].removesuffix(" (call)")


def _note(seed: int) -> None:
    if os.environ.get("SEEN") == "write":
        _SEEN.write_text(json.dumps({**_seen(), _test(): seed}, indent=2, sort_keys=True) + "\n")
