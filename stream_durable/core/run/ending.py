"""Ends a run: at once, or after cancellation, clean-up and compensation.

A run that fails or is cancelled first cancels the steps under way. Then come clean-up, after any kind of end;
compensation, newest first; another try of the whole graph; the author's hook; and the end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from stream_durable.core.definition.graph import Graph, Grown
from stream_durable.core.definition.nodes import StepNode, WaitNode, undo_of
from stream_durable.core.effects import CancelAttempt, Effects
from stream_durable.core.failure import Failure
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.lifecycle import RUN_COMPENSATING, RUN_EVENTS, STEP_CANCELLED, STEPS_MAX
from stream_durable.core.messages import AttemptHeartbeat
from stream_durable.core.names import helped, is_undo, undo_name
from stream_durable.core.run import beside, due, entering, groups, hooks, inside, portions, races, reading
from stream_durable.core.run.children import cancel_started, tell_schedule
from stream_durable.core.run.counters import recount
from stream_durable.core.run.following import tell_followers, tell_parent
from stream_durable.core.run.gating import leave_gate, leave_place
from stream_durable.core.run.past import is_past
from stream_durable.core.run.routing import lane_of
from stream_durable.core.run.say import (
    STOP_MS,
    begun_step,
    is_put_off,
    say_run,
    say_step,
    set_due,
    set_run_due,
)
from stream_durable.core.run.state import End, Run, Step
from stream_durable.core.run.values import run_output
from stream_durable.core.run.waiting import stop_wait
from stream_durable.core.status import (
    CANCELLED,
    COMPENSATED,
    COMPENSATING,
    COMPENSATION_FAILED,
    COMPLETED,
    FAILED,
    HELD,
    PENDING,
    READY,
    RUNNING,
    SKIPPED,
    STEP_ASKED,
    STEP_ENDED,
    STEP_PASSED,
    WAITING,
)

#: Statuses of a compensation that ended without undoing its step: only a person can settle it.
NOT_DONE = frozenset({FAILED, CANCELLED})

#: Why a step is cancelled that has nothing to do with why its run ends.
RUN_ENDS = Failure("cancelled", "the run is on its way to its end", retryable=False)


def fail_run(
    run: Run, failure: Failure, now: int, out: Effects, ends: list[End], ready: Collection[int]
) -> None:
    """Let the run fail, unless already ending."""
    if run.is_ending or run.ended is not None:
        return
    run.failure = failure
    wind_down(run, FAILED, now, out, ends, ready)


def wind_down(
    run: Run, status: str, now: int, out: Effects, ends: list[End], ready: Collection[int] = ()
) -> None:
    """Stop everything under way except ready clean-up; without any, the run has ended."""
    definition = run.graph.definition
    graph = run.graph
    owes = graph.clean_up or graph.has_compensation or definition.hooks
    if not owes and not (status == FAILED and may_restart(run)):
        end(run, status, now, out)
        return
    portions.withdraw(run)
    # First: when the other members are cancelled, races go on with the completed ones.
    ends += [(i, CANCELLED, None, RUN_ENDS) for i in races.given_up(run)]
    for i in beside.suspended(run):
        end_call(run, i, out, ends)
    beside.bound(run, now, out)
    for i in range(graph.size):
        if run.need[i] or i in ready or graph.is_helper(i) or groups.has_ended(run, i):
            continue
        ends.append((i, CANCELLED, None, RUN_ENDS))


def end_call(run: Run, i: int, out: Effects, ends: list[End]) -> None:
    """End a call beside the graph that waits, or put the call back for the next try of the graph."""
    if run.cancel_request is not None or not may_restart(run):
        ends.append((i, CANCELLED, None, RUN_ENDS))
        return
    step = run.steps[i]
    stop_step(run, i, step, out)
    due.clear_timers(run, i, step, out)
    for m in sorted(inside.within(run, i, step), key=run.graph.names.__getitem__):
        cancel_started(run, m, run.steps[m], out, undoes=True)
    beside.put_back(run, i, step, ends)


def conclude(run: Run, now: int, out: Effects) -> bool:
    """Do the next thing that is owed, or end the run. Say whether the whole graph is to be tried again."""
    if not run.is_ending:
        run.failure = _left_behind(run) or _cancelled_by_hand(run)
    if run.failure is None:
        if not hooks.call_run_hook(run, "on_success", COMPLETED, now, out):
            _complete(run, now, out)
        return False
    request = run.cancel_request
    if request is None and run.requests is not None and run.failure == RUN_ENDS:
        request = run.requests.past_cancel
    is_cancelled = request is not None or _step_was_cancelled(run)
    if (request.compensate if request else not is_cancelled) and _undo_next(run, now, out):
        return False
    if not is_cancelled and may_restart(run):
        return True
    status = _outcome(run, CANCELLED if is_cancelled else FAILED)
    hook = "on_cancel" if is_cancelled else "on_failure"
    if not hooks.call_run_hook(run, hook, status, now, out):
        _finish(run, status, now, out)
    return False


def _left_behind(run: Run) -> Failure | None:
    """Return the failure of a manual retry that cannot complete the run, from outside the retried steps."""
    if run.requests is None or run.requests.retry is None:
        return None
    failure = races.still_failed(run)
    if failure is None and _is_cut_short(run):
        # The failure that ended it may be a race's since, but what that end cancelled was not retried.
        failure = races.first_failure(run) or RUN_ENDS
    return failure


def _is_cut_short(run: Run) -> bool:
    """Return whether the last steps are cancelled, and some steps by an earlier end of the run."""
    sinks = [run.steps.get(i) for i in run.graph.sinks]
    return all(step is not None and step.status == CANCELLED for step in sinks) and any(
        step.status == CANCELLED and step.failure == RUN_ENDS for step in run.steps.values()
    )


def may_restart(run: Run) -> bool:
    """Say whether the workflow's own policy has the whole graph tried again, and nobody cancelled the run."""
    policy, failure = run.graph.definition.restart, run.failure
    if policy.attempts <= run.attempt or failure is None:
        return False
    if run.requests is not None and run.requests.late_cancel is not None:
        return False
    return policy.allows(failure.code, run.attempt, retryable=True)


