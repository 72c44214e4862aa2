"""Measurement of each workload: preparation, counting, and the end."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final

from msgspec import Raw

from stream_durable.bench.api import measure_api
from stream_durable.bench.app import app
from stream_durable.bench.bindings import bound
from stream_durable.bench.errors import BenchError
from stream_durable.bench.instance import COMPLETED, Instance, instance, logged, spawn, tail
from stream_durable.bench.load import PATIENCE_SECONDS, Load, Watcher
from stream_durable.bench.page import measure_page
from stream_durable.bench.report import PARTS, Sample
from stream_durable.bench.services import Services
from stream_durable.bench.timing import TIMING
from stream_durable.bench.usage import Usage
from stream_durable.bench.waits import WAITING
from stream_durable.bench.work import (
    against_chain,
    all_at_once,
    clone_runs,
    let_wait,
    new_runs,
    one_by_one,
    woken,
)
from stream_durable.bench.workloads import EACH_FEW, EACH_MANY, SIGNALLED_OF, Workload
from stream_durable.local.process import wait_for
from stream_durable.telemetry import PARTITION_TAKEN
from stream_durable.wire.topics import RUNS

_END_SECONDS: Final = 20.0
#: Warm-up runs: before them a broker has not compiled its hot code.
_WARM_RUNS: Final = 2_000


def measure(services: Services, workload: Workload, n: int) -> Sample:
    """Measure a workload once."""
    with instance(services, workload) as made:
        return _MEASURES.get(workload.name, _throughput)(made, n)


def warm(services: Services, workload: Workload, n: int) -> None:
    """Let broker and database compile and allocate what the first sample would pay for."""
    with instance(services, workload) as made:
        _throughput(made, min(n, _WARM_RUNS))


def _throughput(made: Instance, n: int) -> Sample:
    """All runs at once, until the last has completed."""
    made.start()
    return all_at_once(made, n)


def _backlog(made: Instance, n: int) -> Sample:
    """All runs at once, with the time that each takes to its end."""
    made.start()
    return all_at_once(made, n, is_timed=True)


def _latency(made: Instance, n: int) -> Sample:
    """Measure runs sequentially."""
    made.start()
    return one_by_one(made, n)


def _each(made: Instance, n: int) -> Sample:
    """Measure runs of ten thousand steps added at run time, against as many steps in small runs."""
    made.start()
    few = new_runs(n * EACH_MANY // EACH_FEW)
    base = _with_items(made, few, EACH_FEW)
    return replace(_with_items(made, new_runs(n), EACH_MANY), base=base)


def _with_items(made: Instance, runs: Sequence[str], items: int) -> Sample:
    def work() -> None:
        made.begin(runs, Raw(b'{"items":%d}' % items))
        made.completed.wait(runs, made.check)

    return replace(made.measure(runs, work), steps=len(runs) * (items + 2))


def _large(made: Instance, n: int) -> Sample:
    """Measure runs sequentially, alone and then beside runs carrying a megabyte from step to step."""
    base = _latency(made, n)
    stop = threading.Event()
    heavy = threading.Thread(target=_carry, args=(made, stop))
    heavy.start()
    try:
        return replace(one_by_one(made, n), base=base)
    finally:
        stop.set()
        heavy.join()


def _carry(made: Instance, stop: threading.Event) -> None:
    """Keep a run with large outputs under way, until stopped."""
    fingerprint = app.workflows["large"].fingerprint
    load = Load(made.settings)
    with closing(Watcher(made.settings, RUNS, COMPLETED)) as completed:
        while not stop.is_set():
            [run] = new_runs(1)
            load.start("large", fingerprint, run)
            completed.wait_one(run, made.check)


def _million(made: Instance, n: int) -> Sample:
    """Signal some of a million waiting runs, present from the start; then let another reconciler take over.

    The runs bypass the engine, as copies of a run brought to the wait by the engine.
    """
    made.start()
    [model] = new_runs(1)
    let_wait(made, [model])
    made.stop()
    runs = new_runs(n)
    asyncio.run(clone_runs(made, model, runs))
    Usage(made.services.trees).reset_peaks()
    made.start()
    sample = woken(made, random.sample(runs, max(1, n // SIGNALLED_OF)))
    return replace(sample, takeovers_ms=_taken_over(made))


def _taken_over(made: Instance) -> list[float]:
    """Start another reconciler and end the first; return the milliseconds of each partition's takeover."""
    made.processes["successor"] = spawn("successor", made.home)
    made.processes.pop("reconciler").end(signal.SIGKILL, seconds=_END_SECONDS)
    taken: dict[int, float] = {}

    def is_owner() -> bool:
        entries = logged(PARTITION_TAKEN, "successor", made.home)
        taken.update((entry["partition"], entry["took_ms"]) for entry in entries)
        return len(taken) == made.settings.kafka.partitions

    wait_for(is_owner, seconds=PATIENCE_SECONDS, what="the other reconciler")
    return list(taken.values())


def _rebuild(made: Instance, n: int) -> Sample:
    """Fold the log of a chain into an empty schema, for the cost of folding alone."""
    before = _throughput(made, n)
    made.stop()
    usage = Usage(made.services.trees)
    usage.reset_peaks()
    cpu = usage.cpu_s()
    child = spawn("rebuild", made.home)
    try:
        if not child.ended_within(PATIENCE_SECONDS):
            raise BenchError(f"the rebuild did not end within {PATIENCE_SECONDS:.0f} s")
    finally:
        made.processes["rebuild"] = child
    used = usage.cpu_s()
    try:
        told = json.loads(tail("rebuild", made.home).splitlines()[-1])
    except (ValueError, IndexError):
        raise BenchError(f"the rebuild failed:\n{tail('rebuild', made.home)}") from None
    none = dict.fromkeys(PARTS, 0.0)
    return Sample(
        runs=before.runs,
        steps=before.steps,
        records=told["records"],
        seconds=told["seconds"],
        cpu_s=none | {part: used[part] - cpu[part] for part in used} | {"reconciler": told["cpu_s"]},
        peak_mb=none | usage.peak_mb() | {"reconciler": told["peak_mb"]},
    )


_MEASURES: Final[Mapping[str, Callable[[Instance, int], Sample]]] = {
    "latency": _latency,
    "backlog": _backlog,
    "api": measure_api,
    "page": measure_page,
    "each": _each,
    "large": _large,
    **WAITING,
    **TIMING,
    "gate": against_chain,
    "binding": bound,
    "million": _million,
    "rebuild": _rebuild,
}
