"""Attempts of a run's steps, in order, with logs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from stream_durable.client.edge import Edge
from stream_durable.core.failure import Failure
from stream_durable.core.messages import LogLine
from stream_durable.core.moments import moment
from stream_durable.core.run.rows import AttemptRow, StepRow
from stream_durable.core.status import PENDING, READY, RETRYING, WAITING

_PAGE: Final = 1_000
#: A step with one of these statuses is between attempts: its row describes the last one.
_BETWEEN: Final = frozenset({PENDING, READY, RETRYING, WAITING})

_failure = msgspec.json.Decoder(Failure).decode
_lines = msgspec.json.Decoder(tuple[LogLine, ...]).decode


class LogEntry(NamedTuple):
    """A line written by a step: by `logging`, by `ctx.log` or by `print`."""

    step: str
    attempt: int
    #: By the clock of the worker.
    time: datetime
    level: str
    text: str


class AttemptState(NamedTuple):
    """An attempt at a step."""

    step: str
    #: Counts from 1.
    attempt: int
    #: `failed`, `completed`, `ready` if it was given back, or where the step stands.
    status: str
    #: By the clock of the worker.
    started: datetime | None
    finished: datetime | None
    worker: str | None
    failure: Failure | None
    logs: tuple[LogEntry, ...]


async def attempts(edge: Edge, run: str, step: str | None, steps: Iterable[StepRow]) -> list[AttemptState]:
    """Return a run's attempts, ordered by start.

    An attempt with immediate success and no logs is derived from the row of the step.
    """
    kept: dict[tuple[str, int], AttemptRow] = {}
    after = ("", 0)
    while True:
        page = await _page(edge, run, step, after)
        kept.update({(row.step, row.attempt): row for row in page})
        if len(page) < _PAGE:
            break
        after = (page[-1].step, page[-1].attempt)
    ended: dict[str, int] = {}
    for row in steps:
        ended[row.name] = row.sequence or sys.maxsize
        is_meant = step is None or row.name == step
        if is_meant and row.worker is not None and row.status not in _BETWEEN:
            kept.setdefault((row.name, row.attempt), _last(row))
    return [_state(row) for row in _by_time(kept, ended)]


def _by_time(kept: Mapping[tuple[str, int], AttemptRow], ended: Mapping[str, int]) -> list[AttemptRow]:
    """Order attempts by the clocks of their workers, but attempts of the same step by number.

    Ties within a millisecond are broken by the end of the step.
    """

    def place(key: tuple[str, int]) -> tuple[int, int, tuple[str, int]]:
        return begun[key], ended.get(key[0], sys.maxsize), key

    begun: dict[tuple[str, int], int] = {}
    latest: dict[str, int] = {}
    for key in sorted(kept):
        row = kept[key]
        latest[row.step] = begun[key] = max(row.started or row.finished or 0, latest.get(row.step, 0))
    return [kept[key] for key in sorted(kept, key=place)]


async def _page(edge: Edge, run: str, step: str | None, after: tuple[str, int]) -> list[AttemptRow]:
    views = edge.ports.views
    doing = f"read the attempts of run {run!r}"
    return await edge.ask(lambda: views.attempt_list(run, step=step, after=after, limit=_PAGE), doing)


def _last(row: StepRow) -> AttemptRow:
    """Return the last attempt, from the row of the step."""
    return AttemptRow(
        row.run, row.name, row.attempt, 0, row.status, row.started, row.finished,
        row.worker, row.failure, None,
    )  # fmt: skip


def _state(row: AttemptRow) -> AttemptState:
    lines = () if row.logs is None else _lines(row.logs)
    return AttemptState(
        row.step,
        row.attempt,
        row.status,
        moment(row.started) if row.started else None,
        moment(row.finished) if row.finished else None,
        row.worker,
        None if row.failure is None else _failure(row.failure),
        tuple(LogEntry(row.step, row.attempt, moment(line.time), line.level, line.text) for line in lines),
    )
