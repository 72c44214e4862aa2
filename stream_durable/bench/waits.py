"""Measurement of waits: runs woken by signals and events, and steps with kept calls."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Final

from stream_durable.bench.app import HIT, HIT_IN_ORDER
from stream_durable.bench.errors import BenchError
from stream_durable.bench.instance import COMPLETED, Instance, waiting_for
from stream_durable.bench.load import PATIENCE_SECONDS, Watcher, prefixes_of
from stream_durable.bench.report import Percentiles, Sample
from stream_durable.bench.round_trip import RoundTrip
from stream_durable.bench.work import against_chain, all_at_once, let_wait, new_runs, one, one_by_one, woken
from stream_durable.bench.workloads import WORKLOADS
from stream_durable.core.lifecycle import STEP_COMPLETED, RunEvent, StepEvent
from stream_durable.wire import lifecycle
from stream_durable.wire.topics import RUNS, STEPS

_STEP_COMPLETED: Final = prefixes_of(StepEvent, STEP_COMPLETED)
#: The key that a crowd waits for.
_CROWD: Final = "crowd"
#: Runs one by one, for what is usual on an idle machine.
_IDLE_RUNS: Final = 200
#: Signals under way to a run at a time.
_HITS_AT_ONCE: Final = 90


def _waiting(made: Instance, n: int) -> Sample:
    """Measure signals to waiting runs, against steps of a chain."""
    made.start()
    base = all_at_once(made.another(WORKLOADS["chain"]), max(1, n // WORKLOADS["chain"].steps))
    return replace(_waiting_alone(made, n), base=base)


def _events(made: Instance, n: int) -> Sample:
    """Measure events, each for one waiting run, against as many signals."""
    made.start()
    base = _waiting_alone(made.another(WORKLOADS["waiting"]), n)
    return replace(_waiting_alone(made, n), base=base)


def _waiting_alone(made: Instance, n: int) -> Sample:
    runs = new_runs(n)
    let_wait(made, runs)
    return woken(made, runs)


def _resume(made: Instance, n: int) -> Sample:
    """Measure from an event to the call of the step behind the wait, against a bare record's way."""
    made.start()
    runs = new_runs(n)
    let_wait(made, runs)
    trips: list[float] = []
    with closing(RoundTrip(made.settings)) as trip:

        def work() -> list[float]:
            found = []
            for run in runs:
                trips.append(trip.milliseconds())
                found.append(_resumed(made, run))
            return found

        sample = made.measure(runs, work)
    return replace(sample, base=replace(sample, latency=Percentiles.of(trips)))


def _resumed(made: Instance, run: str) -> float:
    """Publish the event of a run; return the milliseconds until its step was called."""
    begin = time.monotonic_ns()
    made.load.event(run)
    event = lifecycle.decode(made.completed.wait_one(run, made.check))
    if not isinstance(event, RunEvent) or event.output is None:
        raise BenchError(f"run {run} has no output")
    called: int = json.loads(event.output)
    return (called - begin) / 1_000_000


def _hotrun(made: Instance, n: int) -> Sample:
    """Measure signals to one run until the last reaction has ended, against a fifth of them one by one."""
    made.start()
    [run] = new_runs(1)
    let_wait(made, [run])
    with closing(Watcher(made.settings, STEPS, _STEP_COMPLETED)) as reactions:
        base = _hits(made, run, HIT_IN_ORDER, max(1, n // 5), reactions)
        return replace(_hits(made, run, HIT, n, reactions), base=base)


def _hits(made: Instance, run: str, signal: str, n: int, reactions: Watcher) -> Sample:
    def work() -> None:
        sent = done = 0
        deadline = time.monotonic() + PATIENCE_SECONDS
        while done < n:
            for number in range(sent, min(n, done + _HITS_AT_ONCE)):
                made.load.hit(run, signal, number)
                sent += 1
            done += reactions.count(run, _HITS_AT_ONCE, made.check)
            if time.monotonic() > deadline:
                raise BenchError(f"{done} of {n} reactions after {PATIENCE_SECONDS:.0f} s")

    return replace(made.measure([run], work), steps=n)


def _crowd(made: Instance, n: int) -> Sample:
    """Measure many runs woken by one event, and small runs beside them against the same alone."""
    made.start()
    runs = new_runs(n)
    let_wait(made, runs, waiting_for(_CROWD))
    with closing(Watcher(made.settings, RUNS, COMPLETED)) as completed:
        small = replace(made.another(WORKLOADS["latency"]), completed=completed)
        base = one_by_one(small, _IDLE_RUNS)

        def work() -> list[float]:
            with _beside(small) as found:
                made.wake([_CROWD])
                made.completed.wait(runs, made.check)
            return found

        return replace(made.measure(runs, work), base=base)


@contextmanager
def _beside(made: Instance) -> Iterator[list[float]]:
    """Go on with runs, one by one, and collect their milliseconds."""
    found: list[float] = []
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            [run] = new_runs(1)
            found.append(one(made, run))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


WAITING: Final[Mapping[str, Callable[[Instance, int], Sample]]] = {
    "waiting": _waiting,
    "events": _events,
    "resume": _resume,
    "hotrun": _hotrun,
    "crowd": _crowd,
    "waits": against_chain,
}
