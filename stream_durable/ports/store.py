"""The state, as a reconciler claims, loads and commits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from stream_durable.core.errors import ReplacedError
from stream_durable.core.format import FORMAT
from stream_durable.core.messages import Kind
from stream_durable.core.tables import Rows
from stream_durable.ports.dead import DeadRow
from stream_durable.ports.run_lists import RunPosition


class TimerRow(NamedTuple):
    """The time for putting a message on the inbox; without `due`, a deletion."""

    kind: Kind
    key: str
    name: str
    partition: int
    due: int | None


#: (due, kind, key, name): timers by due time.
TimerPosition = tuple[int, Kind, str, str]


@dataclass(slots=True)
class Share:
    """The changes of one batch in one partition. All shares of a batch are written, or none."""

    partition: int
    token: UUID
    from_offset: int
    to_offset: int
    clock: int
    leader_epoch: int
    #: Of the last record folded: recognises a log that is another one at the same offsets.
    fingerprint: int
    generation: int
    #: By which the partition goes on from here.
    format: int = 1
    evidence: bytes = b""
    #: How many records of the share were anything but applied.
    exceptions: int = 0
    dead: list[DeadRow] = field(default_factory=list)
    outbox: bytes | None = None
    #: Of entities.
    rows: Rows = field(default_factory=Rows)
    timers: list[TimerRow] = field(default_factory=list)
    #: Acknowledged outbox rows, by first offset.
    published: list[int] = field(default_factory=list)
    #: Commands held back, as a body, with their number; and acknowledged rows of those held before.
    held: bytes | None = None
    held_count: int = 0
    begun: list[int] = field(default_factory=list)


class Claim(NamedTuple):
    """The content of a partition's row for a new owner."""

    partition: int
    #: For people; the token is what fences.
    epoch: int
    next_offset: int
    clock: int
    topic_id: str | None
    leader_epoch: int
    fingerprint: int
    generation: int
    #: Takeovers since the partition last moved on.
    stalls: int
    #: (first offset, body), oldest first.
    outbox: list[tuple[int, bytes]]
    #: Whether the state was rebuilt, so that published messages are unknown.
    must_redrive: bool = False
    #: In which the state is written, and by whose rules the next record is folded.
    format: int = 1
    #: (first offset, number of commands) of what is held back, oldest first.
    held: Sequence[tuple[int, int]] = ()


class Cursor(NamedTuple):
    """Owner and position of a partition, read back after an unknown outcome."""

    token: UUID | None
    next_offset: int
    #: Whether outstanding work must be requested again.
    must_redrive: bool = False


class Attendance(NamedTuple):
    """Which reconcilers live, as far as the store knows."""

    #: Our own number.
    number: int
    #: The numbers of all living processes; empty while unknown.
    living: frozenset[int]
    #: Partitions of dead owners, with the epoch of the ownership.
    orphans: dict[int, int]


#: Ids of entities, by kind.
Keys = Mapping[Kind, Sequence[str]]
#: The tokens of owned partitions.
Owned = Mapping[int, UUID]
#: Of who takes rows as they are.
NOTHING_OWNED: Final[Owned] = {}


def check_owned(owned: Owned, tokens: Mapping[int, UUID | None]) -> None:
    """Raise `ReplacedError` for owned partitions whose rows have other tokens."""
    # Were the database set back after this, commits of the old owner might pass on top of newer entities.
    if replaced := [partition for partition, token in owned.items() if tokens.get(partition) != token]:
        raise ReplacedError(replaced)


#: Rows of the requested entities, by class of row; each begins with the entity's id, without the partition.
#: Missing entities are left out.
Loaded = Mapping[type[Any], Sequence[Sequence[Any]]]


class Store(Protocol):
    """The state, for a reconciler's reads and writes."""

    def trouble(self) -> str | None:
        """Return the reason if the database refuses everybody."""

    async def attend(self) -> Attendance:
        """Report that this process lives, until the connection ends, and return the other living processes.

        Partitions claimed from then on become orphans with the death of this process.
        """

    async def claim(self, partition: int, owner: str, token: UUID, knows: int = FORMAT) -> Claim:
        """Become the owner of a partition; the previous owner can write nothing more.

        Raises `NewerFormatError`, and changes nothing, for a format beyond the owner's.
        """

    async def adopt(
        self, partition: int, epoch: int, owner: str, token: UUID, knows: int = FORMAT
    ) -> Claim | None:
        """Claim an orphan, unless somebody has since: None then, and nothing changes."""

    async def identify(self, partition: int, token: UUID, topic_id: str) -> None:
        """Record the identity of a partition's log, on the first read."""

    async def lose(self, partition: int, token: UUID, reason: str) -> None:
        """Mark a partition as stopped after the loss of the log."""

    async def must_redrive(
        self, partition: int, token: UUID, *, is_due: bool, commands: bool = False,
        successor: UUID | None = None,
    ) -> None:  # fmt: skip
        """Record whether outstanding work has to be requested again; with `commands`, whether it is being.

        Either has the next owner request everything. `successor`, with `commands` only, replaces the token: a
        database set back to before this refuses commits by the new one.
        """

    async def suspect(self, partition: int, token: UUID, offset: int) -> int:
        """Record the start of folding a record alone; return the number of such starts, 0 if fenced."""

    async def absolve(self, partition: int, token: UUID) -> None:
        """Clear the suspicion of a partition."""

    async def new_generation(
        self, partition: int, token: UUID, topic_id: str, next_offset: int, reason: str
    ) -> int | None:
        """Go on with another log at this offset; return the generation's number, None if fenced."""

    async def commit(self, shares: Sequence[Share]) -> bool:
        """Write all shares, or nothing when the compare-and-set of any partition misses."""

    async def cursors(self, partitions: Sequence[int]) -> dict[int, Cursor]:
        """Read owner and position of these partitions."""

    async def backlog_row(self, partition: int, from_offset: int) -> bytes | None:
        """Return held commands in their stored form; None: they are gone."""

    async def load(self, keys: Keys, owned: Owned = NOTHING_OWNED) -> Loaded:
        """Read entities; signals only for runs with signals.

        Raises `ReplacedError` if rows were found and a partition in `owned` has another token after that.
        """

    async def timers(
        self, partition: int, after: TimerPosition, until: int, limit: int
    ) -> list[TimerPosition]:
        """Return the timers of a partition beyond a position and due by `until`, nearest first."""

    async def unfinished(self, partition: int, after: RunPosition, limit: int) -> list[RunPosition]:
        """Return runs not yet ended, oldest first, beyond `after`."""

    async def close(self) -> None:
        """Let go of the connections."""
