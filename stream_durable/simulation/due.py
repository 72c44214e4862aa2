"""What is promised of due times: they warn once, and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stream_durable.core.effects import Command
from stream_durable.core.lifecycle import RUN_OVERDUE, STEP_OVERDUE, RunEvent, StepEvent
from stream_durable.core.messages import RunTimerFired
from stream_durable.core.names import dated, due_name, helper_kind, is_due
from stream_durable.core.run.state import Run
from stream_durable.simulation.oracle import Folded, Oracle
from stream_durable.simulation.world import World


def expected(run: Run) -> Iterator[tuple[tuple[str, str, str], int]]:
    """Return the timers for the moments by which a run and its open steps are expected."""
    requests = run.requests
    is_open = requests is not None and run.ended is None and requests.overdue_since is None
    if requests is not None and requests.expected is not None and is_open:
        yield ("run", run.id, due_name()), requests.expected
    for i, step in run.steps.items():
        detail = step.detail
        if detail is not None and detail.expected is not None and detail.overdue_since is None:
            yield ("run", run.id, due_name(run.graph.names[i])), detail.expected


def a_missed_due_time_warns_and_changes_nothing(world: World, oracle: Oracle) -> Iterator[str]:
    """Its timer has one event, and calls nothing but the hook; and nothing else has this event."""
    for run in oracle.runs():
        for folded in oracle.applied.get(run.id, ()):
            said = [(event.type, _step(event)) for event in folded.events]
            warned = [one for one in said if one[0] in (RUN_OVERDUE, STEP_OVERDUE)]
            name = _timer(folded)
            if name is None:
                if warned:
                    yield f"{run.id} was said to be overdue by {folded.message}"
                continue
            kind = STEP_OVERDUE if name else RUN_OVERDUE
            if said != [(kind, name)]:
                yield f"the due time of {name!r} of {run.id} was missed, and it was said that {said}"
            for command in folded.commands:
                if not isinstance(command, Command) or helper_kind(command.step) != "on_overdue":
                    yield f"the due time of {name!r} of {run.id} was missed, and {command} followed"


def what_is_overdue_is_counted(world: World, oracle: Oracle) -> Iterator[str]:
    """A list counts an open run and its open steps that are overdue, and nothing of an ended run."""
    for run in oracle.runs():
        requests = run.requests
        if requests is None:
            continue
        open_steps = [
            step.detail for step in run.steps.values() if step.detail is not None and step.detail.expected
        ]
        wanted = sum(detail.overdue_since is not None for detail in open_steps)
        wanted = 0 if run.ended is not None else wanted + (requests.overdue_since is not None)
        if requests.overdue != wanted:
            yield f"{run.id} counts {requests.overdue} as overdue, and {wanted} are"


def _timer(folded: Folded) -> str | None:
    message = folded.message
    return dated(message.timer) if isinstance(message, RunTimerFired) and is_due(message.timer) else None


def _step(event: StepEvent | RunEvent) -> str:
    return event.step if isinstance(event, StepEvent) else ""


DUE: tuple[Callable[[World, Oracle], Iterator[str]], ...] = (
    a_missed_due_time_warns_and_changes_nothing,
    what_is_overdue_is_counted,
)
