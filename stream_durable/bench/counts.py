"""Counts the work of Postgres and Kafka for a workload: numbers independent of the machine.

Postgres counts transactions and rows; each of our statements is a separate transaction. A server process
reports counts at most once a second and may keep the last for ten: so each reading waits until all have
reported, for some five seconds. For Kafka the log is read: one batch in the log was one produce request for
one partition, since librdkafka never puts two into a request.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
import msgspec
from pydantic import SecretStr

from stream_durable.bench.errors import BenchError
from stream_durable.postgres.connection import connect
from stream_durable.postgres.queries import queries
from stream_durable.settings import PostgresSettings
from stream_durable.wire.topics import full_name

#: Twice what the slowest server process may take.
_SETTLE_SECONDS: Final = 25.0
_PAUSE_SECONDS: Final = 0.1
#: Of a batch of records: where the next one begins, and at the end how many it holds.
_HEADER: Final = struct.Struct(">qi45xi")
_BEFORE_LENGTH: Final = 12


class Written(NamedTuple):
    """The content of a topic in numbers."""

    records: int
    #: With the headers of batches.
    bytes: int
    requests: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The work counted, or the share per step."""

    #: Includes the check of the partitions' rows, every five seconds.
    transactions: float
    wal_bytes: float
    #: Inserted, updated and deleted, by table.
    rows: dict[str, float]
    #: By topic, without the prefix.
    records: dict[str, float]
    bytes: dict[str, float]
    requests: dict[str, float]

    def over(self, steps: int, digits: int = 4) -> Counts:
        """Return the share per step."""
        share = partial(_share, steps=steps, digits=digits)
        return Counts(
            transactions=round(self.transactions / steps, digits),
            wal_bytes=round(self.wal_bytes / steps, digits),
            rows=share(self.rows),
            records=share(self.records),
            bytes=share(self.bytes),
            requests=share(self.requests),
        )


class Counting:
    """Counts in laps, the first from when it is made; nothing else may use the database server meanwhile."""

    def __init__(self, server: str, database: str, log: Path, prefix: str) -> None:
        """Take the first readings, given the DSNs of a database and of its `server`, and a log."""
        self._server, self._database, self._log, self._prefix = server, database, log, prefix
        asyncio.run(self._read())
        self._written = written(log, prefix)

    def lap(self) -> Counts:
        """Return what was done since the last lap, and begin the next."""
        base, rows = self._base, self._rows
        found = asyncio.run(self._read())
        before, self._written = self._written, written(self._log, self._prefix)
        grown = {topic: _grown(now, before.get(topic)) for topic, now in sorted(self._written.items())}
        grown = {topic: one for topic, one in grown.items() if one.records}
        return Counts(
            transactions=found.transactions - base.transactions,
            wal_bytes=found.wal_bytes - base.wal_bytes,
            rows={table: n - rows.get(table, 0) for table, n in self._rows.items() if n > rows.get(table, 0)},
            records={topic: one.records for topic, one in grown.items()},
            bytes={topic: one.bytes for topic, one in grown.items()},
            requests={topic: one.requests for topic, one in grown.items()},
        )

    async def _read(self) -> _Reading:
        """Wait until everything is counted and return the counts; record the start of the next lap.

        Reading the rows is itself a transaction of this database, so the reading falls between the laps.
        """
        connection = await _connect(self._server)
        try:
            now = await connection.fetchval(queries()["bench_now"])
            await _until(connection, "bench_is_counted", self._database, now)
            found = await self._counted(connection)
            self._rows, reader = await self._read_rows()
            await _until(connection, "bench_is_gone", reader)
            self._base = await self._counted(connection)
            return found
        finally:
            await connection.close()

    async def _counted(self, connection: asyncpg.Connection) -> _Reading:
        [row] = await connection.fetch(queries()["bench_counted"], self._database)
        return _Reading(*row)

    async def _read_rows(self) -> tuple[dict[str, int], int]:
        """Return the rows written by table, and the reporting server process."""
        connection = await _connect(f"{self._server.rpartition('/')[0]}/{self._database}")
        try:
            found = await connection.fetch(queries()["bench_rows"])
            return {row[0]: row[1] for row in found}, connection.get_server_pid()
        finally:
            await connection.close()


class _Reading(NamedTuple):
    transactions: int
    wal_bytes: int


async def _connect(dsn: str) -> asyncpg.Connection:
    return await connect(PostgresSettings(dsn=SecretStr(dsn)), is_patient=True)


async def _until(connection: asyncpg.Connection, query: str, *arguments: object) -> None:
    """Ask until the answer is yes."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while not await connection.fetchval(queries()[query], *arguments):
        if time.monotonic() > deadline:
            raise BenchError(f"Postgres has not counted all within {_SETTLE_SECONDS:.0f} s")
        await asyncio.sleep(_PAUSE_SECONDS)


def _grown(now: Written, before: Written | None) -> Written:
    return Written(*(a - b for a, b in zip(now, before or (0, 0, 0), strict=True)))


def written(log: Path, prefix: str) -> dict[str, Written]:
    """Return the content of the topics with this prefix, from a broker's directory."""
    found: dict[str, Counter[str]] = {}
    for segment in log.glob(full_name(prefix, "*-*/*.log")):
        topic = segment.parent.name.removeprefix(full_name(prefix, "")).rpartition("-")[0]
        counter = found.setdefault(topic, Counter())
        for size, records in _batches(segment):
            counter.update(records=records, bytes=size, requests=1)
    return {topic: Written(**counter) for topic, counter in found.items() if counter}


def _batches(segment: Path) -> Iterator[tuple[int, int]]:
    """Yield bytes and records of each batch."""
    with segment.open("rb") as file:
        while len(header := file.read(_HEADER.size)) == _HEADER.size:
            _, length, records = _HEADER.unpack(header)
            if length <= 0:
                return  # allocated, and not written yet
            yield length + _BEFORE_LENGTH, records
            file.seek(length + _BEFORE_LENGTH - _HEADER.size, 1)


def _share(counts: Mapping[str, float], steps: int, digits: int) -> dict[str, float]:
    return {name: round(count / steps, digits) for name, count in counts.items()}
