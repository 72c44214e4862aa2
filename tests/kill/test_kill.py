"""Whatever is killed, stopped or restarted: every run completes, and nothing is lost or made up.

Each case goes on for at least `budget.RUNS_UNDER_LOAD` runs and ends with `scene.prove()`, which holds all
invariants; a test adds what its fault is to show. Killed processes are replaced, as by a container runtime.
"""

import asyncio

import pytest

from kill.fleet import WORKER
from kill.scene import REPEATS_PER_FAULT, Scene, listed

pytestmark = [pytest.mark.real, pytest.mark.kill]


async def test_the_attempts_of_a_killed_worker_are_made_by_another(scene: Scene) -> None:
    victim = scene.fleet.of(WORKER)[0]
    under_way = await scene.unfinished()

    victim.kill()
    replacement = scene.fleet.start(WORKER)
    await scene.join(replacement)

    assert under_way
    await scene.progress()
    report = await scene.prove()
    assert report.most_calls <= 1 + REPEATS_PER_FAULT


async def test_a_killed_broker_goes_on_where_it_was(scene: Scene) -> None:
    faults = 2
    for _ in range(faults):
        await asyncio.to_thread(scene.kafka.kill)
        await asyncio.to_thread(scene.kafka.start)
        await scene.progress()

    report = await scene.prove()
    assert report.most_calls <= 1 + REPEATS_PER_FAULT * faults


async def test_a_killed_postgres_goes_on_where_it_was(scene: Scene) -> None:
    faults = 3
    for _ in range(faults):
        await asyncio.to_thread(scene.postgres.kill)
        await asyncio.to_thread(scene.postgres.start)
        await scene.progress()

    report = await scene.prove()
    assert report.most_calls <= 1 + REPEATS_PER_FAULT * faults


async def test_a_frozen_owner_does_no_harm_when_it_wakes_up(scene: Scene) -> None:
    zombies = [await scene.fleet.owner(), scene.fleet.of(WORKER)[0]]
    owned = await scene.owned_by(zombies[0])

    for zombie in zombies:
        zombie.pause()
    seconds = await scene.moved_on(owned, seconds=60)
    await scene.progress()
    for zombie in zombies:
        zombie.resume()
    await scene.join(zombies[0])

    scene.say(f"partitions {listed(owned)} moved again after {seconds:.2f} s; then their owner woke up")
    await scene.progress()
    report = await scene.prove()
    assert report.most_calls <= 1 + REPEATS_PER_FAULT * len(zombies)
