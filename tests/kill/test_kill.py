"""Whatever is killed, stopped or restarted: every run completes, and nothing is lost or made up.

Each case goes on for at least 2,000 runs and ends with `scene.prove()`, which holds all invariants;
a test adds what its fault is to show. Killed processes are replaced, as a container runtime would.
"""

import asyncio

import pytest

from kill.fleet import RECONCILER, WORKER
from kill.scene import Scene, listed

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(120)]


#: With default settings and a replacement that has to start: until every partition of the dead has advanced.
FAILOVER_SECONDS = 8.0

#: How often one attempt may be called for each fault: it is delivered again, and asked for again.
REPEATS_PER_FAULT = 2


def _session_seconds(scene: Scene) -> float:
    """How long a group waits for a member: whoever goes on sooner has not waited for it."""
    settings = scene.instance.settings.kafka
    return (settings.session_timeout_ms - settings.heartbeat_ms) / 1_000


by_default = pytest.mark.parametrize("is_quick", [pytest.param(False, id="by-default")])


@by_default
async def test_a_killed_reconciler_is_replaced_within_seconds(scene: Scene) -> None:
    victim = await scene.fleet.owner()
    owned = await scene.owned_by(victim)

    victim.kill()
    scene.fleet.start(RECONCILER)
    seconds = await scene.moved_on(owned, seconds=30)

    scene.say(f"partitions {listed(owned)} moved again after {seconds:.2f} s")
    await scene.progress()
    report = await scene.prove()
    assert seconds < FAILOVER_SECONDS
    assert report.most_calls <= 1 + REPEATS_PER_FAULT


@by_default
async def test_the_work_of_a_killed_reconciler_is_taken_over_by_the_other(scene: Scene) -> None:
    victim = await scene.fleet.owner()
    owned = await scene.owned_by(victim)

    victim.kill()
    seconds = await scene.moved_on(owned, seconds=30)
    scene.fleet.start(RECONCILER)

    scene.say(f"partitions {listed(owned)} moved again after {seconds:.2f} s, without a replacement")
    await scene.progress()
    report = await scene.prove()
    assert seconds < _session_seconds(scene)
    assert report.most_calls <= 1 + REPEATS_PER_FAULT


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
    seconds = await scene.moved_on(owned, seconds=30)
    await scene.progress()
    for zombie in zombies:
        zombie.resume()
    await scene.join(zombies[0])

    scene.say(f"partitions {listed(owned)} moved again after {seconds:.2f} s; then their owner woke up")
    await scene.progress()
    report = await scene.prove()
    assert report.most_calls <= 1 + REPEATS_PER_FAULT * len(zombies)


async def test_a_rolling_restart_repeats_and_loses_nothing(scene: Scene) -> None:
    for process in list(scene.fleet.processes):
        await process.stop()
        await scene.join(scene.fleet.start(process.role))
        await scene.progress(100)

    report = await scene.prove()
    assert report.repeats == 0, report.repeated[:20]
    assert report.repeated_events == 0
