"""Common parts of measurements: runs at once, one by one, and waiting runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final
from uuid import uuid4

from msgspec import Raw

from stream_durable.bench.instance import Instance
from stream_durable.bench.load import Watcher, prefixes_of
from stream_durable.bench.report import Sample
from stream_durable.bench.workloads import WORKLOADS
from stream_durable.core.ids import partition_of
from stream_durable.core.lifecycle import STEP_WAITING, StepEvent
from stream_durable.postgres.connection import connect
from stream_durable.postgres.queries import queries
from stream_durable.wire.topics import STEPS

#: Rows of one statement when runs are written past the engine.
_CLONED_AT_ONCE: Final = 50_000
_HOUR_MS: Final = 3_600_000
_MONTH_MS: Final = 30 * 24 * _HOUR_MS
#: A prime: multiples of it are evenly spread over an hour.
_SCATTER: Final = 1_000_003
WAITING_EVENTS: Final = prefixes_of(StepEvent, STEP_WAITING)


def new_runs(count: int) -> list[str]:
    """Return ids for runs."""
    return [uuid4().hex for _ in range(count)]


def all_at_once(made: Instance, n: int, *, is_timed: bool = False) -> Sample:
    """Measure runs started together, until the last has completed.

    Timed, the sample says how long after the first start each has completed.
    """
    runs = new_runs(n)

    def work() -> list[float]:
        begin = 1_000 * time.time()
        made.begin(runs)
        moments = made.completed.wait(runs, made.check)
        return [moment - begin for moment in moments.values()] if is_timed else []

    return made.measure(runs, work)


def against_chain(made: Instance, n: int) -> Sample:
    """Measure runs started together, against as many of ten plain steps one after the other."""
    made.start()
    base = all_at_once(made.another(WORKLOADS["chain"]), n)
    return replace(all_at_once(made, n), base=base)


def one_by_one(made: Instance, n: int) -> Sample:
    """Measure runs sequentially."""
    runs = new_runs(n)
    return made.measure(runs, lambda: [one(made, run) for run in runs])


def one(made: Instance, run: str) -> float:
    """Return the milliseconds of one run."""
    begin = time.perf_counter()
    made.load.start(made.workload.workflow, made.workload.fingerprint, run)
    made.completed.wait_one(run, made.check)
    return 1_000 * (time.perf_counter() - begin)


def let_wait(made: Instance, runs: Sequence[str], given: Raw | None = None) -> None:
    """Start runs and return when all wait."""
    with closing(Watcher(made.settings, STEPS, WAITING_EVENTS)) as waiting:
        made.begin(runs, given)
        waiting.wait(runs, made.check)


def woken(made: Instance, runs: Sequence[str]) -> Sample:
    """Measure waiting runs, from the first message for them until the last has completed."""

    def work() -> None:
        made.wake(runs)
        made.completed.wait(runs, made.check)

    return made.measure(runs, work)


async def clone_runs(made: Instance, model: str, runs: Sequence[str], *, waiting_every: int = 1) -> None:
    """Copy a waiting run under other ids, past the engine.

    Of so many copies one waits; the others have completed, after an hour at most, and began within a month.
    """
    connection = await connect(made.settings.postgres)
    try:
        for begin in range(0, len(runs), _CLONED_AT_ONCE):
            part = runs[begin : begin + _CLONED_AT_ONCE]
            partitions = [partition_of(run, made.settings.kafka.partitions) for run in part]
            numbers = range(begin, begin + len(part))
            ages = [0 if waiting_every == 1 else i * _MONTH_MS // len(runs) for i in numbers]
            took = [None if i % waiting_every == 0 else i * _SCATTER % _HOUR_MS for i in numbers]
            await connection.execute(queries()["bench_clone_runs"], model, part, partitions, ages, took)
            waiting = [
                (run, home) for run, home, ms in zip(part, partitions, took, strict=True) if ms is None
            ]
            names, homes = [run for run, _ in waiting], [home for _, home in waiting]
            await connection.execute(queries()["bench_clone_steps"], model, names)
            await connection.execute(queries()["bench_clone_timers"], model, names, homes)
        await connection.execute(queries()["bench_analyze"])
        await connection.execute(queries()["bench_checkpoint"])
    finally:
        connection.terminate()
