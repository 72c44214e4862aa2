"""What a failover takes, and what is repeated: on a machine that has nothing else to do."""

import pytest

from kill.fleet import RECONCILER
from kill.scene import REPEATS_PER_FAULT, Scene, listed

pytestmark = [pytest.mark.real, pytest.mark.kill]

#: With default settings and a replacement that has to start: until every partition of the dead has advanced.
FAILOVER_SECONDS = 8.0


def _session_seconds(scene: Scene) -> float:
    """How long a group waits for a member: whoever goes on sooner has not waited for it."""
    settings = scene.instance.settings.kafka
    return (settings.session_timeout_ms - settings.heartbeat_ms) / 1_000


async def test_a_killed_reconciler_is_replaced_within_seconds(scene: Scene) -> None:
    victim = await scene.fleet.owner()
    owned = await scene.owned_by(victim)

    victim.kill()
    scene.fleet.start(RECONCILER)
    seconds = await scene.moved_on(owned, seconds=60)

    scene.say(f"partitions {listed(owned)} moved again after {seconds:.2f} s")
    await scene.progress()
    report = await scene.prove()
    assert seconds < FAILOVER_SECONDS
    assert report.most_calls <= 1 + REPEATS_PER_FAULT


async def test_the_work_of_a_killed_reconciler_is_taken_over_by_the_other(scene: Scene) -> None:
    victim = await scene.fleet.owner()
    owned = await scene.owned_by(victim)

    victim.kill()
    seconds = await scene.moved_on(owned, seconds=60)
    scene.fleet.start(RECONCILER)

    scene.say(f"partitions {listed(owned)} moved again after {seconds:.2f} s, without a replacement")
    await scene.progress()
    report = await scene.prove()
    assert seconds < _session_seconds(scene)
    assert report.most_calls <= 1 + REPEATS_PER_FAULT


async def test_a_rolling_restart_repeats_and_loses_nothing(scene: Scene) -> None:
    for process in list(scene.fleet.processes):
        await process.stop()
        await scene.join(scene.fleet.start(process.role))
        await scene.progress(100)

    report = await scene.prove()
    assert report.repeats == 0, report.repeated[:20]
    assert report.repeated_events == 0
