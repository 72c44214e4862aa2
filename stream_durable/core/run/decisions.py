"""What people decide about held steps: begin again, complete with a value, fail.

Skipping and cancelling are orders to any step, and in `orders`. Each decision is kept with its step.
"""

from __future__ import annotations

from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import InputNode, StepNode
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.lifecycle import STEP_RETRYING
from stream_durable.core.messages import CompleteHeld, FailHeld, ReviewMessage
from stream_durable.core.run import due, groups, inside, review
from stream_durable.core.run.advance import work_off
from stream_durable.core.run.again import reset
from stream_durable.core.run.inputs import check_answer
from stream_durable.core.run.say import say_step
from stream_durable.core.run.state import Requests, Run, Step
from stream_durable.core.status import COMPLETED, FAILED, HELD, PENDING, Outcome


def complete(run: Run, message: CompleteHeld, now: int, out: Effects) -> Outcome:
    """Complete a held step with a value; later steps go on."""
    i, outcome = _decided(run, message)
    if outcome is not None:
        return outcome
    output = bytes(message.output)
    node = run.graph.nodes[i]
    if isinstance(node, InputNode):
        check_answer(node, output)
    _accept(run, i, message)
    review.note(run, i, "complete", now, out, id=message.id, by=message.by, reason=message.reason)
    work_off(run, [(i, COMPLETED, output, None)], [], now, out)
    return Outcome.APPLIED


def fail(run: Run, message: FailHeld, now: int, out: Effects) -> Outcome:
    """Let a held step fail, with the present or another failure, and so the run or the group."""
    i, outcome = _decided(run, message)
    if outcome is not None:
        return outcome
    _accept(run, i, message)
    review.note(run, i, "fail", now, out, id=message.id, by=message.by, reason=message.reason)
    step = run.steps[i]
    step.detailed().is_failed_by_hand = True
    work_off(run, [(i, FAILED, None, message.failure or step.failure)], [], now, out)
    return Outcome.APPLIED


def begin_again(run: Run, i: int, now: int, out: Effects) -> None:
    """Begin a held step again: a function with all kept values, a group with all members."""
    step, name = run.steps[i], run.graph.names[i]
    if type(run.graph.nodes[i]) is not StepNode or i in run.graph.members:
        reset(run, _with_members(run.graph, i), (), out)
        i = run.graph.index[name]
        review.let_time_go_on(run, now, out)
        say_step(run, STEP_RETRYING, i, run.steps[i], now, out)
        work_off(run, [], [i], now, out)
        return
    inside.drop_failed(run, i, step)
    if run.graph.inner_of(i):
        step.detailed().kept_since = inside.first_of(step)
    _forget_attempt(step)
    due.end_step(run, i, step, out)
    say_step(run, STEP_RETRYING, i, step, now, out)
    groups.give_up_place(run, i)
    run.touched[i] = None
    review.release(run, now, out)
    work_off(run, [], [i], now, out)


def _forget_attempt(step: Step) -> None:
    """Let the next attempt be the first of a new series."""
    step.status = PENDING
    step.attempt += 1
    step.started = step.finished = step.worker = step.due = step.deadline = None
    step.losses = 0
    detail = step.detailed()
    detail.first = step.attempt
    detail.returns = detail.snoozes = 0
    detail.is_suspect = detail.has_stopped = False
    detail.percent = detail.label = detail.held_since = None


def _with_members(graph: Graph, i: int) -> set[int]:
    found, pending = set[int](), [i]
    while pending:
        j = pending.pop()
        found.add(j)
        pending += graph.members.get(j, ())
    return found


def _decided(run: Run, message: ReviewMessage) -> tuple[int, Outcome | None]:
    """Return the held step of a decision; otherwise the outcome of a message that comes too late."""
    if run.has_seen(message.id):
        return -1, Outcome.DUPLICATE
    i = run.graph.index.get(message.step)
    if i is None:
        raise RejectedError("unknown_step", f"run {run.id!r} has no step {message.step[:128]!r}")
    step = run.steps.get(i)
    reviews = () if step is None or step.detail is None else step.detail.reviews
    if any(one.id == message.id for one in reviews):
        return i, Outcome.DUPLICATE
    if step is None or (step.status != HELD and not reviews):
        if run.has_ended:
            return i, Outcome.LATE
        text = f"step {message.step!r} of run {run.id!r} is not held: only a held step is decided about"
        raise RejectedError("not_held", text)
    is_late = step.status != HELD or message.attempt not in (0, step.attempt)
    return i, Outcome.LATE if is_late else None


def _accept(run: Run, i: int, message: ReviewMessage) -> None:
    requests = run.requests = run.requests or Requests()
    requests.remember(message.id)
    run.touched[i] = None


HANDLERS: Handlers = {CompleteHeld: complete, FailHeld: fail}