def end(run: Run, status: str, now: int, out: Effects) -> None:
    """Close everything open, and give the run a final status."""
    has_begun = run.status != PENDING
    if has_begun:
        portions.withdraw(run)
    for i in _every(run.graph) if run.steps or has_begun else ():
        if (has_begun and not run.need[i]) or _is_open(run, i):
            _cancel_step(run, i, now, out)
    _finish(run, status, now, out)
    # Steps were closed without being counted; what is in memory is to be what is loaded again.
    recount(run)


def _is_open(run: Run, i: int) -> bool:
    """Return whether a step was reset and has not begun again, is a reopened group, or a hook under way."""
    step = run.steps.get(i)
    if step is None or not run.graph.is_helper(i):
        return step is not None and step.status in (PENDING, RUNNING)
    return step.status not in STEP_ENDED and (step.status != PENDING or step.is_held_up)


def _every(graph: Graph) -> Iterable[int]:
    """Return all steps, helpers last and by name: where these are in the index depends on the run's past."""
    if not graph.beside and not (isinstance(graph, Grown) and graph.inner):
        return range(graph.size)
    helpers = [i for i in range(graph.definition_size, graph.size) if graph.is_helper(i)]
    others = [i for i in range(graph.size) if not graph.is_helper(i)]
    return [*others, *sorted(helpers, key=graph.names.__getitem__)]


def stop_step(run: Run, i: int, step: Step, out: Effects, *, undoes: bool = False) -> None:
    """Cancel a begun step's outstanding command, event wait or child run; with `undoes`, undo the child."""
    node = run.graph.nodes[i]
    leave_place(run, i, step, out)
    if step.status in STEP_ASKED:
        if run.graph.work[i] is not None and i not in run.open:
            _drop_attempt(run, i, step, out, must_answer=False)
    elif step.status == WAITING and isinstance(node, WaitNode):
        stop_wait(run, step, node, out, undoes=undoes)
    elif step.detail is not None and step.detail.inside is not None and step.detail.inside.keeper:
        # What the worker keeps of a function that waits is of no more use.
        drop = CancelAttempt(run=run.id, step=run.graph.names[i], attempt=step.attempt)
        out.commands.append((lane_of(run, i, step.attempt), drop))


