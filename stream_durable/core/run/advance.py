"""Progress of a run: steps end, others begin in turn, and the run ends with the last step.

Every message handler ends here. The work for one message is proportional to the step's direct consequences,
never to the size of the run; only the end of a run visits all steps.
"""

from __future__ import annotations

from stream_durable.core.definition.graph import JoinPlan, Links
from stream_durable.core.effects import Effects
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import (
    STEP_COMPENSATED,
    STEP_EVENTS,
)
from stream_durable.core.names import helped, is_undo
from stream_durable.core.run import beside, due, groups, hooks, inside, races, reading, review
from stream_durable.core.run.again import restart
from stream_durable.core.run.begin import begin_each
from stream_durable.core.run.counters import LOST, SETTLED, join_verdict, tally
from stream_durable.core.run.ending import ask_to_stop, conclude, fail_run, must_answer, stop_step
from stream_durable.core.run.gating import leave_place
from stream_durable.core.run.line import next_in_line
from stream_durable.core.run.say import say_step
from stream_durable.core.run.state import NOT_NEEDED, End, Run, Step
from stream_durable.core.status import (
    CANCELLED,
    COMPENSATED,
    COMPLETED,
    FAILED,
    HELD,
    PENDING,
    READY,
    SKIPPED,
    STEP_ENDED,
    STEP_PASSED,
)


def complete(run: Run, i: int, output: bytes, now: int, out: Effects) -> None:
    """Complete a begun step and begin its dependents; the last step ends the run."""
    work_off(run, [(i, COMPLETED, output, None)], [], now, out)


def fail(run: Run, i: int, failure: Failure, now: int, out: Effects) -> None:
    """End a begun step for good without an output."""
    work_off(run, [(i, FAILED, None, failure)], [], now, out)


def work_off(run: Run, ends: list[End], ready: list[int], now: int, out: Effects) -> None:
    """Begin ready steps and end finished ones, until no more follow."""
    if ready:
        begin_each(run, ready, now, out, ends)
    while True:
        for end in ends:
            if run.ended is not None:
                return
            ready = []
            _end_step(run, end, now, out, ready, ends)
            if ready:
                begin_each(run, ready, now, out, ends)
        if run.line and run.ended is None and (ready := next_in_line(run)):
            ends = []
            begin_each(run, ready, now, out, ends)
            continue
        if run.left or run.ended is not None:
            return
        ends = []
        if conclude(run, now, out):
            begin_each(run, restart(run, now, out), now, out, ends)
            beside.begin_waiting(run, now, out)
        if not ends:
            return


def react(run: Run, since: int, now: int, out: Effects) -> None:
    """Register reactions for events since a time; an unreadable key fails the run."""
    failure = reading.register(run, since, out)
    if failure is None:
        return
    ends: list[End] = []
    fail_run(run, failure, now, out, ends, ())
    if run.ended is None:
        work_off(run, ends, [], now, out)


def _end_step(run: Run, end: End, now: int, out: Effects, ready: list[int], ends: list[End]) -> None:
    i, status, output, failure = end
    step = run.steps.get(i)
    if step is not None and step.status in STEP_ENDED:
        return
    if status in (CANCELLED, SKIPPED) and must_answer(run, i):
        ask_to_stop(run, i, status, failure, now, out, ends)
        return
    if step is None:
        was_begun = not run.need[i]
        step = run.steps[i] = Step(READY if was_begun else PENDING)
    else:
        was_begun = step.status != PENDING
    ends_as = status if status != FAILED else _failed_as(run, i)
    if ends_as == HELD:
        _hold(run, i, step, failure, now, out, ends, was_begun=was_begun)
        return
    is_said = _leave(run, i, step, status, now, out, ends, was_begun=was_begun)
    if status == COMPLETED:
        step.output = output
        _note_needless(step)
        step.failure = None
        if output is not None:
            run.payload += len(output)
    else:
        step.failure = failure
    status = step.status = ends_as
    if was_begun and step.finished is None:
        step.finished = now
    due.clear_timers(run, i, step, out)
    run.touched[i] = None
    run.left -= 1
    if is_said or status == SKIPPED:
        say_step(run, STEP_EVENTS[status], i, step, now, out)
        step.sequence = run.step_sequence
    if run.graph.hooks:
        _call_hooks(run, i, step, now, out)
    _move_on(run, i, step, now, out, ready, ends, was_begun=was_begun)


