"""One trial: an instance under load, faults for so long, calm, and a verdict."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

from kill.fleet import INGRESS, RECONCILER, WORKER, Fleet
from kill.instance import Instance
from kill.scene import Ground
from memory import MEGABYTE, MemoryWatch
from waiting import eventually

from chaos.faults import Faults, Household
from chaos.judge import Judge, Verdict, allowed_ends
from chaos.ledger import Ledger
from chaos.publisher import Publisher
from chaos.workflows import app
from stream_durable import bootstrap

#: Short, so that an hour sees many of them end; a session as by default.
_SETTINGS = {
    "STREAM_DURABLE_WORKER__LEASE_MS": "6000",
    "STREAM_DURABLE_WORKER__HEARTBEAT_MS": "1500",
    "STREAM_DURABLE_WORKER__DRAIN_MS": "10000",
    "STREAM_DURABLE_POSTGRES__STATEMENT_TIMEOUT_MS": "3000",
    "STREAM_DURABLE_POSTGRES__LOCK_TIMEOUT_MS": "2000",
}
_BEGIN_SECONDS = 120
#: From the last fault until all runs have ended: leases, back-off, and what had piled up.
_QUIET_SECONDS = 240
#: What a process may come to hold; the load is the same all the time, so nothing may grow with it.
_GROWTH = 1.3
_GROWTH_BYTES = 60 * MEGABYTE
_STRAY = "select t.* from timer t join run r on r.id = t.key where t.kind = 'run' and r.ended is not null"
#: What nobody has anything in once all runs have ended.
_EMPTY_TABLES = ("outbox", "channel_wait", "gate_place")
_DEAD = "select code, count(*) as n, min(reason) as reason from dead_letter group by 1"


class Setting(NamedTuple):
    """How it is done."""

    seed: int
    seconds: float
    rate: float = 15.0
    reconcilers: int = 2
    workers: int = 3
    #: Names of faults; empty: all.
    only: frozenset[str] = frozenset()
    #: Whether there are steps that end or block their worker.
    is_harmful: bool = True


class Trial:
    """Everything that takes part."""

    def __init__(self, ground: Ground, setting: Setting, say: Callable[[str], None]) -> None:
        name = f"chaos_{secrets.token_hex(3)}"
        self._ground = ground
        self._setting = setting
        self._say = say
        self._instance = Instance(name, ground.kafka, ground.postgres.dsn(), _SETTINGS)
        self._fleet = Fleet(self._instance, ground.home / name, "chaos.workflows:app")
        counts = {RECONCILER: setting.reconcilers, WORKER: setting.workers, INGRESS: 1}
        self._household = Household(self._fleet, counts, say)
        self._memory = MemoryWatch(lambda: self._household.living)
        self._publisher = Publisher(self._instance, setting.seed, setting.rate, is_harmful=setting.is_harmful)
        self._begun = time.monotonic()

    async def run(self) -> Verdict:
        await self._instance.create()
        self._household.start()
        keeping = asyncio.create_task(self._household.keep())
        await eventually(self._is_defined, "the workflows are known", seconds=_BEGIN_SECONDS)
        ledger = Ledger(self._instance, self._publisher.heard)
        ledger.start()
        self._memory.start()
        self._publisher.start()
        telling = asyncio.create_task(self._tell(ledger))
        try:
            faults = Faults(self._ground, self._household, self._setting.seed, self._setting.only)
            await faults.run(self._setting.seconds)
            self._publisher.rest()
            await self._quiet(ledger)
            await asyncio.to_thread(self._publisher.stop)
            telling.cancel()
            await self._household.end()
            return await self._verdict(ledger)
        finally:
            telling.cancel()
            keeping.cancel()
            self._memory.stop()
            self._publisher.stop()
            ledger.stop()
            self._fleet.end()
            self._instance.disconnect()

    async def _is_defined(self) -> bool:
        return await self._instance.definitions() >= len(app.workflows)

    async def _quiet(self, ledger: Ledger) -> None:
        """Wait until all runs have ended and nothing is left; what is left in the end is for the verdict."""
        try:
            await eventually(lambda: self._is_quiet(ledger), "all is quiet", seconds=_QUIET_SECONDS)
        except AssertionError as error:
            self._say(f"! {error}")
        self._say(f"{self._open(ledger)} runs have not ended")

    async def _is_quiet(self, ledger: Ledger) -> bool:
        """All runs have ended, what was said of them has been read, and rows and offsets have followed."""
        if self._open(ledger):
            return False
        said = [end for topic in ("runs", "steps") for end in await self._instance.ends(topic)]
        if ledger.events < sum(said) or await self._instance.rows(_STRAY):
            return False
        counts = [await self._instance.value(f"select count(*) from {table}") for table in _EMPTY_TABLES]
        return not any(counts)

    def _open(self, ledger: Ledger) -> int:
        """How many runs have not ended as they may, be it that they are still to be tried again."""
        return sum(
            run not in ledger.runs or ledger.runs[run].last not in allowed_ends(told)
            # A copy is made at once: the publisher's thread goes on.
            for run, told in self._publisher.runs.copy().items()
            if told.is_accepted
        )

    async def _tell(self, ledger: Ledger) -> None:
        while True:
            await asyncio.sleep(60)
            seconds = time.monotonic() - self._begun
            held = ", ".join(f"{role} {peak // MEGABYTE}" for role, peak in self._memory.peaks.items())
            self._say(
                f"{seconds / 60:.0f} min: {len(self._publisher.runs)} runs, {self._open(ledger)} open, "
                f"{len(self._household.faults)} faults, {ledger.events} events; MB at most: {held}; "
                f"wrong: {len(self._household.wrong) + len(ledger.wrong)}"
            )

    async def _verdict(self, ledger: Ledger) -> Verdict:
        judge = Judge(self._publisher, ledger, self._fleet.journals, self._household.faults)
        verdict = judge.judge()
        verdict.add("a process ended otherwise than it should", self._household.wrong)
        verdict.add("memory", self._grown())
        if "lost" in verdict.wrong:
            verdict.add("what processes said last", self._last_words())
        await self._rows(verdict)
        verdict.figures |= {
            "seed": self._setting.seed,
            "minutes": round((time.monotonic() - self._begun) / 60, 1),
            "workers ended by steps": self._household.by_steps,
            "MB at most": {role: peak // MEGABYTE for role, peak in self._memory.peaks.items()},
        }
        return verdict

    def _last_words(self) -> list[str]:
        """Return the last lines of each log, the youngest process first: what keeps it from going on."""
        return [
            f"{process.name}: " + " | ".join(process.log.read_text(errors="replace").splitlines()[-3:])
            for process in reversed(self._fleet.processes)
        ]

    def _grown(self) -> list[str]:
        """Compare what processes of each role held at most in the second and in the last quarter."""
        found = []
        end = max((sample.at for sample in self._memory.samples), default=0.0)
        for role in self._memory.peaks:
            of_role = [s for s in self._memory.samples if s.role == role]
            early = max((s.bytes for s in of_role if end * 0.1 < s.at <= end * 0.4), default=0)
            late = max((s.bytes for s in of_role if s.at > end * 0.7), default=0)
            if early and late > _GROWTH * early + _GROWTH_BYTES:
                found.append(f"{role}: {early // MEGABYTE} MB at first, {late // MEGABYTE} MB at the end")
        return found

    async def _rows(self, verdict: Verdict) -> None:
        """What only the rows show: whether anything is left that nobody wants."""
        for table in _EMPTY_TABLES:
            if count := await self._instance.value(f"select count(*) from {table}"):
                some = await self._instance.rows(f"select * from {table} limit 5")
                rows = [str(dict(row))[:300] for row in some]
                verdict.add(f"left in {table}", [f"{count} rows, among them {rows}"])
        stray = await self._instance.rows(_STRAY)
        verdict.add("a timer of a run that has ended", (str(dict(row)) for row in stray))
        dead = await self._instance.rows(_DEAD)
        verdict.add("dead letters", (f"{row['n']} of {row['code']}: {row['reason']}" for row in dead))
        strays = await bootstrap.stray_waits(self._instance.settings)
        verdict.add("a wait that its run and its channel disagree about", map(str, strays))
        found = await bootstrap.verify(self._instance.settings)
        if not found.is_equal:
            verdict.add(
                "the state is not what the log makes of it", map(str, (*found.differences, *found.rows))
            )
        verdict.figures["rows verified"] = found.compared
