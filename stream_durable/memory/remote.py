"""The ports of a simulated process: the memory ports at the other end of a bad connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any
from uuid import UUID
from zlib import crc32

from stream_durable.core.declared import Declaration, Declared
from stream_durable.core.definition.about import NOTHING, About
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import Definition
from stream_durable.core.errors import StatementError, TransientError
from stream_durable.core.format import FORMAT
from stream_durable.core.run.rows import RunRow
from stream_durable.core.tables import Rows
from stream_durable.memory.broker import Broker
from stream_durable.memory.definitions import MemoryDefinitions
from stream_durable.memory.ports import MemoryBlobs
from stream_durable.memory.process import Process, immediately
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.verdicts import MemoryVerdicts
from stream_durable.ports import (
    NOTHING_OWNED,
    Attendance,
    Claim,
    Cursor,
    Keys,
    Loaded,
    Owned,
    RunPosition,
    Share,
    TimerPosition,
)
from stream_durable.wire.verdicts import Verdict

KAFKA, POSTGRES = "Kafka", "Postgres"

#: Prefix of the ids of unstorable runs.
UNSTORABLE_RUN = "unstorable"


class RemoteStore:
    """A store at the other end of a connection."""

    def __init__(self, process: Process, store: MemoryStore) -> None:
        """Serve a process."""
        self._process = process
        self._store = store
        #: Drawn beside the world's numbers; our number of presence.
        self._drawn = crc32(process.name.encode())
        self._number: int | None = None

    async def _ask(self, where: str, act: Callable[[], Any]) -> Any:
        return await self._process.call(f"store.{where}", POSTGRES, lambda: immediately(act()))

    async def attend(self) -> Attendance:
        """Report presence; a failing request breaks the connection."""
        try:
            seen: Attendance = await self._ask("attend", lambda: self._store.attend(self._drawn))
        except TransientError:
            self.leave()
            raise
        self._number = self._drawn
        return seen

    def leave(self) -> None:
        """End the connection reporting presence."""
        self._store.present.discard(self._drawn)

    async def claim(self, partition: int, owner: str, token: UUID, knows: int = FORMAT) -> Claim:
        """Become the owner of a partition."""
        claim: Claim = await self._ask(
            "claim", lambda: self._store.claim(partition, owner, token, knows, number=self._number)
        )
        return claim

    async def adopt(
        self, partition: int, epoch: int, owner: str, token: UUID, knows: int = FORMAT
    ) -> Claim | None:
        """Claim an orphan."""
        claim: Claim | None = await self._ask(
            "adopt", lambda: self._store.adopt(partition, epoch, owner, token, knows, number=self._number)
        )
        return claim

    async def identify(self, partition: int, token: UUID, topic_id: str) -> None:
        """Record the identity of a partition's log."""
        await self._ask("identify", lambda: self._store.identify(partition, token, topic_id))

    async def lose(self, partition: int, token: UUID, reason: str) -> None:
        """Record the loss of a partition's log."""
        await self._ask("lose", lambda: self._store.lose(partition, token, reason))

    async def must_redrive(
        self, partition: int, token: UUID, *, is_due: bool, commands: bool = False,
        successor: UUID | None = None,
    ) -> None:  # fmt: skip
        """Record whether outstanding work, or commands alone, must be requested again."""
        await self._ask(
            "must_redrive",
            lambda: self._store.must_redrive(
                partition, token, is_due=is_due, commands=commands, successor=successor
            ),
        )

    async def suspect(self, partition: int, token: UUID, offset: int) -> int:
        """Record the start of folding a record alone."""
        times: int = await self._ask("suspect", lambda: self._store.suspect(partition, token, offset))
        return times

    async def absolve(self, partition: int, token: UUID) -> None:
        """Clear the suspicion of records."""
        await self._ask("absolve", lambda: self._store.absolve(partition, token))

    async def new_generation(
        self, partition: int, token: UUID, topic_id: str, next_offset: int, reason: str
    ) -> int | None:
        """Go on with another log."""
        generation: int | None = await self._ask(
            "new_generation",
            lambda: self._store.new_generation(partition, token, topic_id, next_offset, reason),
        )
        return generation

    def trouble(self) -> str | None:
        """Nobody asks."""
        return None

    async def commit(self, shares: Sequence[Share]) -> bool:
        """Write all shares, or nothing."""
        # The request carries them as they are now, whatever the process does with them while it is under way.
        sent = [_copied(share) for share in shares]
        weather = self._process.weather
        if any(row.id.startswith(UNSTORABLE_RUN) for share in sent for row in share.rows.get(RunRow, ())):
            raise StatementError("no column holds this", is_data=True)
        if sum(share.to_offset - share.from_offset for share in sent) > 2 and weather.chance(
            weather.faults.slow_commit, "commit took too long"
        ):
            raise StatementError("it took too long", is_data=False)
        if weather.chance(weather.faults.constraint, "commit refused by a constraint of somebody's"):
            raise StatementError("a constraint", is_data=False)
        saved: bool = await self._ask("commit", lambda: self._store.commit(sent))
        return saved

    async def cursors(self, partitions: Sequence[int]) -> dict[int, Cursor]:
        """Read the owners of these partitions."""
        found: dict[int, Cursor] = await self._ask("cursors", lambda: self._store.cursors(partitions))
        return found

    async def load(self, keys: Keys, owned: Owned = NOTHING_OWNED) -> Loaded:
        """Read entities."""
        loaded: Loaded = await self._ask("load", lambda: self._store.load(keys, owned))
        return loaded

    async def backlog_row(self, partition: int, from_offset: int) -> bytes | None:
        """Return held commands."""
        found: bytes | None = await self._ask(
            "backlog_row", lambda: self._store.backlog_row(partition, from_offset)
        )
        return found

    async def timers(
        self, partition: int, after: TimerPosition, until: int, limit: int
    ) -> list[TimerPosition]:
        """Return the next timers of a partition."""
        found: list[TimerPosition] = await self._ask(
            "timers", lambda: self._store.timers(partition, after, until, limit)
        )
        return found

    async def unfinished(self, partition: int, after: RunPosition, limit: int) -> list[RunPosition]:
        """Return runs not yet ended."""
        found: list[RunPosition] = await self._ask(
            "unfinished", lambda: self._store.unfinished(partition, after, limit)
        )
        return found

    async def close(self) -> None:
        """Hang up."""


