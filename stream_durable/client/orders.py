"""Checks requests before sending: on the log an impossible request would become a dead letter."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import RetryRun
from stream_durable.core.run import undoing
from stream_durable.core.run.again import failed_steps
from stream_durable.core.run.entering import taker_of
from stream_durable.core.run.review import held_steps
from stream_durable.core.run.state import Run
from stream_durable.core.status import COMPENSATION_FAILED, FAILED, MERGED, PENDING

_NAMES_SHOWN: Final = 20


def check_end_step(run: Run, name: str) -> None:
    """Refuse to end a step of a run that has none under way."""
    check_step(run, name)
    if run.status == PENDING:
        text = f"run {run.id!r} has not begun: cancel it as a whole, or wait"
        raise RejectedError("not_begun", text)


def check_step(run: Run, name: str) -> int:
    """Return the index of a step in a run, or refuse an unknown name."""
    graph = run.graph
    if name in graph.index:
        return graph.index[name]
    close = get_close_matches(name, graph.index, 1)
    shown = ", ".join(list(graph.names)[:_NAMES_SHOWN])
    meant = f": is {close[0]!r} meant?" if close else f"; it has {shown}"
    raise RejectedError("unknown_step", f"run {run.id!r} has no step {name[:128]!r}{meant}")


def check_reviewed(run: Run) -> None:
    """Refuse to mark a run that has not failed."""
    if run.status not in (FAILED, COMPENSATION_FAILED):
        text = f"run {run.id!r} has not failed: only a failed run is marked as reviewed"
        raise RejectedError("not_failed", text)


def check_retry(run: Run, order: RetryRun) -> None:
    """Refuse to retry steps of a run without any, or about to end."""
    if order.step and order.whole:
        raise RejectedError("contradiction", "retry one step and all after it, or the whole run, not both")
    if run.ended is None and (run.is_ending or run.status == PENDING):
        text = "has not begun" if run.status == PENDING else "is about to end: wait for that"
        raise RejectedError("not_ended", f"run {run.id!r} cannot be retried now: it {text}")
    if undoing.has_failed(run, order.step):
        return
    undoing.refuse_before_undo(run)
    if order.step:
        i = check_step(run, order.step)
        if run.graph.is_helper(i):
            text = f"{order.step!r} is called beside the graph: retry the step that it belongs to"
            raise RejectedError("not_a_step", text)
        step = run.steps.get(i)
        is_idle = step is not None and step.detail is not None and step.detail.is_idle
        if is_idle or (step is None and (run.need[i] or run.has_ended)):
            text = f"step {order.step!r} of run {run.id!r} has not begun"
            raise RejectedError("not_begun", _merged(run) or text)
    elif not order.whole and not held_steps(run) and not failed_steps(run):
        text = f"no step of run {run.id!r} has failed or was cancelled: name one, or retry the whole run"
        raise RejectedError("nothing_to_retry", _merged(run) or text)


def _merged(run: Run) -> str:
    """Return the advice for a merged run; empty for others."""
    if run.status != MERGED:
        return ""
    into = taker_of(run.requests)
    return f"run {run.id!r} was merged into run {into!r}: retry that one, or this one as a whole"
