"""Converts runs to rows and back, column by column.

Tuples follow the order of the statement's parameters. Only changes are written: a new run as one full row,
later only the moving columns, and the touched steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from stream_durable.core.definition.graph import Graph
from stream_durable.core.effects import Effects
from stream_durable.core.failure import Failure
from stream_durable.core.messages import OptionalRaw
from stream_durable.core.run.attribute_rows import AttributeRow, attribute_rows, thaw_attributes
from stream_durable.core.run.attribute_set import Attributes
from stream_durable.core.run.counters import place
from stream_durable.core.run.mail import Mail
from stream_durable.core.run.question_rows import QuestionRow, question_rows
from stream_durable.core.run.signal_rows import SignalRow, older_mail, signal_rows, thaw_mail
from stream_durable.core.run.signal_wait_rows import SignalWaitRow, signal_wait_rows
from stream_durable.core.run.state import Context, Detail, Requests, Run, Step
from stream_durable.core.status import PAUSED, RUNNING, WAITING
from stream_durable.core.tables import Parts, Rows, Table

_encode = msgspec.json.Encoder().encode
_failure = msgspec.json.Decoder(Failure).decode
_detail = msgspec.json.Decoder(Detail).decode
_context = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_requests = msgspec.json.Decoder(Requests).decode
_tags = msgspec.json.Decoder(tuple[str, ...]).decode


class _Before(msgspec.Struct):
    """The values before a change."""

    input: OptionalRaw = None


_before = msgspec.json.Decoder(_Before).decode


class RunRow(NamedTuple):
    """A whole run without steps."""

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
    #: Empty: signals are in separate rows. Otherwise they are here, as written by an older release.
    mail: bytes | None
    queue: str | None = None
    priority: int = 0
    #: JSON objects, as are `context` and `requests`.
    metadata: bytes | None = None
    parent: str | None = None
    parent_step: str | None = None
    depth: int = 0
    attempt: int = 1
    context: bytes | None = None
    requests: bytes | None = None
    started: int | None = None
    #: Whether first attempts have a lane of their own; None: no.
    lanes: bool | None = None
    #: A JSON list of [name, kind, value].
    attributes: bytes | None = None
    #: A JSON list of the inputs of all runs that begin as this one.
    inputs: bytes | None = None


class RunChange(NamedTuple):
    """The moving columns of a run."""

    id: str
    status: str
    updated: int
    ended: int | None
    output: bytes | None
    failure: bytes | None
    step_sequence: int
    run_sequence: int
    done: int
    total: int
    due: int | None
    mail: bytes | None
    attempt: int = 1
    #: None: as it was.
    context: bytes | None = None
    requests: bytes | None = None
    started: int | None = None
    #: None: as they were.
    attributes: bytes | None = None
    inputs: bytes | None = None


class StepRow(NamedTuple):
    """A recorded step, not implied by the graph alone."""

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
    sequence: int | None = None
    #: A JSON object.
    detail: bytes | None = None


#: The place of a step's name in its row.
_NAME: Final = StepRow._fields.index("name")


class AttemptRow(NamedTuple):
    """An attempt with more to keep than the step row: failed, returned, or with logs."""

    run: str
    step: str
    attempt: int
    partition: int
    status: str
    started: int | None
    finished: int | None
    worker: str | None
    failure: bytes | None
    #: JSON: a list of [time, level, text].
    logs: bytes | None


TABLES = (
    Table("run", RunRow, key=1),
    Table("step", StepRow, key=2),
    Table("attempt", AttemptRow, key=3, is_loaded=False),
    Table("run_signal", SignalRow, key=2, needs="id"),
    Table("question", QuestionRow, key=2, needs="opened", is_loaded=False),
    Table("signal_wait", SignalWaitRow, key=2, needs="signals", is_loaded=False),
    Table("run_attribute", AttributeRow, key=2, is_loaded=False),
)


def write(run: Run, rows: Rows) -> None:
    """Add rows for all changes since the last save; of a stored run the moving columns."""
    if run.is_new:
        rows.of(RunRow).append(run_row(run))
        run.is_new = False
    else:
        rows.of(RunChange).append(run_change(run))
    if run.touched or run.orphans:
        rows.of(StepRow).extend(step_rows(run))
        if run.graph.asking or run.orphans:
            rows.of(QuestionRow).extend(question_rows(run))
        if run.graph.listening or run.orphans:
            rows.of(SignalWaitRow).extend(signal_wait_rows(run))
        run.touched.clear()
        run.orphans = None
    if run.mail is not None and run.mail.touched:
        rows.of(SignalRow).extend(signal_rows(run))
        run.mail.touched.clear()
    if run.context is not None:
        run.context.is_dirty = False
    run.has_new_inputs = False
    if run.attributes is not None and run.attributes.touched:
        rows.of(AttributeRow).extend(attribute_rows(run))
        run.attributes.touched.clear()


def thaw(key: str, partition: int, parts: Parts, graphs: Callable[[str], Graph | None]) -> Run | None:
    """Return the run restored from rows of the run, steps and signals; None without a row.

    Raises `UnknownDefinition` for an unknown definition.
    """
    runs, steps, signals = parts
    if not runs:
        return None
    [row] = runs
    fingerprint = RunRow._make(row).fingerprint
    graph = graphs(fingerprint)
    if graph is None:
        raise UnknownDefinition(fingerprint)
    return thaw_run(row, steps, graph, signals)


class UnknownDefinition(Exception):
    """A run cannot be loaded, for nothing is known here of its definition."""

    def __init__(self, fingerprint: str) -> None:
        """Name the unknown definition."""
        super().__init__(fingerprint)
        self.fingerprint = fingerprint


def run_row(run: Run) -> RunRow:
    """Return the row of a new run."""
    return RunRow(
        run.id, run.partition, run.graph.name, run.graph.fingerprint, phase(run), run.created, run.updated,
        run.ended, run.start_id, _first_input(run), run.output, _failure_bytes(run.failure),
        run.step_sequence, run.run_sequence, max(0, run.graph.total - run.left), run.graph.total, run.due,
        _encode(run.tags).decode() if run.tags else None,
        run.trace, _has_signals(run), run.queue, run.priority, run.metadata, run.parent, run.parent_step,
        run.depth, run.attempt, None if run.context is None else bytes(run.context.encoded()),
        None if run.requests is None else _encode(run.requests), run.started,
        run.has_lanes or None,
        None if run.attributes is None else run.attributes.encoded(), run.inputs,
    )  # fmt: skip


def run_change(run: Run) -> RunChange:
    """Return the moving columns of a stored run."""
    context, attributes = run.context, run.attributes
    return RunChange(
        run.id, phase(run), run.updated, run.ended, run.output, _failure_bytes(run.failure),
        run.step_sequence, run.run_sequence, max(0, run.graph.total - run.left), run.graph.total, run.due,
        _has_signals(run), run.attempt,
        None if context is None or not context.is_dirty else bytes(context.encoded()),
        None if run.requests is None else _encode(run.requests), run.started,
        None if attributes is None or not attributes.touched else attributes.encoded(),
        run.inputs if run.has_new_inputs else None,
    )  # fmt: skip


def step_rows(run: Run) -> list[StepRow]:
    """Return the rows of the touched steps."""
    names, steps, key = run.graph.names, run.steps, run.id
    found = [_step_row(key, names[i], steps[i]) for i in run.touched]
    if run.orphans:
        found += [_step_row(key, name, step) for name, step in run.orphans.items()]
    return found


def _has_signals(run: Run) -> bytes | None:
    return None if run.mail is None else b""


def attempt_rows(effects: Effects) -> list[AttemptRow]:
    """Return the rows of attempts."""
    return [
        AttemptRow(*key, note.partition, note.status, note.started, note.finished, note.worker,
                   _failure_bytes(note.failure), _encode(note.logs) if note.logs else None)
        for key, note in effects.attempts.items()
    ]  # fmt: skip


def _step_row(key: str, name: str, s: Step) -> StepRow:
    return StepRow(
        key, name, s.status, s.attempt, s.output, None if s.failure is None else _encode(s.failure),
        s.started, s.finished, s.worker, s.due, s.deadline, s.losses, s.sequence,
        _detail_bytes(s.detail),
    )  # fmt: skip


def thaw_requests(data: bytes | None) -> Requests | None:
    """Return the requests stored in a run's row."""
    return None if data is None else _requests(data)


