"""An admission in memory: runs waiting, let in, and going with another."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Literal, NamedTuple

from stream_durable.core.admission.rule import Rule
from stream_durable.core.gate.line import Line, Place
from stream_durable.core.ids import CHILD_MARK

#: Where a run stands: it waits; goes with one that has not begun; is let in; has begun, and is the only one;
#: is to end for a later one; was told that it is merged; or is settled, and remembered for repeats.
Stage = Literal["waiting", "joined", "let_in", "begun", "replaced", "merged", "settled"]
#: Stages of a run under way. Another one has to wait, where there is one at a time.
UNDER_WAY: frozenset[Stage] = frozenset({"let_in", "begun", "replaced"})
#: So many settled runs are remembered, so that a repeated request does nothing.
SETTLED_MAX = 500


def admission_id(workflow: str, key: str = "") -> str:
    """Return the id of the admission of a workflow and key; nothing from outside has such an id."""
    return f"{workflow}{CHILD_MARK}{key}"


class Member(NamedTuple):
    """A run at an admission."""

    #: Its turn: a later one replaces an earlier one.
    attempt: int
    #: Lower is earlier, among those at the same stage.
    ordinal: int
    #: Log time of asking.
    since: int
    priority: int = 0
    #: Whether it goes with no other, since it has begun before.
    is_again: bool = False
    stage: Stage = "waiting"
    #: The run that it goes with.
    into: str = ""
    #: When it is told once more what it was told.
    lease: int | None = None
    #: JSON, as long as it may be given to another run.
    input: bytes | None = None
    #: Log time of asking, by the partition of the run; 0: unknown.
    asked: int = 0


class Admission:
    """The starts of a workflow and a key. A start costs the same in a long line."""

    __slots__ = (
        "_leases", "again", "due", "horizon", "id", "is_touched", "joined", "last", "line", "members",
        "partition", "rule", "seen", "settled", "size", "touched", "under_way", "updated",
    )  # fmt: skip

    def __init__(self, key: str, partition: int) -> None:
        """Create an unused admission."""
        self.id = key
        self.partition = partition
        #: The rule of the definition that asked last.
        self.rule: Rule | None = None
        #: The number of the last member.
        self.last = 0
        #: When its timer fires, and when somebody asked or left last.
        self.due: int | None = None
        self.seen = 0
        #: Of an unknown run with a request up to this time, the end may be forgotten.
        self.horizon = 0
        self.members: dict[str, Member] = {}
        #: Those that wait, in order of priority and of age.
        self.line = Line()
        #: Of these, runs that have begun before.
        self.again: dict[str, None] = {}
        #: Runs under way, and which go with each of them.
        self.under_way: dict[str, None] = {}
        self.joined: dict[str, list[str]] = {}
        #: The settled ones, the earliest first.
        self.settled: dict[str, None] = {}
        #: Bytes of the inputs kept.
        self.size = 0
        #: (lease, ordinal, run) of those that were told something; old entries are passed over.
        self._leases: list[tuple[int, int, str]] = []
        self.updated = 0
        #: Changes since the last save: of the admission, and of members.
        self.is_touched = False
        self.touched: dict[str, None] = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to remember."""
        return not (self.last or self.due)

    @property
    def waiting(self) -> list[str]:
        """The waiting runs, oldest first."""
        return [run for run, _ in self.line.waiting]

    @property
    def newest(self) -> str:
        """The youngest of the waiting runs."""
        return next(reversed(self.line.waiting))[0]

    @property
    def oldest(self) -> str:
        """The oldest of the waiting runs."""
        return next(iter(self.line.waiting))[0]

    def restore(self, members: list[tuple[str, Member]]) -> None:
        """Take in stored members, in the order of ordinals."""
        for run, member in members:
            self._place(run, member)
            if member.lease is not None:
                self._leases.append((member.lease, member.ordinal, run))
        heapify(self._leases)

    def keep(self, run: str, member: Member) -> None:
        """Keep a new or moved run."""
        self.drop(run)
        self._place(run, member)
        self.touched[run] = None
        if member.lease is not None:
            heappush(self._leases, (member.lease, member.ordinal, run))

    def move(self, run: str, stage: Stage, *, into: str = "", lease: int | None = None) -> None:
        """Move a run to another stage; an input without further use is forgotten."""
        member = self.members[run]
        kept = member.input if stage in ("waiting", "joined", "let_in", "replaced") else None
        self.keep(run, member._replace(stage=stage, into=into, lease=lease, input=kept))

    def settle(self, run: str) -> None:
        """Remember a run for some time, with nothing more to come."""
        ordinal, member = self.next_ordinal(), self.members[run]
        self.keep(run, Member(member.attempt, ordinal, member.since, stage="settled", asked=member.asked))
        if len(self.settled) > SETTLED_MAX:
            earliest = next(iter(self.settled))
            self.horizon = max(self.horizon, self.members[earliest].asked)
            self.drop(earliest)

    def put_back(self, runs: list[str]) -> None:
        """Let members wait again, in the old places."""
        for run in runs:
            self.move(run, "waiting")
        waiting, self.line = sorted(self.waiting, key=self._ordinal), Line()
        for run in waiting:
            self._join(run, self.members[run])

    def first_under_way(self) -> str:
        """Return the earliest run under way."""
        return min(self.under_way, key=self._ordinal)

    def drop(self, run: str) -> None:
        """Forget a run."""
        member = self.members.pop(run, None)
        if member is None:
            return
        self.touched[run] = None
        self.size -= len(member.input or b"")
        if member.stage == "waiting":
            self.line.leave((run, ""))
            self.again.pop(run, None)
        elif member.stage == "joined":
            others = self.joined[member.into]
            others.remove(run)
            if not others:
                del self.joined[member.into]
        elif member.stage == "settled":
            del self.settled[run]
        elif member.stage in UNDER_WAY:
            del self.under_way[run]

    def forget(self) -> None:
        """Forget everything."""
        for run in list(self.members):
            self.drop(run)
        self.last, self.seen, self.horizon, self.rule = 0, 0, 0, None

    def next_ordinal(self) -> int:
        """Return the number of a new or moved member."""
        self.last += 1
        self.is_touched = True
        return self.last

    def next_lease(self) -> tuple[int, str] | None:
        """Return the moment and the run of the next repeated answer."""
        while self._leases:
            lease, ordinal, run = self._leases[0]
            member = self.members.get(run)
            if member is not None and (member.lease, member.ordinal) == (lease, ordinal):
                return lease, run
            heappop(self._leases)
        return None

    def weight(self) -> int:
        """Estimate the memory in bytes."""
        return 1_200 + 500 * len(self.members) + self.size

    def _place(self, run: str, member: Member) -> None:
        self.members[run] = member
        self.size += len(member.input or b"")
        match member.stage:
            case "waiting":
                self._join(run, member)
                if member.is_again:
                    self.again[run] = None
            case "joined":
                self.joined.setdefault(member.into, []).append(run)
            case "let_in" | "begun" | "replaced":
                self.under_way[run] = None
            case "settled":
                self.settled[run] = None
            case "merged":
                pass

    def _join(self, run: str, member: Member) -> None:
        place = Place((member.attempt, 0), member.ordinal, member.since, priority=member.priority)
        self.line.join((run, ""), place)

    def _ordinal(self, run: str) -> int:
        return self.members[run].ordinal
