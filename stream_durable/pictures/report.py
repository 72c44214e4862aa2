"""Shows where a run spent its time: steps in order of their ends, and the critical path.

Times come from the rows: a step's last attempt, by the worker's clock. The time between the end of a step's
dependencies and the start of the last attempt counts as waiting: for a worker, between attempts, and for
earlier attempts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import Definition
from stream_durable.core.names import is_member
from stream_durable.core.status import COMPLETED, STEP_ENDED
from stream_durable.pictures.order import in_order
from stream_durable.pictures.standing import Standing, States, helped_by, owner_of


class Whole(Protocol):
    """The parts used of a run's state."""

    @property
    def id(self) -> str:
        """The id."""

    @property
    def status(self) -> str:
        """The status."""

    @property
    def created(self) -> datetime:
        """The time of the start."""

    @property
    def updated(self) -> datetime:
        """The time of the last change."""

    @property
    def ended(self) -> datetime | None:
        """The time of the end."""

    @property
    def steps(self) -> States:
        """The steps, by name."""

    @property
    def helpers(self) -> States:
        """Hooks and compensations, by name."""


class StepReport(NamedTuple):
    """What became of a step, and when. Durations in milliseconds; None: not known, or not yet."""

    name: str
    status: str
    attempts: int
    started: datetime | None
    ended: datetime | None
    #: From the end of the last dependency to the beginning of the last attempt.
    waited_ms: int | None
    ran_ms: int | None
    #: Of the run's whole time, while this ran: 0 to 1.
    share: float | None
    is_critical: bool
    #: Whether the step only holds members, so that its time is theirs.
    is_group: bool


class Report(NamedTuple):
    """Where the time of a run went."""

    run: str
    workflow: str
    status: str
    #: To the run's end, or to what happened last.
    total_ms: int
    #: Ended steps, in order of their ends; then begun steps; then the others.
    steps: tuple[StepReport, ...]
    #: The longest chain, first to last: each begins when the one before it has ended.
    critical: tuple[str, ...]
    #: While nothing of the critical chain ran: queueing, delays between attempts, and the engine itself.
    unexplained_ms: int


class _Time(NamedTuple):
    begin: datetime | None
    end: datetime | None


def report(definition: Definition, state: Whole) -> Report:
    """Return where the time of a run went."""
    return _Reporting(Graph(definition), state).report()


