"""Every process of a running installation is stopped in turn: nothing is called twice, nobody complains."""

import pytest

from kill.fleet import INGRESS, RECONCILER
from kill.scene import Scene
from kill.takeover import figures, killed, stopped

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(400)]

#: Far above what an idle machine needs, which `python -m kill.takeover` measures: 1 s and 7 s.
_STOPPED_SECONDS = 6.0
_KILLED_SECONDS = 20.0


async def test_a_rolling_restart_of_everything_calls_no_function_twice(scene: Scene) -> None:
    scene.fleet.start(INGRESS)
    for process in list(scene.fleet.processes):
        if process.role == RECONCILER:
            continue
        await process.stop()
        replacement = scene.fleet.start(process.role)
        if process.role != INGRESS:
            await scene.join(replacement)
        await scene.progress(100)
    stood: list[float] = []
    for _ in range(2):
        stood += await stopped(scene)
        await scene.join(scene.fleet.start(RECONCILER))
        await scene.progress(100)

    scene.say(f"partitions of a stopped reconciler stood still: {figures(stood)}")
    report = await scene.prove()
    assert report.repeats == 0, "\n".join(report.repeated)
    assert report.repeated_events == 0
    assert max(stood) < _STOPPED_SECONDS


async def test_partitions_of_a_killed_reconciler_go_on_elsewhere(scene: Scene) -> None:
    seconds = await killed(scene)
    await scene.join(scene.fleet.start(RECONCILER))

    scene.say(f"partitions of a killed reconciler went on after: {figures(seconds)}")
    await scene.progress()
    await scene.prove()
    assert max(seconds) < _KILLED_SECONDS
