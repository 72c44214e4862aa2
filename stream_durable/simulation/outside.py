"""Promises about steps ended from outside: by people's answers, and by tokens."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from stream_durable.core.lifecycle import RUN_RETRIED, STEP_COMPLETED, STEP_FAILED, STEP_SKIPPED, StepEvent
from stream_durable.core.messages import AnswerInput, CompleteStep, FailStep, SignalRun, StartWithSignal
from stream_durable.core.run.from_outside import Asked
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


def signals_end_waits_within_their_time(world: World, oracle: Oracle) -> Iterator[str]:
    """The sender is kept with an ended wait, and nothing ends a wait after its time, or twice."""
    for run in oracle.runs():
        came = {
            folded.message.id: (folded.clock, folded.message)
            for folded in oracle.applied.get(run.id, ())
            if isinstance(folded.message, SignalRun | StartWithSignal)
        }
        expired = set() if run.mail is None else {kept.id for kept in run.mail.expired.values()}
        for i, step in run.steps.items():
            for sent in () if step.detail is None else step.detail.sent:
                if sent.id not in came:
                    continue
                at, message = came[sent.id]
                if (sent.name, sent.at, sent.by) != (message.signal, at, message.by):
                    yield f"{run.graph.names[i]!r} of {run.id} was ended by {message} at {at}: {sent}"
                late = message.ttl_ms is not None and (step.finished or at) > at
                if sent.id in expired or (late and (step.finished or 0) >= at + (message.ttl_ms or 0)):
                    yield f"{run.graph.names[i]!r} of {run.id} was ended by an expired signal: {sent}"


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
