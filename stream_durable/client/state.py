"""The state of a run for people: from rows, and from the graph for steps without a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from stream_durable.client.changing import Changed, changes_of
from stream_durable.client.questions import Question, question_of
from stream_durable.client.reactions import ReactionState, behind, reaction_states
from stream_durable.client.requests import Request, Requests, request_of, requests_of
from stream_durable.client.reviews import Act, Review, acts_of, reviews_of
from stream_durable.client.waiting import WaitsFor, waits_for
from stream_durable.core.attributes import value_of
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import BranchNode
from stream_durable.core.emissions import RefusedEmission
from stream_durable.core.failure import Failure
from stream_durable.core.moments import moment
from stream_durable.core.names import helper_kind, is_helper
from stream_durable.core.run import state as core
from stream_durable.core.run.attribute_rows import thaw_attributes
from stream_durable.core.run.entering import taker_of
from stream_durable.core.run.explain import causes
from stream_durable.core.run.from_outside import Outside
from stream_durable.core.run.rows import StepRow, input_of, thaw_requests, thaw_run, thaw_step
from stream_durable.core.run.say import trigger_of
from stream_durable.core.run.state import Run, Step
from stream_durable.core.run.values import output_of
from stream_durable.core.status import (
    CANCELLED,
    HELD,
    PENDING,
    READY,
    RETRYING,
    RUNNING,
    STEP_ENDED,
    WAITING,
)
from stream_durable.ports import StoredRun, Views

_failure = msgspec.json.Decoder(Failure).decode
#: Of a step with nothing rare about it. Read only.
_NO_DETAIL: Final = core.Detail()

#: The trigger of a run without a recorded one.
CLIENT: Final = "client"
#: Statuses of a step under way.
_UNDER_WAY = frozenset({READY, RUNNING, WAITING, RETRYING})


class OutsideEnd(NamedTuple):
    """Who ended a step from outside, and the last heartbeat."""

    #: The id returned by the call; empty: not ended from outside.
    id: str
    at: datetime | None
    by: str
    beat: datetime | None


class SentBy(NamedTuple):
    """The signal or event behind the end of a wait, or the cause of a call beside the graph."""

    #: Its name; of a call beside the graph, the function's.
    name: str
    #: Of the message.
    id: str
    at: datetime | None
    #: Who sent it, if that is said.
    by: str


class StepState(NamedTuple):
    """Where a step of a run stands."""

    name: str
    #: `pending` until its dependencies have ended, then `ready`; `cancelled` if the run ended before that.
    status: str
    #: From 1; 0 before the beginning.
    attempt: int
    #: For a group: the composed outputs of members.
    output: Any
    failure: Failure | None
    started: datetime | None
    finished: datetime | None
    worker: str | None
    #: Why a ready step has not begun: the run is `paused`, the `group` has no free place, or a `gate` holds
    #: it.
    held: str | None
    #: When the time-out, the next attempt or the end of the sleep is due.
    due: datetime | None
    #: Progress, as of the last heartbeat, with its text.
    percent: float | None
    label: str | None
    #: The child run, the last one with repetition.
    child: str | None
    #: The value of the chosen clause; None also stands for `otherwise`.
    clause: Any
    #: The members of a group, a branch, or an expansion.
    members: tuple[str, ...]
    #: The causes of waiting: an event with its key, signals, a time, a run, other steps, a worker; none after
    #: the end.
    waits_for: tuple[WaitsFor, ...] = ()
    #: The question to people, with answers, claims and comments.
    asked: Question | None = None
    #: The end from outside by the step's token.
    outside: OutsideEnd | None = None
    #: What topics refused of what the step emitted.
    refused: tuple[RefusedEmission, ...] = ()
    #: What ended the wait, where it came before the wait or says who sent it; what a reaction is called for.
    sent: tuple[SentBy, ...] = ()
    #: What people decided about the step while it was held, oldest first.
    reviews: tuple[Review, ...] = ()
    #: By when the step is expected to end, as `due=` says; None once it has ended.
    expected: datetime | None = None
    #: Since when that is missed; it stays after the end.
    overdue_since: datetime | None = None
    #: What people and other systems did for earlier attempts of a wait, and inside of those of a step; the
    #: latest 50.
    past: tuple[Act, ...] = ()


class RunState(NamedTuple):
    """Where a run stands, as of the reconciler's latest commit."""

    id: str
    workflow: str
    fingerprint: str
    status: str
    created: datetime
    #: When the run began, or None.
    started: datetime | None
    updated: datetime
    ended: datetime | None
    #: Before the beginning: when the run begins. After: when its time is over.
    due: datetime | None
    #: The try of the whole graph, from 1.
    attempt: int
    #: Number of ended steps, and of all.
    done: int
    total: int
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    queue: str | None
    priority: int
    #: The trigger: `client`, `event` (a message on the events topic), `schedule` or `parent`.
    trigger: str
    #: The schedule that started the run, and for which moment.
    schedule: str | None
    moment: datetime | None
    #: The parent run and the step in it, or None.
    parent: str | None
    parent_step: str | None
    #: Number of child runs.
    children: int
    requests: Requests
    input: Any
    #: Values put by steps.
    context: Mapping[str, Any]
    #: Typed values set at the start and by steps.
    attributes: Mapping[str, str | float | bool | datetime]
    output: Any
    failure: Failure | None
    #: In order of definition, steps added at run time last.
    steps: Mapping[str, StepState]
    #: Hooks, compensations, and calls beside the graph.
    helpers: Mapping[str, StepState]
    #: By name; none after the end of the run.
    reactions: Mapping[str, ReactionState]
    #: What people changed while steps were held, oldest first.
    changes: tuple[Changed, ...] = ()
    #: By when the run is expected to end, as `due=` says, and since when that is missed.
    expected: datetime | None = None
    overdue_since: datetime | None = None
    #: The run that took this one in, if `starts=` merged this one.
    into: str | None = None
    #: Who has marked the failed run as looked at since the latest retry, and why; None: nobody.
    reviewed: Request | None = None

    @property
    def overdue(self) -> tuple[str, ...]:
        """The names of the open steps past their due time; for the run itself see `overdue_since`."""
        return tuple(name for name, step in self.steps.items() if step.expected and step.overdue_since)

    @property
    def needs_review(self) -> tuple[str, ...]:
        """The names of the held steps: a person decides about each."""
        return tuple(name for name, step in self.steps.items() if step.status == HELD)

    @property
    def reviews(self) -> tuple[Review, ...]:
        """What people decided about held steps, oldest first."""
        return tuple(sorted((one for step in self.steps.values() for one in step.reviews), key=_when))

    @property
    def current(self) -> tuple[str, ...]:
        """The names of the steps under way."""
        return tuple(name for name, step in self.steps.items() if step.status in _UNDER_WAY)

    @property
    def percent(self) -> float:
        """How much of the run is done, counted in steps."""
        return 100 * self.done / self.total if self.total else 100.0


