"""Steps ended from outside: how the wait begins and runs out of time, and the messages that end it.

An end may come before the wait, since its token is given out before: it is kept with the step until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Raw

from stream_durable.core.definition.nodes import TokenNode
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import STEP_WAITING
from stream_durable.core.run.from_outside import Outside
from stream_durable.core.run.say import say_step, set_due
from stream_durable.core.run.state import End, Run, Step
from stream_durable.core.status import COMPLETED, FAILED, PENDING

if TYPE_CHECKING:
    from stream_durable.core.effects import Effects


def begin_token(
    run: Run, i: int, step: Step, node: TokenNode, now: int, out: Effects, ends: list[End]
) -> None:
    """Begin to wait, or end at once after an early end."""
    outside = None if step.detail is None else step.detail.outside
    if outside is not None and outside.id:
        ends.append(_early_end(i, outside))
        return
    step.deadline = None if node.timeout_ms is None else now + node.timeout_ms
    set_next_due(run, i, step, node, now, out)
    say_step(run, STEP_WAITING, i, step, now, out)


def set_next_due(run: Run, i: int, step: Step, node: TokenNode, now: int, out: Effects) -> None:
    """Set the step's timer to the end of its time, or to the end of the time for a heartbeat."""
    due = step.deadline
    if node.heartbeat_ms is not None:
        silent = now + node.heartbeat_ms
        due = silent if due is None else min(due, silent)
    if due is not None and due != step.due:
        set_due(run, i, step, due, out)


def time_is_over(i: int, step: Step, node: TokenNode, due: int | None) -> End:
    """Return the end of a wait out of time, or without a heartbeat in time."""
    if node.on_timeout is not None:
        return (i, COMPLETED, node.on_timeout.encode(), None)
    is_silent = step.deadline is None or (due is not None and due < step.deadline)
    text = (
        f"no heartbeat came within {node.heartbeat_ms} ms"
        if is_silent
        else f"nobody ended it by its token within {node.timeout_ms} ms"
    )
    return (i, FAILED, None, Failure("timeout", text, retryable=False))


def has_not_begun(run: Run) -> bool:
    """Return whether no function of a run was given a token yet; between two tries tokens are out."""
    return run.status == PENDING and run.attempt == 1 and run.started is None


def keep(step: Step, output: bytes | None, failure: Failure | None) -> None:
    """Keep an end before the wait."""
    outside = outside_of(step)
    outside.output = None if output is None else Raw(output)
    outside.failure = failure


def outside_of(step: Step) -> Outside:
    """Return what came from outside for a step, for writing."""
    detail = step.detailed()
    if detail.outside is None:
        detail.outside = Outside()
    return detail.outside


def _early_end(i: int, outside: Outside) -> End:
    output, failure = outside.output, outside.failure
    outside.output = outside.failure = None
    if failure is not None:
        return (i, FAILED, None, failure)
    return (i, COMPLETED, b"null" if output is None else bytes(output), None)
