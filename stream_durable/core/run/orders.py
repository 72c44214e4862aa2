"""Requests to a run: pause, resume, cancel or skip a step, retry steps."""

from __future__ import annotations

from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RUN_PAUSED, RUN_RESUMED, RUN_RETRIED
from stream_durable.core.messages import (
    CancelStep,
    MarkReviewed,
    PauseRun,
    ResumeRun,
    RetryRun,
    RunContinued,
    SkipStep,
)
from stream_durable.core.run import beside, context, decisions, due, entering, portions, review, undoing
from stream_durable.core.run.advance import react, work_off
from stream_durable.core.run.again import (
    beginnings,
    chosen_by_failure,
    chosen_by_name,
    final_output,
    forget_context,
    forget_outcome,
    mark_unbegun,
    reset,
    stranded,
    write_down_unbegun,
)
from stream_durable.core.run.asking import ask_in_line
from stream_durable.core.run.attempts import has_stopped
from stream_durable.core.run.beginning import ask_anew
from stream_durable.core.run.from_outside import Decision
from stream_durable.core.run.groups import has_ended
from stream_durable.core.run.say import say_run, set_run_due, time_limit
from stream_durable.core.run.state import Request, Requests, Run
from stream_durable.core.status import (
    CANCELLED,
    COMPENSATION_FAILED,
    FAILED,
    PENDING,
    READY,
    SKIPPED,
    Outcome,
)


def pause(run: Run, message: PauseRun, now: int, out: Effects) -> Outcome:
    """Let no step begin until the run is resumed."""
    if run.has_ended or run.is_ending:
        # On its way to an end, a run goes all of the way.
        return Outcome.LATE
    if run.is_paused or run.has_seen(message.id):
        return Outcome.DUPLICATE
    requests = run.requests = run.requests or Requests()
    requests.remember(message.id)
    requests.pause = Request(message.id, now, message.reason, by=message.by)
    say_run(run, RUN_PAUSED, now, out)
    return Outcome.APPLIED


def resume(run: Run, message: ResumeRun, now: int, out: Effects) -> Outcome:
    """Begin all steps held back by the pause."""
    if run.has_ended or run.requests is None or run.requests.pause is None:
        return Outcome.LATE
    if run.has_seen(message.id):
        return Outcome.DUPLICATE
    if message.context is not None:
        _merge(run, bytes(message.context))
    run.requests.remember(message.id)
    run.requests.resume = Request(message.id, now, message.reason, by=message.by)
    run.requests.pause = None
    say_run(run, RUN_RESUMED, now, out)
    held = [
        i
        for i, step in run.steps.items()
        if step.status == PENDING and step.detail is not None and step.detail.held == "paused"
    ]
    in_line = [
        (i, node)
        for i, step in run.steps.items()
        if step.status == READY
        and step.detail is not None
        and step.detail.held == "gate"
        and (node := run.graph.work[i]) is not None
    ]
    for i, node in in_line:
        ask_in_line(run, i, run.steps[i], node, out)
    work_off(run, [], sorted(held), now, out)
    beside.begin_waiting(run, now, out)
    return Outcome.APPLIED


def go_on(run: Run, message: RunContinued, now: int, out: Effects) -> Outcome:
    """Begin the next steps deferred from one record."""
    if run.has_ended or not portions.has_deferred(run):
        return Outcome.LATE
    ready = portions.take_up(run)
    has_more = portions.has_deferred(run)
    work_off(run, [], ready, now, out)
    if has_more and portions.has_deferred(run):
        out.messages.append(RunContinued(key=run.id))
    return Outcome.APPLIED


def cancel_step(run: Run, message: CancelStep, now: int, out: Effects) -> Outcome:
    """Cancel a step and all later steps without another purpose."""
    return _end_by_hand(run, message, CANCELLED, now, out)


def skip_step(run: Run, message: SkipStep, now: int, out: Effects) -> Outcome:
    """Skip a step, and go on without."""
    return _end_by_hand(run, message, SKIPPED, now, out)


def mark_reviewed(run: Run, message: MarkReviewed, now: int, out: Effects) -> Outcome:
    """Record that somebody has looked at a failed run."""
    if run.has_seen(message.id):
        return Outcome.DUPLICATE
    if run.status not in (FAILED, COMPENSATION_FAILED):
        return Outcome.LATE
    requests = run.requests = run.requests or Requests()
    requests.remember(message.id)
    requests.reviewed = Request(message.id, now, message.reason, by=message.by)
    return Outcome.APPLIED


def retry(run: Run, message: RetryRun, now: int, out: Effects) -> Outcome:
    """Reset steps in place, and begin them again."""
    if run.has_seen(message.id):
        return Outcome.DUPLICATE
    if run.ended is None and (run.is_ending or run.status == PENDING):
        return Outcome.LATE
    is_undo = undoing.has_failed(run, message.step)
    held = [] if message.whole or is_undo else _held(run, message.step)
    which, reopened = (set[int](), set[int]()) if is_undo else _chosen(run, message, held)
    requests = run.requests = run.requests or Requests()
    requests.retry = Request(message.id, now, message.reason, by=message.by)
    requests.remember(message.id)
    if is_undo:
        undoing.undo_again(run, message.step, now, out)
        return Outcome.APPLIED
    for i in review.held_steps(run):
        if i in which or i in held:
            review.note(run, i, "retry", now, out, id=message.id, by=message.by, reason=message.reason)
    names = [run.graph.names[i] for i in held]
    if which or reopened:
        _put_back(run, message, which, reopened, now, out)
    else:
        say_run(run, RUN_RETRIED, now, out)
    for name in names:
        # What was reset with a step before it begins in its turn, and members of it may be gone.
        if review.is_held(run, name):
            decisions.begin_again(run, run.graph.index[name], now, out)
    return Outcome.APPLIED


