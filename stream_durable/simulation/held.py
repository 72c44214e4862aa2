"""Promises about held steps: only a person moves one, and every decision and change is kept once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from stream_durable.core.definition.nodes import StepNode
from stream_durable.core.effects import Command
from stream_durable.core.lifecycle import (
    RUN_FAILED,
    RUN_RETRIED,
    STEP_CANCELLED,
    STEP_HELD,
    STEP_OVERDUE,
    STEP_RETRYING,
    STEP_SKIPPED,
    StepEvent,
)
from stream_durable.core.messages import (
    CancelRun,
    CancelStep,
    ChangeHeld,
    CompleteHeld,
    FailHeld,
    RetryRun,
    RunTimerFired,
    SkipStep,
)
from stream_durable.core.run.state import Run
from stream_durable.core.status import HELD
from stream_durable.simulation.oracle import Folded, Oracle
from stream_durable.simulation.world import World

_DECISIONS = (RetryRun, CompleteHeld, FailHeld, SkipStep, CancelStep, CancelRun)
#: What happens to a held step without a decision about it: its run, its group or its race has ended.
_TAKEN_ALONG = (STEP_CANCELLED, STEP_SKIPPED)


def a_held_step_waits_for_a_person(world: World, oracle: Oracle) -> Iterator[str]:
    """Neither a result that comes late nor a timer moves one, and no attempt of it is requested."""
    for run in oracle.runs():
        for folded, held in _followed(oracle, run):
            if isinstance(folded.message, _DECISIONS):
                continue
            for event in folded.events:
                if isinstance(event, StepEvent) and event.step in held and event.type not in (
                    *_TAKEN_ALONG, STEP_OVERDUE, STEP_HELD
                ):  # fmt: skip
                    yield f"{run.id}/{event.step} was held, and {event.type} by {folded.message}"
            for command in folded.commands:
                if command.step in held and isinstance(command, Command):
                    yield f"{run.id}/{command.step} was held, and was asked for by {folded.message}"


def the_time_of_a_run_stands_still(world: World, oracle: Oracle) -> Iterator[str]:
    """A run does not run into its time-out while a step is held."""
    for run in oracle.runs():
        for folded, held in _followed(oracle, run):
            message = folded.message
            is_timeout = isinstance(message, RunTimerFired) and not message.timer
            if held and is_timeout and any(event.type == RUN_FAILED for event in folded.events):
                yield f"{run.id} ran into its time-out while {sorted(held)} were held"
        requests = run.requests
        counted = 0 if requests is None else requests.held
        wanted = sum(step.status == HELD for step in run.steps.values())
        if counted != wanted:
            yield f"{run.id} counts {counted} held steps, and has {wanted}"


def decisions_are_kept_once(world: World, oracle: Oracle) -> Iterator[str]:
    """Every applied decision is kept with its step and its author."""
    for run in oracle.runs():
        ids, made = _decisions(oracle, run)
        kept = Counter(
            (run.graph.names[i], review.id)
            for i, step in run.steps.items()
            for review in (() if step.detail is None else step.detail.reviews)
        )
        for place, times in kept.items():
            if times > 1 or place[1] not in ids:
                yield f"{run.id} keeps decision {place} {times} times, and it was made {place[1] in ids:d}"
        for place in made - kept.keys():
            yield f"{run.id} does not keep decision {place}"


def _decisions(oracle: Oracle, run: Run) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the ids of all messages to a run, and of decisions with their steps."""
    ids: set[str] = set()
    made: set[tuple[str, str]] = set()
    for folded in oracle.applied.get(run.id, ()):
        message = folded.message
        ids.add(getattr(message, "id", ""))
        if isinstance(message, CompleteHeld | FailHeld):
            made.add((message.step, message.id))
        elif any(event.type == RUN_RETRIED for event in folded.events):
            # A group that begins again makes its members anew.
            made = {place for place in made if not place[0].endswith("]")}
    return ids, made


def a_changed_run_goes_on_with_what_was_changed(world: World, oracle: Oracle) -> Iterator[str]:
    """Later commands carry the input of the last change; each change keeps the values before."""
    for run in oracle.runs():
        given: bytes | None = None
        made: list[tuple[bytes | None, bytes]] = []
        for folded in oracle.applied.get(run.id, ()):
            message = folded.message
            if isinstance(message, ChangeHeld) and message.input is not None:
                made.append((given, bytes(message.input)))
                given = bytes(message.input)
            for command in folded.commands:
                sent = getattr(command, "input", b"")
                if given is not None and bytes(sent) and _plain(bytes(sent)) != _plain(given):
                    yield f"{run.id}/{command.step} was given {bytes(sent)!r} after a change to {given!r}"
        changes = () if run.requests is None else run.requests.changes
        found = [(_input(one.before), _input(one.after)) for one in changes]
        found = [pair for pair in found if pair[1] is not None]
        if [after for _, after in found] != [_plain(after) for _, after in made]:
            yield f"{run.id} keeps changes of its input to {found}, and was changed to {made}"
        for (before, _), (wanted, _) in zip(found, made, strict=False):
            if wanted is not None and before != _plain(wanted):
                yield f"{run.id} says that its input was {before!r} before a change, and it was {wanted!r}"


def a_changed_step_has_the_attempts_it_was_given(world: World, oracle: Oracle) -> Iterator[str]:
    """After a decision to retry, a step has no more attempts than its change says."""
    for run in oracle.runs():
        most: dict[str, int] = {}
        tried: Counter[str] = Counter()
        for folded in oracle.applied.get(run.id, ()):
            message = folded.message
            if isinstance(message, ChangeHeld) and message.attempts is not None:
                most[message.step] = message.attempts
            if any(event.type == RUN_RETRIED for event in folded.events):
                tried.clear()
            for event in folded.events:
                if isinstance(event, StepEvent) and event.type in (STEP_RETRYING, STEP_HELD):
                    name = event.step
                    tried[name] += not isinstance(message, RetryRun)
                    if name in most and _is_function(run, name) and tried[name] > most[name]:
                        yield f"{run.id}/{name} was tried {tried[name]} times, and {most[name]} are allowed"


def _followed(oracle: Oracle, run: Run) -> Iterator[tuple[Folded, set[str]]]:
    """Return every message to a run with the steps held before it."""
    held: set[str] = set()
    for folded in oracle.applied.get(run.id, ()):
        yield folded, set(held)
        if any(event.type == RUN_RETRIED for event in folded.events):
            held.clear()
        for event in folded.events:
            if isinstance(event, StepEvent) and event.type != STEP_OVERDUE:
                held.discard(event.step)
                if event.type == STEP_HELD:
                    held.add(event.step)


def _is_function(run: Run, name: str) -> bool:
    i = run.graph.index.get(name)
    return i is not None and type(run.graph.nodes[i]) is StepNode


def _input(described: msgspec.Raw) -> Any:
    return msgspec.json.decode(described).get("input")


def _plain(data: bytes) -> Any:
    return msgspec.json.decode(data)


HELD_STEPS: tuple[Callable[[World, Oracle], Iterator[str]], ...] = (
    a_held_step_waits_for_a_person,
    the_time_of_a_run_stands_still,
    decisions_are_kept_once,
    a_changed_run_goes_on_with_what_was_changed,
    a_changed_step_has_the_attempts_it_was_given,
)
