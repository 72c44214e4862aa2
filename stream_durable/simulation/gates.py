"""Promises about gates: bounds on places, on passages in a window, and attempts only after a passage."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from stream_durable.core.definition.graph import Graph
from stream_durable.core.effects import Command
from stream_durable.core.gate.limits import GateChange, GateLimits, KeysChange
from stream_durable.core.ids import CHILD_MARK
from stream_durable.core.lifecycle import RUN_STARTED, StepEvent
from stream_durable.core.messages import (
    GateTimerFired,
    PlaceAsked,
    PlaceGiven,
    PlaceLeft,
    ResetGate,
    SetGate,
    SetGateKeys,
)
from stream_durable.core.status import Outcome
from stream_durable.simulation.oracle import Oracle, Passage
from stream_durable.simulation.workload.limiting import KEYED
from stream_durable.simulation.world import World

#: Run, step, attempt, passes.
_Turn = tuple[str, str, int, int]


def never_more_are_inside(world: World, oracle: Oracle) -> Iterator[str]:
    """By the log, a gate lets nobody in while more are inside than its places, by the limits then."""
    for gate, passages in oracle.passages.items():
        inside: dict[tuple[str, str], _Turn] = {}
        for each in passages:
            _leave(inside, each)
            before = set(inside.values())
            inside |= {(given.key, given.step): _turn_of(given) for given in each.given if given.is_held}
            most = each.limits.at_once
            # Those inside may be more than there are places since fewer were made; a repeat lets nobody in.
            if most is not None and len(inside) > most and not before >= set(inside.values()):
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


class _Window:
    """The passages of a gate during the length of the rate, by cost."""

    def __init__(self) -> None:
        self.sum = 0
        self._passed: deque[tuple[int, _Turn]] = deque()
        self._costs: dict[_Turn, int] = {}
        self._known: set[_Turn] = set()
        self._held: set[_Turn] = set()

    def restart(self) -> None:
        """Forget what has passed, not what calls cost: from now on another rate counts."""
        self.sum = 0
        self._passed.clear()

    def hear(self, message: PlaceAsked | PlaceLeft) -> None:
        """Take down the cost of a call, by forecast or in fact."""
        turn = (message.run, message.step, message.attempt, message.passes)
        if isinstance(message, PlaceAsked):
            if turn not in self._held:
                self._costs[turn] = 1 if message.units is None else message.units
                self._known.discard(turn)
            return
        self._held.discard(turn)
        if message.units is not None and any(turn == passed for _, passed in self._passed):
            self.sum += message.units - self._costs[turn]
            self._costs[turn] = message.units

    def is_new(self, given: PlaceGiven) -> bool:
        """Record a passage; return False for a repeat to a holder."""
        turn = _turn_of(given)
        is_new = turn not in self._known
        self._known.add(turn)
        if given.is_held:
            self._held.add(turn)
        return is_new

    def let_in(self, given: PlaceGiven, clock: int, since: int) -> None:
        """Count a passage."""
        turn = _turn_of(given)
        self._passed.append((clock, turn))
        self.sum += self._costs[turn]
        while self._passed[0][0] <= since:
            self.sum -= self._costs[self._passed.popleft()[1]]

    def most(self, limits: GateLimits) -> int:
        """Return how much may pass: a call dearer than the burst and one is let in with the whole burst."""
        dearest = max((self._costs[turn] for _, turn in self._passed), default=0)
        return (limits.rate or 0) + max(limits.burst, dearest - 1)


def rates_are_kept(world: World, oracle: Oracle) -> Iterator[str]:
    """In no window of a rate's length is more let in than the rate and the burst, by the time of the log.

    A call counts by the forecast, and after the end by the cost.
    """
    for gate, passages in oracle.passages.items():
        window, rule = _Window(), None
        for each in passages:
            if isinstance(each.message, PlaceAsked | PlaceLeft):
                window.hear(each.message)
            limits = each.limits
            if rule != (rule := (limits.rate, limits.rate_ms, limits.burst)):
                window.restart()
            for given in each.given:
                if window.is_new(given) and limits.rate is not None:
                    window.let_in(given, each.clock, each.clock - limits.rate_ms)
                if limits.rate is not None and window.sum > window.most(limits):
                    yield f"{gate} let {window.sum} pass in {limits.rate_ms} ms up to {each.clock}"


def sections_keep_their_place(world: World, oracle: Oracle) -> Iterator[str]:
    """No member of a section begins before the gate has let the section in, or after the section has left."""
    for run in oracle.runs():
        sections = {run.graph.names[i]: i for i in run.graph.sections}
        inside: set[str] = set()
        for each in oracle.applied.get(run.id, ()) if sections else ():
            if isinstance(each.message, PlaceGiven) and each.message.step in sections:
                inside.add(each.message.step)
            for command in each.commands:
                if not isinstance(command, Command):
                    continue
                owner = _owner(run.graph, command.step)
                if owner in sections and owner not in inside:
                    yield f"{run.id}/{command.step}/{command.attempt} began without the place of {owner}"
            inside -= {event.step for event in each.events if isinstance(event, StepEvent) and event.step}


def _owner(graph: Graph, step: str) -> str:
    i = graph.index.get(step)
    owner = -1 if i is None else graph.owner(i)
    return "" if owner < 0 else graph.names[owner]


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


def limits_are_as_ordered(world: World, oracle: Oracle) -> Iterator[str]:
    """The limits in force are those of the code, with what was changed for all keys, then for the gate."""
    for gate, passages in oracle.passages.items():
        asked, change = GateLimits(), GateChange()
        #: What may have been changed last for all keys: one that nobody uses forgets it, until it is asked.
        keys: list[KeysChange | None] = [None]
        for each in passages:
            message = each.message
            news = message.keys if isinstance(message, PlaceAsked | SetGateKeys) else None
            if news is not None:
                keys = [news, *(one for one in keys if one is not None and one.is_after(news))]
            if isinstance(message, PlaceAsked):
                asked = message.limits
            elif isinstance(message, SetGate):
                change = change.merged(message.change)
            elif isinstance(message, ResetGate):
                change = GateChange()
            elif isinstance(message, GateTimerFired) and each.limits == change.applied(asked):
                keys = [None]
            wanted = [change.applied(_applied(known, asked)) for known in keys]
            if each.limits not in wanted:
                yield f"{gate} goes by {each.limits} after {message}, not by {wanted}"


def _applied(keys: KeysChange | None, asked: GateLimits) -> GateLimits:
    return asked if keys is None or keys.change is None else keys.change.applied(asked)


def requests_carry_the_limits_of_all_keys(world: World, oracle: Oracle) -> Iterator[str]:
    """Once a partition has read of the declaration, its requests to pass include the change."""
    limited = {_turn_asked(each) for each in oracle.limited if each.key.startswith(f"{KEYED}{CHILD_MARK}")}
    # Not those of a turn that was first asked for before: the first request may be published once more.
    limited -= {_turn_asked(each) for each in oracle.unlimited}
    for judged in oracle.judged.values() if limited else ():
        message = judged.message
        if isinstance(message, PlaceAsked) and message.keys is None and _turn_asked(message) in limited:
            yield f"{message} does not say what was changed for all keys"


def _turn_asked(asked: PlaceAsked) -> tuple[str, _Turn]:
    return asked.key, (asked.run, asked.step, asked.attempt, asked.passes)


GATES: tuple[Callable[[World, Oracle], Iterator[str]], ...] = (
    never_more_are_inside,
    rates_are_kept,
    attempts_have_passed_their_gates,
    runs_have_passed_their_gates,
    sections_keep_their_place,
    limits_are_as_ordered,
    requests_carry_the_limits_of_all_keys,
)
