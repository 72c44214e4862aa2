"""Older and newer reconcilers side by side in bad weather, with a switch to the newer format in the middle.

Beside the workload there are records of a newer type, and garbage on the topic of definitions. Nothing may be
buried by who does not know it, nothing rewritten, nothing lost.
"""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from stream_durable.core.format import FORMAT
from stream_durable.engine import batch
from stream_durable.engine.outbox import format_record
from stream_durable.memory.store import MemoryStore
from stream_durable.ports import Share
from stream_durable.simulation import workload
from stream_durable.simulation.faults import drawn
from stream_durable.simulation.invariants import violations
from stream_durable.simulation.trial import LIVENESS_SECONDS
from stream_durable.simulation.world import World

NEXT = FORMAT + 1
PARTITIONS = 4
SEEDS = 12
#: So many worlds may have to be lived until one shows what was broken on purpose.
FOUND_SEEDS = 80
GARBAGE = (b"\xff", b"[" * 50_000, b'{"name":7}', b'{"name":"x","nodes":[]}', None)


class Watchful(MemoryStore):
    """Notes who writes what he cannot know."""

    def __init__(self, partitions: int) -> None:
        super().__init__(partitions)
        self.wrongs: list[str] = []

    def write(self, share: Share) -> None:
        owner = self.tables.partitions[share.partition]
        if max(share.format, owner.format) > owner.owner_format:
            self.wrongs.append(f"{owner.owner} wrote format {share.format} in partition {share.partition}")
        for dead in share.dead:
            if b'"format":%d' % NEXT in (dead.value or b"") and owner.owner_format < NEXT:
                self.wrongs.append(f"{owner.owner} buried what it does not know at {dead.offset}")
        super().write(share)


def dance(world: World, number: int) -> None:
    """Say something that only a newer release could understand, and that no release here does."""
    key = f"dancer-{number}".encode()
    value = b'{"type":"run.dance","run":"%s","format":%d}' % (key, NEXT)
    world.clients.garbage.add(("inbox", key, value))
    world.broker.append("inbox", None, key, value)


def raise_all(world: World) -> None:
    for partition in range(PARTITIONS):
        record = format_record(partition, NEXT)
        world.broker.append("inbox", partition, record.key, record.value)


def lived(seed: int) -> list[str]:
    """Live through an upgrade; return what was wrong."""
    workload.restart_serial()
    rng = Random(f"mixed {seed}")
    app = workload.application()
    # What was lost of the log was neither held nor buried.
    faults = replace(drawn(rng), lost_logs=0.0)
    world = World(seed, app, partitions=PARTITIONS, reconcilers=3, make_store=Watchful, faults=faults)
    world.slots[0].knows = NEXT
    plan = workload.drawn(rng, app, runs=8, seconds=4.0, partitions=PARTITIONS)

    async def story(world: World) -> None:
        for value in GARBAGE:
            world.broker.append("definitions", 0, b"garbage", value)
        await world.open()
        world.begin(plan)
        dance(world, seed)
        await world.storm(plan.seconds / 2)
        for slot in world.slots[:3]:
            slot.knows = NEXT
            world.stop(slot)
            await world.storm(0.5)
        raise_all(world)
        dance(world, seed + 1)
        await world.storm(plan.seconds / 2)
        # One goes back: it stands by, and is replaced in the end.
        world.slots[1].knows = FORMAT
        world.stop(world.slots[1])
        await world.storm(4.0)
        # Said again it changes nothing, but whoever owns a partition has something to save.
        raise_all(world)
        await world.storm(1.0)
        world.slots[1].knows = NEXT
        world.calm()
        # Also one that was frozen when it was to be replaced.
        for slot in world.slots[:3]:
            world.crash(slot)
        await world.settle(LIVENESS_SECONDS)

    world.run(story)
    formats = {row.format for row in world.store.tables.partitions.values()}
    wrong = [] if formats == {NEXT} else [f"formats: {formats}"]
    assert isinstance(world.store, Watchful)
    return [*world.store.wrongs, *wrong, *violations(world)]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_an_upgrade_in_bad_weather_loses_and_buries_nothing(seed: int) -> None:
    assert lived(seed) == []


def found(by: str) -> None:
    for seed in range(FOUND_SEEDS):
        if any(by in wrong for wrong in lived(seed)):
            return
    pytest.fail(f"{FOUND_SEEDS} seeds did not show it")


def test_burying_an_unknown_type_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "format_of", lambda read: 1)

    found("buried what it does not know")


def test_claiming_what_is_newer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Watchful.claim

    async def whatever(
        self: Watchful, partition: int, owner: str, token: Any, knows: int = FORMAT, **rest: Any
    ) -> Any:
        found = await claim(self, partition, owner, token, 1 << 30, **rest)
        self.tables.partitions[partition].owner_format = knows
        return found

    monkeypatch.setattr(Watchful, "claim", whatever)

    found("wrote format")
