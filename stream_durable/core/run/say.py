"""Public events and timers of a run and of steps."""

from __future__ import annotations

import msgspec

from stream_durable.core.effects import Effects
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.run.state import Requests, Run, Step
from stream_durable.core.status import READY

_encode = msgspec.json.Encoder().encode

#: How long an attempt that nobody needs any more may take to end, if nothing else bounds it.
STOP_MS = 60_000


def say_step(run: Run, kind: str, i: int, step: Step, now: int, out: Effects) -> None:
    """Publish an event about a step."""
    run.step_sequence += 1
    graph, detail = run.graph, step.detail
    out.events.append(
        StepEvent(kind, run.id, graph.name, graph.fingerprint, run.step_sequence, now, graph.names[i],
                  step.attempt, step.output, step.failure, step.started, step.finished, step.worker,
                  run.trace, None if detail is None or detail.asked is None else _encode(detail.asked))
    )  # fmt: skip


def say_start(run: Run, kind: str, now: int, out: Effects) -> None:
    """Publish the start or the beginning of a run, with the trigger."""
    say_run(run, kind, now, out, trigger=trigger_of(run.requests, run.parent), parent=run.parent)


def trigger_of(requests: Requests | None, parent: str | None) -> str | None:
    """Return the trigger of a run; None for a client."""
    if parent is not None:
        return "parent"
    return None if requests is None else requests.trigger or None


def say_run(
    run: Run,
    kind: str,
    now: int,
    out: Effects,
    *,
    trigger: str | None = None,
    parent: str | None = None,
    steps: tuple[str, ...] | None = None,
    into: str | None = None,
) -> None:
    """Publish an event about the run."""
    run.run_sequence += 1
    graph = run.graph
    out.events.append(
        RunEvent(kind, run.id, graph.name, graph.fingerprint, run.run_sequence, now, run.step_sequence,
                 run.start_id, run.output, run.failure, run.trace, trigger, parent, steps, into)
    )  # fmt: skip


def time_limit(run: Run) -> int | None:
    """Return how many milliseconds the run may take: of its start, else of its workflow."""
    own = None if run.requests is None else run.requests.timeout_ms
    return run.graph.definition.timeout_ms if own is None else own


def set_due(run: Run, i: int, step: Step, due: int, out: Effects) -> None:
    """Set a step's timer, replacing an earlier timer; at the latest the end of the total time."""
    if step.detail is not None and step.detail.until is not None:
        due = min(due, step.detail.until)
    step.due = due
    out.timers["run", run.id, run.graph.names[i]] = due


def set_run_due(run: Run, due: int | None, out: Effects) -> None:
    """Set or clear the timer of the run as a whole, replacing an earlier timer."""
    run.due = due
    out.timers["run", run.id, ""] = due


def clear_due(run: Run, i: int, step: Step, out: Effects) -> None:
    """Clear a step's timer, if any; a total time-out stays."""
    if step.due is not None:
        step.due = None
        out.timers["run", run.id, run.graph.names[i]] = None


def is_put_off(step: Step) -> bool:
    """Return whether an attempt was returned and waits for a timer, which requests it again."""
    until = None if step.detail is None else step.detail.until
    return step.status == READY and step.due is not None and step.due != until


def begun_step(run: Run, i: int) -> Step:
    """Return the record of a begun step, creating one for a first attempt implied by the graph."""
    step = run.steps.get(i)
    if step is None:
        step = run.steps[i] = Step()
    return step
