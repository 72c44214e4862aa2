"""Promises about attempts: which function is called, when to repeat, when to give up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec

from stream_durable.core.definition.nodes import StepNode
from stream_durable.core.effects import Command
from stream_durable.core.lifecycle import RUN_RETRIED, StepEvent
from stream_durable.core.messages import (
    AttemptCancels,
    AttemptCompleted,
    AttemptEnd,
    AttemptFailed,
    AttemptFinished,
    AttemptJumped,
    AttemptNoted,
    AttemptReturned,
    AttemptStarted,
)
from stream_durable.core.names import is_inner
from stream_durable.core.reference import is_reference, parse
from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import COMPLETED
from stream_durable.memory.ports import MemoryBlobs
from stream_durable.memory.process import immediately
from stream_durable.simulation.oracle import Folded, Oracle
from stream_durable.simulation.workload.inside import CHAIN
from stream_durable.simulation.world import World

#: A worker falls silent, and so do three more.
_BEGUN_UNTIL_LOST = 4


def an_attempt_has_one_function(world: World, oracle: Oracle) -> Iterator[str]:
    """The same idempotency key never stands for another function."""
    functions: dict[tuple[str, str, int], str] = {}
    for run in oracle.runs():
        for folded in oracle.applied.get(run.id, ()):
            for c in asked_of(folded):
                if functions.setdefault((c.run, c.step, c.attempt), c.function) != c.function:
                    yield f"{c.run}/{c.step}/{c.attempt} was asked of another function, {c.function!r}"


def what_is_done_is_not_done_again(world: World, oracle: Oracle) -> Iterator[str]:
    """An ended step is requested again only after a reset."""
    for run in oracle.runs():
        done: dict[str, int] = {}
        for folded in oracle.applied.get(run.id, ()):
            if began_anew(folded):
                done.clear()
            for command in asked_of(folded):
                if done.get(command.step, command.attempt) != command.attempt:
                    yield f"{run.id}/{command.step}/{command.attempt} was asked for after it was done"
                elif command.step in done:
                    yield f"{run.id}/{command.step}/{command.attempt} was asked for again after its answer"
            message = folded.message
            if isinstance(message, AttemptFailed | AttemptReturned) or began_anew(folded):
                continue
            if isinstance(message, AttemptEnd):
                done[message.step] = message.attempt


def an_attempt_is_lost_with_many_workers(world: World, oracle: Oracle) -> Iterator[str]:
    """An attempt fails for silent workers only after several, one after the other."""
    requested = [command for _, command in oracle.commands if isinstance(command, Command)]
    for run in oracle.runs():
        begun: Counter[tuple[str, int]] = Counter()
        asked = {(command.step, command.attempt) for command in requested if command.run == run.id}
        for folded in oracle.applied.get(run.id, ()):
            message = folded.message
            if isinstance(message, AttemptStarted) or (
                isinstance(message, AttemptNoted) and message.is_first
            ):
                begun[message.step, message.attempt] += 1
            for event in folded.events:
                if isinstance(event, StepEvent) and event.failure and event.failure.code == "worker_lost":
                    times = begun[event.step, event.attempt]
                    # That of a group is the failure of its member.
                    if (event.step, event.attempt) in asked and times < _BEGUN_UNTIL_LOST:
                        yield f"{run.id}/{event.step}/{event.attempt} was given up after {times} workers"


def kept_values_follow_one_another(world: World, oracle: Oracle) -> Iterator[str]:
    """A function sees kept values, whatever becomes of workers: each was made from the previous value."""
    if world.lives.has_losses:
        return
    for run in oracle.runs():
        for i in run.steps:
            before: int | None = None
            for name, value in _kept(run, i).items():
                if value["after"] != before:
                    yield f"{run.id}/{run.graph.names[i]} kept {name} after {value['after']}, not {before}"
                before = value["number"]


def ends_follow_from_what_was_kept(world: World, oracle: Oracle) -> Iterator[str]:
    """A step ends with the kept values and no others, whichever call came to an end."""
    if world.lives.has_losses:
        return
    for run in oracle.runs():
        for i, step in run.steps.items():
            if step.status != COMPLETED or is_reference(step.output or b""):
                continue
            output = msgspec.json.decode(step.output or b"null")
            seen = output.get("seen", {}) if isinstance(output, dict) else {}
            kept = _kept(run, i)
            for name in (name for name in CHAIN if name in seen):
                if seen[name] != kept.get(name):
                    yield f"{run.id}/{run.graph.names[i]} saw {seen[name]} as {name}, and kept {kept}"


def _kept(run: Run, i: int) -> dict[str, dict[str, Any]]:
    """Return the values of the chain that a step has kept."""
    inner = {run.graph.names[m].rpartition("/")[2]: run.steps[m] for m in run.graph.inner_of(i)}
    return {name: msgspec.json.decode(inner[name].output or b"null") for name in CHAIN if name in inner}


def outputs_come_from_calls(world: World, oracle: Oracle) -> Iterator[str]:
    """I6: the output of a completed step was returned by a call of the same attempt."""
    answered: set[tuple[str, str, int, bytes]] = set()
    for (run, step, attempt), answers in oracle.answers.items():
        if len(answers) > 1:
            yield f"{run}/{step}/{attempt} was answered {len(answers)} times"
        for answer, _ in answers:
            if (output := _output_of(answer)) is None:
                continue
            answered.add((run, step, attempt, output))
            made = world.calls.outputs.get((run, step, attempt), ())
            if not isinstance(answer, AttemptCancels) and not any(_is_value(world, output, e) for e in made):
                yield f"{run}/{step}/{attempt} answered what no call of it returned"
    for entity in oracle.runs():
        for i, held in entity.steps.items():
            name = entity.graph.names[i]
            if held.output is None or type(entity.graph.nodes[i]) is not StepNode or is_inner(name):
                continue
            place = (entity.id, name, held.attempt, held.output)
            if place not in answered and held.output != b"[]" and not _is_of_person(held):
                yield f"{entity.id}/{name} has an output that no attempt was answered with: {held.output!r}"


def _is_of_person(step: Step) -> bool:
    return step.detail is not None and any(one.decision == "complete" for one in step.detail.reviews)


def _output_of(answer: AttemptEnd) -> bytes | None:
    """Return the output of a step after an answer."""
    if isinstance(answer, AttemptCancels):
        return b"null"
    return (
        bytes(answer.output)
        if isinstance(answer, AttemptCompleted | AttemptJumped | AttemptFinished)
        else None
    )


def _is_value(world: World, output: bytes, value: bytes) -> bool:
    """Return whether an output is this value, or a reference to the value."""
    if not is_reference(output):
        return output == value
    place = parse(output)
    kept = immediately(MemoryBlobs(world.broker).get(place.partition, place.offset))
    return kept == value and place.digest == sha256(value).hexdigest()


def asked_of(folded: Folded) -> list[Command]:
    """Return the attempts requested because of a message."""
    return [command for command in folded.commands if isinstance(command, Command)]


def began_anew(folded: Folded) -> bool:
    """Return whether steps were reset by a message."""
    return any(event.type == RUN_RETRIED for event in folded.events)
