"""The conditions for a step to run, checked in order up to the first unmet condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from stream_durable.core.definition.nodes import StepNode, gate_of
from stream_durable.core.run.explain import status_of
from stream_durable.core.run.gating import queue_gate
from stream_durable.core.run.routing import queue_at
from stream_durable.core.run.state import Step
from stream_durable.core.status import PENDING, STEP_ENDED
from stream_durable.explain.phrases import Times, attempt_of, counted
from stream_durable.explain.reason import ORDER, CheckName, Reason
from stream_durable.explain.settled import Completed
from stream_durable.explain.snapshot import Snapshot, moment
from stream_durable.explain.steps import attempt_number


class Check(NamedTuple):
    """A condition for a step to run."""

    name: CheckName
    #: `passed`; `holds`: the step is there; `open`: not reached yet.
    state: Literal["passed", "holds", "open"]
    text: str


def checks(seen: Snapshot, i: int, reason: Reason, at: Times) -> tuple[Check, ...]:
    """Return all checks of a step in order; none after the end."""
    if status_of(seen.run, i) in STEP_ENDED or isinstance(reason, Completed):
        return ()
    reached = ORDER.index(reason.check)
    name = seen.run.graph.names[i]
    found = []
    for place, check in enumerate(ORDER):
        if place == reached:
            found.append(Check(check, "holds", reason.sentence(name, at)))
        else:
            found.append(Check(check, "passed" if place < reached else "open", _TEXTS[check](seen, i, at)))
    return tuple(found)


def _after(seen: Snapshot, i: int, at: Times) -> str:
    run = seen.run
    before = [j for j in run.graph.dependencies[i] if j in run.steps]
    if not run.graph.dependencies[i]:
        return "comes first"
    last = max(before, key=lambda j: run.steps[j].finished or 0, default=None)
    if last is None:
        return counted(len(run.graph.dependencies[i]), "step before it", "steps before it")
    ended = moment(run.steps[last].finished)
    when = "" if ended is None else f" at {at.at(ended)}"
    return f"{run.graph.names[last]} {status_of(run, last)}{when}"


def _run(seen: Snapshot, i: int, at: Times) -> str:
    run = seen.run
    paused = "paused" if run.is_paused else "not paused"
    due = moment(run.due)
    limit = "" if due is None or run.status == PENDING else f", time is over at {at.soon(due)}"
    return f"{run.status}, {paused}{limit}"


def _attempts(seen: Snapshot, i: int, at: Times) -> str:
    step = seen.run.steps.get(i) or Step()
    number, attempts = attempt_number(seen.run, i, step)
    failed = "" if step.failure is None else f", the last one: {step.failure.code}"
    return f"{attempt_of(number, attempts)}{failed}"


def _wait(seen: Snapshot, i: int, at: Times) -> str:
    return "waits for nothing" if isinstance(seen.run.graph.nodes[i], StepNode) else "a wait, no function"


def _gate(seen: Snapshot, i: int, at: Times) -> str:
    graph = seen.run.graph
    called = graph.work[i]
    passed = []
    if called is not None and called.breaker is not None:
        found = seen.gates.get(called.breaker.name)
        state = "not asked yet" if found is None else found.summary.state
        passed.append(f"breaker {called.breaker.name}: {state}")
    gates = (gate_of(graph.nodes[i]), None if called is None else queue_gate(seen.run, called))
    passed += [f"gate {gate.name}" for gate in gates if gate is not None]
    return ", ".join(passed) or "passes none"


def _queue(seen: Snapshot, i: int, at: Times) -> str:
    if seen.run.graph.work[i] is None:
        return "none: no worker is needed"
    place = seen.commands.get(seen.run.graph.names[i])
    workers = "" if place is None else f": {counted(len(place.readers), 'worker')}"
    return f"{queue_at(seen.run, i)}{workers}"


def _command(seen: Snapshot, i: int, at: Times) -> str:
    place = seen.commands.get(seen.run.graph.names[i])
    if place is None:
        return "not sent" if seen.run.graph.work[i] is not None else "none"
    offset = (
        "" if place.offset is None else f" at {place.offset:,}, {counted(place.before, 'command')} before it"
    )
    return f"{place.topic}/{place.partition}{offset}"


def _worker(seen: Snapshot, i: int, at: Times) -> str:
    step = seen.run.steps.get(i)
    return "none has begun it" if step is None or step.worker is None else f"last: {step.worker}"


_TEXTS: Final[dict[CheckName, Callable[[Snapshot, int, Times], str]]] = {
    "after": _after, "run": _run, "attempts": _attempts, "wait": _wait, "gate": _gate, "queue": _queue,
    "command": _command, "worker": _worker,
}  # fmt: skip
