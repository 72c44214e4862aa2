"""Handlers for results other than a value: skip, jump, expand, finish."""

from __future__ import annotations

from stream_durable.core.definition.nodes import StepNode
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.messages import AttemptExpanded, AttemptFinished, AttemptJumped, AttemptSkipped
from stream_durable.core.run import groups, portions, races
from stream_durable.core.run.advance import complete, work_off
from stream_durable.core.run.again import upstream
from stream_durable.core.run.attempts import has_stopped, open_step, take
from stream_durable.core.run.beside import bound, is_reaction, suspended
from stream_durable.core.run.ending import must_answer
from stream_durable.core.run.say import clear_due, set_due
from stream_durable.core.run.state import NOT_NEEDED, End, Run, Step
from stream_durable.core.status import CANCELLED, COMPLETED, FAILED, SKIPPED, Outcome


def skipped(run: Run, message: AttemptSkipped, now: int, out: Effects) -> Outcome:
    """End a step as skipped."""
    i, step = open_step(run, message)
    if not isinstance(step, Step):
        return step
    failure = take(run, i, step, message, out)
    if not has_stopped(step) and must_answer(run, i):
        step.detailed().has_stopped = True
    end: End = (i, SKIPPED, None, Failure("skipped", message.reason, retryable=False))
    work_off(run, [end if failure is None else (i, FAILED, None, failure)], [], now, out)
    return Outcome.APPLIED


def jumped(run: Run, message: AttemptJumped, now: int, out: Effects) -> Outcome:
    """Complete a step, and skip the steps up to the target."""
    i, step = open_step(run, message)
    if not isinstance(step, Step):
        return step
    failure = take(run, i, step, message, out, output=bytes(message.output))
    between: list[int] = []
    if failure is None and run.graph.is_helper(i) and not is_reaction(run, i):
        failure = Failure("bad_jump", "a helper cannot jump", retryable=False)
    if failure is None and not has_stopped(step):
        try:
            between = _before(run, message.to) if run.graph.is_helper(i) else _between(run, i, message.to)
        except RejectedError as error:
            failure = Failure(error.code, str(error), retryable=False)
    if failure is not None:
        work_off(run, [(i, FAILED, None, failure)], [], now, out)
        return Outcome.APPLIED
    why = Failure("jumped_over", f"step {message.step!r} jumped to {message.to!r}", retryable=False)
    ends: list[End] = [(j, SKIPPED, None, why) for j in between]
    ends.append((i, COMPLETED, bytes(message.output), None))
    work_off(run, ends, [], now, out)
    return Outcome.APPLIED


def expanded(run: Run, message: AttemptExpanded, now: int, out: Effects) -> Outcome:
    """Add the steps of an expansion."""
    i, step = open_step(run, message)
    if not isinstance(step, Step):
        return step
    failure = take(run, i, step, message, out)
    ready: list[int] = []
    ends: list[End] = []
    if failure is None and not isinstance(run.graph.nodes[i], StepNode):
        failure = Failure("bad_expansion", "only a step can be expanded", retryable=False)
    if failure is None and run.graph.is_helper(i):
        failure = Failure("bad_expansion", "a helper cannot add to the graph", retryable=False)
    if failure is not None:
        ends.append((i, FAILED, None, failure))
    elif has_stopped(step):
        # The step is done and can be undone; what it would have added comes too late.
        ends.append((i, COMPLETED, b"[]", None))
    else:
        clear_due(run, i, step, out)
        if step.detail is not None and step.detail.until is not None:
            set_due(run, i, step, step.detail.until, out)
        run.touched[i] = None
        try:
            groups.expand(run, i, step, message, ready, ends)
        except RejectedError as error:
            ends.append((i, FAILED, None, Failure(error.code, str(error), retryable=False)))
    work_off(run, ends, ready, now, out)
    return Outcome.APPLIED