def _failed_as(run: Run, i: int) -> str:
    """Return the status of a step that has failed for good."""
    on_error = run.graph.nodes[i].on_error
    if on_error == "hold" and review.may_hold(run, i):
        return HELD
    return SKIPPED if on_error == "skip" else FAILED


def _hold(
    run: Run, i: int, step: Step, failure: Failure | None, now: int, out: Effects, ends: list[End], *,
    was_begun: bool,
) -> None:  # fmt: skip
    """Hold a failed step: everything inside ends, and nothing after the step begins."""
    if step.status == HELD:
        return
    _leave(run, i, step, FAILED, now, out, ends, was_begun=was_begun)
    if not was_begun:
        # Out of time between two passes.
        groups.keep_place(run, i)
    review.hold(run, i, step, failure, now, out)
    if i in run.open or i in run.graph.members:
        groups.close(run, i, step, ends)


def _note_needless(step: Step) -> None:
    """Record a step's success after the step was no longer needed."""
    detail = step.detail
    if detail is not None and (detail.is_stopping or detail.has_stopped):
        detail.is_stopping = False
        detail.is_needless = step.failure is not None and step.failure.code == NOT_NEEDED


def _leave(
    run: Run, i: int, step: Step, status: str, now: int, out: Effects, ends: list[End], *, was_begun: bool
) -> bool:
    """Take a step out of the counts of what is under way; return whether it had begun."""
    if step.status == HELD:
        # It is not under way since then.
        review.release(run, now, out)
        return True
    if not was_begun:
        if not step.is_between_passes:
            step.detailed().is_idle = True
        return step.is_between_passes
    if status not in (COMPLETED, FAILED):
        stop_step(run, i, step, out)
    elif step.detail is not None:
        leave_place(run, i, step, out)
    if i in run.waiting:
        run.waiting.remove(i)
        inside.close(run, i, ends)
    elif i not in run.open:
        run.active -= run.graph.work[i] is not None
    return True


def _move_on(
    run: Run,
    i: int,
    step: Step,
    now: int,
    out: Effects,
    ready: list[int],
    ends: list[End],
    *,
    was_begun: bool,
) -> None:
    """Apply the end of a step to everything depending on the step."""
    graph, status = run.graph, step.status
    links = graph.links.get(i) if graph.links else None
    if links is not None and links.is_helper:
        if status == FAILED and beside.is_reaction(run, i) and graph.nodes[i].on_error == "fail":
            fail_run(run, (step.failure or Failure("failed")).at(graph.names[i]), now, out, ends, ready)
        if links.outer >= 0:
            inside.ended(run, i, ready)
        else:
            _helped(run, i, step, now, out)
        return
    passed = status in STEP_PASSED or (status == FAILED and graph.nodes[i].on_error == "continue")
    _release(run, i, step, ready, ends, passed=passed)
    if links is not None:
        _release_links(run, i, links, step, now, out, ready, ends, was_begun=was_begun, passed=passed)
        if run.ended is not None:
            return
    if i in run.open or (graph.members and i in graph.members):
        groups.close(run, i, step, ends)
    if status == FAILED and not passed and _is_fatal(run, i, links):
        fail_run(run, (step.failure or Failure("failed")).at(graph.names[i]), now, out, ends, ready)


