"""Schedules of a world: created, repeated, turned off and on, changed, triggered, filled in and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final, get_args

import msgspec
from msgspec import Raw

from stream_durable.core.format import SCHEDULES
from stream_durable.core.messages import (
    BackfillSchedule,
    DeclaredSchedules,
    DeclareSchedule,
    DeleteSchedule,
    Overlap,
    PauseSchedule,
    Plan,
    ResumeSchedule,
    ScheduleOrder,
    SetSchedule,
    TriggerSchedule,
)
from stream_durable.core.schedule.rule import Rule
from stream_durable.memory.ports import VirtualClock
from stream_durable.simulation.workload.plan import Sent, message

#: Workflows that end by themselves, soon or late, well or badly.
_WORKFLOWS: Final = ("chain", "bare", "diamond", "retried", "doomed")
#: A schedule fires no more this long after the last client has begun something.
_MORE_SECONDS: Final = 3.0
_SECOND_MS: Final = 1_000


def schedules(rng: Random, seconds: float, workflows: frozenset[str]) -> Iterator[list[Sent]]:
    """Draw what people and code do about schedules."""
    known = sorted(workflows.intersection(_WORKFLOWS))
    for number in range(rng.choice((0, 0, 1, 2)) if known else 0):
        yield list(_script(rng, f"schedule-{number}", seconds, rng.choice(known)))
    if known and rng.random() < 0.2:
        yield list(_declared(rng, seconds, known[0]))


def _script(rng: Random, name: str, seconds: float, workflow: str) -> Iterator[Sent]:
    at = rng.uniform(0.0, seconds / 2)
    said: dict[str, Any] = {"key": name, "format": SCHEDULES}
    plan = _plan(rng, seconds, workflow)
    created = SetSchedule(**said, id=f"create {name}", plan=plan, is_new=True)
    yield message(at, created)
    if rng.random() < 0.3:
        yield message(at + rng.uniform(0.0, 2.0), created)
    for number in range(rng.choice((0, 0, 1, 2, 4))):
        at += rng.uniform(0.0, 2.0)
        order = _order(rng, said, f"order {name} {number}", seconds, workflow, at)
        yield message(at, order)
        if rng.random() < 0.3:
            yield message(at + rng.uniform(0.0, 1.0), order)


def _plan(rng: Random, seconds: float, workflow: str) -> Plan:
    end = VirtualClock.EPOCH_MS + int((seconds + _MORE_SECONDS) * _SECOND_MS)
    given = {"id": "scheduled", "trouble": rng.choice((0.0, 0.3)), "kind": "a", "items": [], "rounds": 1}
    return Plan(
        rule=Rule(every_ms=rng.choice((1_000, 1_500, 3_000)), end=end, jitter_ms=rng.choice((0, 0, 700))),
        workflow=workflow,
        input=Raw(msgspec.json.encode(given)),
        overlap=rng.choice(get_args(Overlap)),
        disable_after=rng.choice((None, None, 1, 2)),
        timeout_ms=rng.choice((None, None, 1_500)),
    )


def _order(
    rng: Random, said: dict[str, Any], order: str, seconds: float, workflow: str, at: float
) -> ScheduleOrder:
    kind = rng.choice(("pause", "resume", "resume", "trigger", "trigger", "change", "backfill", "delete"))
    match kind:
        case "pause":
            return PauseSchedule(**said, id=order, reason="enough")
        case "resume":
            return ResumeSchedule(**said, id=order)
        case "trigger":
            return TriggerSchedule(**said, id=order)
        case "change":
            return SetSchedule(**said, id=order, plan=_plan(rng, seconds, workflow))
        case "backfill":
            now = VirtualClock.EPOCH_MS + int(at * _SECOND_MS)
            moments = tuple(sorted({now - rng.randrange(9_000) for _ in range(rng.randint(1, 4))}))
            return BackfillSchedule(**said, id=order, moments=moments, pace_ms=rng.choice((1, 500)))
        case _:
            return DeleteSchedule(**said, id=order)


def _declared(rng: Random, seconds: float, workflow: str) -> Iterator[Sent]:
    """Deploy an app with a schedule, and once more, perhaps without."""
    at = rng.uniform(0.0, seconds / 2)
    name = "declared"
    said: dict[str, Any] = {"format": SCHEDULES, "app": "simulated"}
    for number, names in enumerate(((name,), rng.choice(((name,), ())))):
        at += rng.uniform(0.0, 2.0)
        if names:
            plan = _plan(rng, seconds, workflow)
            yield message(at, DeclareSchedule(key=name, **said, id=f"declare {number}", plan=plan))
        roll = DeclaredSchedules(key="simulated//", **said, id=f"roll {number}", names=names)
        yield message(at, roll)
