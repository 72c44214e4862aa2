"""Every move that a step or a run makes is held against the table of those it may make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import RUN_MOVES, STEP_MOVES

#: What has been seen: (step or run, from, to).
SEEN: Counter[tuple[str, str, str]] = Counter()


class IllegalMove(AssertionError):
    """A status that does not follow from the one before it."""


@contextmanager
def checked() -> Iterator[None]:
    """Raise `IllegalMove` wherever the fold makes a move that the table does not have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Step, "__setattr__", _watched("step", STEP_MOVES), raising=False)
        patch.setattr(Run, "__setattr__", _watched("run", RUN_MOVES), raising=False)
        yield


def _watched(what: str, moves: Mapping[str, frozenset[str]]) -> Any:
    write = object.__setattr__

    def set_attribute(self: object, name: str, value: object) -> None:
        if name == "status" and (before := getattr(self, "status", value)) != value:
            move = (what, str(before), str(value))
            # `property/test_work.py` counts calls, and a Counter makes one more for a key that is missing.
            SEEN[move] = SEEN.get(move, 0) + 1
            if value not in moves[str(before)]:
                raise IllegalMove(f"a {what} went from {before} to {value}")
        write(self, name, value)

    return set_attribute
