"""A worker in memory: commands in, messages out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Raw

from stream_durable import App, Workflow
from stream_durable.connecting import SystemClock
from stream_durable.core.effects import CancelAttempt, Command
from stream_durable.core.lanes import lanes_of_all
from stream_durable.core.messages import AttemptEnd, AttemptMessage
from stream_durable.memory.broker import Broker
from stream_durable.memory.control import MemoryControl
from stream_durable.memory.ports import MemoryBlobs, MemoryLog, MemoryPublisher
from stream_durable.metrics import Metrics
from stream_durable.ports import Headers, Instead, Outgoing, Refusal
from stream_durable.settings import WorkerSettings
from stream_durable.wire.inbox import decode_message, encode
from stream_durable.worker.control import Presence
from stream_durable.worker.logs import captured
from stream_durable.worker.worker import Worker

SECONDS = 60.0
TOPIC = "commands.default"


def raw(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))


def value(data: Raw) -> Any:
    return msgspec.json.decode(data)


class HeldPublisher(MemoryPublisher):
    """Appends at once; acknowledges when it is told to."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self.is_holding = False
        self._held: list[Callable[[], None]] = []

    def send(
        self, messages: Sequence[tuple[Outgoing, Headers | None]], done: Callable[[list[Refusal]], None],
        instead: Instead | None = None,
    ) -> None:  # fmt: skip
        if not self.is_holding:
            super().send(messages, done, instead)
            return
        super().send(messages, lambda _: None, instead)
        self._held.append(lambda: done([]))

    def acknowledge(self) -> None:
        """Acknowledge what was held."""
        held, self._held = self._held, []
        for done in held:
            done()


class Site:
    """What is said to the worker, and what it says."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.broker = Broker(SystemClock(), 1)
        self.blobs = MemoryBlobs(self.broker)
        self.publisher = HeldPublisher(self.broker)
        self.said: list[AttemptMessage] = []
        self.metrics = Metrics()
        self.task: asyncio.Task[None] | None = None
        self.worker: Worker | None = None
        self.begin: Callable[[], None] = lambda: None
        self._changed = asyncio.Event()
        self.broker.watchers.append(self._watch)

    def ask(
        self, step: str, *, attempt: int = 1, run: str = "run", queue: str = "default", **fields: Any
    ) -> None:
        """Ask for an attempt; values are given as Python has them."""
        for name in ("input", "item", "context", "happened", "metadata"):
            if name in fields and not isinstance(fields[name], Raw):
                fields[name] = raw(fields[name])
        outputs = {
            name: one if isinstance(one, Raw) else raw(one) for name, one in fields.pop("outputs", {}).items()
        }
        (workflow,) = self.app.workflows
        self.send(
            Command(
                run=run, step=step, attempt=attempt, workflow=workflow, fingerprint="f", outputs=outputs,
                **{"input": Raw(b"null"), **fields},
            ),
            queue,
        )  # fmt: skip

    def cancel(self, step: str, *, attempt: int = 1, run: str = "run", must_answer: bool = False) -> None:
        """Ask for an attempt to be dropped."""
        self.send(CancelAttempt(run=run, step=step, attempt=attempt, must_answer=must_answer))

    def send(self, command: Command | CancelAttempt, queue: str = "default") -> None:
        self.broker.append(f"commands.{queue}", 0, command.run.encode(), encode(command))

    def stop(self) -> None:
        """Ask the worker to end in good order."""
        assert self.task is not None
        self.task.cancel()

    async def ends(self, count: int = 1) -> list[Any]:
        """Wait until so many attempts have ended, and return what was said of that."""
        async with asyncio.timeout(SECONDS):
            while len(found := [one for one in self.said if isinstance(one, AttemptEnd)]) < count:
                await self.changed()
        return found

    async def end(self) -> Any:
        """Wait for the end of one attempt."""
        (end,) = await self.ends()
        return end

    async def taken(self, queue: str, count: int) -> None:
        """Wait until so many commands of a queue wait for a place."""
        assert self.worker is not None
        line = self.worker.attempts.line(queue)
        async with asyncio.timeout(SECONDS):
            while line.count < count:
                await asyncio.sleep(0)

    async def changed(self) -> None:
        """Wait until the worker has said something more."""
        self._changed.clear()
        await self._changed.wait()

    async def all_done(self) -> None:
        """Wait until the worker has committed every command as done."""
        group = self.broker.group("worker", TOPIC)
        high = self.broker.topic(TOPIC).partitions[0].high
        async with asyncio.timeout(SECONDS):
            while (group.offsets.get(0) or (None,))[0] != high:
                await asyncio.sleep(0)

    def _watch(self, topic: str, record: Any) -> None:
        if topic == "inbox":
            message = decode_message(record.value)
            assert isinstance(message, AttemptMessage)
            self.said.append(message)
            self._changed.set()


@asynccontextmanager
async def working(
    flow: Workflow, *, is_paused: bool = False, ends_with: type[BaseException] = asyncio.CancelledError,
    **settings: Any,
) -> AsyncIterator[Site]:  # fmt: skip
    """Run a worker that carries a workflow until the end of the block; paused, it begins with `begin`."""
    site = Site(App("app", workflows=[flow]))
    loop = asyncio.get_running_loop()
    chosen = WorkerSettings(**{"offset_commit_ms": 50, "drain_ms": 0, **settings})
    logs = {
        lane: MemoryLog(site.broker, f"commands.{lane}", "worker", loop.call_later)
        for lane in lanes_of_all(site.app.parts(chosen.queues))
    }

    for lane in logs:
        # The group has been here before: what is on the topic is to be done.
        site.broker.group("worker", f"commands.{lane}").offsets[0] = (0, "")

    def begin() -> None:
        for log in logs.values():
            log.open()

    if is_paused:
        site.begin = begin
    else:
        begin()
    worker = site.worker = Worker(
        logs, site.publisher, site.blobs, site.app.handler, SystemClock(), chosen,
        site.metrics, worker="w", control=MemoryControl(site.broker),
        presence=Presence(site.publisher, SystemClock(), chosen, carries=[(flow.name, "f")], version="1.2.3"),
    )  # fmt: skip
    task = site.task = asyncio.create_task(worker.run())
    try:
        with captured():
            yield site
    finally:
        if not task.cancelling():
            task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        while isinstance(outcome, BaseExceptionGroup):
            outcome = outcome.exceptions[0]
        assert isinstance(outcome, ends_with), outcome
