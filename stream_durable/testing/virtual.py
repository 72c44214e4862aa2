"""The engine of a test in memory: one deployment without faults, on virtual time, in a thread of its own.

The loop runs while a call of the test is under way, and stands still between calls. Where nothing is under
way it jumps to the next timer, as if the machine had been suspended; while an attempt is made, time passes
second by second, since leases and heartbeats count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any, TypeVar

from stream_durable.client import AsyncClient
from stream_durable.core.errors import BrokenError
from stream_durable.engine.bound import BoundTopics, Reader
from stream_durable.engine.reconciler import Reconciler
from stream_durable.memory.definitions import MemoryCatalogue
from stream_durable.memory.deployment import QUEUE, Deployment, Slot
from stream_durable.memory.ports import VirtualClock
from stream_durable.memory.process import Process, immediately
from stream_durable.memory.views import memory_ports
from stream_durable.memory.weather import Faults
from stream_durable.ports import Headers, Record
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.workflow import Workflow
from stream_durable.settings import EngineSettings, WorkerSettings
from stream_durable.testing.backend import SECONDS_MAX, TIMERS_MAX, GaveUp, Passing, Rest
from stream_durable.testing.bound import has_bound_all
from stream_durable.testing.carrying import GrowingApp
from stream_durable.testing.mishaps import ArrangedHandler, Mishaps
from stream_durable.testing.thread import EngineThread
from stream_durable.wire.topics import COMMANDS, FOREIGN, INBOX
from stream_durable.worker.logs import captured

_Answer = TypeVar("_Answer")

#: A call of a service takes this long: nothing that a test would notice, but an order in time.
_CALL_SECONDS = 1e-6
#: An attempt continuing within this time waits for a service, not for its own time.
_SOON_SECONDS = 1e-3


class QuietDeployment(Deployment):
    """A deployment without faults, except those arranged by a test."""

    def __init__(self, app: GrowingApp, mishaps: Mishaps) -> None:
        """Start nothing yet."""
        faults = Faults(delay=_CALL_SECONDS)
        super().__init__(
            0, app, partitions=1, reconcilers=1, workers=0, faults=faults, engine=EngineSettings(),
            worker=WorkerSettings(),
        )  # fmt: skip
        self._mishaps = mishaps

    def watched(self, handler: Handler, process: Process) -> Handler:
        """Return a handler with arranged mishaps."""
        return ArrangedHandler(handler, self._mishaps, process.kill)

    def rest(self) -> Rest:
        """Say how much is under way."""
        rests = [self._rest_of(slot) for slot in self.slots]
        tables, inbox = self.store.tables, self.broker.topic(INBOX).partitions
        if any(tables.partitions[p].next_offset != log.high for p, log in enumerate(inbox) if log.records):
            return Rest.BUSY
        due = self.next_due()
        if due is not None and due <= self.clock.now():
            return Rest.BUSY
        rest = min(rests)
        is_soon = self.loop.next_moment() - self.loop.time() < _SOON_SECONDS
        return Rest.BUSY if rest == Rest.ATTEMPTS and is_soon else rest

    def next_due(self) -> int | None:
        """Return when the next timer fires."""
        return min((due for _, due in self.store.tables.timers.values()), default=None)

    def serve(self, queue: str) -> None:
        """Start a worker of a queue."""
        self._add(Slot("worker", len(self.slots), queue=queue))

    def bind(self) -> None:
        """Start an ingress for bindings, unless there is one."""
        if not any(slot.role == "ingress" for slot in self.slots):
            self._add(Slot("ingress", len(self.slots)))

    def _add(self, slot: Slot) -> None:
        self.slots.append(slot)
        self.start(slot)

    def serve_anew(self, queue: str) -> None:
        """Replace the workers of a queue, since the lanes have changed."""
        for slot in self.slots:
            if slot.role == "worker" and slot.queue == queue:
                self.crash(slot)

    def _rest_of(self, slot: Slot) -> Rest:
        program, process = slot.program, slot.process
        if program is None or process is None or not process.is_running:
            return Rest.BUSY
        if isinstance(program, BoundTopics):
            return Rest.QUIET if self._has_bound_all(program) else Rest.BUSY
        if not self._has_read_all(slot):
            return Rest.BUSY
        if isinstance(program, Reconciler):
            is_saying = program._writing.locked() or not (
                program._publishing.is_idle and program._backlog.is_idle
            )
            is_saying |= any(partition.is_redriving for partition in program.partitions.values())
            return Rest.BUSY if is_saying else Rest.QUIET
        if not program._reports._idle.is_set():
            return Rest.BUSY
        under_way = len(program.attempts._jobs) - program.attempts.places.held
        return Rest.ATTEMPTS if under_way else Rest.QUIET

    def _has_bound_all(self, program: BoundTopics) -> bool:
        catalogue = program._catalogue
        assert isinstance(catalogue, MemoryCatalogue)

        async def ends(reader: Reader) -> dict[int, int]:
            logs = self.broker.topic(FOREIGN + reader.binding.topic).partitions
            return {partition: log.high for partition, log in enumerate(logs)}

        return catalogue.is_current and immediately(has_bound_all(program, catalogue.declared, ends))

    def _has_read_all(self, slot: Slot) -> bool:
        for log in (remote.log for remote in slot.logs):
            ends = [partition.high for partition in self.broker.topic(log.name).partitions]
            if log._events or any(log.fetching.get(p) != high for p, high in enumerate(ends)):
                return False
        return True


class VirtualBackend:
    """The engine in memory."""

    name = "memory"

    def __init__(self) -> None:
        """Create the services; they begin with the first call."""
        self.mishaps = Mishaps()
        self._app = GrowingApp()
        self._deployment = QuietDeployment(self._app, self.mishaps)
        of = self._deployment
        self.ports = memory_ports(of.broker, of.store, of.engine.event_ttl_ms, of.clock.now, of.tokens)
        self.client = AsyncClient(lambda: nullcontext(self.ports))
        #: The parts of the queues that are served.
        self._queues: dict[str, tuple[str, ...]] = {}
        self._thread: EngineThread | None = None
        self._listening = ExitStack()

    def now(self) -> int:
        """Return the virtual time."""
        return self._deployment.clock.now()

    def do(self, make: Callable[[], Coroutine[Any, Any, _Answer]]) -> _Answer:
        """Run a coroutine to the end; time passes as needed."""
        return self._open().do(lambda: self._run(make()))

    def functions(self) -> Mapping[str, Sequence[str]]:
        """Return the names of functions in commands, by workflow."""
        return self._app.functions()

    def carry(self, workflow: Workflow | None, queue: str | None) -> None:
        """Let workers serve a workflow with all children, and a queue."""
        if workflow is not None and self._app.carry(workflow):
            self.do(self._register)
        self._serve(self._app.queues() | ({queue} if queue else set()))

    def deploy(self, workflows: Iterable[Workflow]) -> None:
        """Let workers serve these workflows instead of those of the same names."""
        self._app.deploy(workflows)
        self.do(self._register)
        self._serve(self._app.queues())

    def _serve(self, wanted: set[str]) -> None:
        for each in sorted(wanted):
            parts = self._app.parts((each,))
            if self._queues.get(each) == parts:
                continue
            serve = self._deployment.serve_anew if each in self._queues else self._deployment.serve
            self._queues[each] = parts
            self._open().do(lambda name=each, serve=serve: serve(name))  # type: ignore[misc]

    def pass_time(self, passing: Passing) -> GaveUp | None:
        """Let the deployment go on."""
        return self._open().do(lambda: self._pass(passing))

    def check_crash(self) -> None:
        """Workers here are made to crash."""

    def emitted(self, topic: str) -> Sequence[Record]:
        """Return the records on a topic of others, in the order of their partitions."""
        return self._deployment.broker.topic(FOREIGN + topic).records()

    def bind(self, topics: Iterable[str]) -> None:
        """Let an ingress serve the declared bindings; topics are created on the first request."""
        self._open().do(self._deployment.bind)

    def deliver(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Append a record to a topic of others."""
        self._open().do(lambda: self._deployment.broker.append(FOREIGN + topic, None, key, value, headers))

    def redeliver(self) -> None:
        """Append every record of the inbox and of the command topics once more; copies are not copied."""
        self._open().do(self._redeliver)

    def restart(self) -> None:
        """Kill the reconciler."""
        self._open().do(lambda: self._deployment.crash(self._deployment.slots[0]))

    def close(self) -> None:
        """End the deployment and the thread."""
        if self._thread is not None:
            self._thread.close(self._end)
        else:
            self._deployment.loop.close()

    def _open(self) -> EngineThread:
        if self._thread is None:
            self._thread = EngineThread("stream-durable engine")
            self._queues.setdefault(QUEUE, (QUEUE,))
            self._thread.do(self._begin)
        return self._thread

    def _begin(self) -> None:
        self._run(self._deployment.open())
        self._deployment.serve(QUEUE)
        # Not the workers themselves: one that crashes would go on listening.
        self._listening.enter_context(captured())
        self._run(self.client.__aenter__())

    async def _register(self) -> None:
        for definition, about in self._app.registrations():
            await self.ports.catalogue.register(definition, about)

    def _redeliver(self) -> None:
        broker = self._deployment.broker
        for topic in [name for name in broker.names() if name == INBOX or name.startswith(COMMANDS)]:
            records = {(r.partition, r.key, r.value): r for r in broker.topic(topic).records()}
            for record in records.values():
                broker.append(topic, record.partition, record.key, record.value, record.headers)

    def _run(self, coroutine: Coroutine[Any, Any, _Answer]) -> _Answer:
        began = time.monotonic()

        def at_rest() -> bool:
            self._check(began)
            return False

        loop = self._deployment.loop
        loop.at_rest = at_rest
        return loop.run_until_complete(coroutine)

    def _pass(self, passing: Passing) -> GaveUp | None:
        """Run the loop, asking at the end of each moment whether to go on, and when."""
        deployment, loop = self._deployment, self._deployment.loop
        began, fired = time.monotonic(), 0
        limit = _seconds(passing.until)
        outcome: list[GaveUp | None] = []

        def stop(why: GaveUp | None) -> bool:
            outcome.append(why)
            loop.stop()
            return True

        def at_rest() -> bool:
            nonlocal fired
            self._check(began)
            rest = deployment.rest()
            if immediately(passing.goal(rest)):
                return stop(None)
            if rest == Rest.BUSY or (rest == Rest.ATTEMPTS and loop.next_moment() < limit):
                return False
            due = deployment.next_due() if rest == Rest.QUIET else None
            if due is not None and due <= passing.until:
                fired += 1
                loop.jump(_seconds(due))
                return fired <= TIMERS_MAX or stop("timers")
            if rest == Rest.QUIET and due is None and not passing.goes_there:
                return stop("nothing")
            if loop.time() >= limit:
                return stop("time")
            loop.jump(limit)
            return True

        loop.at_rest = at_rest
        loop.run_forever()
        return outcome[0]

    def _check(self, began: float) -> None:
        """Raise if a part of the engine has broken, or nothing comes of it in any time."""
        if self._deployment.wrong:
            raise BrokenError("; ".join(self._deployment.wrong))
        if time.monotonic() - began > SECONDS_MAX:
            raise TimeoutError(f"the engine has worked for {SECONDS_MAX:.0f} s, and there is no end to it")

    def _end(self) -> None:
        self._listening.close()
        self._deployment.loop.at_rest = None
        self._run(self.client.__aexit__(None, None, None))
        self._deployment.loop.at_rest = None
        self._deployment.end()


def _seconds(millis: int) -> float:
    # A little later, so that the clock, which cuts, has got there.
    return (millis - VirtualClock.EPOCH_MS) / 1_000 + 1e-6
