"""Runs and steps as rows for tables and programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from stream_durable.cli.failures import Failed
from stream_durable.cli.output import Share, Took, cell_text, console, milliseconds, moment
from stream_durable.core.names import is_helper
from stream_durable.core.status import READY, RETRYING, RUNNING, WAITING

if TYPE_CHECKING:
    from stream_durable.client import Question, RunEntry, StepState
    from stream_durable.client.waiting import WaitsFor
    from stream_durable.core.definition.graph import Graph
    from stream_durable.core.run.rows import RunRow, StepRow
    from stream_durable.ports import StoredRun

LIST_COLUMNS = ("id", "workflow", "status", "steps", "created", "took", "failure")
#: An input may have a megabyte, and a terminal has some lines.
_VALUE_MAX: Final = 1_000
STEP_COLUMNS = ("step", "status", "attempt", "took", "note", "worker", "failure")


def entry_row(run: RunEntry) -> dict[str, Any]:
    """Return a run as a line of a list."""
    return {
        "id": run.id,
        "workflow": run.workflow,
        "fingerprint": run.fingerprint,
        "status": run.status,
        "steps": Share(run.done, run.total),
        "created": run.created,
        "started": run.started,
        "updated": run.updated,
        "ended": run.ended,
        "took": Took(milliseconds(run.started or run.created), milliseconds(run.ended)),
        "tags": list(run.tags),
        "queue": run.queue,
        "priority": run.priority,
        "metadata": run.metadata,
        "trigger": run.trigger,
        "parent": run.parent,
        "parent_step": run.parent_step,
        "attempt": run.attempt,
        "failure": Failed.of(run.failure),
        "cursor": run.cursor,
    }


def run_row(stored: StoredRun) -> dict[str, Any]:
    """Return everything about a run except steps."""
    from stream_durable.client.state import CLIENT
    from stream_durable.core.run.rows import thaw_requests
    from stream_durable.core.run.say import trigger_of

    run = stored.run
    requests = thaw_requests(run.requests)
    return {
        "id": run.id,
        "workflow": run.workflow,
        "fingerprint": run.fingerprint,
        "status": run.status,
        "progress": Share(run.done, run.total),
        "created": moment(run.created),
        "started": moment(run.started),
        "begins" if run.status == "pending" else "deadline": moment(run.due),
        "ended": moment(run.ended),
        "took": Took(run.started or run.created, run.ended),
        "attempt": run.attempt,
        "tags": _json(run.tags) or [],
        "queue": run.queue,
        "priority": run.priority,
        "metadata": _json(run.metadata) or {},
        "trigger": trigger_of(requests, run.parent) or CLIENT,
        "parent": run.parent,
        "parent_step": run.parent_step,
        "children": stored.children,
        "requests": _requests(run),
        "input": _json(run.input),
        "context": _json(run.context) or {},
        "output": _json(run.output),
        "failure": Failed.read(run.failure),
    }


def step_rows(stored: StoredRun, graph: Graph | None) -> list[dict[str, Any]]:
    """Return a row for each step: begun steps by start, then the others."""
    from stream_durable.client.state import run_state

    states: dict[str, StepState] = {}
    if graph is not None:
        state = run_state(stored, graph)
        states = {**state.steps, **state.helpers}
    place = {name: i for i, name in enumerate(states)}

    def order(step: StepRow) -> tuple[int, int, str]:
        return step.started or step.finished or sys.maxsize, place.get(step.name, 0), step.name

    names = {step.name for step in stored.steps}
    begun = [_step(step, states.get(step.name)) for step in sorted(stored.steps, key=order)]
    rest = [_unwritten(one) for name, one in states.items() if name not in names and not is_helper(name)]
    return [*begun, *rest]


def _unwritten(state: StepState) -> dict[str, Any]:
    """Return the row of a step without a stored row, from the graph."""
    waits = list(map(_wait, state.waits_for))
    note = _waiting(state) if state.status == READY else None
    return {"step": state.name, "status": state.status, "note": note, "waits_for": waits}


def print_run(stored: StoredRun) -> None:
    """Print a run, one property per line; nothing is cut in a pipe."""
    from rich.text import Text

    out = console()
    length_max = _VALUE_MAX if sys.stdout.isatty() else None
    row = run_row(stored)
    for name, value in row.items():
        text = cell_text(value, length_max)
        is_usual = (name, value) in _USUAL or (name == "started" and value == row["created"])
        if text not in ("", "[]", "{}") and not is_usual:
            out.print(Text(f"{name:<12}", style="bold"), text, sep="", markup=False, soft_wrap=True)
    out.print()


#: What is so of nearly every run.
_USUAL = (("attempt", 1), ("priority", 0), ("children", 0), ("trigger", "client"))


def _requests(run: RunRow) -> dict[str, Any]:
    """Return the requests to a run, with readable times."""
    asked: dict[str, Any] = _json(run.requests) or {}
    return {
        kind: {**request, "at": moment(request["at"])}
        for kind in ("cancel", "late_cancel", "pause", "resume", "retry")
        if (request := asked.get(kind)) is not None
    }


def _step(step: StepRow, state: StepState | None) -> dict[str, Any]:
    detail: dict[str, Any] = _json(step.detail) or {}
    has_begun = step.status != "pending" and not detail.get("is_idle")
    return {
        "step": step.name,
        "status": step.status,
        "attempt": step.attempt if has_begun else None,
        "took": Took(step.started, step.finished),
        "note": _note(step, detail, state),
        "worker": step.worker,
        "failure": Failed.read(step.failure),
        "started": moment(step.started),
        "finished": moment(step.finished),
        "due": moment(step.due),
        "held": detail.get("held") or None,
        "percent": detail.get("percent"),
        "label": detail.get("label"),
        "child": detail.get("child") or None,
        "waits_for": [] if state is None else list(map(_wait, state.waits_for)),
        "asked": None if state is None or state.asked is None else _asked(state.asked),
        "output": _json(step.output),
    }


def _asked(question: Question) -> dict[str, Any]:
    """Return the question of a step, with all actions."""
    return {
        "prompt": question.prompt,
        "role": question.role,
        "assignee": question.assignee,
        "due": question.due,
        "changes": [change._asdict() for change in question.changes],
    }


def _note(step: StepRow, detail: dict[str, Any], state: StepState | None) -> str | None:
    """Return a step's current activity in a few words."""
    if detail.get("held"):
        return f"held: {detail['held']}"
    if step.status == RUNNING and detail.get("percent") is not None:
        return f"{detail['percent']:g}% {detail.get('label') or ''}".rstrip()
    if state is not None and state.waits_for and step.status != RUNNING:
        return _waiting(state)
    if state is not None and state.asked is not None and (answer := state.asked.answered) is not None:
        return f"answered by {answer.by or 'somebody'}: {answer.comment}".removesuffix(": ")
    if detail.get("child"):
        return f"run {detail['child']}"
    if step.status in (WAITING, RETRYING) and step.due is not None:
        return f"until {cell_text(moment(step.due))}"
    return None


def _waiting(state: StepState) -> str:
    """Return the cause and the end of a step's wait in words."""
    return "; ".join(
        one.text if one.until is None else f"{one.text}, until {cell_text(one.until)}"
        for one in state.waits_for
    )


def _wait(one: WaitsFor) -> dict[str, Any]:
    """Return the cause of a step's wait for programs; for an event, the key."""
    about = "key" if one.kind == "event" else "about"
    return {"kind": one.kind, "name": one.name, about: one.about, "until": one.until, "text": one.text}


def _json(data: bytes | str | None) -> Any:
    return None if data is None else json.loads(data)
