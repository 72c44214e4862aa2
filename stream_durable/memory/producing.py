"""The producer of a simulated process: an idempotent client, with the real sender on top."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from stream_durable.core.errors import TransientError
from stream_durable.lanes import Concerns, LaneKey, Trouble, size_of
from stream_durable.memory.broker import Broker
from stream_durable.memory.process import Process
from stream_durable.memory.remote import KAFKA
from stream_durable.ports import Headers, Outgoing
from stream_durable.retrying import retry_transient
from stream_durable.sending import Sender
from stream_durable.wire.topics import COMMANDS, DEFINITIONS, FOREIGN


class Refused(NamedTuple):
    """Why a message was not acknowledged, as a simulated client says it."""

    trouble: Trouble


AWAY = Refused(Trouble(Concerns.MOMENT, "away", "the connection broke while messages were sent"))


class _Batch:
    """Messages reaching a partition together, once, however often they are sent."""

    __slots__ = ("answer", "messages")

    def __init__(self, messages: list[_Handed]) -> None:
        self.messages = messages
        #: The partition's answer; None: accepted.
        self.answer: list[Refused | None] | None = None


class _Handed(NamedTuple):
    message: Outgoing
    headers: Headers | None
    settle: Callable[[Any, Any], None]


class _Nowhere:
    """The place of a message reported as stored but missing."""

    def offset(self) -> None:
        """Return nothing, as the client does."""


class _RemoteWire:
    """An idempotent client with a separate order per partition: an unreachable one delays no other."""

    unplaced = AWAY

    def __init__(self, process: Process, broker: Broker, limits: dict[str, int]) -> None:
        self._process = process
        self._broker = broker
        self._limits = limits
        self._queues: dict[LaneKey, list[_Handed]] = {}
        self._busy: set[LaneKey] = set()
        #: Whether the brokers report size limits.
        self._may_look = process.weather.rng.random() < 0.5
        #: Acknowledged messages, by identity; kept, so that identities stay unique.
        self._acknowledged: dict[int, Outgoing] = {}

    def produce(
        self, message: Outgoing, headers: Headers | None, settle: Callable[[Any, Any], None]
    ) -> Refused | None:
        """Take a message."""
        if self._process.is_dead:
            # Being cleared away: later messages go nowhere.
            return None
        if id(message) in self._acknowledged:
            self._broker.complain(f"{self._process.name} sent to {message.topic} what was acknowledged")
        lane = self.lane(message)
        self._queues.setdefault(lane, []).append(_Handed(message, headers, settle))
        if lane not in self._busy:
            self._busy.add(lane)
            asyncio.get_running_loop().create_task(self._serve(lane))
        return None

    def take_back(self, error: Refused) -> None:
        """Do nothing: messages queued behind a refusal come back anyway."""

    def lane(self, message: Outgoing) -> LaneKey:
        """Say where a message goes."""
        partition = message.partition
        return message.topic, self._broker.home(message.key) if partition is None else partition

    def trouble(self, error: Refused) -> Trouble:
        """Classify an error."""
        return error.trouble

    async def look(self, lane: LaneKey) -> bool:
        """Ask for a topic's limit."""
        topic = lane[0]
        limit = await self._process.call("look", KAFKA, lambda: self._broker.limits.get(topic))
        if limit is not None and self._may_look:
            self._limits[topic] = limit
        return True

    async def _serve(self, lane: LaneKey) -> None:
        # What is handed over at the same moment travels together.
        await asyncio.sleep(0)
        while handed := self._queues.pop(lane, None):
            await self._deliver(lane, _Batch(handed))
        self._busy.discard(lane)

    async def _deliver(self, lane: LaneKey, batch: _Batch) -> None:
        """Send a batch until answered; resending changes nothing."""
        weather = self._process.weather
        while self._broker.has_no_leader(*lane):  # noqa: ASYNC110 - as a client asks, again and again
            await asyncio.sleep(0.05)
        if weather.chance(weather.faults.lose_answer / 2, "producer replaced"):
            # Some of it may have arrived; what was queued behind it fails with it.
            part = batch.messages[: weather.rng.randint(1, len(batch.messages))]
            with suppress(TransientError):
                await self._process.call("publish", KAFKA, lambda: self._append(_Batch(part)))
            for handed in (*batch.messages, *self._queues.pop(lane, ())):
                handed.settle(AWAY, None)
            return
        if weather.chance(weather.faults.lose_answer / 4, "taken for a repeat"):
            # The broker believes that it has had this batch before.
            for handed in batch.messages:
                handed.settle(None, _Nowhere())
            return
        answers = await retry_transient(
            lambda: self._process.call("publish", KAFKA, lambda: self._append(batch)), "publish"
        )
        for handed, answer in zip(batch.messages, answers, strict=True):
            if answer is None:
                self._acknowledged[id(handed.message)] = handed.message
            handed.settle(answer, None)
        if any(answers):
            for handed in self._queues.pop(lane, ()):
                handed.settle(AWAY, None)

    def _append(self, batch: _Batch) -> list[Refused | None]:
        if batch.answer is None:
            batch.answer = self._judge(batch)
        return batch.answer

    def _judge(self, batch: _Batch) -> list[Refused | None]:
        """Append all, or refuse all if together they are too large, as a broker does."""
        weather, broker = self._process.weather, self._broker
        topic = batch.messages[0].message.topic
        limit = broker.limits.get(topic)
        if limit is not None and sum(size_of(*handed[:2]) for handed in batch.messages) > limit:
            weather.hits[f"refused by {topic}"] += 1
            refused = Refused(Trouble(Concerns.MESSAGE, "too_large", f"more than {limit} bytes"))
            return [refused] * len(batch.messages)
        for message, headers, _ in batch.messages:
            topic, partition, key, value, _ = message
            broker.append(topic, partition, key, value, headers)
            if topic != DEFINITIONS and weather.chance(weather.faults.duplicate, f"duplicate on {topic[:8]}"):
                again = (topic, partition, key, value, headers)
                if weather.rng.random() < 0.5:
                    broker.append(*again)
                else:
                    weather.later(weather.rng.uniform(0.0, 3.0), lambda again=again: broker.append(*again))  # type: ignore[misc]
        return [None] * len(batch.messages)


class RemotePublisher(Sender):
    """A producer at the other end of a connection."""

    def __init__(self, process: Process, broker: Broker) -> None:
        """Serve a process."""
        limits: dict[str, int] = {}
        super().__init__(
            _RemoteWire(process, broker, limits),
            limits,
            refuses=lambda topic: topic.startswith((COMMANDS, FOREIGN)),
        )

    async def close(self) -> None:
        """Stop."""