def input_of(row: RunRow, requests: Requests | None) -> bytes:
    """Return the present input of a run: the row keeps the input of the start."""
    return row.input if requests is None or requests.input is None else bytes(requests.input)


def _first_input(run: Run) -> bytes:
    for one in () if run.requests is None or run.requests.input is None else run.requests.changes:
        if (before := _before(one.before).input) is not None:
            return bytes(before)
    return run.input


def phase(run: Run) -> str:
    """Return the status for people: `waiting` for a run with nothing but waits left."""
    if run.status != RUNNING:
        return run.status
    if run.requests is not None and run.requests.pause is not None:
        return PAUSED
    is_held = run.requests is not None and run.requests.held
    return WAITING if (run.waiting or is_held) and not run.active else RUNNING


def thaw_run(
    row: Sequence[Any], steps: Iterable[Sequence[Any]], graph: Graph, signals: Iterable[Sequence[Any]] = ()
) -> Run:
    """Return the run from these rows; signals are (run, position, id, name, data)."""
    stored = RunRow._make(row)
    status = RUNNING if stored.status in (WAITING, PAUSED) else stored.status
    run = Run(stored.id, stored.partition, graph, status)
    run.is_new = False
    run.created, run.updated, run.ended = stored.created, stored.updated, stored.ended
    run.started = stored.started
    run.start_id, run.input, run.output = stored.start_id, stored.input, stored.output
    run.failure = _failure(stored.failure) if stored.failure is not None else None
    run.step_sequence, run.run_sequence = stored.step_sequence, stored.run_sequence
    run.due, run.trace, run.tags = stored.due, stored.trace, _tags(stored.tags) if stored.tags else ()
    run.queue, run.priority, run.metadata = stored.queue, stored.priority, stored.metadata
    run.parent, run.parent_step, run.depth = stored.parent, stored.parent_step, stored.depth
    run.attempt = stored.attempt
    run.has_lanes = bool(stored.lanes)
    if stored.mail is not None:
        run.mail = older_mail(stored.mail) if stored.mail else _mail(signals, graph)
        run.payload = run.mail.size
    if stored.context is not None:
        run.context = Context(_context(stored.context))
        run.payload += run.context.size
    if stored.attributes is not None:
        run.attributes = Attributes(thaw_attributes(stored.attributes))
        run.payload += len(stored.attributes)
    run.requests = thaw_requests(stored.requests)
    run.input, run.inputs = input_of(stored, run.requests), stored.inputs
    run.payload += len(run.input) + len(run.inputs or b"")
    if run.requests is not None:
        run.payload += sum(one.size for one in run.requests.changes)
    named = {}
    for row in steps:
        step = named[row[_NAME]] = thaw_step(row)
        run.payload += len(step.output or b"")
        if step.detail is not None and step.detail.beside is not None:
            run.payload += step.detail.beside.size
    place(run, graph, named)
    return run


def _mail(signals: Iterable[Sequence[Any]], graph: Graph) -> Mail:
    return thaw_mail(signals, has_reactions=bool(graph.reactions))


def thaw_step(row: Sequence[Any]) -> Step:
    """Return the step of a row."""
    _, _, status, attempt, output, failure, *others, detail = row
    step = Step(status, attempt)
    step.output = output
    step.started, step.finished, step.worker, step.due, step.deadline, step.losses, step.sequence = others
    step.failure = _failure(failure) if failure is not None else None
    step.detail = _detail(detail) if detail is not None else None
    return step


def _detail_bytes(detail: Detail | None) -> bytes | None:
    if detail is None:
        return None
    data = _encode(detail)
    return None if data == b"{}" else data


def _failure_bytes(failure: Failure | None) -> bytes | None:
    return None if failure is None else _encode(failure)