async def read_state(views: Views, stored: StoredRun, graph: Graph) -> RunState:
    """Return the state of a run; what is behind its reactions is one more query, if it has any."""
    return await state_of(views, stored, thaw_run(stored.run, stored.steps, graph))


async def state_of(views: Views, stored: StoredRun, run: Run) -> RunState:
    """Return the state of a run that was made of the stored rows, as `read_state` does."""
    return _run_state(stored, run, await behind(views, run))


def run_state(stored: StoredRun, graph: Graph | None) -> RunState:
    """Return the state of a run from the stored rows; without its graph, of the recorded steps alone."""
    return _run_state(stored, None if graph is None else thaw_run(stored.run, stored.steps, graph), {})


def _run_state(stored: StoredRun, run: Run | None, counts: Mapping[str, int]) -> RunState:
    row = stored.run
    requests = thaw_requests(row.requests)
    scheduled = None if requests is None else requests.scheduled
    states = list(map(_recorded, stored.steps)) if run is None else _states(run)
    return RunState(
        id=row.id,
        workflow=row.workflow,
        fingerprint=row.fingerprint,
        status=row.status,
        created=moment(row.created),
        started=moment(row.started or None),
        updated=moment(row.updated),
        ended=moment(row.ended or None),
        due=moment(row.due or None),
        attempt=row.attempt,
        done=row.done,
        total=row.total,
        tags=tuple(_value(row.tags) or ()),
        metadata=_value(row.metadata) or {},
        queue=row.queue,
        priority=row.priority,
        trigger=trigger_of(requests, row.parent) or CLIENT,
        schedule=None if scheduled is None else scheduled.schedule,
        moment=None if scheduled is None else moment(scheduled.moment),
        parent=row.parent,
        parent_step=row.parent_step,
        children=stored.children,
        requests=requests_of(requests),
        input=_value(input_of(row, requests)),
        context=_value(row.context) or {},
        attributes=values_of(row.attributes),
        output=_value(row.output),
        failure=failure_of(row.failure),
        steps={state.name: state for state in states if not is_helper(state.name)},
        helpers={state.name: state for state in states if is_helper(state.name)},
        reactions={} if run is None else reaction_states(run, counts),
        changes=changes_of(requests),
        expected=None if requests is None else moment(requests.expected or None),
        overdue_since=None if requests is None else moment(requests.overdue_since or None),
        into=taker_of(requests),
        reviewed=None if requests is None else request_of(requests.reviewed),
    )


