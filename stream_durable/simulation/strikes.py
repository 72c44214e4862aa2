"""Strikes on a world from outside: suspended processes, unavailable services, lost data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from stream_durable.wire.topics import COMMANDS, INBOX

if TYPE_CHECKING:
    from stream_durable.memory.deployment import Slot
    from stream_durable.simulation.world import World

#: A log is lost so often in one world at the most.
_LOSSES_MAX = 2


class Strikes:
    """Draws and executes strikes."""

    def __init__(self, world: World) -> None:
        """Strike this world."""
        self._world = world
        self._rng: Random = world.rng
        self._losses = 0
        self._set_backs = 0

    async def storm(self, seconds: float) -> None:
        """Strike at random for a while."""
        world, rng, faults = self._world, self._rng, self._world.weather.faults
        kinds: dict[Callable[[], None], float] = {
            self._freeze: faults.freezes,
            self._hand_over: faults.handovers,
            self._stop: faults.stops,
            self._outage: faults.outages,
            self._lose_leader: faults.leaderless,
            self._block: faults.blocks,
            self._lose_log: faults.lost_logs,
            self._set_back: faults.set_backs,
            self._forget_offsets: faults.forgotten,
        }
        total, end = sum(kinds.values()), world.loop.time() + seconds
        while total and world.loop.time() < end:
            await asyncio.sleep(min(rng.expovariate(total), max(0.0, end - world.loop.time())) + 0.001)
            if world.loop.time() < end:
                rng.choices(list(kinds), list(kinds.values()))[0]()
        await asyncio.sleep(max(0.0, end - world.loop.time()))

    def _hit(self, what: str) -> None:
        self._world.weather.hits[what] += 1

    def _any(self, role: str = "") -> Slot:
        return self._rng.choice([slot for slot in self._world.slots if role in ("", slot.role)])

    def _freeze(self) -> None:
        slot = self._any()
        self._hit(f"freeze of a {slot.role}")
        self._world.freeze(slot, self._rng.choice((0.3, 1.2, 2.0)) * self._world.session_seconds)

    def _hand_over(self) -> None:
        self._hit("handover")
        self._world.hand_over()

    def _stop(self) -> None:
        slot = self._any()
        self._hit(f"stop of a {slot.role}")
        self._world.stop(slot)

    def _outage(self) -> None:
        self._world.weather.outage(self._rng.choice(("Kafka", "Postgres")), self._rng.uniform(0.2, 3.0))

    def _lose_leader(self) -> None:
        world = self._world
        self._hit("partition without a leader")
        lane = self._rng.choice(world.broker.names()), self._rng.randrange(world.partitions)
        world.broker.leaderless[lane] = world.clock.now() + self._rng.randrange(200, 4_000)

    def _block(self) -> None:
        """Keep the loop of a worker from turning, for less or for longer than leases last."""
        slot = self._any("worker")
        if slot.process is not None and slot.process.block():
            self._hit("blocked loop of a worker")
            lease = self._world.worker.lease_ms / 1_000
            self._world.weather.later(self._rng.choice((0.3, 0.8, 1.5, 3.0)) * lease, slot.process.thaw)

    def _lose_log(self) -> None:
        """Lose some of the inbox, unless an earlier loss has yet to be noticed."""
        world, rng, broker = self._world, self._rng, self._world.broker
        topic, rows = broker.topic(INBOX), world.store.tables.partitions
        is_known = all(world.lives.of(p)[-1].log is log for p, log in enumerate(topic.partitions))
        if self._losses >= _LOSSES_MAX or not is_known or any(r.topic_id != topic.id for r in rows.values()):
            return
        partition = rng.randrange(world.partitions)
        log, row = topic.partitions[partition], rows[partition]
        kind = rng.choice(("made anew", "expired", "cut"))
        # Until the first of its records was folded, nobody can tell a log from another one; and where it is
        # cut behind what was folded, nobody ever hears of it.
        if kind == "made anew" and all(each.fingerprint for each in rows.values()):
            broker.recreate(INBOX)
        elif kind == "expired":
            broker.expire(INBOX, partition, rng.randint(log.low, log.high))
        elif kind == "cut" and row.fingerprint and row.next_offset > log.low:
            broker.truncate(INBOX, partition, rng.randrange(log.low, row.next_offset))
        else:
            return
        self._losses += 1
        self._hit(f"inbox {kind}")

    def _set_back(self) -> None:
        """Let the database be again, a little later, as it is now."""
        world, kept, times = self._world, self._world.store.copied(), self._set_backs

        def restore() -> None:
            # Not to what was there before another one: a database that goes back and forth is two.
            if times != self._set_backs:
                return
            self._set_backs += 1
            self._hit("store set back")
            world.journal.restore(kept)

        world.weather.later(self._rng.uniform(0.05, 2.0), restore)

    def _forget_offsets(self) -> None:
        """Leave a group of workers without members for long enough to lose the committed offsets."""
        world = self._world
        self._hit("forgotten offsets")
        world.journal.forgotten.append(world.clock.now())
        for slot in world.slots:
            if slot.role == "worker":
                world.crash(slot)
        for (_, topic), group in world.broker.groups.items():
            if topic.startswith(COMMANDS):
                group.offsets.clear()
