"""What goes wrong, drawn from a seed: to our processes, to the broker and to the database, all at once."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import NamedTuple

import asyncpg
from kill.fleet import INGRESS, RECONCILER, WORKER, Fleet, Process
from kill.scene import Ground

from chaos.workflows import POISON_CODE
from stream_durable.services.watchdog import STUCK_EXIT_CODE

ROLES = (RECONCILER, WORKER, INGRESS)
_STOP_SECONDS = 60.0
_FROZEN_SECONDS = 20.0
_LOOK_SECONDS = 0.2
#: With these a worker ends that a step has ended, or kept from turning.
_BY_STEPS = frozenset({POISON_CODE, STUCK_EXIT_CODE})

_LOCK = """
do $$ declare s text; begin
  for s in select nspname from pg_namespace where nspname like 'chaos%' loop
    execute format('lock table %I.run, %I.step in access exclusive mode', s, s);
  end loop;
end $$
"""
_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


class Fault(NamedTuple):
    """What was done, and when it began and ended; wall clock."""

    what: str
    begun: float
    ended: float


class Household:
    """The processes, which are replaced as soon as they have ended, as a container runtime would."""

    def __init__(self, fleet: Fleet, counts: dict[str, int], say: Callable[[str], None]) -> None:
        self._fleet = fleet
        self._say = say
        self._counts = counts
        self._is_over = False
        #: That somebody ended or asked to end, and what they ended with.
        self.wrong: list[str] = []
        self.faults: list[Fault] = []
        self.by_steps = 0
        #: Whoever is being stopped answers for its own code.
        self._leaving: set[int] = set()

    @property
    def living(self) -> list[Process]:
        return [p for p in self._fleet.processes if not p.is_over]

    def start(self) -> None:
        for role, count in self._counts.items():
            for _ in range(count):
                self._fleet.start(role)

    async def keep(self) -> None:
        """Start anew what has ended by itself, and judge how it ended."""
        while not self._is_over:
            for process in self.living:
                if not process.running and process.pid not in self._leaving:
                    self._buried(process)
            await asyncio.sleep(_LOOK_SECONDS)

    def _buried(self, process: Process) -> None:
        process.is_over = True
        code = process.child.returncode
        now = time.time()
        self.faults.append(Fault(f"{process.name} ended with {code}", now - 40, now))
        if process.role == WORKER and code in _BY_STEPS:
            self.by_steps += 1
        else:
            lines = [line for line in process.log.read_text(errors="replace").splitlines() if line]
            last = " | ".join(line[:400] for line in lines[-3:])
            self.wrong.append(f"{process.name} ended by itself with {code}: {last}")
            self._say(f"! {self.wrong[-1][:600]}")
        self._fleet.start(process.role)

    def kill(self, process: Process) -> None:
        process.kill()
        self._fleet.start(process.role)

    async def freeze(self, process: Process) -> None:
        process.pause()
        await asyncio.sleep(_FROZEN_SECONDS)
        with suppress(ProcessLookupError):
            process.resume()

    async def replace(self, process: Process) -> None:
        """Stop it in good order, and start another."""
        await self._stop(process)
        self._fleet.start(process.role)

    async def _stop(self, process: Process) -> None:
        self._leaving.add(process.pid)
        process.child.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(process.child.wait, _STOP_SECONDS)
        except Exception:  # noqa: BLE001 - it did not end in time
            code = None
        process.is_over = True
        if code is None:
            process.kill()
            self.wrong.append(f"{process.name} did not end within {_STOP_SECONDS:.0f} s of SIGTERM")
        elif process.role == WORKER and code in _BY_STEPS:
            self.by_steps += 1
        elif code != 0 and not (
            code == -signal.SIGTERM and b"service.started" not in process.log.read_bytes()
        ):
            # Python itself ends so, as long as nothing of ours has been loaded.
            self.wrong.append(f"{process.name} was asked to stop and ended with {code}")
        self._leaving.discard(process.pid)

    async def end(self) -> None:
        """Stop all in good order."""
        self._is_over = True
        await asyncio.gather(*(self._stop(p) for p in self.living))


class Faults:
    """Two hands: one harms processes, the other one the services below them."""

    def __init__(self, ground: Ground, home: Household, seed: int, only: frozenset[str]) -> None:
        self._ground = ground
        self._home = home
        self._seed = seed
        self._processes = self._chosen(
            only, (self._kill, self._kill, self._freeze, self._kill_all, self._roll)
        )
        self._services = self._chosen(
            only,
            (self._broker_killed, self._broker_restarted, self._postgres_restarted, self._postgres_killed,
             self._sessions_ended, self._read_only, self._locked),
        )  # fmt: skip

    def _chosen(
        self, only: frozenset[str], all_: tuple[Callable[[Random], Awaitable[str]], ...]
    ) -> list[Callable[[Random], Awaitable[str]]]:
        return [fault for fault in all_ if not only or fault.__name__.removeprefix("_") in only]

    async def run(self, seconds: float, *, storm: float = 150.0, calm: float = 60.0) -> None:
        """Do harm for so long, with a calm after each storm in which everything has to come right."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            over = min(end, time.monotonic() + storm)
            number = int(end - over)
            hands = (("processes", self._processes, 6.0), ("services", self._services, 14.0))
            await asyncio.gather(
                *(self._hand(name, some, over, every, number) for name, some, every in hands if some)
            )
            await asyncio.sleep(max(0.0, min(calm, end - time.monotonic())))

    async def _hand(
        self,
        name: str,
        faults: list[Callable[[Random], Awaitable[str]]],
        over: float,
        every: float,
        number: int,
    ) -> None:
        rng = Random(f"{self._seed}/{name}/{number}")
        while time.monotonic() < over:
            await asyncio.sleep(rng.uniform(0.2, 1.8) * every)
            begun = time.time()
            what = await rng.choice(faults)(rng)
            self._home.faults.append(Fault(what, begun, time.time()))

    def _one(self, rng: Random) -> Process:
        role = rng.choice((RECONCILER, RECONCILER, WORKER, WORKER, INGRESS))
        some = [p for p in self._home.living if p.role == role and p.running]
        return rng.choice(some) if some else rng.choice(self._home.living)

    async def _kill(self, rng: Random) -> str:
        process = self._one(rng)
        self._home.kill(process)
        return f"kill {process.role}"

    async def _kill_all(self, rng: Random) -> str:
        role = rng.choice(ROLES)
        for process in [p for p in self._home.living if p.role == role]:
            self._home.kill(process)
        return f"kill every {role}"

    async def _freeze(self, rng: Random) -> str:
        process = self._one(rng)
        await self._home.freeze(process)
        return f"stop {process.role}"

    async def _roll(self, _: Random) -> str:
        for process in list(self._home.living):
            if process.running and not process.is_over:
                await self._home.replace(process)
        return "rolling restart"

    async def _broker_killed(self, rng: Random) -> str:
        await asyncio.to_thread(self._ground.kafka.kill)
        await asyncio.sleep(rng.uniform(0, 4))
        await asyncio.to_thread(self._ground.kafka.start)
        return "kill broker"

    async def _broker_restarted(self, _: Random) -> str:
        await asyncio.to_thread(self._ground.kafka.stop)
        await asyncio.to_thread(self._ground.kafka.start)
        return "restart broker"

    async def _postgres_restarted(self, rng: Random) -> str:
        await asyncio.to_thread(self._ground.postgres.stop)
        await asyncio.sleep(rng.uniform(0, 4))
        await asyncio.to_thread(self._ground.postgres.start)
        return "restart Postgres"

    async def _postgres_killed(self, _: Random) -> str:
        await asyncio.to_thread(self._ground.postgres.kill)
        await asyncio.to_thread(self._ground.postgres.start)
        return "kill Postgres"

    async def _sessions_ended(self, rng: Random) -> str:
        until = time.monotonic() + rng.uniform(1, 6)
        while time.monotonic() < until:
            await self._ask(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where backend_type = 'client backend' and pid <> pg_backend_pid()"
            )
            await asyncio.sleep(rng.uniform(0.02, 0.4))
        return "end sessions of Postgres"

    async def _read_only(self, rng: Random) -> str:
        await self._ask("alter system set default_transaction_read_only = on", "select pg_reload_conf()")
        await asyncio.sleep(rng.uniform(2, 10))
        await self._ask("alter system reset default_transaction_read_only", "select pg_reload_conf()")
        return "Postgres read-only"

    async def _locked(self, rng: Random) -> str:
        """Hold the tables for longer than a statement may take."""
        with suppress(*_AWAY):
            connection = await self._connect()
            try:
                async with connection.transaction():
                    await connection.execute(_LOCK)
                    await asyncio.sleep(rng.uniform(2, 9))
            finally:
                connection.terminate()
        return "Postgres runs into time-outs"

    async def _connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._ground.postgres.dsn(), timeout=5, server_settings={"default_transaction_read_only": "off"}
        )

    async def _ask(self, *statements: str) -> None:
        for _ in range(20):
            try:
                connection = await self._connect()
                try:
                    for statement in statements:
                        await connection.execute(statement)
                finally:
                    connection.terminate()
            except _AWAY:
                await asyncio.sleep(0.5)
            else:
                return
