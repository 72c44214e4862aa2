"""The engine of a test on a real Kafka and a real Postgres: separate topics and schema, in one process.

Test time is this machine's time plus an offset. The offset is added to the time of the reconciler and the
workers, and to the time of records read, so that sleeps and time-outs need not be waited for.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from stream_durable import bootstrap, connecting
from stream_durable.client import AsyncClient
from stream_durable.core.errors import RejectedError
from stream_durable.core.lanes import lanes_of_all
from stream_durable.engine.bound import Reader
from stream_durable.engine.ingress import Ingress
from stream_durable.engine.reconciler import Reconciler
from stream_durable.kafka.own_topics import make_own_topics, missing_topics
from stream_durable.kafka.reader import KafkaReader
from stream_durable.kafka.topics import Topics
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres
from stream_durable.metrics import Metrics
from stream_durable.ports import Headers, Log, Outgoing, Record, Span, TimerPosition
from stream_durable.postgres.migrate import drop, migrate
from stream_durable.retrying import retry_transient
from stream_durable.running import is_configured
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.workflow import Workflow
from stream_durable.services.roles import make_topics
from stream_durable.settings import Settings
from stream_durable.testing.backend import SECONDS_MAX, TIMERS_MAX, GaveUp, Passing, Rest
from stream_durable.testing.bound import has_followed
from stream_durable.testing.carrying import GrowingApp
from stream_durable.testing.mishaps import ArrangedHandler, Mishaps
from stream_durable.testing.shifted import ShiftedClock, ShiftedLog
from stream_durable.testing.thread import EngineThread
from stream_durable.wire.topics import COMMANDS, FOREIGN, INBOX, full_name
from stream_durable.worker.worker import Worker

_Answer = TypeVar("_Answer")

_Program = Reconciler | Worker | Ingress

_PARTITIONS: Final = 2
_DEFAULT: Final = "default"
_LOOK_SECONDS: Final = 0.01
_FIRST_TIMER: Final[TimerPosition] = (-1, "channel", "", "")
_END_OF_TIME: Final = 1 << 62


@contextmanager
def services() -> Iterator[Settings]:
    """Yield the configured services; missing ones are started, and end with the block."""
    settings = Settings.load()
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="stream-durable-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        values: dict[str, object] = {}
        with ThreadPoolExecutor(2) as threads:
            started = []
            if not is_configured(settings, "kafka.bootstrap"):
                started.append(threads.submit(_start_kafka, home, stack))
            if not is_configured(settings, "postgres.dsn"):
                started.append(threads.submit(_start_postgres, home, stack))
            for each in started:
                values |= each.result()
        # Clients that are not freed yet would complain that their broker is gone.
        stack.callback(gc.collect)
        yield settings.override(values)


def _start_kafka(home: Path, stack: ExitStack) -> dict[str, object]:
    if missing := LocalKafka.available():
        raise RejectedError("no_local_kafka", f"{missing}, or set STREAM_DURABLE_KAFKA__BOOTSTRAP")
    kafka = LocalKafka(home / "kafka")
    stack.callback(kafka.stop)
    kafka.start()
    return {"kafka.bootstrap": kafka.bootstrap, "kafka.replication": 1}


def _start_postgres(home: Path, stack: ExitStack) -> dict[str, object]:
    if missing := LocalPostgres.available():
        raise RejectedError("no_local_postgres", f"{missing}, or set STREAM_DURABLE_POSTGRES__DSN")
    postgres = LocalPostgres(home / "postgres")
    stack.callback(postgres.stop)
    postgres.start()
    return {"postgres.dsn": postgres.dsn()}


class _ArrangedApp(GrowingApp):
    """An app with arranged mishaps for its functions."""

    def __init__(self, mishaps: Mishaps) -> None:
        super().__init__()
        self._mishaps = mishaps

    def handler(self, workflow: str, step: str) -> Handler:
        """Return the function of a step, with arranged mishaps."""
        return ArrangedHandler(super().handler(workflow, step), self._mishaps, lambda: None)


class RealBackend:
    """The engine on real services."""

    name = "real"

    def __init__(self, reachable: Settings) -> None:
        """Make topics and a schema, and start everything."""
        token = f"sd_test_{secrets.token_hex(4)}"
        self._settings = reachable.override({
            "prefix": token, "postgres.db_schema": token, "kafka.partitions": _PARTITIONS,
            "worker.drain_ms": 1_000, "security.token_secrets": (secrets.token_hex(32),),
        })  # fmt: skip
        self.mishaps = Mishaps()
        self._app = _ArrangedApp(self.mishaps)
        self._clock = ShiftedClock()
        self._seen: dict[tuple[int, int], int] = {}
        self._metrics = Metrics()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._served: dict[str, tuple[str, ...]] = {}  # parts of queues
        self._programs: dict[str, _Program] = {}
        self._stack = AsyncExitStack()
        self._loop = asyncio.new_event_loop()
        self._thread = EngineThread("stream-durable engine")
        self.do(self._begin)

    def now(self) -> int:
        """Return the time of the test."""
        return self._clock.now()

    def do(self, make: Callable[[], Coroutine[Any, Any, _Answer]]) -> _Answer:
        """Run a coroutine beside the services, suspended afterwards."""
        return self._thread.do(lambda: self._loop.run_until_complete(make()))

    def functions(self) -> Mapping[str, Sequence[str]]:
        """Return the names of functions in commands, by workflow."""
        return self._app.functions()

    def carry(self, workflow: Workflow | None, queue: str | None) -> None:
        """Let workers serve a workflow with all children, and a queue."""
        is_new = workflow is not None and self._app.carry(workflow)
        missing = self._unserved(self._app.queues() | ({queue} if queue else set()))
        if is_new or missing:
            self.do(lambda: self._serve(missing))

    def deploy(self, workflows: Iterable[Workflow]) -> None:
        """Let workers serve these workflows instead of those of the same names."""
        self._app.deploy(workflows)
        self.do(lambda: self._serve(self._unserved(self._app.queues())))

    def _unserved(self, queues: Iterable[str]) -> list[str]:
        """Return the queues without a worker, or with a worker of other lanes."""
        return sorted(each for each in queues if self._served.get(each) != self._app.parts((each,)))

    def pass_time(self, passing: Passing) -> GaveUp | None:
        """Let everything go on."""
        return self.do(lambda: self._pass(passing))

    def check_crash(self) -> None:
        """Skip the test: nothing within this process dies as a process does."""
        pytest.skip("workers crash in memory alone: on real services, kill a worker process instead")

    def emitted(self, topic: str) -> Sequence[Record]:
        """Skip the test: nobody has made the topic."""
        pytest.skip(f"topic {topic!r} is there in memory alone: on real services, read it with a consumer")

    def bind(self, topics: Iterable[str]) -> None:
        """Make the topics, and let an ingress serve the declared bindings."""
        self.do(lambda: self._bind(list(topics)))

    def deliver(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Publish a record on a topic of others, made if there is none."""
        message = Outgoing(FOREIGN + topic, None, key, value)

        async def publish() -> None:
            await self._make_foreign([topic])
            assert not await self.ports.publisher.publish([(message, headers)])

        self.do(publish)

    def redeliver(self) -> None:
        """Append every record of the inbox and of the command topics once more."""
        self.do(self._redeliver)

    def restart(self) -> None:
        """End the reconciler, and start another with empty memory."""
        self.do(self._restart)

    def close(self) -> None:
        """End everything, and remove the schema; topics are left, as others might still read them."""
        self._thread.close(self._close)

    async def _begin(self) -> None:
        await migrate(self._settings.postgres, _PARTITIONS)
        await self._make_topics([_DEFAULT])
        self._start("reconciler", self._reconciler)
        self.ports = await self._stack.enter_async_context(connecting.client_ports(self._settings))
        self.client = AsyncClient(lambda: nullcontext(self.ports))
        await self._stack.enter_async_context(self.client)
        await self._serve([_DEFAULT])

    async def _serve(self, queues: list[str]) -> None:
        await self._make_topics(self._app.parts(queues))
        for each in self._app.registrations():
            await retry_transient(lambda r=each: self.ports.catalogue.register(*r), "register")  # type: ignore[misc]
        for queue in queues:
            if queue in self._served:
                await self._stop(f"worker {queue}")
            self._served[queue] = self._app.parts((queue,))
            self._start(f"worker {queue}", lambda name=queue: self._worker(name))  # type: ignore[misc]
        await self._until(lambda: self._programs.keys() >= {f"worker {queue}" for queue in queues})

    async def _make_topics(self, queues: Sequence[str]) -> None:
        await make_topics(self._settings, tuple(queues))
        topics, deadline = Topics(self._settings, tuple(queues)), time.monotonic() + SECONDS_MAX
        # What the controller has made, brokers hear of a little later.
        while any(step.action != "ok" for step in await retry_transient(topics.plan, "look at the topics")):
            self._check(deadline)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _bind(self, topics: list[str]) -> None:
        await self._make_foreign(topics)
        if "ingress" not in self._running:
            self._start("ingress", lambda: bootstrap.ingress(self._settings, self._metrics))
            await self._until(lambda: "ingress" in self._programs)

    async def _make_foreign(self, topics: list[str]) -> None:
        await make_own_topics(self._settings.kafka, topics, _PARTITIONS)
        assert not await missing_topics(self._settings.kafka, topics)

    def _reconciler(self) -> AbstractAsyncContextManager[Reconciler]:
        def through(log: Log) -> Log:
            return ShiftedLog(log, self._clock, self._seen)

        return bootstrap.reconciler(self._settings, self._metrics, clock=self._clock, through=through)

    def _worker(self, queue: str) -> AbstractAsyncContextManager[Worker]:
        settings = self._settings.override({"worker.queues": (queue,)})
        return bootstrap.worker(settings, self._app, Metrics(), clock=self._clock)

    def _start(self, name: str, assemble: Callable[[], AbstractAsyncContextManager[_Program]]) -> None:
        async def serve() -> None:
            async with AsyncExitStack() as stack:
                # Topics that were just made have no leader for a moment.
                program = await retry_transient(lambda: stack.enter_async_context(assemble()), "assemble")
                self._programs[name] = program
                await program.run()

        self._running[name] = asyncio.get_running_loop().create_task(serve())

    async def _until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS_MAX
        while not is_so():
            self._check(deadline)
            await asyncio.sleep(_LOOK_SECONDS)

    def _check(self, deadline: float) -> None:
        for name, running in self._running.items():
            if running.done():
                running.result()
                raise RuntimeError(f"the {name} has ended by itself")
        if time.monotonic() > deadline:
            raise TimeoutError(f"the engine has worked for {SECONDS_MAX:.0f} s, and there is no end to it")

    async def _pass(self, passing: Passing) -> GaveUp | None:
        deadline, fired = time.monotonic() + SECONDS_MAX, 0
        while True:
            self._check(deadline)
            rest = await self._rest()
            if await passing.goal(rest):
                return None
            is_over = self.now() >= passing.until
            due = await self._next_due() if rest == Rest.QUIET else None
            if rest < Rest.QUIET:
                if rest == Rest.ATTEMPTS and is_over:
                    return "time"
                await asyncio.sleep(_LOOK_SECONDS)
            elif due is not None and due <= passing.until:
                fired += 1
                if fired > TIMERS_MAX:
                    return "timers"
                self._go_to(due)
            elif due is None and not passing.goes_there:
                return "nothing"
            elif is_over:
                return "time"
            else:
                self._go_to(passing.until)

    def _go_to(self, moment: int) -> None:
        """Let time pass at once, noticed by the reconciler."""
        self._clock.ahead_ms += max(0, moment - self.now())
        reconciler = self._programs["reconciler"]
        assert isinstance(reconciler, Reconciler)
        reconciler._timers._wake.set()

    async def _rest(self) -> Rest:
        """Return the amount of work under way: all messages sent meanwhile are on the inbox at the end."""
        reconciler = self._programs.get("reconciler")
        if not isinstance(reconciler, Reconciler) or len(reconciler.partitions) < _PARTITIONS:
            return Rest.BUSY
        ends = await self._ends(reconciler._log)
        if any(reconciler.partitions[p].next_offset < high for p, (_, high) in ends.items()):
            return Rest.BUSY
        is_published = reconciler._publishing.is_idle and reconciler._backlog.is_idle
        if reconciler._writing.locked() or not is_published:
            return Rest.BUSY
        if not await self._has_bound_all():
            return Rest.BUSY
        workers = [each for each in self._programs.values() if isinstance(each, Worker)]
        rests = [await self._rest_of(worker) for worker in workers]
        due = await self._next_due()
        if await self._ends(reconciler._log) != ends or (due is not None and due <= self.now()):
            return Rest.BUSY
        return min(rests)

    async def _has_bound_all(self) -> bool:
        ingress = self._programs.get("ingress")
        if not isinstance(ingress, Ingress):
            return "ingress" not in self._running

        async def ends(reader: Reader) -> dict[int, int]:
            assert reader.log is not None
            return {p: high for p, (_, high) in (await self._ends(reader.log)).items()}

        return await has_followed(ingress, self.ports.catalogue, ends)

    async def _rest_of(self, worker: Worker) -> Rest:
        for lane in worker._lanes:
            if len(lane.partitions) < _PARTITIONS:
                return Rest.BUSY
            for partition, (low, high) in (await self._ends(lane._log)).items():
                if high > low and lane._offsets[partition]._highest + 1 < high:
                    return Rest.BUSY
        if not worker._reports._idle.is_set():
            return Rest.BUSY
        under_way = len(worker.attempts._jobs) - worker.attempts.places.held
        return Rest.ATTEMPTS if under_way else Rest.QUIET

    async def _ends(self, log: Log) -> dict[int, tuple[int, int]]:
        bounds = {p: await retry_transient(lambda p=p: log.bounds(p), "look") for p in range(_PARTITIONS)}  # type: ignore[misc]
        return {p: (found.low, found.high) for p, found in bounds.items()}

    async def _next_due(self) -> int | None:
        reconciler = self._programs["reconciler"]
        assert isinstance(reconciler, Reconciler)
        store, found = reconciler._store, []
        for partition in range(_PARTITIONS):
            found += await store.timers(partition, _FIRST_TIMER, _END_OF_TIME, 1)
        return min((position[0] for position in found), default=None)

    async def _redeliver(self) -> None:
        kafka, prefix = self._settings.kafka, self._settings.prefix
        for topic in (INBOX, *(COMMANDS + lane for lane in lanes_of_all(chain(*self._served.values())))):
            reader = KafkaReader(kafka, full_name(prefix, topic), client="redeliver", records_max=1_000)
            spans = [Span(p, found.low, found.high) for p, found in (await reader.bounds()).items()]
            found: dict[Outgoing, Headers | None] = {}
            async for records in reader.read(spans):
                # An existing copy is one record.
                found |= {Outgoing(topic, r.partition, r.key, r.value): r.headers for r in records}
            await self.ports.publisher.publish(list(found.items()))

    async def _restart(self) -> None:
        await self._stop("reconciler")
        self._start("reconciler", self._reconciler)
        await self._until(lambda: "reconciler" in self._programs)

    async def _stop(self, name: str) -> None:
        running = self._running.pop(name)
        self._programs.pop(name, None)
        running.cancel()
        await asyncio.wait([running])

    def _close(self) -> None:
        try:
            self._loop.run_until_complete(self._end())
        finally:
            self._loop.close()

    async def _end(self) -> None:
        for name in list(self._running):
            await self._stop(name)
        await self._stack.aclose()
        await drop(self._settings.postgres)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()