def values_of(stored: bytes | None) -> dict[str, str | float | bool | datetime]:
    """Return stored attributes, by name."""
    return {one.name: value_of(one) for one in thaw_attributes(stored)}


def failure_of(stored: bytes | None) -> Failure | None:
    """Return a stored failure."""
    return None if stored is None else _failure(stored)


def _states(run: Run) -> list[StepState]:
    """Return the states of all steps, in the order of the definition."""
    return [_state(run, i, name) for i, name in enumerate(run.graph.names)]


def _state(run: Run, i: int, name: str) -> StepState:
    step = run.steps.get(i)
    if step is None:
        step = Step(PENDING if run.ended is None else CANCELLED, 0)
        if not run.need[i] and run.ended is None and run.status != PENDING:
            step = Step(READY, 1)
    detail, graph = step.detail or _NO_DETAIL, run.graph
    found = graph.members.get(i)
    members = tuple([graph.names[m] for m in found]) if found else ()
    if detail is _NO_DETAIL and step.status in STEP_ENDED:
        # Nearly all steps of large runs.
        return _shown(name, step, detail, output_of(run, i), None, None, members)
    return _shown(
        name,
        step,
        detail,
        output_of(run, i),
        detail.held or _held(run, i, step),
        _clause(run, i, detail.clause),
        members,
        tuple(map(waits_for, causes(run, i))),
        question_of(graph.nodes[i], step),
    )


def _recorded(row: StepRow) -> StepState:
    step = thaw_step(row)
    detail = step.detail or _NO_DETAIL
    return _shown(row.name, step, detail, step.output, detail.held)


def _shown(
    name: str,
    step: Step,
    detail: core.Detail,
    output: bytes | None,
    held: str | None,
    clause: Any = None,
    members: tuple[str, ...] = (),
    waits: tuple[WaitsFor, ...] = (),
    asked: Question | None = None,
) -> StepState:
    """Return a step by its own record, and by what the graph says of it."""
    has_begun = (step.status != PENDING or step.is_held_up) and not detail.is_idle
    if detail is _NO_DETAIL:
        return StepState(
            name, step.status, step.attempt if has_begun else 0, _value(output), step.failure,
            moment(step.started or None), moment(step.finished or None), step.worker, held or None,
            moment(step.due or None), None, None, None, clause, members, waits, asked,
        )  # fmt: skip
    return StepState(
        name,
        step.status,
        step.attempt if has_begun else 0,
        _value(output),
        step.failure,
        moment(step.started or None),
        moment(step.finished or None),
        step.worker,
        held or None,
        moment(step.due or None),
        detail.percent,
        detail.label,
        detail.child or None,
        clause,
        members,
        waits,
        asked,
        outside=_outside(detail.outside),
        refused=detail.refused,
        sent=tuple(_sent(name, detail)),
        reviews=reviews_of(name, step),
        expected=moment(detail.expected or None),
        overdue_since=moment(detail.overdue_since or None),
        past=acts_of(name, step),
    )


def _when(review: Review) -> datetime:
    return review.at


def _sent(name: str, detail: core.Detail) -> Iterator[SentBy]:
    for sent in detail.sent:
        yield SentBy(sent.name, sent.id, moment(sent.at or None), sent.by)
    if detail.beside is not None:
        yield SentBy(helper_kind(name), detail.beside.id, moment(detail.beside.at or None), detail.beside.by)


def _outside(outside: Outside | None) -> OutsideEnd | None:
    if outside is None:
        return None
    return OutsideEnd(outside.id, moment(outside.at or None), outside.by, moment(outside.beat or None))


def _held(run: Run, i: int, step: Step) -> str | None:
    """Return "group" for a step waiting only for a place in a group."""
    owner = run.graph.owner(i)
    is_next = step.status == PENDING and owner in run.open and run.need[i] == 1
    return "group" if is_next and not run.graph.dependencies[i] else None


def _clause(run: Run, i: int, clause: int | None) -> Any:
    node = run.graph.nodes[i]
    if clause is None or type(node) is not BranchNode or clause >= len(node.cases):
        return None
    case = node.cases[clause]
    return None if case is None else msgspec.json.decode(case)


def _value(data: bytes | str | None) -> Any:
    return None if data is None else msgspec.json.decode(data)
