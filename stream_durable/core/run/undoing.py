"""Handles a compensation that failed or was cancelled: retried or accepted by a person.

Until then the rest of the run is left alone: a reset step would repeat work not yet undone.
"""

from __future__ import annotations

from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RUN_RETRIED
from stream_durable.core.names import helped, is_undo
from stream_durable.core.run.advance import work_off
from stream_durable.core.run.again import reset
from stream_durable.core.run.ending import NOT_DONE, begin_undo
from stream_durable.core.run.past import is_past
from stream_durable.core.run.say import say_run
from stream_durable.core.run.state import Run
from stream_durable.core.status import COMPENSATING, COMPENSATION_FAILED, RETRYING, SKIPPED


def failed(run: Run) -> list[str]:
    """Return the compensations that failed or were cancelled, by name."""
    names = run.graph.names
    not_done = (i for i, step in run.steps.items() if step.status in NOT_DONE and not is_past(step))
    return sorted(names[i] for i in not_done if is_undo(names[i]))


def has_failed(run: Run, name: str) -> bool:
    """Return whether a run has ended with this compensation failed or cancelled."""
    return run.status == COMPENSATION_FAILED and name in failed(run)


def refuse_before_undo(run: Run) -> None:
    """Refuse to retry steps while a compensation of the run has failed or was cancelled."""
    if run.status == COMPENSATION_FAILED:
        name = failed(run)[0]
        text = (
            f"{name!r} of run {run.id!r} has failed or was cancelled: try it again with retry({name!r}), "
            f"or accept that with skip_step({name!r}); after that the run can be retried"
        )
        raise RejectedError("undo_first", text)


def undo_again(run: Run, name: str, now: int, out: Effects) -> None:
    """Try a failed undo again, and go on with what is still to be undone."""
    _reopen(run, {run.graph.index[name]}, now, out)
    begin_undo(run, run.graph.index[helped(name)], now, out)


def accept(run: Run, name: str, why: Failure, now: int, out: Effects) -> None:
    """Count a failed undo as done, as somebody has seen to it."""
    _reopen(run, set(), now, out)
    i = run.graph.index[name]
    # Like a step with a planned attempt: there is no worker to inform.
    run.steps[i].status = RETRYING
    run.left += 1
    run.active += 1
    work_off(run, [(i, SKIPPED, None, why)], [], now, out)


def _reopen(run: Run, which: set[int], now: int, out: Effects) -> None:
    """Put an ended run back to `compensating`; the hook is called again at the next end."""
    run.status = COMPENSATING
    run.ended = None
    if run.requests is not None:
        run.requests.pause = None
        run.requests.reviewed = None
    which |= {i for i in run.steps if run.graph.is_helper(i) and not helped(run.graph.names[i])}
    reset(run, which, (), out)
    say_run(run, RUN_RETRIED, now, out)
