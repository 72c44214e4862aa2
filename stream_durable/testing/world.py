"""A whole deployment in one thread on virtual time: the real reconcilers and workers over memory ports.

`World` holds the services (broker, store) and keeps the processes running: one that dies is started anew,
with fresh memory, as a supervisor would do it. What goes wrong is drawn from the seed; the same seed gives
the same world. `simulate` is the trial of one seed: bad weather first, then good weather in which
everything must settle.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from stream_durable.core.format import FORMAT
from stream_durable.engine.reconciler import Reconciler
from stream_durable.retrying import retry_transient
from stream_durable.sdk.app import App
from stream_durable.sdk.handler import Handler
from stream_durable.settings import EngineSettings, WorkerSettings
from stream_durable.telemetry import ROOT, Metrics
from stream_durable.testing.broker import Broker
from stream_durable.testing.calls import Calls, WatchedHandler
from stream_durable.testing.clients import Clients
from stream_durable.testing.faults import Faults, Process, Weather
from stream_durable.testing.journal import Journal
from stream_durable.testing.lives import Lives
from stream_durable.testing.loop import VirtualLoop
from stream_durable.testing.memory import VirtualClock, prepared
from stream_durable.testing.producing import RemotePublisher
from stream_durable.testing.remote import (
    RemoteBlobs,
    RemoteDefinitions,
    RemoteLog,
    RemoteStore,
    RemoteVerdicts,
)
from stream_durable.testing.store import MemoryStore
from stream_durable.testing.strikes import Strikes
from stream_durable.testing.workload import Plan
from stream_durable.worker.worker import Worker

SOURCE = "/stream-durable/simulated"
QUEUE = "default"
#: What public topics take where they take little: statements without outputs, and few others.
NARROW_BYTES = (1_000, 1_500)

#: Short, since virtual seconds cost real time: every process looks around several times in each.
ENGINE = EngineSettings(timer_horizon_ms=6_000, timers_held_max=100, batch_records_max=100)
WORKER = WorkerSettings(
    concurrency=8, lease_ms=3_000, heartbeat_ms=1_000, drain_ms=500, started_after_ms=1_000,
    offset_commit_ms=500, payload_inline_bytes_max=1_000,
)  # fmt: skip


@cache
def _metrics() -> Metrics:
    """Return one set for all worlds: making them takes longer than many a simulation."""
    return Metrics()


@dataclass(slots=True)
class Slot:
    """A place for one process; a dead process is replaced."""

    role: str
    number: int
    #: The newest format that a reconciler knows.
    knows: int = FORMAT
    #: The queue that a worker serves.
    queue: str = QUEUE
    incarnation: int = 0
    process: Process | None = None
    log: RemoteLog | None = None
    store: RemoteStore | None = None
    program: Reconciler | Worker | None = None


class World:
    """Reconcilers, workers and clients, and the services between them."""

    def __init__(
        self,
        seed: int,
        app: App,
        *,
        partitions: int = 4,
        reconcilers: int = 2,
        workers: int = 2,
        faults: Faults | None = None,
        engine: EngineSettings = ENGINE,
        worker: WorkerSettings = WORKER,
        make_store: Callable[[int], MemoryStore] = MemoryStore,
        knows: int = FORMAT,
    ) -> None:
        """Start nothing yet; without `faults` they are drawn from the seed."""
        self.seed = seed
        self.app = app
        self.partitions = partitions
        self.loop = VirtualLoop()
        self.rng = Random(f"world {seed}")  # noqa: S311 - a simulation, not a secret
        drawn = Faults.drawn(Random(f"faults {seed}")) if faults is None else faults  # noqa: S311
        self.weather = Weather(self.loop, seed, drawn)
        self.clock = VirtualClock(self.loop.time)
        self.broker = Broker(self.clock, partitions)
        self.broker.gap = self._gap
        if self.weather.chance(drawn.narrow, "narrow topics"):
            self.broker.limits = dict.fromkeys(("steps", "runs"), self.rng.choice(NARROW_BYTES))
        self.store = make_store(partitions)
        self.store.goes_on = self._goes_on
        self.lives = Lives(self.broker)
        #: How often clients are about to repeat what was lost.
        self._repeats = 0
        self.calls = Calls()
        self.session_seconds = self.rng.uniform(1.5, 4.0)
        self.engine = engine
        self.worker = worker
        self.slots = [Slot("reconciler", i, knows) for i in range(reconcilers)]
        self.slots += [Slot("worker", i) for i in range(workers)]
        self.strikes = Strikes(self)
        self.clients = Clients(self.weather, self.broker, self.store)
        self.journal = Journal(self.store, self.clients)
        self.broker.watchers.append(self.journal.watch)
        self.broker.complain = self.journal.seen_wrong.append
        self._graphs = {graph.fingerprint: graph for graph in map(prepared, app.definitions())}
        self.loop.thread_seconds = self._thread_seconds
        self.loop.set_exception_handler(self._complained)

    def run(self, story: Callable[[World], Any]) -> Any:
        """Run a coroutine function of this world to its end, on virtual time, and clear everything away."""
        with _quiet():
            try:
                return self.loop.run_until_complete(story(self))
            finally:
                self._end()

    def graph(self, fingerprint: str) -> Any:
        """Return a graph of the app."""
        return self._graphs.get(fingerprint)

    async def open(self) -> None:
        """Make the definitions known, and start all processes."""
        client = Process(self.weather, "registrar")
        definitions = RemoteDefinitions(client, self.broker)
        for definition in self.app.definitions():
            await retry_transient(lambda d=definition: definitions.register(d), "register")  # type: ignore[misc]
        for slot in self.slots:
            self.start(slot)

    def start(self, slot: Slot) -> None:
        """Fill a slot with a new process."""
        slot.incarnation += 1
        name = f"{slot.role}-{slot.number}.{slot.incarnation}"
        process = Process(self.weather, name, lambda process: self._died(slot, process))
        slot.process = process
        process.stall = lambda: self.freeze(slot, self.rng.uniform(1.2, 4.0) * self.session_seconds)
        process.start(
            self._reconcile(slot, process) if slot.role == "reconciler" else self._work(slot, process)
        )

    def crash(self, slot: Slot) -> None:
        """Kill the process in a slot."""
        if slot.process is not None:
            slot.process.kill()

    def freeze(self, slot: Slot, seconds: float) -> None:
        """Stop a process; by its return the group may have removed it."""
        process, log = slot.process, slot.log
        if process is None or log is None or not process.is_running:
            return
        process.freeze()
        later = self.weather.later
        if seconds > self.session_seconds:
            later(self.session_seconds, log.log.expire)

        def thaw() -> None:
            process.thaw()
            if not process.is_dead:
                process.later(self.rng.uniform(0.0, 0.5), log.log.rejoin)

        later(seconds, thaw)

    def stop(self, slot: Slot) -> None:
        """Ask the process in a slot to end in good order."""
        if slot.process is not None and slot.process.is_running:
            slot.process.stop()

    def hand_over(self) -> None:
        """Let groups share their partitions out at random, with nobody crashing."""
        for group in self.broker.groups.values():
            if group.members:
                target = {p: self.rng.choice(group.members) for p in range(self.partitions)}
                group.share_out(target)

    def begin(self, plan: Plan) -> None:
        """Let clients work through a plan."""
        self.clients.begin(plan)

    @property
    def is_idle(self) -> bool:
        """Whether clients are done, all runs have ended, and nothing is left to be read or said."""
        tables = self.store.tables
        return (
            self.clients.are_done
            and not self._repeats
            and not self.journal.unpublished()
            and all(run.ended is not None for run in tables.runs.values())
            and not any(key[0] == "run" for key in tables.timers)
            and not tables.places
            and all(self._is_read(p) for p in range(self.partitions))
            and all(
                (group.offsets.get(p) or (0,))[0] == log.high
                for (_, topic), group in self.broker.groups.items()
                if topic != "inbox"
                for p, log in enumerate(self.broker.topic(topic).partitions)
            )
        )

    def _is_read(self, partition: int) -> bool:
        """Whether a partition stands at the end of its log, and all that it lacked is asked for."""
        topic, row = self.broker.topic("inbox"), self.store.tables.partitions[partition]
        is_same = row.topic_id in (None, topic.id) and not row.must_redrive
        return is_same and topic.partitions[partition].high == row.next_offset

    async def settle(self, seconds: float) -> bool:
        """Wait until nothing is left to do; False if that takes longer than it may."""
        end = self.loop.time() + seconds
        while not self.is_idle:
            if self.loop.time() > end:
                return False
            await asyncio.sleep(0.2)
        return True

    async def storm(self, seconds: float) -> None:
        """Let things go wrong at random for a while."""
        await self.strikes.storm(seconds)

    def calm(self) -> None:
        """Let nothing more go wrong, and let everybody run."""
        self.weather.clear()
        self.broker.leaderless.clear()
        if self.engine.on_lost_log == "halt" and self.broker.has_been_lost:
            self.continue_at(self.rng.choice(("continue_earliest", "continue_latest")))
        for slot in self.slots:
            process, log = slot.process, slot.log
            if process is not None and log is not None and not process.is_running and not process.is_dead:
                process.thaw()
                process.later(0.0, log.log.rejoin)

    def continue_at(self, policy: str) -> None:
        """Let an operator say how to go on after a loss, and start all reconcilers anew."""
        self.engine = self.engine.model_copy(update={"on_lost_log": policy})
        for slot in self.slots:
            if slot.role == "reconciler":
                self.crash(slot)

    def _goes_on(self, partition: int, ended: int, began: int) -> None:
        """Let clients repeat what was lost before it was folded, as far as somebody waits for it."""
        repeated = [r for r in self.lives.begin(partition, ended, began) if self.clients.insist_on(r)]

        def repeat() -> None:
            self._repeats -= 1
            for record in repeated:
                self.broker.append("inbox", None, record.key, record.value)

        self._repeats += 1
        self.weather.later(self.rng.uniform(0.1, 2.0), repeat)

    async def _reconcile(self, slot: Slot, process: Process) -> None:
        skew = self.weather.faults.skew_ms
        clock = VirtualClock(self.loop.time, self.rng.randint(-skew, skew))
        definitions = RemoteDefinitions(process, self.broker, slot.knows)
        await retry_transient(definitions.catch_up, "read the definitions")
        log = slot.log = RemoteLog(
            process, self.broker, "inbox", "reconciler", records_max=self.engine.batch_records_max
        )
        log.open()
        store = slot.store = RemoteStore(process, self.store)
        reconciler = Reconciler(
            log, store, RemotePublisher(process, self.broker), definitions,
            RemoteVerdicts(process, self.broker), clock, self.engine, _metrics(), owner=process.name,
            source=SOURCE, partition_count=self.partitions, knows=slot.knows,
        )  # fmt: skip
        slot.program = reconciler
        await reconciler.run()

    async def _work(self, slot: Slot, process: Process) -> None:
        skew = self.weather.faults.skew_ms
        clock = VirtualClock(self.loop.time, self.rng.randint(-skew, skew))
        log = slot.log = RemoteLog(
            process, self.broker, f"commands.{slot.queue}", f"worker.{slot.queue}", records_max=100
        )
        log.open()
        worker = Worker(
            {slot.queue: log}, RemotePublisher(process, self.broker), RemoteBlobs(process, self.broker),
            lambda workflow, step: self.watched(self.app.handler(workflow, step), process),
            clock, self.worker, _metrics(), worker=process.name,
        )  # fmt: skip
        slot.program = worker
        await worker.run()

    def watched(self, handler: Handler, process: Process) -> Handler:
        """Return a handler whose calls are noted."""
        return WatchedHandler(handler, process, self.calls)

    def _died(self, slot: Slot, process: Process) -> None:
        """Tell the group when its patience is over, and start a successor."""
        log, store = slot.log, slot.store
        slot.log = slot.store = slot.program = None
        if store is not None:
            self.weather.later(self.rng.uniform(0.0, 0.2), store.leave)
        if process.failure is not None:
            self.journal.seen_wrong.append(f"{process.name} ended by itself: {process.failure!r}")
        if log is not None:
            inner = log.log
            self.broker.stop_listening(inner.name, inner._poke)
            self.weather.later(self.session_seconds, lambda: self.broker_forgets(inner))
            if inner.trespasses:
                self._note_trespasses(process.name, inner.trespasses)
        self.weather.later(self.rng.uniform(0.05, 2.5), lambda: self.start(slot))

    def broker_forgets(self, member: Any) -> None:
        """Let a group give up a member that is silent."""
        for group in self.broker.groups.values():
            group.leave(member)

    def _note_trespasses(self, name: str, partitions: list[int]) -> None:
        self.journal.seen_wrong.append(
            f"{name} fetched partitions that it knew are not its own: {partitions}"
        )

    def _gap(self) -> int:
        weather = self.weather
        return weather.rng.randint(1, 5) if weather.chance(weather.faults.gap, "gap in offsets") else 0

    def _thread_seconds(self) -> float:
        rng = self.weather.rng
        return rng.uniform(0.0, 0.01) if rng.random() < 0.9 else rng.uniform(0.0, 0.6)

    def _complained(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.journal.seen_wrong.append(f"{context.get('message')}: {error!r}")

    def _end(self) -> None:
        """End everything that still runs."""
        for slot in self.slots:
            if slot.log is not None and slot.log.log.trespasses and slot.process is not None:
                self._note_trespasses(slot.process.name, slot.log.log.trespasses)
            if slot.process is not None:
                slot.process.kill()
                slot.process._clear_away()
        self.loop.run_until_complete(self.clients.end())
        self.loop.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of what goes wrong on purpose."""
    log = logging.getLogger(ROOT)
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)
