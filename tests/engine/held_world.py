"""A deployment in memory whose definitions can go away, and looks at what stands still in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from waiting import eventually

from stream_durable import App, Workflow
from stream_durable.core.ids import partition_of
from stream_durable.core.messages import SignalRun, StartRun
from stream_durable.engine.reconciler import Reconciler
from stream_durable.memory.weather import Faults
from stream_durable.simulation.world import World
from stream_durable.wire import inbox

PARTITIONS = 4
waiters = Workflow("waiter")
go = waiters.wait_signal("go")


@waiters.step(after=go)
async def then() -> int:
    return 1


others = Workflow("other")


@others.step
async def work() -> int:
    return 2


def living(story: Callable[[World], Awaitable[Any]], **options: Any) -> World:
    world = World(
        1, App("shop", workflows=[waiters, others]), partitions=PARTITIONS, faults=Faults.none(), **options
    )
    world.run(story)
    return world


def run_in(partition: int, name: str) -> str:
    """Return an id that lives in a partition."""
    return next(f"{name}-{i}" for i in range(1_000) if partition_of(f"{name}-{i}", PARTITIONS) == partition)


def start(world: World, run: str, workflow: Workflow = others, *, fingerprint: str | None = None) -> None:
    message = StartRun(
        key=run, id=f"start {run}", workflow=workflow.name, fingerprint=fingerprint or workflow.fingerprint
    )
    world.broker.append("inbox", None, run.encode(), inbox.encode(message))


def signal(world: World, run: str, name: str = "go") -> None:
    message = SignalRun(key=run, id=f"{name} {run}", signal=name)
    world.broker.append("inbox", None, run.encode(), inbox.encode(message))


async def status_of(world: World, run: str, status: str) -> None:
    async def look() -> bool:
        found = world.store.tables.runs.get(run)
        return found is not None and found.status == status

    await eventually(look, f"{run} is {status}", seconds=60)


def held(world: World) -> dict[int, str]:
    found: dict[int, str] = {}
    for slot in world.slots:
        if isinstance(slot.program, Reconciler):
            found |= slot.program.held()
    return found


async def is_held(world: World, partition: int) -> str:
    async def look() -> str:
        return held(world).get(partition, "")

    return await eventually(look, f"partition {partition} is held", seconds=60)


async def none_is_held(world: World) -> None:
    async def look() -> bool:
        return not held(world)

    await eventually(look, "nothing is held", seconds=60)
