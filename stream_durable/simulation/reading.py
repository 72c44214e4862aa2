"""Promises about reactions to events: each gets all of them, one by one, in order, each once."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import TypeGuard

from stream_durable.core.definition.nodes import BesideNode
from stream_durable.core.effects import CancelAttempt, Command
from stream_durable.core.lifecycle import (
    RUN_EVENTS,
    STEP_CANCELLED,
    STEP_COMPLETED,
    STEP_FAILED,
    STEP_SKIPPED,
    RunEvent,
    StepEvent,
)
from stream_durable.core.messages import (
    EventGiven,
    EventPublished,
    Message,
    ReadOpened,
    SignalRun,
    StartWithSignal,
)
from stream_durable.core.names import helper_kind
from stream_durable.core.status import RUN_ENDED, Outcome
from stream_durable.simulation.oracle import Folded, Oracle
from stream_durable.simulation.world import World

_ENDS = (STEP_COMPLETED, STEP_FAILED, STEP_CANCELLED, STEP_SKIPPED)
_RUN_ENDS = frozenset(RUN_EVENTS[status] for status in RUN_ENDED)


def reactions_get_all_events_in_order(world: World, oracle: Oracle) -> Iterator[str]:
    """After its registration a reaction is given all events, in the order of their numbers.

    Of earlier events, only kept ones.
    """
    came: dict[str, list[str]] = {}
    before: dict[tuple[str, str, int, str], int] = {}
    given: dict[tuple[str, str, int, str], dict[int, str]] = {}
    taken: dict[tuple[str, str, int, str], set[int]] = {}
    for _, judged in sorted(oracle.judged.items(), key=lambda entry: entry[0]):
        message, is_applied = judged.message, judged.outcome is Outcome.APPLIED
        if isinstance(message, EventPublished) and is_applied:
            came.setdefault(message.key, []).append(message.id)
        elif isinstance(message, ReadOpened):
            place = (message.run, message.reaction, message.ordinal, message.key)
            before.setdefault(place, len(came.get(message.key, ())))
        elif isinstance(message, EventGiven):
            place = (message.key, message.reaction, message.ordinal, message.channel)
            if is_applied:
                taken.setdefault(place, set()).add(message.number)
            had = given.setdefault(place, {}).setdefault(message.number, message.id)
            if had != message.id:
                yield f"{place} was given {message.id!r} as number {message.number}, and {had!r} before"
    for place, by_number in given.items():
        ids = [by_number[number] for number in sorted(by_number)]
        every, first = came.get(place[-1], []), before.get(place, 0)
        # For a registration that is over and was repeated late, events are given, and not taken by the run.
        ours = [by_number[number] for number in sorted(taken.get(place, ()))]
        is_fair = any(_is_fair(each, every[:first], every[first:]) for each in (ids, ours))
        if not world.lives.has_losses and not is_fair:
            yield f"{place} was given {ids}, where {every[:first]} had come, and then {every[first:]}"


def _is_fair(given: list[str], earlier: list[str], later: list[str]) -> bool:
    """Return whether some earlier events were given, in order, and then all later ones."""
    for count in range(len(given) + 1):
        left = iter(earlier)
        if given[count:] == later[: len(given) - count] and all(one in left for one in given[:count]):
            return True
    return False


def events_are_reacted_to_one_by_one(world: World, oracle: Oracle) -> Iterator[str]:
    """Each event is a single call with the same data, in their order, with room, once for each run."""
    yield from _each_one_by_one(oracle, "event")


def signals_are_reacted_to_one_by_one(world: World, oracle: Oracle) -> Iterator[str]:
    """Each signal is a single call with the same data, in the order of the log, with room beside others."""
    yield from _each_one_by_one(oracle, "signal")


def _each_one_by_one(oracle: Oracle, on: str) -> Iterator[str]:
    for run in oracle.runs():
        for node in run.graph.beside.values():
            if node.on == on:
                yield from _one_by_one(run.id, node, oracle.applied.get(run.id, []))


def nothing_is_left_to_react_to(world: World, oracle: Oracle) -> Iterator[str]:
    """At the end no channel gives events to an ended run, or keeps one back."""
    for channel in () if world.lives.has_losses else oracle.channels():
        for (run_id, reaction), reader in channel.readers.items():
            run = next((run for run in oracle.runs() if run.id == run_id), None)
            # A late repeat of a registration is closed by the first event.
            if reader.given and (run is None or run.ended is not None):
                yield f"{channel.id!r} waits for {reaction!r} of {run_id}, which is over"
            elif not reader.given and channel.order and channel.order[-1][0] > reader.cursor:
                yield f"{channel.id!r} keeps events that {reaction!r} of {run_id} was not given"


def _one_by_one(run: str, node: BesideNode, lived: list[Folded]) -> Iterator[str]:
    #: When each is kept no longer, and its data.
    waiting: list[tuple[float, bytes]] = []
    seen: set[str] = set()
    under_way: set[str] = set()
    for folded in lived:
        message = folded.message
        if _is_about(message, node):
            if message.id in seen:
                yield f"{node.name} of {run} takes {message.id!r} twice"
            seen.add(message.id)
            waiting.append((_expiry(message, folded.clock), bytes(message.data)))
        under_way -= {event.step for event in folded.events if _is_end(event)}
        for command in folded.commands:
            if not _calls(command, node.name) or command.step in under_way:
                continue
            if len(under_way) >= node.concurrency:
                yield f"{command.step!r} of {run} was called while {sorted(under_way)} were under way"
            under_way.add(command.step)
            wanted = _next_of(waiting, folded.clock)
            if (item := bytes(command.item or b"")) != wanted:
                yield f"{command.step!r} of {run} was called with {item!r}, and {wanted!r} was next"
        if any(isinstance(event, RunEvent) and event.type in _RUN_ENDS for event in folded.events):
            under_way.clear()
            waiting.clear()


def _next_of(waiting: list[tuple[float, bytes]], now: int) -> bytes:
    """Return the data of the next kept signal."""
    while waiting and waiting[0][0] <= now:
        waiting.pop(0)
    return waiting.pop(0)[1] if waiting else b""


def _expiry(message: EventGiven | SignalRun | StartWithSignal, now: int) -> float:
    """Return the time of expiry of a signal; at least a millisecond after arrival."""
    ttl_ms = None if isinstance(message, EventGiven) else message.ttl_ms
    return inf if ttl_ms is None else now + max(ttl_ms, 1)


def _is_end(event: StepEvent | RunEvent) -> TypeGuard[StepEvent]:
    return isinstance(event, StepEvent) and event.type in _ENDS


def _is_about(message: Message, node: BesideNode) -> TypeGuard[EventGiven | SignalRun | StartWithSignal]:
    if node.on == "event":
        return isinstance(message, EventGiven) and helper_kind(message.reaction) == node.name
    return isinstance(message, SignalRun | StartWithSignal) and message.signal == node.signal


def _calls(command: Command | CancelAttempt, name: str) -> TypeGuard[Command]:
    return isinstance(command, Command) and command.step.startswith("~") and helper_kind(command.step) == name


READING = (
    reactions_get_all_events_in_order,
    events_are_reacted_to_one_by_one,
    signals_are_reacted_to_one_by_one,
    nothing_is_left_to_react_to,
)