def _release(run: Run, i: int, step: Step, ready: list[int], ends: list[End], *, passed: bool) -> None:
    """Begin the steps after this step, or cancel them."""
    need, steps = run.need, run.steps
    if not passed:
        if run.graph.dependents[i]:
            name = run.graph.names[i]
            why = races.consequence(step, name, f"step {name!r}, which it waits for, did not pass")
            ends += [(j, CANCELLED, None, why) for j in run.graph.dependents[i]]
        return
    for j in run.graph.dependents[i]:
        need[j] -= 1
        if not need[j] and ((waiting := steps.get(j)) is None or waiting.status == PENDING):
            ready.append(j)


def _release_links(
    run: Run, i: int, links: Links, step: Step, now: int, out: Effects, ready: list[int], ends: list[End], *,
    was_begun: bool, passed: bool,
) -> None:  # fmt: skip
    for j in links.followers:
        run.need[j] -= 1
        _ready(run, j, ready)
    for k in links.joins:
        _joined(run, k, step, now, out, ready, ends, passed=passed)
    if links.owner >= 0:
        status = COMPLETED if passed and step.status == FAILED else step.status
        if status == FAILED and i in run.graph.racing:
            # The branch bears it as long as the races can be won.
            status = CANCELLED
        groups.member_ended(
            run, links.owner, i, status, step.failure, was_begun=was_begun, ready=ready, ends=ends
        )


def _ready(run: Run, j: int, ready: list[int]) -> None:
    if not run.need[j]:
        step = run.steps.get(j)
        if step is None or step.status == PENDING:
            ready.append(j)


def _joined(
    run: Run, k: int, step: Step, now: int, out: Effects, ready: list[int], ends: list[End], *, passed: bool
) -> None:
    """Count the end of a step of a join, and settle the join when decided."""
    join = run.graph.joins[k]
    counts = run.joined.get(k)
    if counts is None:
        counts = run.joined[k] = [0, 0, 0, 0]
    if counts[0] < 0:
        return
    counts[tally(step, passed=passed)] += 1
    verdict = join_verdict(counts, join.enough, len(join.of))
    if verdict is None:
        return
    counts[0] = SETTLED if verdict else LOST
    if verdict:
        run.need[join.step] -= 1
        _ready(run, join.step, ready)
        if join.cancel_rest:
            why = Failure(NOT_NEEDED, "enough of the others have completed", retryable=False)
            ends += [(j, CANCELLED, None, why) for j in races.losers(run, join)]
    else:
        ends.append((join.step, CANCELLED, None, races.not_enough(run, join)))
        _fail_by_race(run, join, now, out, ready, ends)


def _fail_by_race(
    run: Run, join: JoinPlan, now: int, out: Effects, ready: list[int], ends: list[End]
) -> None:
    """Let a failure count that was borne until now, for another member might have completed."""
    graph = run.graph
    i = races.culprit(run, join)
    if i is None or join.step in graph.racing:
        return
    failure = (run.steps[i].failure or Failure("failed")).at(graph.names[i])
    owner = graph.owner(i)
    if owner < 0:
        fail_run(run, failure, now, out, ends, ready)
    elif i in graph.racing:
        ends.append((owner, FAILED, None, failure))


def _is_fatal(run: Run, i: int, links: Links | None) -> bool:
    """Return whether a step's failure fails the run; a group or races may absorb the failure."""
    return (links is None or links.owner < 0) and i not in run.graph.racing


def _call_hooks(run: Run, i: int, step: Step, now: int, out: Effects) -> None:
    if step.status == COMPLETED:
        hooks.call_step_hook(run, "on_step_complete", i, step, now, out)
    elif step.status == FAILED:
        hooks.call_step_hook(run, "on_step_fail", i, step, now, out)


def _helped(run: Run, i: int, step: Step, now: int, out: Effects) -> None:
    """Mark a step as compensated, or a compensation as not needed."""
    name = run.graph.names[i]
    beside.ended(run, i, step, now, out)
    if not is_undo(name) or step.status not in STEP_PASSED:
        return
    done = run.graph.index[helped(name)]
    undone = run.steps[done]
    undone.status = COMPENSATED
    run.touched[done] = None
    say_step(run, STEP_COMPENSATED, done, undone, now, out)
