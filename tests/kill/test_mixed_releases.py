"""Two releases side by side on real processes: upgraded, taken back, upgraded again, and gone on with."""

import sys
from collections.abc import Iterable

import pytest
from waiting import eventually

from kill.fleet import INGRESS, RECONCILER, WORKER, Process
from kill.scene import Scene
from stream_durable.core.format import FORMAT

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(1_200)]

OLDER = (sys.executable, "-m", "stream_durable")
NEWER = (sys.executable, "-m", "kill.newer")
APP = "kill.workflows:app"
_SECONDS = 60


def begin(scene: Scene, release: tuple[str, ...], role: str) -> Process:
    return scene.fleet.start(role, [*release, role, *([APP] if role == WORKER else [])])


async def replace(scene: Scene, release: tuple[str, ...], processes: Iterable[Process]) -> None:
    """Put processes of a release in the place of these, one by one, with runs started on the way."""
    for process in processes:
        await process.stop()
        replacement = begin(scene, release, process.role)
        if process.role != INGRESS:
            await scene.join(replacement)
        scene.start_by_event(f"beside-{replacement.pid}-{n}" for n in range(5))
        await scene.progress(50)


def living(scene: Scene) -> list[Process]:
    return [process for process in scene.fleet.processes if not process.is_over]


async def is_raised(scene: Scene) -> bool:
    return await scene.instance.value(f"select count(*) from partition where format <= {FORMAT}") == 0


async def test_an_upgrade_taken_back_and_made_again_loses_nothing(scene: Scene) -> None:
    begin(scene, OLDER, INGRESS)
    scene.start_by_event(f"before-{n}" for n in range(5))
    await scene.progress(100)
    code, said = await scene.fleet.told(*NEWER, "db", "migrate")
    assert code == 0, said
    await replace(scene, NEWER, living(scene))
    await replace(scene, OLDER, living(scene))

    # With one of the older release among those that own partitions it is too early to go on.
    first, last = scene.fleet.of(RECONCILER)
    await replace(scene, NEWER, [first, scene.fleet.of(WORKER)[0]])
    code, said = await scene.fleet.told(*NEWER, "partitions", "raise")
    assert code != 0, said
    assert "replace all processes of older releases first" in said
    await replace(scene, NEWER, [last])
    code, said = await scene.fleet.told(*NEWER, "partitions", "raise")
    assert code == 0, said
    await eventually(lambda: is_raised(scene), "all partitions are raised", seconds=_SECONDS)
    noted = [f"{scene.instance.name}-{n}" for n in range(40)]
    code, said = await scene.fleet.told(*NEWER, "note", scene.instance.topic("inbox"), *noted)
    assert code == 0, said

    # There is no way back for a reconciler; a worker and an ingress of the older release go on.
    code, said = await scene.fleet.told(*OLDER, "reconciler")
    assert code == 1, said
    assert "newer" in said
    code, said = await scene.fleet.told(*OLDER, "replay", "verify")
    assert code != 0, said
    scene.start_by_event(f"after-{n}" for n in range(20))
    await scene.progress(300)

    report = await scene.prove(NEWER)

    # There is evidence of each record, and none is a dead letter: so these were folded.
    inbox = [m.value() for messages in await scene.instance.records("inbox") for m in messages]
    assert sum(b'"run.note"' in value for value in inbox) == len(noted)
    assert "dead" not in report.outcomes
    # Nobody dies here, and whoever is replaced ends what it has begun: nothing is called twice.
    assert report.repeats == 0, "\n".join(report.repeated)