def _drop_attempt(run: Run, i: int, step: Step, out: Effects, *, must_answer: bool) -> None:
    if step.detail is None or step.detail.held != "gate":
        name = run.graph.names[i]
        cancel = CancelAttempt(run=run.id, step=name, attempt=step.attempt, must_answer=must_answer)
        out.commands.append((lane_of(run, i, step.attempt), cancel))
    leave_gate(run, i, step, out)


def cancel_moved(run: Run, i: int, heartbeat: AttemptHeartbeat, out: Effects, *, must_answer: bool) -> None:
    """Cancel an attempt on a partition moved to another worker, through a partition of its own worker."""
    if heartbeat.reply_to is None or run.graph.work[i] is None:
        return
    cancel = CancelAttempt(
        run=run.id, step=heartbeat.step, attempt=heartbeat.attempt, must_answer=must_answer,
        worker=heartbeat.worker,
    )  # fmt: skip
    out.redirected.append((lane_of(run, i, heartbeat.attempt), heartbeat.reply_to, cancel))


def must_answer(run: Run, i: int) -> bool:
    """Return whether the result of a cancelled attempt matters.

    The work might need compensation, a step after it comes even if this one fails, or a place in the group or
    the run is free only after a stop.
    """
    node = run.graph.nodes[i]
    if type(node) is not StepNode or i in run.open or run.output is not None:
        return False
    links = run.graph.links.get(i)
    is_followed = links is not None and bool(links.followers)
    is_placed = run.failure is None and (run.graph.limit is not None or groups.has_place(run, i))
    if node.compensation is None and not is_followed and not is_placed:
        return False
    step = run.steps.get(i)
    if step is None:
        return not run.need[i]
    if step.status not in (READY, RUNNING):
        return False
    detail = step.detail
    return detail is None or detail.is_stopping or not (detail.held or detail.has_stopped or is_put_off(step))


def ask_to_stop(
    run: Run, i: int, status: str, why: Failure | None, now: int, out: Effects, ends: list[End]
) -> None:
    """Have an attempt stopped, and wait for the answer; later steps are cancelled at once."""
    node = run.graph.nodes[i]
    assert type(node) is StepNode
    step = begun_step(run, i)
    detail = step.detailed()
    if not detail.is_stopping:
        _drop_attempt(run, i, step, out, must_answer=True)
        set_due(run, i, step, now + (node.timeout_ms or STOP_MS), out)
    if not detail.is_stopping or (detail.is_skipped and status == CANCELLED):
        detail.is_stopping = True
        detail.is_skipped = status == SKIPPED
        step.failure = why
        run.touched[i] = None
    if status == CANCELLED:
        ends += [(j, CANCELLED, None, why) for j in run.graph.dependents[i]]


def _cancel_step(run: Run, i: int, now: int, out: Effects) -> None:
    step = begun_step(run, i)
    if step.status in STEP_ENDED:
        return
    was_begun = step.status != PENDING or step.is_held_up
    stop_step(run, i, step, out)
    if step.status == HELD and run.requests is not None:
        run.requests.held -= 1
    step.status = CANCELLED
    step.failure = RUN_ENDS
    due.clear_timers(run, i, step, out)
    run.touched[i] = None
    run.left -= 1
    if not was_begun:
        step.detailed().is_idle = True
        return
    say_step(run, STEP_CANCELLED, i, step, now, out)
    step.sequence = run.step_sequence


def _undo_next(run: Run, now: int, out: Effects) -> bool:
    """Begin to undo the most recently completed step not yet undone; False: there is none."""
    graph = run.graph
    if not graph.has_compensation:
        return False
    is_begun = run.undo is not None or run.status == COMPENSATING
    if run.undo is None:
        undo = [
            (step.sequence or 0, i)
            for i, step in run.steps.items()
            if step.status == COMPLETED
            and undo_of(graph.nodes[i]) is not None
            and not _was_tried(run, undo_name(graph.names[i]))
        ]
        run.undo = [i for _, i in sorted(undo)]
    if not run.undo:
        return False
    if not is_begun:
        names = tuple(graph.names[i] for i in reversed(run.undo[-STEPS_MAX:]))
        say_run(run, RUN_COMPENSATING, now, out, steps=names)
    begin_undo(run, run.undo.pop(), now, out)
    return True


