"""Follows a run: prints a line for each public event until the end."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from textwrap import indent
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stream_durable.cli.errors import NotFoundError
from stream_durable.cli.failures import Failed
from stream_durable.cli.output import cell_text, lasted
from stream_durable.core.moments import moment
from stream_durable.core.names import MEMBERS_MAX, group_of
from stream_durable.core.run.entering import taker_of
from stream_durable.core.run.rows import thaw_requests
from stream_durable.core.status import FAILED, MERGED, RUN_ENDED

if TYPE_CHECKING:
    from stream_durable.core.run.rows import RunRow, StepRow
    from stream_durable.ports import StoredRun, Views

_LOOK_SECONDS: Final = 0.1
#: Below a line, behind its time.
_INDENT: Final = " " * 11
#: A run that was just started is there as soon as a reconciler has folded it.
_PATIENCE_LOOKS: Final = 300


class Change(NamedTuple):
    """A step, or with an empty name the run, is now in another state than before."""

    #: Milliseconds.
    time: int
    step: str
    status: str
    attempt: int | None
    worker: str | None
    note: str
    #: The stack trace of a failure.
    trace: str = ""


async def changes(views: Views, run_id: str) -> AsyncIterator[tuple[StoredRun, list[Change]]]:
    """Yield what has changed whenever something has, the last time with the end of the run.

    After a merge this goes on with the run that took it in, from its start. A database that is away is waited
    for, since the run goes on without us; the log gets a line.
    """
    from stream_durable.retrying import retry_transient  # the command line loads without it

    seen: dict[str, tuple[object, ...]] = {}
    looks = 0
    while True:
        stored = await retry_transient(partial(views.run_with_steps, run_id), f"follow run {run_id!r}")
        if stored is not None:
            found = list(_changes(stored, seen))
            if found:
                yield stored, sorted(found, key=_order)
            if stored.run.ended is not None:
                into = _taker(stored.run)
                if into is None:
                    return
                run_id, seen = into, {}
                continue
        elif looks >= _PATIENCE_LOOKS:
            raise NotFoundError(f"run {run_id!r} has not begun", "Is a reconciler running?")
        looks += 1
        await asyncio.sleep(_LOOK_SECONDS)


async def follow(views: Views, run_id: str, say: Callable[[str], None]) -> RunRow:
    """Print what happens until the run ends, each stack trace once; return the run, or the taker."""
    last: RunRow | None = None
    traces: set[str] = set()
    async for stored, found in changes(views, run_id):
        last = stored.run
        for change in found:
            say(line(change, last.created))
            if change.trace and change.trace not in traces:
                traces.add(change.trace)
                say(indent(change.trace.rstrip(), _INDENT))
    assert last is not None, "a run that ended was seen"
    return last


async def rows(views: Views, run_id: str) -> AsyncIterator[dict[str, Any]]:
    """Yield what happens until the run ends, for programs; the end of the run comes last."""
    async for stored, found in changes(views, run_id):
        for change in found:
            yield {**change._asdict(), "time": moment(change.time), "run": stored.run.id}


def line(change: Change, begin: int) -> str:
    """Return a change as one line."""
    tried = "" if change.attempt is None else f"attempt {change.attempt}"
    name = change.step or "the run"
    parts = f"{(change.time - begin) / 1_000:7.2f} s  {name:<16} {change.status:<10} {tried:<10}"
    return " ".join(filter(None, (parts, change.worker, change.note))).rstrip()


def _order(change: Change) -> tuple[int, bool]:
    # The run begins before its steps and ends after them, whatever the workers' clocks show.
    is_end = not change.step and change.status in RUN_ENDED
    return (sys.maxsize if is_end else change.time, bool(change.step))


def _changes(stored: StoredRun, seen: dict[str, tuple[object, ...]]) -> Iterable[Change]:
    """Yield the differences from the state seen last, and remember the new state."""
    run = stored.run
    many = _many(stored)
    for group, members in many.items():
        counts = Counter(step.status for step in members)
        if seen.get(f"{group}[]") != tuple(sorted(counts.items())):
            seen[f"{group}[]"] = tuple(sorted(counts.items()))
            text = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
            yield Change(run.updated, f"{group}[…]", "members", None, None, text)
    for step in stored.steps:
        if step.status != FAILED and group_of(step.name) in many:
            continue
        state = (step.status, step.attempt, step.worker, step.losses)
        if seen.get(step.name) == state:
            continue
        seen[step.name] = state
        # That the next attempt of a step is asked for says no more than the line before it.
        if step.status not in ("pending", "ready") or step.losses:
            yield _step_change(step, run)
    if seen.get("") != (run.status,):
        is_first = "" not in seen
        seen[""] = (run.status,)
        failure = Failed.read(run.failure)
        took = f"took {lasted(run.created, run.ended)}" if run.ended else ""
        into = _taker(run)
        note = failure or (took if into is None else f"into {into}, which follows from its start")
        time = run.ended or (run.created if is_first else run.updated)
        yield Change(time, "", run.status, None, None, cell_text(note))


def _taker(run: RunRow) -> str | None:
    return None if run.status != MERGED else taker_of(thaw_requests(run.requests))


def _many(stored: StoredRun) -> dict[str, list[StepRow]]:
    """Return the members of large groups, counted instead of listed, by the name of the group."""
    groups: dict[str, list[StepRow]] = {}
    for step in stored.steps:
        if (group := group_of(step.name)) is not None:
            groups.setdefault(group, []).append(step)
    return {group: members for group, members in groups.items() if len(members) > MEMBERS_MAX}


def _step_change(step: StepRow, run: RunRow) -> Change:
    if step.status == "ready":
        silent = "its worker fell silent: it is requested again"
        return Change(run.updated, step.name, step.status, step.attempt, None, silent)
    failure = None if step.status == "completed" else Failed.read(step.failure)
    duration = lasted(step.started, step.finished)
    note = cell_text(failure) or (f"took {duration}" if duration else "")
    # Results are dated by the worker's clock, so a line may come before an older one.
    time = step.finished or step.started or run.updated
    trace = failure.trace if failure else ""
    return Change(time, step.name, step.status, step.attempt, step.worker, note, trace)
