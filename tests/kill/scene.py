"""An instance under load, from its first run to the proof that nothing was lost."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from budget import RUNS_A_SECOND, RUNS_UNDER_LOAD
from waiting import eventually

from kill.checker import Report, prove
from kill.fleet import RECONCILER, WORKER, Fleet, Process
from kill.instance import QUEUE, Cursor, Instance
from kill.load import Load
from kill.workflows import app
from stream_durable import bootstrap
from stream_durable.core.lanes import lanes_of
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres

#: How often one attempt may be called for each fault: it is delivered again, and asked for again.
REPEATS_PER_FAULT = 2
#: A lease whose end a test can wait for, and nothing else: failing over takes the time it takes.
_SETTINGS = {"STREAM_DURABLE_WORKER__LEASE_MS": "3000", "STREAM_DURABLE_WORKER__HEARTBEAT_MS": "1000"}
_BEGIN_SECONDS = 120
#: From the last start until all is quiet: the longest back-off of a client and a lease, with room.
_QUIET_SECONDS = 90


class Ground(NamedTuple):
    """The services, and where they and the processes keep their files."""

    home: Path
    kafka: LocalKafka
    postgres: LocalPostgres


class Scene:
    """One case."""

    def __init__(self, ground: Ground, say: Callable[[str], None], more: Mapping[str, str] = {}) -> None:
        name = f"kill_{secrets.token_hex(3)}"
        self.say = say
        self.kafka, self.postgres = ground.kafka, ground.postgres
        self.instance = Instance(name, ground.kafka, ground.postgres.dsn(), {**_SETTINGS, **more})
        self.fleet = Fleet(self.instance, ground.home / name)
        self._load: Load | None = None
        self._left: dict[str, object] = {}
        self._begun = time.monotonic()

    async def begin(self) -> None:
        """Return when all four work and runs come to their end."""
        await self.instance.create()
        for role in (RECONCILER, RECONCILER, WORKER, WORKER):
            self.fleet.start(role)
        # A start is refused if nobody has ever heard of its workflow: so the workers come first.
        await eventually(self._is_defined, "the workflows are known", seconds=_BEGIN_SECONDS)
        self._load = Load(self.instance, RUNS_A_SECOND)
        await eventually(self._all_at_work, "all four at work", seconds=_BEGIN_SECONDS)

    async def unfinished(self) -> int:
        """How many runs are under way."""
        return await self.instance.value("select count(*) from run where ended is null") or 0

    async def completed(self) -> int:
        ended = await self.instance.value("select count(*) from run where ended is not null") or 0
        if self._load is not None:
            self._load.ended = max(ended, self._load.ended)
        return ended

    async def progress(self, runs: int = 2 * RUNS_A_SECOND) -> None:
        """Wait until this many more runs have ended."""
        aim = await self.completed() + runs

        async def is_there() -> bool:
            assert not self.fleet.died(), self.fleet.died()
            return await self.completed() >= aim

        await eventually(is_there, f"{runs} more runs", seconds=_QUIET_SECONDS)

    async def moved_on(self, before: dict[int, Cursor], *, seconds: float) -> float:
        """Wait until these partitions have new owners and advance; return how long it took."""
        begun = time.monotonic()

        async def have_moved() -> bool:
            assert not self.fleet.died(), self.fleet.died()
            await self.completed()
            now = await self.instance.cursors()
            return bool(now) and all(
                now[p].token != was.token and now[p].next_offset > was.next_offset
                for p, was in before.items()
            )

        await eventually(have_moved, f"partitions {list(before)} move on", seconds=seconds)
        return time.monotonic() - begun

    async def owned_by(self, process: Process) -> dict[int, Cursor]:
        """The partitions that are this reconciler's by their rows."""
        cursors = await self.instance.cursors()
        return {p: cursor for p, cursor in cursors.items() if cursor.owner == process.name}

    async def join(self, process: Process) -> None:
        """Wait until a process that was started takes part in the work."""
        look = self._owns if process.role == RECONCILER else self._has_called

        async def takes_part() -> bool:
            await self.completed()
            return await look(process)

        await eventually(takes_part, f"{process.name} takes part", seconds=_BEGIN_SECONDS)

    def start_by_event(self, runs: Iterable[str]) -> None:
        """Start runs by way of the ingress."""
        assert self._load is not None
        for run in runs:
            self._load.start_by_event(run)

    async def prove(self, newer: Sequence[str] = ()) -> Report:
        """End the load, wait until all is quiet, and check everything.

        `newer` is the command line of a newer release, which alone can say whether what it did is right.
        """
        assert self._load is not None
        load = self._load

        async def are_enough() -> bool:
            await self.completed()
            return len(load.started) >= RUNS_UNDER_LOAD

        await eventually(are_enough, f"{RUNS_UNDER_LOAD} runs", seconds=60)
        await asyncio.to_thread(load.stop)
        quiet = time.monotonic()
        try:
            await eventually(self._is_quiet, "nothing is left", seconds=_QUIET_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self._left}") from error
        assert not self.fleet.died(), self.fleet.died()
        quiet = time.monotonic() - quiet
        # A call that was repeated may still go on after its run has ended: what it says is to be folded, too.
        await self.fleet.stop(WORKER)
        await eventually(self._is_quiet, "the last reports are folded", seconds=_QUIET_SECONDS)
        await self.fleet.stop()
        report = await prove(
            self.instance, self.fleet.journals, load.started, load.answers, is_newer=bool(newer)
        )
        complaints = list(self.fleet.complaints())
        assert not complaints, complaints[:5]
        if newer:
            code, text = await self.fleet.told(*newer, "replay", "verify")
            assert code == 0, text
        else:
            found = await bootstrap.verify(self.instance.settings)
            assert found.is_equal, (found.differences, found.rows)
        assert load.workflows.keys() == {"chain", "diamond", "flaky", "approval", "slow"}
        seconds = time.monotonic() - self._begun
        self.say(f"{report}; quiet {quiet:.1f} s after the load, {seconds:.1f} s in all")
        return report

    def end(self) -> None:
        """Leave nothing behind."""
        if self._load is not None:
            self._load.stop()
        self.fleet.end()
        self.instance.disconnect()

    async def _all_at_work(self) -> bool:
        assert not self.fleet.died(), self.fleet.died()
        at_work = [await self._owns(p) for p in self.fleet.of(RECONCILER)]
        at_work += [await self._has_called(p) for p in self.fleet.of(WORKER)]
        return all(at_work) and await self.completed() >= 100

    async def _is_defined(self) -> bool:
        assert not self.fleet.died(), self.fleet.died()
        return await self.instance.definitions() == len(app.workflows)

    async def _owns(self, process: Process) -> bool:
        return bool(await self.owned_by(process))

    async def _has_called(self, process: Process) -> bool:
        return (self.fleet.journals / f"{process.child.pid}.jsonl").exists()

    async def _is_quiet(self) -> bool:
        """All runs ended, all that was said acknowledged, and nobody has anything left to read."""
        assert not self.fleet.died(), self.fleet.died()
        left = self._left = await self._unrest()
        return not any(left.values())

    async def _unrest(self) -> dict[str, object]:
        """What is left to be done, by what should do it."""
        inbox = await self.instance.ends("inbox")
        folded = [cursor.next_offset for cursor in (await self.instance.cursors()).values()]
        noted = await self.instance.committed("inbox", "reconciler")
        to_attempt = {
            lane: _behind(
                await self.instance.committed(f"commands.{lane}", f"worker.{lane}"),
                await self.instance.ends(f"commands.{lane}"),
            )
            for lane in lanes_of(QUEUE)
        }
        return {
            "runs": await self.unfinished(),
            "outbox": await self.instance.value("select count(*) from outbox"),
            "backlog": await self.instance.value("select count(*) from backlog"),
            "to fold": _behind(folded, inbox),
            "to note": _behind(noted, inbox),
            **{f"to attempt in {lane}": left for lane, left in to_attempt.items()},
        }


def _behind(reached: Sequence[int], ends: Sequence[int]) -> dict[int, str]:
    """Partitions that are not at their end."""
    pairs = enumerate(zip(reached, ends, strict=True))
    return {partition: f"{at} of {end}" for partition, (at, end) in pairs if at != end}


def listed(partitions: Iterable[int]) -> str:
    """Partitions for a line of print."""
    return ", ".join(map(str, partitions))
