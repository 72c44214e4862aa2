"""Promises of the language to authors under faults: order, compensation, children, the context.

Checks use only applied messages in log order and public events, never the fold's own counters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from stream_durable.core.definition.nodes import BranchNode, EachNode, ParallelNode, undo_of
from stream_durable.core.effects import Command
from stream_durable.core.lifecycle import (
    RUN_CANCELLED,
    RUN_RETRIED,
    STEP_CANCELLED,
    STEP_COMPLETED,
    STEP_FAILED,
    STEP_SKIPPED,
    RunEvent,
    StepEvent,
)
from stream_durable.core.messages import (
    AttemptEnd,
    AttemptFailed,
    AttemptFinished,
    AttemptJumped,
    CancelStep,
    ChangeHeld,
    Message,
    ResumeRun,
    RetryRun,
    ReviewMessage,
    SkipStep,
)
from stream_durable.core.names import helped, is_undo, undo_name
from stream_durable.core.reference import is_reference
from stream_durable.core.run.past import is_past
from stream_durable.core.run.state import NOT_NEEDED, Run
from stream_durable.core.status import (
    CANCELLED,
    COMPENSATED,
    COMPLETED,
    PENDING,
    SKIPPED,
    STEP_ENDED,
)
from stream_durable.simulation.attempts import (
    an_attempt_has_one_function,
    an_attempt_is_lost_with_many_workers,
    asked_of,
    began_anew,
    ends_follow_from_what_was_kept,
    kept_values_follow_one_another,
    what_is_done_is_not_done_again,
)
from stream_durable.simulation.beside import (
    a_reaction_that_cancels_its_run_is_the_end_of_it,
    inquiries_are_answered_one_by_one,
)
from stream_durable.simulation.families import FAMILIES
from stream_durable.simulation.oracle import Oracle
from stream_durable.simulation.outside import (
    a_question_is_answered_once,
    an_end_from_outside_counts_once,
    signals_end_waits_within_their_time,
)
from stream_durable.simulation.reading import READING
from stream_durable.simulation.workload.functions import INTO, MARKED, MARKS
from stream_durable.simulation.world import World

Check = Callable[[World, Oracle], Iterator[str]]


def an_ended_run_asks_for_nothing(world: World, oracle: Oracle) -> Iterator[str]:
    """Nothing is called after the end of a run except attempts under way."""
    for run in oracle.runs():
        for folded in oracle.applied.get(run.id, ()):
            asked = {(c.step, c.attempt): type(c) for c in folded.commands}
            if folded.has_ended and Command in asked.values():
                yield f"{run.id} has ended, and this was asked for: {asked}"
    for (key, name), step in world.store.tables.steps.items():
        run_row = world.store.tables.runs.get(key)
        is_open = step.status not in STEP_ENDED and step.status != PENDING
        if is_open and run_row is not None and run_row.ended is not None:
            yield f"{key} has ended, and its step {name!r} is {step.status}"


def steps_begin_in_order(world: World, oracle: Oracle) -> Iterator[str]:
    """No step begins before the required ends of its dependencies, or before the decision of its race."""
    for run in oracle.runs():
        stands: dict[str, str] = {}
        left: dict[str, str] = {}
        for folded in oracle.applied.get(run.id, ()):
            message = folded.message
            if isinstance(message, CancelStep):
                # Nothing is said of one that had not begun.
                stands.setdefault(message.step, STEP_CANCELLED)
            elif isinstance(message, RetryRun) and not message.step:
                left.clear()
            stands |= {event.step: event.type for event in folded.events if isinstance(event, StepEvent)}
            for command in asked_of(folded):
                for text in _too_early(run, left | stands, command.step):
                    yield f"{run.id}/{command.step} began, and {text}"
            if any(isinstance(event, RunEvent) and event.type == RUN_CANCELLED for event in folded.events):
                # Nor of those that a cancelled run had not begun: they stay so until all of it is retried.
                left = dict.fromkeys(run.graph.names[: run.graph.definition_size], STEP_CANCELLED)


def _too_early(run: Run, stands: dict[str, str], step: str) -> Iterator[str]:
    i = run.graph.index.get(step, run.graph.size)
    if i >= run.graph.definition_size:
        return
    node = run.graph.nodes[i]
    for name in node.after:
        if name not in node.ended and not _has_passed(run, stands, name):
            yield f"{name!r} has not passed"
    for join in node.joins:
        met = sum(stands.get(name) == STEP_COMPLETED for name in join.of)
        if met < join.enough and not _is_exhausted(run, stands, join.of):
            yield f"{met} of {join.of} have completed, where {join.enough} are enough"


def _is_exhausted(run: Run, stands: dict[str, str], names: Iterable[str]) -> bool:
    """Say whether a race goes on without a winner: some were skipped, others cancelled, and none failed."""
    passed = [name for name in names if _has_passed(run, stands, name)]
    others = [name for name in names if name not in passed]
    return bool(passed) and all(_is_cancelled(run, stands, name) for name in others)


def _is_cancelled(run: Run, stands: dict[str, str], name: str) -> bool:
    """Return whether a step is cancelled; one that had not begun, with what it waits for, has no event."""
    i = run.graph.index[name]
    step = run.steps.get(i)
    return (
        stands.get(name) == STEP_CANCELLED
        or (step is not None and step.status == CANCELLED)
        or any(_is_cancelled(run, stands, before) for before in run.graph.nodes[i].after)
    )


def _has_passed(run: Run, stands: dict[str, str], name: str) -> bool:
    event = stands.get(name)
    if event == STEP_FAILED:
        return run.graph.nodes[run.graph.index[name]].on_error == "continue"
    return event in (STEP_COMPLETED, STEP_SKIPPED)


def what_was_decided_stays_decided(world: World, oracle: Oracle) -> Iterator[str]:
    """The loser of a race is not requested again because of a failure and a reset elsewhere."""
    for run in oracle.runs():
        lost: set[str] = set()
        for folded in oracle.applied.get(run.id, ()):
            message = folded.message
            is_by_failure = isinstance(message, RetryRun) and not message.step and not message.whole
            if began_anew(folded) and not is_by_failure:
                lost.clear()
            for command in asked_of(folded):
                if command.step in lost:
                    yield f"{run.id}/{command.step} lost, and was asked for again"
            lost |= {
                event.step
                for event in folded.events
                if isinstance(event, StepEvent) and event.type == STEP_CANCELLED
                and event.failure is not None and event.failure.code == NOT_NEEDED
            }  # fmt: skip


def groups_wait_for_their_members(world: World, oracle: Oracle) -> Iterator[str]:
    """All members of a completed group have ended; where some suffice, these have completed."""
    for run in oracle.runs():
        for i, members in run.graph.members.items():
            group, node = run.steps.get(i), run.graph.nodes[i]
            if group is None or group.status != COMPLETED or not isinstance(node, ParallelNode | EachNode):
                continue
            name = run.graph.names[i]
            found = [(run.graph.names[m], run.steps.get(m)) for m in members]
            if isinstance(node, EachNode) and node.enough is not None:
                completed = sum(s is not None and s.status in (COMPLETED, COMPENSATED) for _, s in found)
                if completed < node.enough:
                    yield f"{run.id}/{name} completed with {completed} of {node.enough} members"
                continue
            for member, step in found:
                if step is None or step.status not in STEP_ENDED:
                    yield f"{run.id}/{name} has completed, and its member {member!r} has not ended"
                elif step.failure is not None and step.failure.message == f"{name!r} has ended":
                    yield f"{run.id}/{name} has completed without its member {member!r}"


def clauses_that_were_not_picked_are_left_out(world: World, oracle: Oracle) -> Iterator[str]:
    """In a completed branch, the steps of all clauses but one are skipped, with everything inside."""
    for run in oracle.runs():
        for i, members in run.graph.members.items():
            branch, node = run.steps.get(i), run.graph.nodes[i]
            if branch is None or branch.status != COMPLETED or not isinstance(node, BranchNode):
                continue
            picked = None if branch.detail is None else branch.detail.clause
            for m in _with_inner(run, [m for m in members if run.graph.nodes[m].clause != picked]):
                step = run.steps.get(m)
                # Cancelled where somebody did so by hand before the clause was picked.
                if step is None or step.status not in (SKIPPED, CANCELLED):
                    yield f"{run.id}/{run.graph.names[m]} is in no clause that was picked, and not skipped"


def _with_inner(run: Run, steps: Iterable[int]) -> Iterator[int]:
    for i in steps:
        yield i
        yield from _with_inner(run, run.graph.members.get(i, ()))


def a_jump_passes_over_what_lies_between(world: World, oracle: Oracle) -> Iterator[str]:
    """Later steps of a jumping step do not begin, except the target and the steps after the target."""
    for run in oracle.runs():
        passed: set[int] = set()
        begun: set[tuple[str, int]] = set()
        for folded in oracle.applied.get(run.id, ()):
            if began_anew(folded):
                passed.clear()
            message = folded.message
            said = [event for event in folded.events if isinstance(event, StepEvent)]
            if isinstance(message, AttemptJumped) and STEP_COMPLETED in (
                event.type for event in said if event.step == message.step
            ):
                graph = run.graph
                i, target = graph.index[message.step], graph.index[message.to]
                passed |= graph.after(i) - graph.after(target) - {target}
            for command in asked_of(folded):
                # An attempt that was under way at the jump goes on, and is repeated if its worker is lost.
                attempt = (command.step, command.attempt)
                if run.graph.index.get(command.step) in passed and attempt not in begun:
                    yield f"{run.id}/{command.step} began, and had been jumped over"
                begun.add(attempt)


def a_run_that_is_finished_has_that_output(world: World, oracle: Oracle) -> Iterator[str]:
    """The output of `Finish` is the run's output."""
    for run in oracle.runs():
        wanted: bytes | None = None
        for folded in oracle.applied.get(run.id, ()):
            message, said = folded.message, {event.type for event in folded.events}
            if RUN_RETRIED in said:
                wanted = None
            elif isinstance(message, AttemptFinished) and STEP_COMPLETED in said:
                wanted = bytes(message.output)
        if wanted is not None and run.status == COMPLETED and run.output != wanted:
            yield f"{run.id} was finished with {wanted!r}, and its output is {run.output!r}"