def finished(run: Run, message: AttemptFinished, now: int, out: Effects) -> Outcome:
    """Complete the run with this output; nothing else is needed."""
    i, step = open_step(run, message)
    if not isinstance(step, Step):
        return step
    failure = take(run, i, step, message, out)
    if failure is None and run.graph.is_helper(i) and not is_reaction(run, i):
        failure = Failure("bad_finish", "a helper cannot finish the run", retryable=False)
    if failure is not None:
        work_off(run, [(i, FAILED, None, failure)], [], now, out)
        return Outcome.APPLIED
    output = bytes(message.output)
    if not run.is_ending and not has_stopped(step):
        portions.withdraw(run)
        run.output = output
        step.detailed().is_final = True
        not_needed = Failure(NOT_NEEDED, "the run has been finished", retryable=False)
        graph, inside = run.graph, {i, *_enclosing(run, i)}
        ends: list[End] = [(j, CANCELLED, None, not_needed) for j in sorted(_not_begun(run, inside))]
        ends += [
            (j, CANCELLED, None, not_needed)
            for j in range(graph.size)
            if j not in inside and not run.need[j] and not graph.is_helper(j)
        ]
        ends += [(j, CANCELLED, None, not_needed) for j in suspended(run)]
        bound(run, now, out)
        work_off(run, [*ends, (i, COMPLETED, output, None)], [], now, out)
    else:
        complete(run, i, output, now, out)
    return Outcome.APPLIED


def _not_begun(run: Run, inside: set[int]) -> set[int]:
    """Return the steps to cancel unbegun when a step, inside some groups, finishes the run.

    Steps waiting for success of the step, or for a turn beside the step, and all later steps. Steps waiting
    for any kind of end go on: they are clean-up.
    """
    graph = run.graph
    waiting = {j for i in inside for j in graph.passing(i)}
    owed = graph.clean_up_after(j for j in range(graph.size) if not groups.has_ended(run, j))
    beside = {m for g in inside for m in graph.members.get(g, ()) if run.need[m]} - owed
    return {*waiting, *beside, *races.given_up(run)} - inside


def _between(run: Run, i: int, to: str) -> list[int]:
    """Return the steps passed over by a jump, or the reason for an impossible jump."""
    graph = run.graph
    target = graph.index.get(to)
    if target is None:
        raise RejectedError("bad_jump", f"there is no step {to!r} to jump to")
    beyond_target = graph.after(target)
    if target == i or i in beyond_target:
        text = f"a jump goes forward: {graph.names[i]!r} comes after {to!r}, or is it"
        raise RejectedError("bad_jump", text)
    after = graph.after(i)
    beyond = {*beyond_target, target, *_enclosing(run, i), *_enclosing(run, target)}
    between = [j for j in sorted(after - beyond) if not groups.has_ended(run, j) and run.need[j]]
    # In reverse order: a skipped step lets later ones begin.
    return sorted(between, key=lambda j: len(graph.after(j)))


def _before(run: Run, to: str) -> list[int]:
    """Return the steps passed over by the jump of a reaction: all unended steps before the target.

    In an ending run, or with a target begun or ended meanwhile, a jump changes nothing.
    """
    graph = run.graph
    if run.is_ending:
        return []
    target = graph.index.get(to)
    if target is None or graph.is_helper(target) or graph.owner(target) >= 0:
        raise RejectedError("bad_jump", f"there is no step {to!r} to jump to, outside of groups and branches")
    if not run.need[target] or groups.has_ended(run, target):
        return []
    before = upstream(run, [target])
    passed = [j for j in before if not groups.has_ended(run, j) and graph.owner(j) not in before]
    # In reverse order: a skipped step lets later ones begin.
    return sorted(passed, key=lambda j: (len(graph.after(j)), j))


def _enclosing(run: Run, i: int) -> list[int]:
    """Return the groups and branches around a step."""
    found = []
    while (i := run.graph.owner(i)) >= 0:
        found.append(i)
    return found


HANDLERS: Handlers = {
    AttemptSkipped: skipped,
    AttemptJumped: jumped,
    AttemptExpanded: expanded,
    AttemptFinished: finished,
}
