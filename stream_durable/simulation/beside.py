"""What is promised of functions beside the graph: answers to inquiries, and reactions to signals."""

from __future__ import annotations

from collections.abc import Iterator

from stream_durable.core.definition.nodes import BesideNode
from stream_durable.core.effects import Command
from stream_durable.core.lifecycle import (
    RUN_COMPLETED,
    RUN_RETRIED,
    STEP_CANCELLED,
    STEP_COMPLETED,
    STEP_FAILED,
    STEP_SKIPPED,
    StepEvent,
)
from stream_durable.core.messages import (
    AttemptCancels,
    AttemptFinished,
    InquireRun,
)
from stream_durable.core.names import beside_name
from stream_durable.core.run.beside import SLOTS
from stream_durable.simulation.oracle import Folded, Oracle
from stream_durable.simulation.world import World

_ENDS = (STEP_COMPLETED, STEP_FAILED, STEP_CANCELLED, STEP_SKIPPED)


def inquiries_are_answered_one_by_one(world: World, oracle: Oracle) -> Iterator[str]:
    """Each inquiry is a single call with the same data, in the order of the log, with room beside others."""
    for run in oracle.runs():
        for node in run.graph.beside.values():
            if node.on == "inquiry":
                yield from _in_order(run.id, node, oracle.applied.get(run.id, []))


def a_reaction_that_cancels_its_run_is_the_end_of_it(world: World, oracle: Oracle) -> Iterator[str]:
    """No run completes after a cancel by a reaction, unless finished before or begun again."""
    for run in oracle.runs():
        is_cancelled = is_finished = False
        for folded in oracle.applied.get(run.id, []):
            said = {event.type for event in folded.events}
            if RUN_RETRIED in said:
                is_cancelled = is_finished = False
            elif RUN_COMPLETED in said and is_cancelled:
                yield f"{run.id} was cancelled by a reaction, and has completed"
            is_finished |= isinstance(folded.message, AttemptFinished)
            is_cancelled |= isinstance(folded.message, AttemptCancels) and not is_finished


def _in_order(run: str, node: BesideNode, lived: list[Folded]) -> Iterator[str]:
    name = node.name
    asked: list[bytes] = []
    begun: list[int] = []
    ended: set[int] = set()
    for folded in lived:
        message = folded.message
        if isinstance(message, InquireRun) and message.inquiry == name:
            asked.append(bytes(message.data))
        for event in folded.events:
            if isinstance(event, StepEvent) and event.type in _ENDS:
                number = _number(name, event.step)
                if number in ended:
                    yield f"{event.step!r} of {run} ended twice"
                ended |= set() if number is None else {number}
        for command in folded.commands:
            number = _number(name, command.step) if isinstance(command, Command) else None
            if number is None or number in begun:
                continue
            assert isinstance(command, Command)
            if number != len(begun) or len(set(begun) - ended) >= node.concurrency:
                yield f"{command.step!r} of {run} was called after {begun}, of which {ended} had ended"
            if number >= len(asked) or command.item is None or bytes(command.item) != asked[number]:
                yield f"{command.step!r} of {run} was called with {command.item!r}, asked were {asked}"
            begun.append(number)


def _number(name: str, step: str) -> int | None:
    """Return which call of a function a step is: nobody here asks more than there are steps."""
    prefix = beside_name(name) + "."
    number = step.removeprefix(prefix)
    return int(number) if step.startswith(prefix) and number.isdecimal() and int(number) < SLOTS else None
