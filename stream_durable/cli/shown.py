"""Runs and steps as rows for tables and programs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Any, Final

from stream_durable.cli.failures import Failed
from stream_durable.cli.output import Share, Took, cell_text, console, milliseconds
from stream_durable.core.names import MEMBERS_MAX, group_of
from stream_durable.core.status import COMPLETED, HELD, PENDING, RETRYING, RUNNING, WAITING

if TYPE_CHECKING:
    from stream_durable.client import Question, RunEntry, RunState, StepState
    from stream_durable.client.waiting import WaitsFor

LIST_COLUMNS = ("word", "id", "workflow", "status", "reason", "steps", "created", "took")
#: Of dead letters, whose failures are shown with their place in the code.
DEAD_COLUMNS = ("id", "workflow", "status", "steps", "created", "took", "failure")
#: An input may have a megabyte, and a terminal has some lines.
_VALUE_MAX: Final = 1_000
#: Of a group with more members, those with these statuses are counted.
_QUIET: Final = frozenset({COMPLETED, PENDING})
STEP_COLUMNS = ("step", "status", "attempt", "took", "note", "worker", "failure")


def entry_row(run: RunEntry) -> dict[str, Any]:
    """Return a run as a line of a list."""
    return {
        "id": run.id,
        "workflow": run.workflow,
        "fingerprint": run.fingerprint,
        "status": run.status,
        "word": run.word,
        "reason": run.reason,
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
        "needs_review": run.needs_review,
        "overdue": run.overdue,
        "into": run.into,
        "attributes": run.attributes,
        "failure": Failed.of(run.failure),
        "cursor": run.cursor,
    }


def run_row(run: RunState) -> dict[str, Any]:
    """Return everything about a run except steps."""
    return {
        "id": run.id,
        "workflow": run.workflow,
        "fingerprint": run.fingerprint,
        "status": run.status,
        "progress": Share(run.done, run.total),
        "created": run.created,
        "started": run.started,
        "begins" if run.status == PENDING else "deadline": run.due,
        "ended": run.ended,
        "took": Took(milliseconds(run.started or run.created), milliseconds(run.ended)),
        "attempt": run.attempt,
        "tags": list(run.tags),
        "queue": run.queue,
        "priority": run.priority,
        "metadata": run.metadata,
        "trigger": run.trigger,
        "schedule": run.schedule,
        "moment": run.moment,
        "parent": run.parent,
        "parent_step": run.parent_step,
        "children": run.children,
        "into": run.into,
        "expected": run.expected,
        "overdue_since": run.overdue_since,
        "overdue": list(run.overdue),
        "needs_review": list(run.needs_review),
        "reviews": [one._asdict() | {"failure": Failed.of(one.failure)} for one in run.reviews],
        "changes": [one._asdict() for one in run.changes],
        "requests": {
            kind: request._asdict() for kind, request in run.requests._asdict().items() if request is not None
        },
        "input": run.input,
        "context": run.context,
        "attributes": run.attributes,
        "output": run.output,
        "failure": Failed.of(run.failure),
    }


def step_rows(steps: Mapping[str, StepState]) -> list[dict[str, Any]]:
    """Return a row for each step: begun steps by start, then the others."""
    return [_step(step) for step in sorted(steps.values(), key=_begun)]


def folded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows for a table, with completed and pending members of large groups counted."""
    sizes = Counter(group_of(row["step"]) for row in rows)
    counts: dict[str, Counter[str]] = {}
    left: list[dict[str, Any]] = []
    for row in rows:
        group = group_of(row["step"])
        if group is None or sizes[group] <= MEMBERS_MAX or row["status"] not in _QUIET:
            left.append(row)
            continue
        if group not in counts:
            left.append({"step": f"{group}[…]"})
        counts.setdefault(group, Counter())[row["status"]] += 1
    for row in left:
        if (found := counts.get(row["step"].removesuffix("[…]"))) and row["step"].endswith("[…]"):
            row["note"] = ", ".join(f"{count} {status}" for status, count in sorted(found.items()))
    return left


