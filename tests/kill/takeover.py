"""How long partitions are without an owner after a reconciler was killed, or stopped in good order.

`python -m kill.takeover --partitions 30` measures it on a machine that should have nothing else to do.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kill.fleet import RECONCILER, Process
from kill.instance import Cursor
from kill.scene import Ground, Scene
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres

_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.02


async def killed(scene: Scene) -> list[float]:
    """Kill the owner of the most partitions; return for each how long it was until it went on elsewhere."""
    victim = await scene.fleet.owner()
    before = await scene.owned_by(victim)
    begun = time.monotonic()
    victim.kill()
    return await _gone_on(scene, victim, before, begun)


async def stopped(scene: Scene) -> list[float]:
    """Stop the owner of the most partitions; return for each how long it stood still at the most."""
    victim = await scene.fleet.owner()
    before = await scene.owned_by(victim)
    stopping = asyncio.create_task(victim.stop())
    # A partition stands still from when its owner has let it go, which is seen by its rows moving no more.
    seconds = await _stood_still(scene, victim, before)
    await stopping
    return seconds


async def _gone_on(scene: Scene, victim: Process, before: dict[int, Cursor], begun: float) -> list[float]:
    """Seconds from `begun` until each partition had another owner that had folded something."""
    found: dict[int, float] = {}
    while len(found) < len(before):
        now = await scene.instance.cursors()
        at = time.monotonic() - begun
        assert at < _PATIENCE_SECONDS, f"{before.keys() - found.keys()} are nobody's"
        for partition, was in before.items():
            cursor = now.get(partition)
            is_elsewhere = cursor is not None and cursor.owner != victim.name and cursor.token != was.token
            if cursor is not None and is_elsewhere and cursor.next_offset > was.next_offset:
                found.setdefault(partition, at)
        await asyncio.sleep(_LOOK_SECONDS)
    return sorted(found.values())


async def _stood_still(scene: Scene, victim: Process, before: dict[int, Cursor]) -> list[float]:
    """For each partition, from its last progress under the old owner to its first under another one."""
    moved = dict.fromkeys(before, time.monotonic())
    latest = {partition: cursor.next_offset for partition, cursor in before.items()}
    found: dict[int, float] = {}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while len(found) < len(before):
        assert time.monotonic() < deadline, f"{before.keys() - found.keys()} are nobody's"
        for partition, cursor in (await scene.instance.cursors()).items():
            if partition not in before or cursor.next_offset == latest[partition]:
                continue
            now = time.monotonic()
            if cursor.owner != victim.name:
                found.setdefault(partition, now - moved[partition])
            moved[partition], latest[partition] = now, cursor.next_offset
        await asyncio.sleep(_LOOK_SECONDS)
    return sorted(found.values())


def figures(seconds: Sequence[float]) -> dict[str, float]:
    """What is worth saying of them."""
    p50 = statistics.median(seconds)
    return {"partitions": len(seconds), "p50": round(p50, 2), "max": round(max(seconds), 2)}


async def _measure(ground: Ground, partitions: int) -> dict[str, dict[str, float]]:
    scene = Scene(ground, print)
    try:
        await scene.begin()
        found: dict[str, list[float]] = {"killed": [], "stopped": []}
        for name, harm in (("killed", killed), ("stopped", stopped)):
            while len(found[name]) < partitions:
                found[name] += await harm(scene)
                await scene.join(scene.fleet.start(RECONCILER))
                await scene.progress(100)
        return {name: figures(seconds) for name, seconds in found.items()}
    finally:
        scene.end()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m kill.takeover", description=__doc__)
    parser.add_argument("--partitions", type=int, default=30, help="how many to measure, of each kind")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="stream-durable-takeover-"))
    with LocalKafka(home / "kafka") as kafka, LocalPostgres(home / "postgres") as postgres:
        print(json.dumps(asyncio.run(_measure(Ground(home, kafka, postgres), given.partitions))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
