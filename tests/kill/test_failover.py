"""What a failover takes, and what is repeated: on a machine that has nothing else to do."""

import pytest

from kill.fleet import RECONCILER
from kill.scene import REPEATS_PER_FAULT, Scene, listed

pytestmark = [pytest.mark.real, pytest.mark.kill]

#: With default settings and a replacement that has to start: until every partition of the dead has advanced.
FAILOVER_SECONDS = 8.0

#: Of members that the group misses late, so that going on sooner is told from waiting for it on any machine.
_LONG_SESSION = {"STREAM_DURABLE_KAFKA__SESSION_TIMEOUT_MS": "20000"}

#: Long before those would be missed.
LATE_SECONDS = 12.0


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


@pytest.mark.parametrize("scene", [_LONG_SESSION], indirect=True, ids=["session of 20 s"])
async def test_the_work_of_a_killed_reconciler_is_taken_over_by_the_other(scene: Scene) -> None:
    victim = await scene.fleet.owner()
    owned = await scene.owned_by(victim)

    victim.kill()
    seconds = await scene.moved_on(owned, seconds=60)
    scene.fleet.start(RECONCILER)

    scene.say(f"partitions {listed(owned)} moved again after {seconds:.2f} s, without a replacement")
    await scene.progress()
    report = await scene.prove()
    assert seconds < LATE_SECONDS
    assert report.most_calls <= 1 + REPEATS_PER_FAULT
