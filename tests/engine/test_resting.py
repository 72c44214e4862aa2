"""Schedules whose next moment is far leave memory once saved, and come back for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from waiting import eventually

from engine.held_world import PARTITIONS, living, others
from stream_durable.core.format import SCHEDULES
from stream_durable.core.ids import partition_of
from stream_durable.core.messages import Plan, SetSchedule
from stream_durable.core.schedule.rule import Rule
from stream_durable.core.schedule.state import NEAR_MS
from stream_durable.engine.reconciler import Reconciler
from stream_durable.simulation.world import World
from stream_durable.wire import inbox

NAME = "often"


async def comes(world: World, look: Callable[[], bool], text: str) -> None:
    async def looked() -> bool:
        return look()

    await eventually(looked, text, seconds=600)


def in_memory(world: World) -> bool:
    [program] = [slot.program for slot in world.slots if isinstance(slot.program, Reconciler)]
    return NAME in program._cache.of("schedule")


def runs(world: World) -> list[str]:
    return [run.status for key, run in world.store.tables.runs.items() if key.startswith(NAME)]


@pytest.mark.parametrize(("every_ms", "stays"), [(2 * NEAR_MS, False), (NEAR_MS // 4, True)])
def test_a_schedule_is_in_memory_for_near_moments_alone(every_ms: int, stays: bool) -> None:
    async def story(world: World) -> None:
        await world.open()
        plan = Plan(rule=Rule(every_ms=every_ms), workflow=others.name)
        message = SetSchedule(key=NAME, id=NAME, format=SCHEDULES, plan=plan, is_new=True)
        world.broker.append("inbox", partition_of(NAME, PARTITIONS), NAME.encode(), inbox.encode(message))
        timers = world.store.tables.timers
        for times in (1, 2):
            await comes(world, lambda times=times: runs(world) == ["completed"] * times, "it has fired")
            due = world.clock.now() + every_ms // 2
            await comes(world, lambda due=due: world.clock.now() > due, "half of the time is over")
            assert any(kind == "schedule" and key == NAME for kind, key, _ in timers)
            assert in_memory(world) is stays

    assert not living(story, reconcilers=1).wrong