def _put_back(
    run: Run, message: RetryRun, which: set[int], reopened: set[int], now: int, out: Effects
) -> None:
    """Reset steps, and begin them again."""
    had_ended = run.ended is not None
    if had_ended:
        # An ended run cannot be resumed, and a retried run is meant to run.
        if run.requests is not None:
            run.requests.pause = None
        # The run may have completed without some deferred steps: nobody continues them any more.
        portions.withdraw(run)
        mark_unbegun(run)
        forget_outcome(run, out)
        if entering.asks(run):
            run.status = PENDING
        _restart_time(run, now, out)
        if run.status == PENDING:
            due.expect_moment(run, out)
        else:
            due.expect_run(run, now, out)
    reset(run, which, reopened, out)
    if had_ended:
        write_down_unbegun(run)
    if message.whole:
        run.attempt += 1
        forget_context(run)
        _restart_time(run, now, out)
    say_run(run, RUN_RETRIED, now, out)
    if had_ended and entering.asks(run):
        ask_anew(run, now, out)
        return
    run.output = final_output(run)
    review.let_time_go_on(run, now, out)
    work_off(run, stranded(run), beginnings(run), now, out)
    if run.graph.beside and run.ended is None:
        _go_on_beside(run, now, out, had_ended=had_ended)


def _restart_time(run: Run, now: int, out: Effects) -> None:
    """Restart the run's time-out, unless the run has to be let in first."""
    if run.requests is not None:
        run.requests.left_ms = None
    if run.status != PENDING and (limit := time_limit(run)) is not None:
        set_run_due(run, now + limit, out)


def _go_on_beside(run: Run, now: int, out: Effects, *, had_ended: bool) -> None:
    """React to what comes from now on, or make calls that waited: with nothing left the run made no more."""
    if had_ended and run.graph.reads_events:
        react(run, now, now, out)
    else:
        beside.begin_waiting(run, now, out)


def _chosen(run: Run, message: RetryRun, held: list[int]) -> tuple[set[int], set[int]]:
    """Return the steps to reset, and the groups to reopen; held steps begin again without a reset."""
    undoing.refuse_before_undo(run)
    if message.whole:
        return set(range(run.graph.size)), set()
    if message.step and held:
        return set(), set()
    if message.step:
        i = _index(run, message.step)
        if run.graph.is_helper(i):
            raise RejectedError("not_a_step", f"{message.step!r} is a helper; it follows its step")
        step = run.steps.get(i)
        is_idle = step is not None and step.detail is not None and step.detail.is_idle
        if is_idle or (step is None and (run.need[i] or run.has_ended)):
            raise RejectedError("not_begun", f"step {message.step!r} of run {run.id!r} has not begun")
        return chosen_by_name(run, i)
    which, reopened = chosen_by_failure(run)
    if not which and not held:
        text = f"no step of run {run.id!r} has failed or was cancelled; name a step, or retry the whole run"
        raise RejectedError("nothing_to_retry", text)
    return which, reopened


def _held(run: Run, name: str) -> list[int]:
    """Return the held step of a name, or all held steps."""
    held = review.held_steps(run)
    return [i for i in held if run.graph.names[i] == name] if name else held


def _end_by_hand(run: Run, message: CancelStep | SkipStep, status: str, now: int, out: Effects) -> Outcome:
    is_accepted = status == SKIPPED and undoing.has_failed(run, message.step)
    if run.has_ended and not is_accepted:
        return Outcome.LATE
    if run.status == PENDING:
        raise RejectedError("not_begun", f"run {run.id!r} has not begun")
    if run.has_seen(message.id):
        return Outcome.DUPLICATE
    why = Failure(status, message.reason or f"{status} by request", retryable=False)
    if is_accepted:
        _remember(run, message.id)
        undoing.accept(run, message.step, why, now, out)
        return Outcome.APPLIED
    i = _index(run, message.step)
    if has_ended(run, i):
        return Outcome.DUPLICATE if run.steps[i].status == status else Outcome.LATE
    if run.graph.is_helper(i) and run.steps[i].status == PENDING:
        # Called in an earlier try; nobody waits for it now.
        return Outcome.LATE
    _remember(run, message.id)
    decision: Decision = "skip" if status == SKIPPED else "cancel"
    review.note(run, i, decision, now, out, id=message.id, by=message.by, reason=message.reason)
    if (step := run.steps.get(i)) is not None:
        has_stopped(step)
    work_off(run, [(i, status, None, why)], [], now, out)
    return Outcome.APPLIED


def _remember(run: Run, order: str) -> None:
    run.requests = run.requests or Requests()
    run.requests.remember(order)


def _index(run: Run, name: str) -> int:
    i = run.graph.index.get(name)
    if i is None:
        raise RejectedError("unknown_step", f"run {run.id!r} has no step {name[:128]!r}")
    return i


def _merge(run: Run, data: bytes) -> None:
    if not data.startswith(b"{"):
        raise RejectedError("bad_context", "only an object can be merged into the context")
    failure = context.merge(run, data)
    if failure is not None:
        raise RejectedError(failure.code, failure.message)


HANDLERS: Handlers = {
    MarkReviewed: mark_reviewed,
    PauseRun: pause,
    ResumeRun: resume,
    CancelStep: cancel_step,
    SkipStep: skip_step,
    RetryRun: retry,
    RunContinued: go_on,
}
