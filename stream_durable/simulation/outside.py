"""What is promised of steps that are ended from outside: by people's answers, and by tokens."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from stream_durable.core.lifecycle import RUN_RETRIED, STEP_COMPLETED, STEP_FAILED, STEP_SKIPPED, StepEvent
from stream_durable.core.messages import AnswerInput, CompleteStep, FailStep
from stream_durable.core.run.state import Asked
from stream_durable.simulation.oracle import Folded, Oracle
from stream_durable.simulation.world import World

_ENDS = (STEP_COMPLETED, STEP_FAILED, STEP_SKIPPED)


def a_question_is_answered_once(world: World, oracle: Oracle) -> Iterator[str]:
    """The first answer that fits is the output of its step, and who gave it is kept and published."""
    for run in oracle.runs():
        answered: set[tuple[str, int]] = set()
        for folded in oracle.applied.get(run.id, ()):
            message = folded.message
            if not isinstance(message, AnswerInput):
                continue
            ends = [e for e in folded.events if isinstance(e, StepEvent) and e.step == message.wait]
            if [event.type for event in ends] != [STEP_COMPLETED]:
                yield f"{message.wait!r} of {run.id} was answered, and it was said that {ends}"
                continue
            end = ends[0]
            if (end.step, end.attempt) in answered:
                yield f"{end.step!r} of {run.id} was answered twice"
            answered.add((end.step, end.attempt))
            said = msgspec.json.decode(end.asked or b"{}", type=Asked).changes
            if end.output != bytes(message.answer) or not said or said[-1].by != message.by:
                yield f"{end.step!r} of {run.id} came to {end.output!r} by {said}, not to what was answered"
            if len({change.id for change in said}) < len(said):
                yield f"{end.step!r} of {run.id} has a change twice: {said}"


def an_end_from_outside_counts_once(world: World, oracle: Oracle) -> Iterator[str]:
    """The first end from outside is that of its step, also if it came before the wait; no other counts."""
    for run in oracle.runs():
        #: The accepted ends of steps that have not ended yet, and the steps that have.
        taken: dict[str, CompleteStep | FailStep] = {}
        ended: set[str] = set()
        for folded in oracle.applied.get(run.id, ()):
            message = folded.message
            if isinstance(message, CompleteStep | FailStep):
                if message.step in taken or message.step in ended:
                    yield f"{message.step!r} of {run.id} was ended from outside twice: {message.id}"
                taken[message.step] = message
            yield from _ended(folded, taken, ended)


def _ended(folded: Folded, taken: dict[str, CompleteStep | FailStep], ended: set[str]) -> Iterator[str]:
    for event in folded.events:
        if event.type == RUN_RETRIED:
            taken.clear()
            ended.clear()
        if not isinstance(event, StepEvent) or event.type not in _ENDS:
            continue
        ended.add(event.step)
        message = taken.pop(event.step, None)
        # A skip may be somebody's order, or what the step's own `on_error` makes of a failure.
        if message is None or event.type == STEP_SKIPPED:
            continue
        output = bytes(message.output) if isinstance(message, CompleteStep) else None
        failure = message.failure if isinstance(message, FailStep) else None
        if (event.output, event.failure) != (output, failure):
            yield f"{event.step!r} of {event.run} came to {event.output or event.failure!r}, by {message}"
