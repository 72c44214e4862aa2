"""Entities as rows and back: what the store keeps, column by column.

The tuples are in the order of the statement's parameters. Only what changed is written: a run that
was just created is one full row, afterwards its few moving columns; of its steps, those touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from stream_durable.core.channel.state import Channel
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import StepNode
from stream_durable.core.failure import Failure
from stream_durable.core.run.state import Mail, Run, Step
from stream_durable.core.status import READY, RETRYING, RUNNING, STEP_ENDED, STEP_PASSED, WAITING

_encode = msgspec.json.Encoder().encode
_failure = msgspec.json.Decoder(Failure).decode
_tags = msgspec.json.Decoder(tuple[str, ...]).decode
_mail = msgspec.json.Decoder(tuple[list[str], list[tuple[str, str, msgspec.Raw]]]).decode


class RunRow(NamedTuple):
    """The whole of a run but for its steps."""

    id: str
    partition: int
    workflow: str
    fingerprint: str
    status: str
    created: int
    updated: int
    ended: int | None
    start_id: str
    input: bytes
    output: bytes | None
    failure: bytes | None
    step_sequence: int
    run_sequence: int
    done: int
    total: int
    due: int | None
    #: A JSON list.
    tags: str | None
    trace: str | None
    mail: bytes | None


class RunChange(NamedTuple):
    """The columns of a run that move."""

    id: str
    status: str
    updated: int
    ended: int | None
    output: bytes | None
    failure: bytes | None
    step_sequence: int
    run_sequence: int
    done: int
    due: int | None
    mail: bytes | None


class StepRow(NamedTuple):
    """A step that is more than what the graph says of it."""

    run: str
    name: str
    status: str
    attempt: int
    output: bytes | None
    failure: bytes | None
    started: int | None
    finished: int | None
    worker: str | None
    due: int | None
    deadline: int | None
    losses: int


class EventRow(NamedTuple):
    """An event that a channel keeps; without data it is to be forgotten."""

    channel: str
    id: str
    partition: int
    data: bytes | None
    expires: int | None


class WaitRow(NamedTuple):
    """A wait that is open on a channel, or is to be forgotten."""

    channel: str
    run: str
    wait: str
    partition: int
    is_open: bool


def run_row(run: Run) -> RunRow:
    """Return a run as the row that is written when it is new."""
    return RunRow(
        run.id, run.partition, run.graph.name, run.graph.fingerprint, phase(run), run.created, run.updated,
        run.ended, run.start_id, run.input, run.output, _failure_bytes(run.failure), run.step_sequence,
        run.run_sequence, run.graph.size - run.left, run.graph.size, run.due,
        _encode(run.tags).decode() if run.tags else None,
        run.trace, _mail_bytes(run.mail),
    )  # fmt: skip


def run_change(run: Run) -> RunChange:
    """Return the moving columns of a run that has a row."""
    return RunChange(
        run.id, phase(run), run.updated, run.ended, run.output, _failure_bytes(run.failure),
        run.step_sequence, run.run_sequence, run.graph.size - run.left, run.due, _mail_bytes(run.mail),
    )  # fmt: skip


def step_rows(run: Run) -> Iterable[StepRow]:
    """Return the rows of the steps that were touched."""
    names, steps, key = run.graph.names, run.steps, run.id
    return [
        StepRow(key, names[i], s.status, s.attempt, s.output, _failure_bytes(s.failure), s.started,
                s.finished, s.worker, s.due, s.deadline, s.losses)
        for i in run.touched
        for s in (steps[i],)
    ]  # fmt: skip


def phase(run: Run) -> str:
    """Return the status as people read it: a run waits when all that is left of it waits."""
    if run.ended is None and run.waiting and not run.active:
        return WAITING
    return run.status


def thaw_run(row: Sequence[Any], steps: Iterable[Sequence[Any]], graph: Graph) -> Run:
    """Return the run that these rows describe."""
    stored = RunRow._make(row)
    run = Run(stored.id, stored.partition, graph)
    run.is_new = False
    run.status = RUNNING if stored.status == WAITING else stored.status
    run.created, run.updated, run.ended = stored.created, stored.updated, stored.ended
    run.start_id, run.input, run.output = stored.start_id, stored.input, stored.output
    run.failure = _failure(stored.failure) if stored.failure is not None else None
    run.step_sequence, run.run_sequence = stored.step_sequence, stored.run_sequence
    run.due, run.trace, run.tags = stored.due, stored.trace, _tags(stored.tags) if stored.tags else ()
    if stored.mail is not None:
        seen, kept = _mail(stored.mail)
        run.mail = Mail(seen, [(i, name, bytes(data)) for i, name, data in kept])
        run.payload = sum(len(data) for _, _, data in run.mail.kept)
    run.payload += len(run.input)
    for step_row in steps:
        _thaw_step(run, StepRow._make(step_row))
    _count(run)
    return run


def channel_rows(channel: Channel) -> tuple[list[EventRow], list[WaitRow]]:
    """Return what changed in a channel since it was last stored."""
    key, partition = channel.id, channel.partition
    events = [
        EventRow(key, i, partition, *channel.events.get(i, (None, None))) for i in channel.touched_events
    ]
    waits = [
        WaitRow(key, run, wait, partition, (run, wait) in channel.waits)
        for run, wait in channel.touched_waits
    ]
    return events, waits


def thaw_channel(
    key: str, partition: int, events: Iterable[Sequence[Any]], waits: Iterable[Sequence[Any]]
) -> Channel:
    """Return the channel with these (id, data, expires) and (run, wait)."""
    channel = Channel(key, partition)
    channel.is_new = False
    for event_id, data, expires in events:
        channel.events[event_id] = (data, expires)
        channel.payload += len(data)
    for run, wait in waits:
        channel.waits.add((run, wait))
    channel.due = min((expires for _, expires in channel.events.values()), default=None)
    return channel


def _thaw_step(run: Run, row: StepRow) -> None:
    i = run.graph.index[row.name]
    step = run.steps[i] = Step(row.status, row.attempt)
    run.payload += len(row.output or b"")
    step.output, step.due, step.deadline, step.losses = (
        row.output,
        row.due,
        row.deadline,
        row.losses,
    )
    step.started, step.finished, step.worker = row.started, row.finished, row.worker
    step.failure = _failure(row.failure) if row.failure is not None else None
    if step.status in STEP_ENDED:
        run.left -= 1
    if step.status in STEP_PASSED:
        for j in run.graph.dependents[i]:
            run.need[j] -= 1


def _count(run: Run) -> None:
    """Recompute the counters that are kept in memory alone."""
    if run.ended is not None:
        return
    for i, need in enumerate(run.need):
        if need:
            continue
        step = run.steps.get(i)
        if step is None:
            run.active += type(run.graph.nodes[i]) is StepNode
        elif step.status == WAITING:
            run.waiting.add(i)
        elif step.status in (READY, RUNNING, RETRYING):
            run.active += 1


def _failure_bytes(failure: Failure | None) -> bytes | None:
    return None if failure is None else _encode(failure)


def _mail_bytes(mail: Mail | None) -> bytes | None:
    if mail is None:
        return None
    return _encode((list(mail.seen), [(i, name, msgspec.Raw(data)) for i, name, data in mail.kept]))