REACTION_COLUMNS = ("reaction", "on", "of", "key", "behind", "note")


def reaction_rows(run: RunState) -> list[dict[str, Any]]:
    """Return a row for each reaction of a run."""
    return [
        {
            "reaction": one.name,
            "on": one.on,
            "of": one.of,
            "key": one.key,
            "behind": one.behind,
            "note": "; ".join(wait.text for wait in one.waits_for),
            "step": one.step,
            "waits_for": list(map(_wait, one.waits_for)),
        }
        for one in run.reactions.values()
    ]


def _begun(step: StepState) -> float:
    at = step.started or step.finished
    return inf if at is None else at.timestamp()


def print_run(run: RunState) -> None:
    """Print a run, one property per line; nothing is cut in a pipe."""
    from rich.text import Text

    out = console()
    length_max = _VALUE_MAX if sys.stdout.isatty() else None
    row = run_row(run)
    for name, value in row.items():
        text = cell_text(value, length_max)
        is_usual = (name, value) in _USUAL or (name == "started" and value == row["created"])
        if text not in ("", "[]", "{}") and not is_usual:
            out.print(Text(f"{name:<12}", style="bold"), text, sep="", markup=False, soft_wrap=True)
    out.print()


#: What is so of nearly every run.
_USUAL = (("attempt", 1), ("priority", 0), ("children", 0), ("trigger", "client"))


def _step(step: StepState) -> dict[str, Any]:
    return {
        "step": step.name,
        "status": step.status,
        "attempt": step.attempt or None,
        "took": Took(milliseconds(step.started), milliseconds(step.finished)),
        "note": _note(step),
        "worker": step.worker,
        "failure": Failed.of(step.failure),
        "started": step.started,
        "finished": step.finished,
        "due": step.due,
        "held": step.held,
        "expected": step.expected,
        "overdue_since": step.overdue_since,
        "percent": step.percent,
        "label": step.label,
        "child": step.child,
        "waits_for": list(map(_wait, step.waits_for)),
        "asked": None if step.asked is None else _asked(step.asked),
        "outside": None if step.outside is None else step.outside._asdict(),
        "refused": [
            {"id": one.id, "topic": one.topic, "code": one.code, "reason": one.reason} for one in step.refused
        ],
        "sent": [one._asdict() for one in step.sent],
        "past": [one._asdict() for one in step.past],
        "output": step.output,
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


def _note(step: StepState) -> str | None:
    """Return a step's current activity in a few words, and whether it is overdue."""
    note = _doing(step)
    if step.expected is None or step.overdue_since is None:
        return note
    return f"overdue since {cell_text(step.overdue_since)}{'' if note is None else f'; {note}'}"


def _doing(step: StepState) -> str | None:
    if step.held:
        return f"held: {step.held}"
    if step.status == RUNNING and step.percent is not None:
        return f"{step.percent:g}% {step.label or ''}".rstrip()
    if step.status == HELD and step.failure is not None:
        return f"needs review: {step.failure.message}"
    return _waiting(step) if step.waits_for and step.status not in (RUNNING, PENDING) else _note_of_end(step)


def _note_of_end(step: StepState) -> str | None:
    """Return who or what has ended a step, in a few words."""
    if step.asked is not None and (answer := step.asked.answered) is not None:
        return f"answered by {answer.by or 'somebody'}: {answer.comment}".removesuffix(": ")
    if step.outside is not None and step.outside.id:
        return f"ended from outside by {step.outside.by or 'somebody'}"
    if any(one.by for one in step.sent):
        return "; ".join(f"{one.name} from {one.by or 'somebody'}" for one in step.sent)
    if step.refused:
        return f"topic {step.refused[-1].topic} refused what it emitted: {step.refused[-1].reason}"
    if step.child:
        return f"run {step.child}"
    if step.status in (WAITING, RETRYING) and step.due is not None:
        return f"until {cell_text(step.due)}"
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