class _Reporting:
    """Looks at each step and at each edge once."""

    def __init__(self, graph: Graph, state: Whole) -> None:
        self._graph = graph
        self._state = state
        self._steps = {**state.steps, **state.helpers}
        self._last = state.ended or state.updated
        #: By the group, branch or step around them.
        self._members: dict[str, list[str]] = {}
        for name in self._steps:
            owner = self._owner(name)
            if owner is not None:
                self._members.setdefault(owner, []).append(name)
        self._times = {name: self._time(step) for name, step in self._steps.items()}
        #: The last dependency of each step, once known.
        self._let_by: dict[str, str | None] = {}
        #: Later steps have higher ranks: of two that ended at the same moment, the later one.
        self._rank: dict[str, int] = {}
        for rank, i in enumerate(in_order(graph)):
            self._rank[graph.names[i]] = rank
            self._latest(graph.names[i])

    def report(self) -> Report:
        state = self._state
        whole = _between(state.created, self._last) or 0
        critical = self._critical()
        on_chain = set(critical)
        steps = [self._step(name, one, whole, name in on_chain) for name, one in self._steps.items()]
        steps.sort(key=self._place)
        ran = sum(_between(*self._times[name]) or 0 for name in critical)
        workflow = self._graph.name
        return Report(state.id, workflow, state.status, whole, tuple(steps), critical, max(0, whole - ran))

    def _step(self, name: str, state: Standing, whole: int, is_critical: bool) -> StepReport:  # noqa: FBT001
        begin, end = self._times[name]
        ran = _between(begin, end)
        waited = None
        if begin is not None and helped_by(name) is None:
            before = self._latest(name)
            waited = _between(self._state.created if before is None else self._end(before), begin)
        share = None if ran is None or not whole else min(1.0, ran / whole)
        is_group = name in self._members
        return StepReport(
            name, state.status, state.attempt, begin, end, waited, ran, share, is_critical, is_group
        )

    def _place(self, step: StepReport) -> tuple[int, float, int]:
        moment = step.ended or step.started
        kind = 0 if step.ended is not None else 1 if step.started is not None else 2
        at = 0.0 if moment is None else moment.timestamp()
        # A group ends with the last of its members, and is listed after it.
        return kind, at, -self._depth(step.name)

    def _time(self, state: Standing) -> _Time:
        """Return when a step began and ended."""
        return _Time(state.started, state.finished if state.status in STEP_ENDED else None)

    def _critical(self) -> tuple[str, ...]:
        """Go back from the last end, each time to the last end among the dependencies."""
        ended = [
            name
            for name, time in self._times.items()
            if time.begin is not None and time.end is not None
            and name not in self._members and helped_by(name) is None
        ]  # fmt: skip
        if not ended:
            return ()
        chain = [max(ended, key=lambda name: (self._end(name), self._rank.get(owner_of(name) or name, 0)))]
        seen = set(chain)
        while True:
            before = self._before(chain[-1])
            if before is None or before in seen:
                return tuple(reversed(chain))
            seen.add(before)
            chain.append(before)

    def _before(self, name: str) -> str | None:
        """Return the last ended dependency of a step; for a group, its last ended member."""
        before = self._latest(name)
        while before is not None and before in self._members:
            inside = [m for m in self._members[before] if self._times[m].end is not None]
            before = max(inside, key=self._end, default=None)
        return before

    def _latest(self, name: str) -> str | None:
        """Return the last ended dependency of a step and of its enclosing groups."""
        if name not in self._let_by:
            found = self._waits_for(name)
            owner = self._owner(name)
            if owner is not None and (above := self._latest(owner)) is not None:
                found.append(above)
            self._let_by[name] = max(found, key=self._end, default=None)
        return self._let_by[name]

    def _waits_for(self, name: str) -> list[str]:
        i = self._graph.index.get(name)
        if i is None:
            return []
        node = self._graph.nodes[i]
        found = []
        for one in node.after:
            # A step skipped before its beginning delayed nothing; its dependencies did.
            reached = one if self._has_ended(one) else self._latest(one)
            if reached is not None:
                found.append(reached)
        for join in node.joins:
            ended = sorted(filter(self._has_ended, join.of), key=self._end)
            completed = [one for one in ended if self._steps[one].status == COMPLETED]
            if len(completed) >= join.enough:
                # Later completions were not awaited.
                found.append(completed[join.enough - 1])
            else:
                found += ended
        return found

    def _has_ended(self, name: str) -> bool:
        return name in self._times and self._times[name].end is not None

    def _end(self, name: str) -> datetime:
        return self._times[name].end or self._state.created

    def _owner(self, name: str) -> str | None:
        if helped_by(name) is not None:
            return None
        i = self._graph.index.get(name)
        if i is not None:
            return self._graph.nodes[i].member_of
        if is_member(name):
            # For a nested member, the inner one.
            inner = name[: name.rindex("[")]
            head, turn, number = inner.rpartition("~")
            inner = head if turn and number.isdecimal() else inner
            return inner if inner in self._steps else owner_of(name)
        return None

    def _depth(self, name: str) -> int:
        depth, here = 0, self._owner(name)
        while here is not None:
            depth, here = depth + 1, self._owner(here)
        return depth


def _between(begin: datetime | None, end: datetime | None) -> int | None:
    """Return the milliseconds between two moments; differing clocks never give less than zero."""
    if begin is None or end is None:
        return None
    return max(0, round((end - begin) / timedelta(milliseconds=1)))