def the_context_holds_what_was_left(world: World, oracle: Oracle) -> Iterator[str]:
    """The run's context has what completed attempts put there, each once, in the order of the log."""
    for run in oracle.runs():
        wanted: list[str] = []
        for folded in oracle.applied.get(run.id, ()):
            message = folded.message
            if isinstance(message, AttemptEnd) and not isinstance(message, AttemptFailed):
                for change in message.changes:
                    if change.key == MARKS:
                        wanted.append(msgspec.json.decode(change.value))
                        if wanted[-1] != f"{run.id}/{message.step}/{message.attempt}":
                            yield f"{message.step}/{message.attempt} of {run.id} left what {wanted[-1]} did"
            if began_anew(folded) and (not isinstance(message, RetryRun) or message.whole):
                wanted.clear()
        fields = {} if run.context is None else run.context.fields
        found = msgspec.json.decode(fields.get(MARKS, b"[]"))
        counted = msgspec.json.decode(fields.get(MARKED, b"0"))
        if found != wanted:
            yield f"the context of {run.id} holds {found}, and attempts have left {wanted}"
        if counted != len(wanted):
            yield f"the context of {run.id} counts {counted}, and {len(wanted)} attempts have counted"


def the_context_holds_nothing_else(world: World, oracle: Oracle) -> Iterator[str]:
    """Every key of the context was put there by a function, an option `into`, or who resumed the run."""
    for run in oracle.runs():
        if run.context is None:
            continue
        put: set[str] = set()
        for folded in oracle.applied.get(run.id, ()):
            put.update(_keys_put(folded.message))
        if more := run.context.fields.keys() - put:
            yield f"the context of {run.id} holds {sorted(more)}, which nobody put there"
        for i, step in run.steps.items():
            name = run.graph.names[i]
            if step.status == COMPLETED and INTO + name in put and not is_reference(step.output or b""):
                found = run.context.fields.get(INTO + name, b"nothing")
                if bytes(found) != step.output:
                    yield f"step {name!r} of {run.id} came to {step.output!r}, and its context has {found!r}"


