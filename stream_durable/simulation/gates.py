"""Promises about gates: bounds on places, on passages in a window, and attempts only after a passage."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from stream_durable.core.effects import Command
from stream_durable.core.lifecycle import RUN_STARTED
from stream_durable.core.messages import PlaceAsked, PlaceGiven, PlaceLeft
from stream_durable.core.status import Outcome
from stream_durable.simulation.oracle import Oracle, Passage
from stream_durable.simulation.world import World

#: Run, step, attempt, passes.
_Turn = tuple[str, str, int, int]


def never_more_are_inside(world: World, oracle: Oracle) -> Iterator[str]:
    """By the log, a gate never holds more than its places."""
    for gate, passages in oracle.passages.items():
        inside: dict[tuple[str, str], _Turn] = {}
        for each in passages:
            _leave(inside, each)
            for given in each.given:
                if given.is_held:
                    inside[given.key, given.step] = _turn_of(given)
            most = each.limits.at_once
            if most is not None and len(inside) > most:
                yield f"{len(inside)} are inside of {gate}, and {most} may be: {sorted(inside.values())}"


def _leave(inside: dict[tuple[str, str], _Turn], each: Passage) -> None:
    message = each.message
    if not isinstance(message, PlaceAsked | PlaceLeft):
        return
    there = inside.get((message.run, message.step))
    turn = (message.run, message.step, message.attempt, message.passes)
    if there is not None and (turn == there if isinstance(message, PlaceLeft) else turn > there):
        del inside[message.run, message.step]


def _turn_of(given: PlaceGiven) -> _Turn:
    return given.key, given.step, given.attempt, given.passes


def rates_are_kept(world: World, oracle: Oracle) -> Iterator[str]:
    """In no window of a rate's length is more let in than the rate and its burst, by the time of the log."""
    for gate, passages in oracle.passages.items():
        costs: dict[_Turn, int] = {}
        window: deque[tuple[int, int]] = deque()
        known: set[_Turn] = set()
        sum_ = 0
        for each in passages:
            if isinstance(each.message, PlaceAsked):
                asked = each.message
                turn = (asked.run, asked.step, asked.attempt, asked.passes)
                costs[turn] = 1 if asked.units is None else asked.units
                known.discard(turn)
            limits = each.limits
            if limits.rate is None:
                continue
            for given in each.given:
                turn = _turn_of(given)
                if turn in known:
                    # Said once more to a holder.
                    continue
                known.add(turn)
                window.append((each.clock, costs[turn]))
                sum_ += costs[turn]
                while window[0][0] <= each.clock - limits.rate_ms:
                    sum_ -= window.popleft()[1]
                if sum_ > limits.rate + limits.burst:
                    yield f"{gate} let {sum_} pass in {limits.rate_ms} ms up to {each.clock}"


def attempts_have_passed_their_gates(world: World, oracle: Oracle) -> Iterator[str]:
    """No worker is asked for an attempt of a guarded step before its gate has let it pass."""
    given: dict[str, set[tuple[str, int]]] = {}
    for judged in oracle.judged.values():
        if isinstance(judged.message, PlaceGiven) and judged.outcome is Outcome.APPLIED:
            given.setdefault(judged.message.key, set()).add((judged.message.step, judged.message.attempt))
    for run in oracle.runs():
        guarded = {node.name for node in run.graph.work if node is not None and node.gate is not None}
        for each in oracle.applied.get(run.id, ()) if guarded else ():
            for command in each.commands:
                step = "" if not isinstance(command, Command) else command.function or command.step
                if step in guarded and (command.step, command.attempt) not in given.get(run.id, ()):
                    yield f"{run.id}/{command.step}/{command.attempt} was asked for without passing its gate"


def runs_have_passed_their_gates(world: World, oracle: Oracle) -> Iterator[str]:
    """No run begins before its gate has let it pass, and none passes while its place is another's."""
    for run in oracle.runs():
        is_inside = False
        for each in oracle.applied.get(run.id, ()) if run.graph.definition.gate is not None else ():
            is_inside |= isinstance(each.message, PlaceGiven) and not each.message.step
            if not is_inside and any(event.type == RUN_STARTED for event in each.events):
                yield f"{run.id} began without passing its gate"
            is_inside &= not each.has_ended


GATES: tuple[Callable[[World, Oracle], Iterator[str]], ...] = (
    never_more_are_inside,
    rates_are_kept,
    attempts_have_passed_their_gates,
    runs_have_passed_their_gates,
)
