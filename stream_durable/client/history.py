"""What happened to a run, in order: its course, people's actions, and messages that changed nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from stream_durable.client.edge import Edge
from stream_durable.client.state import RunState, StepState
from stream_durable.core.failure import Failure
from stream_durable.core.messages import MESSAGE_TYPES
from stream_durable.core.moments import moment
from stream_durable.core.names import is_undo, undo_name
from stream_durable.core.status import COMPENSATED, COMPLETED, HELD, Outcome

#: Evidence of one run that is read at most.
EVIDENCE_MAX: Final = 1_000


class Happening(NamedTuple):
    """Something that happened to a run."""

    time: datetime
    #: Such as `started`, `came`, `kept`, `completed`, `answered`, `duplicate`, `expired`.
    what: str
    #: Empty: the run as a whole.
    step: str = ""
    #: The person, the sender, or the worker.
    by: str = ""
    #: A comment, a reason, a failure, or the type of a message.
    text: str = ""


def course(state: RunState) -> list[Happening]:
    """Return the course of a run and its steps, with requests and what people did, oldest first."""
    found = [*_beginning(state), *_changed(state), *_reviewed(state)]
    for name, step in state.steps.items():
        found += _of_step(name, step, state.helpers.get(undo_name(name)))
    for name, step in state.helpers.items():
        found += _of_step(name, step) if step.sent or is_undo(name) else ()
    if state.ended is not None:
        found.append(Happening(state.ended, state.status, text=_said(state.failure)))
    # Of what happened at once, in the order above.
    return sorted(found, key=lambda one: one.time)


async def history(edge: Edge, state: RunState, *, with_evidence: bool) -> list[Happening]:
    """Return the course of a run, with the evidence of what changed nothing if asked for, oldest first."""
    found = course(state)
    found += await _signals(edge, state, with_evidence=with_evidence)
    if with_evidence:
        found += await evidence(edge, state.id, state.created)
    return sorted(found, key=lambda one: one.time)


async def evidence(edge: Edge, run: str, since: datetime) -> list[Happening]:
    """Return the messages to a run that were duplicate, late or dead, oldest first."""
    views = edge.ports.views
    since_ms = int(since.timestamp() * 1_000)
    found = await edge.ask(
        lambda: views.run_evidence(run, since=since_ms, limit=EVIDENCE_MAX),
        f"read the evidence of run {run!r}",
    )
    return [
        Happening(
            moment(one.time),
            Outcome(one.outcome).name.lower(),
            by=one.by or "",
            text=" ".join(filter(None, (_tag(one.type), one.code, one.reason))),
        )
        for one in found
    ]


async def _signals(edge: Edge, state: RunState, *, with_evidence: bool) -> list[Happening]:
    """Return the signals kept by a run; with evidence also untaken signals after expiry."""
    views = edge.ports.views
    found = await edge.ask(lambda: views.run_signals(state.id), f"read the signals of run {state.id!r}")
    now = edge.now()
    kept, expired = [], []
    for one in found:
        at = state.created if one.came is None else moment(one.came)
        came = Happening(at, "kept", by=one.sent_by or "", text=f"signal {one.name}")
        until = moment(one.expires)
        if until is not None and (not one.is_kept or until <= now):
            expired.append(came._replace(time=until, what="expired"))
        else:
            kept.append(came)
    return kept + expired if with_evidence else kept


def _beginning(state: RunState) -> Iterator[Happening]:
    yield Happening(state.created, "created", by=state.parent or "", text=state.trigger)
    if state.started is not None:
        yield Happening(state.started, "started")
    for kind, request in state.requests._asdict().items():
        if request is not None:
            late = " (late)" if request.is_late else ""
            yield Happening(request.at, f"{kind} requested{late}", by=request.by, text=request.reason)


def _reviewed(state: RunState) -> Iterator[Happening]:
    for one in state.reviews:
        yield Happening(one.held, "held", one.step, text=_said(one.failure))
        yield Happening(one.at, f"{one.decision} decided", one.step, one.by, one.reason)
    if (mark := state.reviewed) is not None:
        yield Happening(mark.at, "reviewed", by=mark.by, text=mark.reason)


def _changed(state: RunState) -> Iterator[Happening]:
    for one in state.changes:
        what = ", ".join(name.removesuffix("_ms") for name in one.after)
        yield Happening(one.at, "changed", one.step, one.by, ": ".join(filter(None, (what, one.reason))))


def _of_step(name: str, step: StepState, undo: StepState | None = None) -> Iterator[Happening]:
    if step.started is not None:
        is_wait = step.worker is None and step.asked is None
        what = "asked" if step.asked is not None else "waiting" if is_wait else "started"
        yield Happening(step.started, what, name, step.worker or "")
    for act in step.past:
        yield Happening(act.at, act.what, act.wait, act.by, act.text)
    for change in () if step.asked is None else step.asked.changes:
        to = f"to {change.to} " if change.to else ""
        yield Happening(change.at, change.kind, name, change.by, f"{to}{change.comment}".strip())
    for sent in step.sent:
        if sent.at is not None:
            yield Happening(sent.at, "came", name, sent.by, sent.name)
    if step.outside is not None and step.outside.at is not None:
        yield Happening(step.outside.at, "ended from outside", name, step.outside.by)
    if step.finished is None:
        return
    if step.status == COMPENSATED:
        # It ended twice: by itself, and when it was undone.
        yield Happening(step.finished, COMPLETED, name)
    yield Happening(_ended(step, step.finished, undo), step.status, name, text=_said(step.failure))


def _ended(step: StepState, finished: datetime, undo: StepState | None) -> datetime:
    """Return the time of a step's present status; a decision or an undo is later than the last attempt."""
    if step.status == COMPENSATED and undo is not None and undo.finished is not None:
        return undo.finished
    decided = step.reviews[-1].at if step.reviews and step.status != HELD else finished
    return max(finished, decided)


def _said(failure: Failure | None) -> str:
    return "" if failure is None else f"{failure.code}: {failure.message}"


def _tag(type_: int) -> str:
    return str(MESSAGE_TYPES[type_].__struct_config__.tag) if 0 <= type_ < len(MESSAGE_TYPES) else ""
