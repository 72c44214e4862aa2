"""The store in memory: the same tables as the database, and the same statements, row for row.

The contract suite in `tests/stores` holds this and the Postgres store to the same behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from typing import Any
from uuid import UUID

from stream_durable.core.entities import ENTITIES, TABLES
from stream_durable.core.errors import BrokenError, NewerFormatError, TransientError
from stream_durable.core.format import FORMAT
from stream_durable.core.run.rows import RunChange, RunRow
from stream_durable.core.tables import Table
from stream_durable.memory.tables import EvidenceRow, PartitionRow, Tables
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
    check_owned,
)


class MemoryStore:
    """State in this process."""

    def __init__(self, partitions: int) -> None:
        """Make the rows of so many partitions."""
        self.tables = Tables({p: PartitionRow() for p in range(partitions)})
        #: Called when a partition continues with another log, with the last offset before and the first
        #: after.
        self.goes_on: Callable[[int, int, int], None] = lambda partition, ended, began: None
        #: Numbers of the processes that are connected.
        self.present: set[int] = set()

    def copied(self) -> Tables:
        """Return a copy of everything: rows are never changed, except those of partitions."""
        tables = self.tables
        copies: dict[str, Any] = {each.name: dict(getattr(tables, each.name)) for each in fields(tables)}
        copies["partitions"] = {p: replace(row) for p, row in tables.partitions.items()}
        copies["rows"] = {row: dict(held) for row, held in tables.rows.items()}
        return Tables(**copies)

    async def attend(self, number: int = 0) -> Attendance:
        """Report presence under this number, until removed from `present`; return the missing owners."""
        self.present.add(number)
        rows = self.tables.partitions.items()
        orphans = {p: r.epoch for p, r in rows if r.presence is not None and r.presence not in self.present}
        return Attendance(number, frozenset(self.present), orphans)

    async def adopt(
        self,
        partition: int,
        epoch: int,
        owner: str,
        token: UUID,
        knows: int = FORMAT,
        *,
        number: int | None = None,
    ) -> Claim | None:
        """Claim a partition if its epoch is unchanged."""
        if self.tables.partitions[partition].epoch != epoch:
            return None
        return await self.claim(partition, owner, token, knows, number=number)

    async def claim(
        self, partition: int, owner: str, token: UUID, knows: int = FORMAT, *, number: int | None = None
    ) -> Claim:
        """Become the owner of a partition, unless the format is beyond the owner's knowledge."""
        row = self.tables.partitions.get(partition)
        if row is None:
            raise TransientError(f"the schema has no partition {partition}")
        if row.format > knows:
            raise NewerFormatError(f"partition {partition}", row.format, knows)
        row.owner, row.token, row.owner_format, row.presence = owner, token, knows, number
        row.epoch += 1
        row.stalls += 1
        left = sorted((offset, body) for (p, offset), body in self.tables.outbox.items() if p == partition)
        return Claim(
            partition, row.epoch, row.next_offset, row.clock, row.topic_id, row.leader_epoch, row.fingerprint,
            row.generation, row.stalls, left, row.must_redrive or row.must_redrive_commands, row.format,
            tuple(sorted((o, n) for (p, o), (n, _) in self.tables.backlog.items() if p == partition)),
        )  # fmt: skip

    async def identify(self, partition: int, token: UUID, topic_id: str) -> None:
        """Record the identity of a partition's log."""
        row = self.tables.partitions[partition]
        if row.token == token:
            row.topic_id = topic_id

    async def lose(self, partition: int, token: UUID, reason: str) -> None:
        """Mark a partition as stopped after the loss of the log."""
        row = self.tables.partitions[partition]
        if row.token == token:
            row.lost_reason = reason

    async def must_redrive(
        self, partition: int, token: UUID, *, is_due: bool, commands: bool = False,
        successor: UUID | None = None,
    ) -> None:  # fmt: skip
        """Record whether outstanding work, or commands alone, must be requested again."""
        row = self.tables.partitions[partition]
        if row.token == token:
            setattr(row, "must_redrive_commands" if commands else "must_redrive", is_due)
            row.token = successor or token

    async def suspect(self, partition: int, token: UUID, offset: int) -> int:
        """Record the start of folding a record alone; return the number of such starts, 0 if fenced."""
        row = self.tables.partitions[partition]
        if row.token != token:
            return 0
        if row.suspect_offset != offset:
            row.suspicions = 1
        elif row.suspect_token != token:
            row.suspicions += 1
        row.suspect_offset, row.suspect_token = offset, token
        return row.suspicions

    async def absolve(self, partition: int, token: UUID) -> None:
        """Clear the suspicion of records."""
        row = self.tables.partitions[partition]
        if row.token == token:
            row.suspicions, row.suspect_offset, row.suspect_token = 0, None, None

    async def new_generation(
        self, partition: int, token: UUID, topic_id: str, next_offset: int, reason: str
    ) -> int | None:
        """Go on with another log."""
        row = self.tables.partitions[partition]
        if row.token != token:
            return None
        self.goes_on(partition, row.next_offset, next_offset)
        row.topic_id, row.next_offset, row.lost_reason = topic_id, next_offset, reason
        row.generation += 1
        row.leader_epoch, row.fingerprint = -1, 0
        for each in self.tables.partitions.values():
            each.must_redrive = True
        return row.generation

    def trouble(self) -> str | None:
        """Nothing is ever the matter here."""
        return None

    async def commit(self, shares: Sequence[Share]) -> bool:
        """Write all shares, or nothing."""
        if not all(self.fits(share) for share in shares):
            return False
        self._refuse_conflicts(shares)
        for share in shares:
            self.write(share)
        return True

    async def cursors(self, partitions: Sequence[int]) -> dict[int, Cursor]:
        """Read owner and position of these partitions."""
        rows = self.tables.partitions
        found = {p: rows[p] for p in partitions if p in rows}
        return {p: Cursor(row.token, row.next_offset, row.must_redrive) for p, row in found.items()}

    async def backlog_row(self, partition: int, from_offset: int) -> bytes | None:
        """Return held commands."""
        found = self.tables.backlog.get((partition, from_offset))
        return None if found is None else found[1]

    async def load(self, keys: Keys, owned: Owned = NOTHING_OWNED) -> Loaded:
        """Read entities; steps only of existing runs."""
        found: dict[type[Any], list[tuple[Any, ...]]] = {}
        for kind, asked in keys.items():
            wanted = set(asked) & set(self.tables.runs) if kind == "run" else set(asked)
            for table in ENTITIES[kind].tables:
                held = self.tables.rows[table.row].values() if table.is_loaded else ()
                found[table.row] = [_as_loaded(row) for row in held if row[0] in wanted]
        if owned and any(found.values()):
            check_owned(owned, {number: row.token for number, row in self.tables.partitions.items()})
        return found

    async def timers(
        self, partition: int, after: TimerPosition, until: int, limit: int
    ) -> list[TimerPosition]:
        """Return the next timers of a partition."""
        found: list[Any] = sorted(
            (due, *key) for key, (p, due) in self.tables.timers.items() if p == partition and due <= until
        )
        return [position for position in found if position > after][:limit]

    async def unfinished(self, partition: int, after: RunPosition, limit: int) -> list[RunPosition]:
        """Return runs not yet ended."""
        open_runs = (
            RunPosition(row.created, row.id)
            for row in self.tables.runs.values()
            if row.partition == partition and row.ended is None
        )
        return sorted(run for run in open_runs if run > after)[:limit]

    async def close(self) -> None:
        """Keep everything."""

    def fits(self, share: Share) -> bool:
        """Compare: whether the share was made by the owner, at the offset at which the partition stands."""
        row = self.tables.partitions.get(share.partition)
        return row is not None and row.token == share.token and row.next_offset == share.from_offset

    def write(self, share: Share) -> None:
        """Write a share."""
        self.write_cursor(share)
        self.write_rows(share)
        self.write_outbox(share)

    def write_cursor(self, share: Share) -> None:
        """Write where the partition stands, and the evidence of how it got there."""
        tables = self.tables
        row = tables.partitions[share.partition]
        row.next_offset, row.clock, row.stalls = share.to_offset, share.clock, 0
        row.leader_epoch, row.fingerprint = share.leader_epoch, share.fingerprint
        row.format = share.format
        if share.to_offset > share.from_offset:
            key = (share.partition, share.generation, share.from_offset)
            tables.evidence[key] = EvidenceRow(
                *key, share.to_offset, share.clock, share.exceptions, share.evidence
            )
        for dead in share.dead:
            tables.dead[dead.partition, dead.generation, dead.offset] = dead

    def write_rows(self, share: Share) -> None:
        """Write the changes of entities and timers."""
        for table in TABLES:
            held = self.tables.rows[table.row]
            for row in share.rows.get(table.row, ()):
                if table.needs and getattr(row, table.needs) is None:
                    held.pop(_key(table, row), None)
                else:
                    held[_key(table, row)] = row
        self._change_runs(share)
        timers = self.tables.timers
        for kind, key, name, partition, due in share.timers:
            if due is None:
                timers.pop((kind, key, name), None)
            else:
                # An existing row keeps its partition, as in the statement.
                home, _ = timers.get((kind, key, name), (partition, 0))
                timers[kind, key, name] = (home, due)

    def _change_runs(self, share: Share) -> None:
        runs = self.tables.runs
        for change in share.rows.get(RunChange, ()):
            if (known := runs.get(change.id)) is not None:
                unset = {
                    name for name in ("context", "attributes", "inputs") if getattr(change, name) is None
                }
                new = {name: value for name, value in change._asdict().items() if name not in unset}
                runs[change.id] = known._replace(**new)

    def write_outbox(self, share: Share) -> None:
        """Write messages for publishing, and remove published ones."""
        outbox = self.tables.outbox
        for offset in share.published:
            outbox.pop((share.partition, offset), None)
        if share.outbox is not None:
            outbox[share.partition, share.from_offset] = share.outbox
        for offset in share.begun:
            self.tables.backlog.pop((share.partition, offset), None)
        if share.held is not None:
            self.tables.backlog[share.partition, share.from_offset] = (share.held_count, share.held)

    def _refuse_conflicts(self, shares: Sequence[Share]) -> None:
        """Raise where the database would find a key that is there already, before anything is written."""
        tables = self.tables
        for share in shares:
            at = (share.partition, share.generation, share.from_offset)
            if share.to_offset > share.from_offset and at in tables.evidence:
                raise BrokenError(f"there is evidence of {at} already")
            place = (share.partition, share.from_offset)
            if share.outbox is not None and place in tables.outbox and place[1] not in share.published:
                raise BrokenError(f"the outbox holds a row of {place} already")
            if share.held is not None and place in tables.backlog:
                raise BrokenError(f"the backlog holds a row of {place} already")
            _refuse_known(
                "dead letter", ((d.partition, share.generation, d.offset) for d in share.dead), tables.dead
            )
        written: dict[str, list[Any]] = {
            table.name: [_key(table, row) for share in shares for row in share.rows.get(table.row, ())]
            for table in TABLES
        }
        written["timer"] = [t[:3] for share in shares for t in share.timers]
        _refuse_known("run", written["run"], tables.runs)
        for name, keys in written.items():
            if len(keys) != len(set(keys)):
                raise BrokenError(f"one commit writes a {name} twice")


def _key(table: Table, row: Any) -> Any:
    return row[0] if table.key == 1 else tuple(row[: table.key])


def _as_loaded(row: Any) -> tuple[Any, ...]:
    """Return a row in the form of the queries: without the partition, implied by the entity's id."""
    if isinstance(row, RunRow) or "partition" not in row._fields:
        return tuple(row)
    at = row._fields.index("partition")
    return (*row[:at], *row[at + 1 :])


def _refuse_known(what: str, keys: Iterable[Any], table: dict[Any, Any]) -> None:
    for key in filter(table.__contains__, keys):
        raise BrokenError(f"there is a {what} {key!r} already")
