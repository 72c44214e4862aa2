"""Held steps: a step that has failed for good waits for a person, and the run's time-out stands still.

The decisions of people are in `decisions`.
"""

from __future__ import annotations

from stream_durable.core.effects import Effects
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import STEP_HELD
from stream_durable.core.run.from_outside import Decision, Review
from stream_durable.core.run.say import clear_due, say_step, set_run_due
from stream_durable.core.run.state import Requests, Run, Step
from stream_durable.core.status import HELD


def may_hold(run: Run, i: int) -> bool:
    """Return whether a failed step is held: not in an ending run, and not if a person has failed it."""
    if run.is_ending or run.graph.is_helper(i):
        return False
    step = run.steps.get(i)
    return step is None or step.detail is None or not step.detail.is_failed_by_hand


def hold(run: Run, i: int, step: Step, failure: Failure | None, now: int, out: Effects) -> None:
    """Hold a step that is under way no more, and let the run's time-out stand still."""
    step.status = HELD
    step.failure = failure
    if step.finished is None:
        step.finished = now
    detail = step.detailed()
    detail.held_since = now
    detail.until = None
    step.deadline = None
    clear_due(run, i, step, out)
    run.touched[i] = None
    requests = run.requests = run.requests or Requests()
    requests.held += 1
    if run.due is not None:
        requests.left_ms = max(0, run.due - now)
        set_run_due(run, None, out)
    say_step(run, STEP_HELD, i, step, now, out)
    out.note_review("held")


def release(run: Run, now: int, out: Effects) -> None:
    """Count a step that is held no more; without any the run's time goes on."""
    if run.requests is not None:
        run.requests.held -= 1
        let_time_go_on(run, now, out)


def let_time_go_on(run: Run, now: int, out: Effects) -> None:
    """Let the run's time-out go on with what was left of it, unless steps are held."""
    requests = run.requests
    if requests is None or requests.left_ms is None or requests.held or run.ended is not None:
        return
    left, requests.left_ms = requests.left_ms, None
    if not run.is_ending:
        set_run_due(run, now + left, out)


def count(run: Run) -> None:
    """Count the held steps again."""
    if run.requests is not None and run.requests.held:
        run.requests.held = sum(step.status == HELD for step in run.steps.values())


def note(
    run: Run,
    i: int,
    decision: Decision,
    now: int,
    out: Effects,
    *,
    id: str,  # noqa: A002 - the word for it everywhere
    by: str,
    reason: str,
) -> None:
    """Keep who decided what about a held step, and why; nothing for a step that is not held."""
    step = run.steps.get(i)
    if step is None or step.status != HELD:
        return
    detail = step.detailed()
    review = Review(
        id=id, decision=decision, at=now, held=detail.held_since or 0, attempt=step.attempt,
        failure=step.failure, by=by, reason=reason,
    )  # fmt: skip
    detail.reviews = (*detail.reviews, review)
    run.touched[i] = None
    out.note_review(decision)


def held_steps(run: Run) -> list[int]:
    """Return the held steps of a run, in the order of the definition."""
    if run.requests is None or not run.requests.held:
        return []
    return sorted(i for i, step in run.steps.items() if step.status == HELD)


def is_held(run: Run, name: str) -> bool:
    """Return whether a step of this name is held."""
    step = run.steps.get(run.graph.index.get(name, -1))
    return step is not None and step.status == HELD