class RemoteBlobs:
    """The topic of large values at the other end of a connection."""

    def __init__(self, process: Process, broker: Broker) -> None:
        """Serve a process."""
        self._process = process
        self._blobs = MemoryBlobs(broker)

    async def put(self, key: str, data: bytes) -> tuple[int, int]:
        """Keep a value."""
        return await self._process.call("blobs.put", KAFKA, lambda: immediately(self._blobs.put(key, data)))

    async def get(self, partition: int, offset: int) -> bytes | None:
        """Return the value at a place, if present."""
        return await self._process.call(
            "blobs.get", KAFKA, lambda: immediately(self._blobs.get(partition, offset))
        )

    async def close(self) -> None:
        """Hang up."""


class RemoteDefinitions:
    """The definitions topic at the other end of a connection."""

    def __init__(self, process: Process, broker: Broker, knows: int = FORMAT) -> None:
        """Serve a process, of a release with formats up to this one."""
        self._process = process
        self._definitions = MemoryDefinitions(broker, knows)

    def graph(self, fingerprint: str) -> Graph | None:
        """Return an already known graph."""
        return self._definitions.graph(fingerprint)

    def is_newer(self, fingerprint: str) -> bool:
        """Whether a definition exists in a newer format than this release."""
        return self._definitions.is_newer(fingerprint)

    def lacking(self, fingerprint: str) -> str:
        """Return why a graph is missing for this fingerprint, with the remedy."""
        return self._definitions.lacking(fingerprint)

    def current(self, workflow: str) -> str | None:
        """Return the fingerprint registered last under a name, as far as read."""
        return self._definitions.current(workflow)

    def about(self, fingerprint: str) -> About:
        """Return the latest schemas and descriptions of a definition."""
        return self._definitions.about(fingerprint)

    @property
    def declared(self) -> Declared:
        """What apps declare beside workflows, as far as read."""
        return self._definitions.declared

    async def catch_up(self) -> None:
        """Read the topic to the end."""
        await self._process.call("definitions.read", KAFKA, lambda: immediately(self._definitions.catch_up()))

    async def declare(self, declarations: Sequence[Declaration], *, tells: bool = True) -> None:
        """Publish declarations, and tell every partition of the inbox that there are some."""
        declare = partial(self._definitions.declare, declarations, tells=tells)
        await self._process.call("definitions.declare", KAFKA, lambda: immediately(declare()))

    async def register(self, definition: Definition, about: About = NOTHING) -> str:
        """Make a definition known to everybody."""
        return await self._process.call(
            "definitions.register", KAFKA, lambda: immediately(self._definitions.register(definition, about))
        )


class RemoteVerdicts:
    """The topic of verdicts at the other end of a connection."""

    def __init__(self, process: Process, broker: Broker) -> None:
        """Serve a process."""
        self._process = process
        self._verdicts = MemoryVerdicts(broker)

    async def about(self, partition: int, offset: int, since: int) -> list[Verdict]:
        """Return the verdicts about records from an offset on."""
        return await self._process.call(
            "verdicts.read", KAFKA, lambda: immediately(self._verdicts.about(partition, offset, since))
        )


def _copied(share: Share) -> Share:
    copy = replace(share)
    for each in fields(share):
        value = getattr(share, each.name)
        if isinstance(value, list):
            setattr(copy, each.name, list(value))
    copy.rows = Rows({row: list(rows) for row, rows in share.rows.items()})
    return copy
