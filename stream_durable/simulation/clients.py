"""The clients of a world: each works through a script, record by record."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any

from stream_durable.core.messages import EventPublished, ResumeRun, SignalRun, StartRun
from stream_durable.memory.broker import Broker
from stream_durable.memory.process import Process
from stream_durable.memory.producing import RemotePublisher
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.weather import Weather
from stream_durable.ports import Outgoing, Record
from stream_durable.retrying import retry_transient
from stream_durable.simulation.workload import Plan, Sent
from stream_durable.wire.inbox import decode_message
from stream_durable.wire.topics import INBOX


class Clients:
    """All message senders of a world, and the results."""

    def __init__(self, weather: Weather, broker: Broker, store: MemoryStore) -> None:
        """Send nothing yet."""
        self._weather = weather
        self._broker = broker
        self._store = store
        self._tasks: list[asyncio.Task[None]] = []
        self._person: asyncio.Task[None] | None = None
        #: Messages to be sent when a run has begun or ended.
        self.waiting: list[Sent] = []
        #: What was acknowledged to them.
        self.acknowledged: list[Sent] = []
        #: What they have sent that makes no sense, as (topic, key, value).
        self.garbage: set[tuple[str, bytes | None, bytes | None]] = set()
        #: By key of a run: its start was acknowledged.
        self._started: dict[bytes | None, asyncio.Event] = defaultdict(asyncio.Event)

    @property
    def are_done(self) -> bool:
        """Whether all scripts have been worked through."""
        return all(task.done() for task in self._tasks)

    def begin(self, plan: Plan, reviewing: Coroutine[Any, Any, None]) -> None:
        """Work through a plan, with a person beside who is never done."""
        self._person = self._weather.loop.create_task(reviewing)
        for number, script in enumerate(plan.scripts):
            process = Process(self._weather, f"client-{number}")
            self._tasks.append(self._weather.loop.create_task(self._send(process, script)))

    async def end(self) -> None:
        """Leave the rest unsent."""
        tasks = [*self._tasks, *([] if self._person is None else [self._person])]
        for task in tasks:
            task.cancel()
        await asyncio.wait([*tasks, asyncio.ensure_future(asyncio.sleep(0))])

    def insist_on(self, record: Record) -> bool:
        """Return whether a client repeats a message without effect: a run needs the message to end."""
        if (INBOX, record.key, record.value) in self.garbage:
            return False
        message = decode_message(record.value or b"")
        if isinstance(message, StartRun):
            return not message.parent
        return isinstance(message, SignalRun | EventPublished | ResumeRun)

    async def _send(self, process: Process, script: list[Sent]) -> None:
        publisher = RemotePublisher(process, self._broker)
        acknowledged = 0.0
        for sent in script:
            moment = max(sent.at, acknowledged + sent.after)
            await asyncio.sleep(max(0.0, moment - self._weather.loop.time()))
            if not await self._has_come(sent):
                continue
            partition = sent.partition
            if partition == -1:
                partition = (self._broker.home(sent.key) + 1) % len(self._broker.topic(INBOX).partitions)
            if sent.is_garbage:
                self.garbage.add((sent.topic, sent.key, sent.value))
            message = Outgoing(sent.topic, partition, sent.key, sent.value)
            await retry_transient(lambda m=message: publisher.publish([(m, None)]), "send")  # type: ignore[misc]
            self.acknowledged.append(sent)
            if sent.is_start:
                self._started[sent.key].set()
            acknowledged = self._weather.loop.time()

    async def _has_come(self, sent: Sent) -> bool:
        """Wait for the moment of sending; False: the moment will not come."""
        if not sent.once:
            return True
        run = sent.run or (sent.key or b"").decode()
        root = run.partition("/")[0]
        if sent.once == "started":
            await self._started[sent.key].wait()
            return True
        is_it_time = {"begun": self._has_begun, "ended": self._has_ended}[sent.once]
        self.waiting.append(sent)
        has_come = await self._until(
            lambda: is_it_time(run), lambda: run != root and self._is_too_late(run, root)
        )
        self.waiting.remove(sent)
        return has_come

    async def _until(self, has_come: Callable[[], bool], is_too_late: Callable[[], bool]) -> bool:
        while not has_come():
            if is_too_late():
                return False
            # The store tells nobody that something has changed.
            await asyncio.sleep(0.2)
        return True

    def _has_begun(self, run: str) -> bool:
        return run in self._store.tables.runs

    def _has_ended(self, run: str) -> bool:
        return self._has_begun(run) and self._store.tables.runs[run].ended is not None

    def _is_too_late(self, run: str, root: str) -> bool:
        """Return whether a run was never started, and all possible parents are over."""
        return self._has_ended(root) and not self._has_begun(run)