def begin_undo(run: Run, i: int, now: int, out: Effects) -> None:
    """Ask a worker to undo a step."""
    undo = undo_of(run.graph.nodes[i])
    assert undo is not None
    run.status = COMPENSATING
    happened = hooks.happened_to(run, FAILED)
    hooks.begin_helper(run, undo_name(run.graph.names[i]), undo, now, out, happened)


def _was_tried(run: Run, name: str) -> bool:
    i = run.graph.index.get(name)
    step = None if i is None else run.steps.get(i)
    return step is not None and step.status in STEP_ENDED and not is_past(step)


def _cancelled_by_hand(run: Run) -> Failure | None:
    """Return the reason for a run without output: every last step was cancelled, or one before."""
    sinks = [run.steps.get(i) for i in run.graph.sinks]
    if not all(step is not None and step.status == CANCELLED for step in sinks):
        return None
    i = run.graph.sinks[0]
    return (run.steps[i].failure or Failure("cancelled", retryable=False)).at(run.graph.names[i])


def _step_was_cancelled(run: Run) -> bool:
    """Say whether a run is to end because a step was cancelled, and not because one failed."""
    i = None if run.failure is None or run.failure.step is None else run.graph.index.get(run.failure.step)
    step = None if i is None else run.steps.get(i)
    return step is not None and step.status == CANCELLED


def _outcome(run: Run, otherwise: str) -> str:
    """Return the end of a run without completion: compensated only if nothing is left to undo."""
    undone: set[str] = set()
    left: set[str] = set()
    if run.graph.has_compensation:
        for i, step in run.steps.items():
            name = run.graph.names[i]
            if is_undo(name) and is_past(step):
                continue
            if is_undo(name):
                if step.status in NOT_DONE:
                    return COMPENSATION_FAILED
                if step.status in STEP_PASSED:
                    undone.add(helped(name))
            elif step.status == COMPLETED and undo_of(run.graph.nodes[i]) is not None:
                left.add(name)
    return COMPENSATED if undone and left <= undone else otherwise


def _complete(run: Run, now: int, out: Effects) -> None:
    output = run.output if run.output is not None else run_output(run)
    if len(output) <= PAYLOAD_BYTES_MAX:
        run.output = output
        _finish(run, COMPLETED, now, out)
    else:
        text = f"the outputs of the last steps together have more than {PAYLOAD_BYTES_MAX} bytes of JSON"
        run.failure = Failure("output_too_large", text, retryable=False)
        _finish(run, FAILED, now, out)


def _finish(run: Run, status: str, now: int, out: Effects) -> None:
    run.status = status
    run.ended = now
    run.undo = None
    due.end_run(run, out)
    beside.drop_waiting(run)
    if status != COMPLETED and isinstance(run.graph, Grown) and run.graph.inner:
        request = run.cancel_request
        undoes = status != CANCELLED or (request is not None and request.compensate)
        _cancel_started(run, run.graph, out, undoes=undoes)
    if run.graph.reads_events:
        reading.unregister(run, out)
    if run.due is not None:
        set_run_due(run, None, out)
    if entering.asks(run):
        entering.leave(run, out)
        tell_followers(run, out)
    say_run(run, RUN_EVENTS[status], now, out, into=entering.taker_of(run.requests))
    if run.parent is not None:
        tell_parent(run, out)
    elif run.requests is not None and run.requests.scheduled is not None:
        tell_schedule(run, out)


def _cancel_started(run: Run, graph: Grown, out: Effects, *, undoes: bool) -> None:
    """Cancel children that steps have started, in an order that does not depend on the run's past."""
    inner = (m for i in graph.inner if i in run.steps for m in inside.within(run, i, run.steps[i]))
    for i in sorted(inner, key=graph.names.__getitem__):
        cancel_started(run, i, run.steps[i], out, undoes=undoes)
