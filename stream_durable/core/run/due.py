"""Deadlines with a warning: a run or a step under way at its moment is reported, and goes on.

The moment has a timer of its own, beside that of time-outs and retries: pausing and holding leave it alone.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from stream_durable.core.definition.moments import read_moment
from stream_durable.core.definition.nodes import DUE_HOOK, Node
from stream_durable.core.definition.paths import root_of, value_at
from stream_durable.core.durations import DURATION_MS_MAX, parsed_ms
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.lifecycle import RUN_OVERDUE, STEP_OVERDUE
from stream_durable.core.messages import Kind, RunTimerFired, StartRun
from stream_durable.core.names import dated, due_name, is_made
from stream_durable.core.run.hooks import call_run_due_hook, call_step_hook
from stream_durable.core.run.say import clear_due, say_run, say_step
from stream_durable.core.run.state import Requests, Run, Step
from stream_durable.core.run.values import root_value
from stream_durable.core.status import STEP_ENDED, Outcome


def expect(run: Run, i: int, step: Step, node: Node, now: int, out: Effects) -> None:
    """Plan when a begun step is overdue; a step going on keeps its moment.

    Raises `RejectedError` where the path of the step leads to neither a moment nor a time.
    """
    if step.detail is not None and step.detail.expected is not None:
        return
    due = _moment_of(run, node, now)
    if due is None:
        return
    detail = step.detailed()
    detail.expected, detail.overdue_since = due, None
    out.timers["run", run.id, due_name(run.graph.names[i])] = due


def _moment_of(run: Run, node: Node, now: int) -> int | None:
    """Return when the end of a node beginning now is expected; None where nothing is at the path."""
    if node.due_at is None:
        return None if node.due_ms is None else now + node.due_ms
    found = node.due_at[1:] if node.due_at.startswith("=") else _value(run, node.due_at)
    if found is None or found == "":
        return None
    moment = None
    if isinstance(found, str):
        wait_ms = parsed_ms(found)
        if wait_ms is not None and wait_ms <= DURATION_MS_MAX:
            return now + wait_ms
        moment = read_moment(found)
    if moment is None:
        text = "no moment and no time is at {!r}: write one such as 2026-12-24T18:00:00Z, or 2h"
        raise RejectedError("bad_moment", text.format(node.due_at[:128]))
    return max(0, round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000))


def keep(run: Run, message: StartRun, out: Effects) -> None:
    """Keep the due time of a start, and plan its moment."""
    if message.due_ms is not None or message.due_at is not None:
        requests = run.requests = run.requests or Requests()
        requests.due_ms, requests.due_at = message.due_ms, message.due_at
        expect_moment(run, out)


def expect_moment(run: Run, out: Effects) -> None:
    """Plan when a run that has not begun is overdue: at the moment of its start; a time counts from then."""
    requests = run.requests
    if requests is None:
        return
    requests.expected, requests.overdue_since = requests.due_at, None
    count(run)
    if requests.due_at is not None:
        out.timers["run", run.id, due_name()] = requests.due_at


def expect_begun(run: Run, now: int, out: Effects) -> None:
    """Plan when a run that begins is overdue, unless its moment is planned, or missed, already."""
    requests = run.requests
    if requests is None or requests.due_at is None or requests.expected != requests.due_at:
        expect_run(run, now, out)


def expect_run(run: Run, now: int, out: Effects) -> None:
    """Plan when a run begun or retried is overdue: as its start says, else as its workflow."""
    requests = run.requests
    due = run.graph.definition.due_ms
    if due is not None:
        due += now
    if requests is not None:
        if requests.due_at is not None:
            due = requests.due_at
        elif requests.due_ms is not None:
            due = now + requests.due_ms
    if due is None:
        return
    requests = run.requests = requests or Requests()
    requests.expected, requests.overdue_since = due, None
    count(run)
    out.timers["run", run.id, due_name()] = due


def end_run(run: Run, out: Effects) -> None:
    """Expect nothing more of an ended run."""
    if (requests := run.requests) is not None:
        if requests.expected is not None and requests.overdue_since is None:
            out.timers["run", run.id, due_name()] = None
        requests.overdue = 0


def clear_timers(run: Run, i: int, step: Step, out: Effects) -> None:
    """Clear both timers of a step at its end or reset."""
    clear_due(run, i, step, out)
    if step.detail is not None:
        end_step(run, i, step, out)


def end_step(run: Run, i: int, step: Step, out: Effects) -> None:
    """Expect nothing more of a step at its end or reset."""
    detail = step.detail
    if detail is None or detail.expected is None:
        return
    detail.expected = None
    if detail.overdue_since is None:
        out.timers["run", run.id, due_name(run.graph.names[i])] = None
    elif run.requests is not None:
        run.requests.overdue -= 1


def count(run: Run) -> None:
    """Count overdue ones again: the run, and unfinished steps."""
    requests = run.requests
    if requests is None or (not requests.overdue and requests.expected is None):
        return
    steps = sum(_is_overdue(step) for step in run.steps.values())
    is_overdue = requests.overdue_since is not None
    requests.overdue = 0 if run.ended is not None else is_overdue + steps


def fired(run: Run, message: RunTimerFired, now: int, out: Effects) -> Outcome:
    """Report that the run or a step is overdue, unless it has ended since."""
    name = dated(message.timer)
    timer: tuple[Kind, str, str] = ("run", run.id, message.timer)
    if not name:
        requests = run.requests
        if requests is None or requests.expected != message.due or requests.overdue_since is not None:
            return Outcome.LATE
        if run.ended is not None or out.plan_again(timer, message.due, now):
            return Outcome.LATE
        out.timers[timer] = None
        requests.overdue_since = now
        requests.overdue += 1
        say_run(run, RUN_OVERDUE, now, out)
        call_run_due_hook(run, now, out)
        return Outcome.APPLIED
    i = run.graph.index.get(name)
    if i is None:
        if is_made(name):
            return Outcome.LATE
        raise RejectedError("unknown_step", f"run {run.id!r} has no step {name[:128]!r}")
    step = run.steps.get(i)
    detail = None if step is None else step.detail
    if step is None or detail is None or detail.expected != message.due or detail.overdue_since is not None:
        return Outcome.LATE
    if step.status in STEP_ENDED or out.plan_again(timer, message.due, now):
        return Outcome.LATE
    out.timers[timer] = None
    detail.overdue_since = now
    run.touched[i] = None
    requests = run.requests = run.requests or Requests()
    requests.overdue += 1
    say_step(run, STEP_OVERDUE, i, step, now, out)
    outer = run.graph.outer(i)
    if outer >= 0:
        # The author's hooks know the step around it.
        i, step = outer, run.steps[outer]
    call_step_hook(run, DUE_HOOK, i, step, now, out)
    return Outcome.APPLIED


def _is_overdue(step: Step) -> bool:
    detail = step.detail
    return detail is not None and detail.expected is not None and detail.overdue_since is not None


def _value(run: Run, path: str) -> Any:
    try:
        return value_at(path, root_value(run, root_of(path)))
    except RejectedError:
        return None
