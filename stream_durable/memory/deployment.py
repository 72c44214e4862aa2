"""A deployment in one thread on virtual time: the real reconcilers and workers on services in memory.

`Deployment` holds the services (broker, store) and keeps the processes running: a dead process is replaced by
another with fresh memory, as by a supervisor. Faults are decided by the weather, and by explicit crashes; the
same seed gives the same course.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from random import Random
from typing import Any

from stream_durable.core.bindings import Binding
from stream_durable.core.format import FORMAT
from stream_durable.core.lanes import lanes_of_all
from stream_durable.engine.bound import BoundTopics
from stream_durable.engine.outbox import format_record
from stream_durable.engine.reconciler import Reconciler
from stream_durable.memory.bound import RemoteBoundLog
from stream_durable.memory.broker import Broker
from stream_durable.memory.control import MemoryControl
from stream_durable.memory.definitions import MemoryCatalogue
from stream_durable.memory.loop import VirtualLoop
from stream_durable.memory.ports import VirtualClock
from stream_durable.memory.process import Process
from stream_durable.memory.producing import RemotePublisher
from stream_durable.memory.remote import (
    RemoteBlobs,
    RemoteDefinitions,
    RemoteStore,
    RemoteVerdicts,
)
from stream_durable.memory.remote_log import RemoteLog
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.weather import Faults, Weather
from stream_durable.metrics import Metrics
from stream_durable.retrying import retry_transient
from stream_durable.sdk.app import App
from stream_durable.sdk.handler import Handler
from stream_durable.settings import EngineSettings, WorkerSettings
from stream_durable.wire.tokens import Tokens
from stream_durable.wire.topics import COMMANDS, INBOX, RECONCILERS, WORKERS
from stream_durable.worker.emitting import Emitting
from stream_durable.worker.worker import Worker

SOURCE = "/stream-durable/simulated"
QUEUE = "default"


@cache
def _metrics() -> Metrics:
    """Return a set shared by all worlds: creating metrics takes longer than many a simulation."""
    return Metrics()


@dataclass(slots=True)
class Slot:
    """A place for a process; a dead process is replaced."""

    role: str
    number: int
    #: The newest format that a reconciler knows.
    knows: int = FORMAT
    #: The queue that a worker serves.
    queue: str = QUEUE
    incarnation: int = 0
    process: Process | None = None
    logs: tuple[RemoteLog, ...] = ()
    store: RemoteStore | None = None
    program: Reconciler | Worker | BoundTopics | None = None


class Deployment:
    """Reconcilers, workers, and their services."""

    def __init__(
        self,
        seed: int,
        app: App,
        *,
        partitions: int,
        reconcilers: int,
        workers: int,
        faults: Faults,
        engine: EngineSettings,
        worker: WorkerSettings,
        make_store: Callable[[int], MemoryStore] = MemoryStore,
        knows: int = FORMAT,
    ) -> None:
        """Start nothing yet."""
        self.seed = seed
        self.app = app
        self.partitions = partitions
        self.engine = engine
        self.worker = worker
        self.loop = VirtualLoop()
        self.rng = Random(f"world {seed}")  # noqa: S311 - a simulation, not a secret
        self.weather = Weather(self.loop, seed, faults)
        self.clock = VirtualClock(self.loop.time)
        self.broker = Broker(self.clock, partitions)
        self.store = make_store(partitions)
        #: How long a silent process keeps its partitions.
        self.session_seconds = 3.0
        self.slots = [Slot("reconciler", i, knows) for i in range(reconcilers)]
        self.slots += [Slot("worker", i) for i in range(workers)]
        #: Violations seen while they happened.
        self.wrong: list[str] = []
        #: Records that readers got with others left out before them.
        self.leaps: list[str] = []
        #: The secret of an instance that no other can be taken for.
        self.tokens = Tokens(("no secret: everything here is made up",))
        self.broker.complain = self.wrong.append

    async def open(self) -> None:
        """Make the definitions known, and start all processes; of even seeds in the newest format."""
        client = Process(self.weather, "registrar")
        definitions = RemoteDefinitions(client, self.broker)
        for definition in self.app.definitions():
            await retry_transient(lambda d=definition: definitions.register(d), "register")  # type: ignore[misc]
        if self.seed % 2 == 0:
            for partition in range(self.partitions):
                record = format_record(partition, min(slot.knows for slot in self.slots))
                self.broker.append(INBOX, partition, record.key, record.value)
        if records := definitions.declared.lacking(self.app.name, self.app.rules, self.clock.now()):
            await retry_transient(lambda: definitions.declare(records), "declare")
        for slot in self.slots:
            self.start(slot)

    def start(self, slot: Slot) -> None:
        """Fill a slot with a new process."""
        slot.incarnation += 1
        name = f"{slot.role}-{slot.number}.{slot.incarnation}"
        process = slot.process = self.make_process(slot, name)
        programs = {"reconciler": self._reconcile, "worker": self._work, "ingress": self._ingest}
        process.start(programs[slot.role](slot, process))

    def make_process(self, slot: Slot, name: str) -> Process:
        """Return a process for a slot, not started yet."""
        return Process(self.weather, name, lambda process: self._died(slot, process))

    def crash(self, slot: Slot) -> None:
        """Kill the process in a slot."""
        if slot.process is not None:
            slot.process.kill()

    def watched(self, handler: Handler, process: Process) -> Handler:
        """Return the handler called by processes instead of this one."""
        return handler

    def end(self) -> None:
        """End everything still running."""
        self.kill_all()
        self.loop.close()

    def kill_all(self) -> None:
        """Kill all processes, without successors."""
        for slot in self.slots:
            if slot.process is not None:
                self._note_faults(slot.process.name, slot.logs)
                slot.process.kill()
                slot.process._clear_away()

    async def _reconcile(self, slot: Slot, process: Process) -> None:
        skew = self.weather.faults.skew_ms
        clock = VirtualClock(self.loop.time, self.rng.randint(-skew, skew))
        definitions = RemoteDefinitions(process, self.broker, slot.knows)
        await retry_transient(definitions.catch_up, "read the definitions")
        log = RemoteLog(process, self.broker, INBOX, RECONCILERS, records_max=self.engine.batch_records_max)
        slot.logs = (log,)
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
        logs = {
            lane: RemoteLog(process, self.broker, COMMANDS + lane, WORKERS + lane, records_max=100)
            for lane in lanes_of_all(self.app.parts((slot.queue,)))
        }
        slot.logs = tuple(logs.values())
        for log in slot.logs:
            log.open()
        worker = Worker(
            logs, RemotePublisher(process, self.broker), RemoteBlobs(process, self.broker),
            lambda workflow, step: self.watched(self.app.handler(workflow, step), process),
            clock, self.worker, _metrics(), worker=process.name,
            emitting=Emitting(RemoteDefinitions(process, self.broker, slot.knows), self.engine.event_ttl_ms),
            control=MemoryControl(self.broker),
        )  # fmt: skip
        worker.attempts.signs = self.tokens
        slot.program = worker
        await worker.run()

    async def _ingest(self, slot: Slot, process: Process) -> None:
        """Serve the bindings; the events topic is nobody's here."""

        def open_log(binding: Binding) -> RemoteBoundLog:
            log = RemoteBoundLog(process, self.broker, binding.topic, binding.name)
            slot.logs = (*slot.logs, log)
            return log

        bound = BoundTopics(
            open_log, RemotePublisher(process, self.broker), MemoryCatalogue(self.broker), _metrics(),
            ttl_ms=self.engine.event_ttl_ms,
        )  # fmt: skip
        slot.program = bound
        await bound.run()

    def _died(self, slot: Slot, process: Process) -> None:
        """Tell the group when its patience is over, and start a successor."""
        logs, store = slot.logs, slot.store
        slot.logs, slot.store, slot.program = (), None, None
        if store is not None:
            self.weather.later(self.rng.uniform(0.0, 0.2), store.leave)
        if process.failure is not None:
            self.wrong.append(f"{process.name} ended by itself: {process.failure!r}")
        for log in logs:
            inner = log.log
            self.broker.stop_listening(inner.name, inner._poke)
            self.weather.later(self.session_seconds, partial(self.broker_forgets, inner))
        self._note_faults(process.name, logs)
        self.weather.later(self.rng.uniform(0.05, 2.5), lambda: self.start(slot))

    def broker_forgets(self, member: Any) -> None:
        """Let a group remove a silent member."""
        for group in self.broker.groups.values():
            group.leave(member)

    def _note_faults(self, name: str, logs: Iterable[RemoteLog]) -> None:
        for log in logs:
            self.leaps += log.leaps
            if partitions := log.log.trespasses:
                self.wrong.append(f"{name} fetched partitions that it knew are not its own: {partitions}")
