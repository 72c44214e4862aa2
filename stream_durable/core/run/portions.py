"""Bounds the effects of one record: the rest is deferred to continuation records.

A run about to begin thousands of steps, or a few with very large inputs, begins as many as one record may.
The others are deferred, and the run sends itself a message to continue. A deferred step has an extra
dependency, its turn, so all other code sees a step not yet begun.
"""

from __future__ import annotations

from stream_durable.core.effects import Effects
from stream_durable.core.messages import RunContinued
from stream_durable.core.run.state import Requests, Run, Step
from stream_durable.core.status import PENDING

#: Weight of the steps begun by one record: 500 small ones, or a few megabytes.
LOAD_MAX = 4_000_000
#: Weight of a step without the values in its command.
STEP_LOAD = 8_000
#: Deferred steps that a record takes up at the most.
PORTION = 500


def defer(run: Run, i: int, out: Effects) -> None:
    """Defer a ready step to the continuation of this record."""
    requests = run.requests = run.requests or Requests()
    if not requests.deferred:
        out.messages.append(RunContinued(key=run.id))
    requests.deferred.append(run.graph.names[i])
    run.need[i] += 1
    step = run.steps.get(i)
    if step is not None and step.detail is not None:
        # Whatever held it, it waits for its turn now: who lets go of what is held is not to begin it.
        step.detail.held = ""
        run.touched[i] = None


def take_up(run: Run) -> list[int]:
    """Give the next deferred steps their turn; return the ready ones."""
    requests = run.requests
    assert requests is not None
    names, requests.deferred = requests.deferred[:PORTION], requests.deferred[PORTION:]
    if requests == Requests():
        run.requests = None
    ready = []
    for i in _known(run, names):
        run.need[i] -= 1
        step = run.steps.get(i)
        if not run.need[i] and (step is None or step.status == PENDING):
            ready.append(i)
    return ready


def withdraw(run: Run) -> None:
    """Cancel the turns of deferred steps because the run is about to end."""
    if run.requests is None or not run.requests.deferred:
        return
    names, run.requests.deferred = run.requests.deferred, []
    for i in _known(run, names):
        run.need[i] -= 1
        if i not in run.steps:
            run.steps[i] = Step(PENDING)
            run.touched[i] = None


def has_deferred(run: Run) -> bool:
    """Return whether steps wait for their turn."""
    return run.requests is not None and bool(run.requests.deferred)


def is_deferred(run: Run, i: int) -> bool:
    """Say whether a step could have begun, and waits for its turn."""
    return run.requests is not None and run.graph.names[i] in run.requests.deferred


def count(run: Run) -> None:
    """Count the turns of deferred steps."""
    if run.requests is not None:
        for i in _known(run, run.requests.deferred):
            run.need[i] += 1


def _known(run: Run, names: list[str]) -> list[int]:
    """Return the existing steps of these names: members of a re-expanded group may be gone."""
    index = run.graph.index
    return [i for name in names if (i := index.get(name)) is not None]
