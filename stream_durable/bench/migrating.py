"""Measures the delay of writers by a migration: `python -m stream_durable.bench.migrating`.

Fills a schema of the first migration, lets writers commit small batches, migrates the schema meanwhile, and
prints the longest commit before and during the migration.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import asyncpg

from stream_durable.local.postgres import LocalPostgres
from stream_durable.postgres.connection import connect
from stream_durable.postgres.migrate import Say, migrate
from stream_durable.postgres.queries import queries
from stream_durable.settings import PostgresSettings

_PORTION = 100_000
_WRITERS = 2
_QUIET_SECONDS = 10.0


class Stall(NamedTuple):
    """Durations of commits during a period, in milliseconds."""

    seconds: float
    commits: int
    median: float
    p99: float
    longest: float

    def __str__(self) -> str:
        """Return one line."""
        return (
            f"{self.seconds:.1f} s, {self.commits} commits: p50 {self.median:.1f} ms, p99 {self.p99:.1f} ms, "
            f"longest {self.longest:.1f} ms"
        )


async def measure(
    settings: PostgresSettings, runs: int, *, quiet: float = _QUIET_SECONDS, say: Say = print
) -> tuple[Stall, Stall]:
    """Return the durations of commits before and during the migration."""
    await migrate(settings, 8, last=1)
    await _fill(settings, runs, say)
    took: list[tuple[float, float]] = []
    writers = [asyncio.create_task(_write(settings, f"writer-{n}", runs, took)) for n in range(_WRITERS)]
    try:
        began = monotonic()
        await asyncio.wait(writers, timeout=quiet)
        migrated_from = monotonic()
        await migrate(settings, 8, say=lambda line: say(f"{monotonic() - migrated_from:7.1f} s  {line}"))
        ended = monotonic()
    finally:
        for writer in writers:
            writer.cancel()
        results = await asyncio.gather(*writers, return_exceptions=True)
    if failed := [r for r in results if isinstance(r, Exception)]:
        raise failed[0]
    return _stall(took, began, migrated_from), _stall(took, migrated_from, ended)


async def _fill(settings: PostgresSettings, runs: int, say: Say) -> None:
    connection = await connect(settings, is_patient=True)
    for first in range(1, runs + 1, _PORTION):
        last = min(first + _PORTION - 1, runs)
        await connection.execute(queries()["bench_grow_runs"], first, last)
        await connection.execute(queries()["bench_grow_steps"], first, last)
    say(f"{runs} runs and {3 * runs} steps")
    await connection.execute(queries()["bench_analyze"])
    await connection.execute(queries()["bench_checkpoint"])
    await connection.close()


async def _write(settings: PostgresSettings, name: str, runs: int, took: list[tuple[float, float]]) -> None:
    connection: asyncpg.Connection = await connect(settings, is_patient=True)
    statement = await connection.prepare(queries()["bench_write"])
    number = 0
    try:
        while True:
            number += 1
            since = monotonic()
            await statement.fetch(f"{name}-{number}", f"run-{number * 7919 % runs + 1}")
            took.append((since, monotonic() - since))
            await asyncio.sleep(0.002)
    finally:
        connection.terminate()


def _stall(took: list[tuple[float, float]], start: float, end: float) -> Stall:
    """Summarise the commits between two moments."""
    found = sorted(1_000 * seconds for since, seconds in took if since + seconds >= start and since < end)
    return Stall(end - start, len(found), found[len(found) // 2], found[len(found) * 99 // 100], found[-1])


def main() -> None:
    """Measure on a separate Postgres."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3_000_000)
    runs: int = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="sd-migrating-") as folder:
        postgres = LocalPostgres(Path(folder))
        postgres.start()
        try:
            postgres.create_database("bench")
            settings = PostgresSettings(dsn=postgres.dsn("bench"))
            before, during = asyncio.run(measure(settings, runs))
        finally:
            postgres.stop()
    print(f"before: {before}\nduring: {during}")


if __name__ == "__main__":
    main()
