"""Words of findings for several things: the first of them by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from stream_durable.ports import RunSummary
from stream_durable.services.doctor.seen import ROWS_MAX

#: Things named in a finding.
_NAMED: Final = 5


def some(names: Sequence[str]) -> str:
    """Return the first of these names, and how many more there are."""
    count = len(names)
    more = f" and {count - _NAMED}{'+' if count >= ROWS_MAX else ''} more" if count > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def runs_named(runs: Iterable[RunSummary]) -> str:
    """Return runs by id."""
    ids = [run.id for run in runs]
    return f"{'run' if len(ids) == 1 else 'runs'} {some(ids)}"


def numbered(what: str, numbers: Sequence[int]) -> str:
    """Return things by their numbers, all of them."""
    return f"{what}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