def _keys_put(message: Message) -> Iterator[str]:
    if isinstance(message, ResumeRun) and message.context is not None:
        yield from msgspec.json.decode(message.context)
    elif isinstance(message, ChangeHeld):
        yield from message.context
    elif isinstance(message, AttemptEnd):
        for change in message.changes:
            yield from [change.key] if change.key else msgspec.json.decode(change.value)


def undoing_goes_backwards(world: World, oracle: Oracle) -> Iterator[str]:
    """The last completed step is undone first, one at a time, each once."""
    for run in oracle.runs():
        completed: dict[str, int] = {}
        last: int | None = None
        for event in (event for folded in oracle.applied.get(run.id, ()) for event in folded.events):
            if isinstance(event, StepEvent):
                if event.type == STEP_COMPLETED:
                    completed[event.step] = event.sequence
                if is_undo(event.step) and event.type in (STEP_COMPLETED, STEP_FAILED):
                    at = completed.get(helped(event.step))
                    if at is None:
                        yield f"{run.id}/{event.step} undid what had not completed"
                    elif last is not None and at >= last:
                        yield f"{run.id}/{event.step} came too early or twice: {at} after {last}"
                    last = at
            elif event.type == RUN_RETRIED:
                last = None


def what_was_done_is_undone(world: World, oracle: Oracle) -> Iterator[str]:
    """A failed run has compensated all completed steps; undisturbed, all effects of its functions."""
    for run in oracle.runs():
        request = run.cancel_request
        is_cancelled = run.status == CANCELLED or request is not None
        if not run.has_ended or run.status == COMPLETED:
            continue
        if is_cancelled and not (request is not None and request.compensate):
            continue
        for i, step in run.steps.items():
            node, name = run.graph.nodes[i], run.graph.names[i]
            if undo_of(node) is None:
                continue
            undo = run.graph.index.get(undo_name(name))
            tried = None if undo is None else run.steps.get(undo)
            if step.status == COMPLETED and (
                tried is None or tried.status not in STEP_ENDED or is_past(tried)
            ):
                yield f"{run.id}/{name} completed, the run is {run.status}, and nobody undid it"
            if step.status == CANCELLED and _is_undisturbed(world, oracle, run):
                for made in world.calls.outputs.get((run.id, name, step.attempt), ()):
                    yield f"{run.id}/{name} did {made!r}, and nobody undid it"


