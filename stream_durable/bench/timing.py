"""Measurement of time: timers due together, schedules at work, and processes with nothing to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from msgspec import Raw

from stream_durable.bench.errors import BenchError
from stream_durable.bench.instance import Instance
from stream_durable.bench.load import Watcher
from stream_durable.bench.report import Sample
from stream_durable.bench.work import WAITING_EVENTS, new_runs
from stream_durable.core.format import SCHEDULES
from stream_durable.core.messages import Plan, SetSchedule
from stream_durable.core.schedule.rule import Rule
from stream_durable.wire.topics import STEPS

#: How long due moments are apart: of 50,000 the first and the last by a minute.
_APART_MS: Final = 1.2
#: Runs per second that are brought to their wait by then, on a slow machine, and what starts and counts take
#: besides.
_STARTED_PER_S: Final = 1_500
_LEAD_SECONDS: Final = 12.0
_HOUR_MS: Final = 3_600_000
#: How long schedules and idle processes are looked at.
LOOK_SECONDS = 60.0


def _timers(made: Instance, n: int) -> Sample:
    """Measure how long after its moment each of many runs has ended, due one soon after the other."""
    made.start()
    runs = new_runs(n)
    first = 1_000 * (time.time() + _LEAD_SECONDS + n / _STARTED_PER_S)
    due = {run: round(first + _APART_MS * i) for i, run in enumerate(runs)}
    with closing(Watcher(made.settings, STEPS, WAITING_EVENTS)) as waiting:
        for run, at in due.items():
            moment = datetime.fromtimestamp(at / 1_000, UTC).isoformat()
            made.load.start(
                made.workload.workflow, made.workload.fingerprint, run, Raw(b'{"at":"%b"}' % moment.encode())
            )
        made.load.flush()
        waiting.wait(runs, made.check)

    def work() -> list[float]:
        if 1_000 * time.time() > first:
            raise BenchError(f"{n} runs did not come to wait in time: give a smaller --n")
        return [moment - due[run] for run, moment in made.completed.wait(runs, made.check).items()]

    return made.measure(runs, work)


def _schedules(made: Instance, n: int) -> Sample:
    """Measure a minute of schedules that fire once an hour, evenly spread."""
    made.start()
    now = round(1_000 * time.time())
    for i in range(n):
        rule = Rule(every_ms=_HOUR_MS, start=now - _HOUR_MS + _HOUR_MS * i // n)
        plan = Plan(rule=rule, workflow=made.workload.workflow)
        made.load.send(SetSchedule(key=f"s{i}", id=f"s{i}", format=SCHEDULES, plan=plan, is_new=True))
    made.load.flush()
    made.settle()
    return _looked_on(made)


def _idle(made: Instance, _n: int) -> Sample:
    """Measure a minute of all processes with nothing to do."""
    made.start()
    return _looked_on(made)


def _looked_on(made: Instance) -> Sample:
    ended = 0

    def work() -> None:
        nonlocal ended
        ended = made.completed.during(LOOK_SECONDS, made.check)

    sample = made.measure([], work, forgets_peaks=True)
    return replace(sample, runs=ended, steps=ended * made.workload.steps, is_of_time=True)


TIMING: Final[Mapping[str, Callable[[Instance, int], Sample]]] = {
    "timers": _timers,
    "schedules": _schedules,
    "idle": _idle,
}