def _is_undisturbed(world: World, oracle: Oracle, run: Run) -> bool:
    """Say whether neither the weather nor a person had a hand in a run."""
    orders = (CancelStep, SkipStep, RetryRun, ReviewMessage)
    return (
        not world.weather.hits
        and not world.holds_back
        and not any(isinstance(folded.message, orders) for folded in oracle.applied[run.id])
    )


PROMISES: tuple[Check, ...] = (
    an_ended_run_asks_for_nothing,
    an_attempt_has_one_function,
    what_is_done_is_not_done_again,
    an_attempt_is_lost_with_many_workers,
    kept_values_follow_one_another,
    ends_follow_from_what_was_kept,
    steps_begin_in_order,
    groups_wait_for_their_members,
    clauses_that_were_not_picked_are_left_out,
    a_jump_passes_over_what_lies_between,
    a_run_that_is_finished_has_that_output,
    the_context_holds_what_was_left,
    the_context_holds_nothing_else,
    undoing_goes_backwards,
    what_was_done_is_undone,
    what_was_decided_stays_decided,
    *FAMILIES,
    a_question_is_answered_once,
    an_end_from_outside_counts_once,
    signals_end_waits_within_their_time,
    inquiries_are_answered_one_by_one,
    a_reaction_that_cancels_its_run_is_the_end_of_it,
    *READING,
)
