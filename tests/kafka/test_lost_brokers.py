"""Clients told by a starting cluster that it has no brokers: each goes on, by itself or by a successor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from proxy import Door

from stream_durable.core.lifecycle import RunEvent
from stream_durable.kafka import compacted, lives
from stream_durable.kafka.control import KafkaControl
from stream_durable.kafka.lives import Kept, Life
from stream_durable.kafka.log import GroupLog
from stream_durable.kafka.probe import KafkaProbe
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.kafka.tail import KafkaRunEvents
from stream_durable.local.kafka import LocalKafka
from stream_durable.ports import Assigned, Outgoing
from stream_durable.retrying import retry_transient
from stream_durable.settings import KafkaSettings
from stream_durable.wire.control import QueuePause, encode_control, queue_key
from stream_durable.wire.lifecycle import encode
from stream_durable.wire.topics import CONTROL, INBOX, RUNS, STEPS, full_name

RUN = "r"
#: Each time, a client that cannot be replaced is lost in one of two or three cases.
TIMES = 5
SECONDS = 60.0
#: As a statistics report has it, without all that does not matter here.
ALONE = '{"brokers":{"GroupCoordinator":{"source":"logical"}}}'
KNOWN = '{"brokers":{"127.0.0.1:9092/1":{"source":"learned"}}}'


class Site:
    """Clients of all kinds, connected through a door, and a producer that is not."""

    def __init__(self, broker: LocalKafka, door: Door, prefix: str) -> None:
        self.door = door
        self.prefix = prefix
        self.settings = KafkaSettings(
            bootstrap=door.bootstrap, partitions=1, properties={"topic.metadata.refresh.interval.ms": "500"}
        )
        self.producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        self.publisher = KafkaPublisher(self.settings, prefix, client="publisher", serves=True)
        self.log = GroupLog(self.settings, self.topic(INBOX), self.topic("g"), client="log")
        self.events = KafkaRunEvents(self.settings, prefix, client="events")
        self.control = KafkaControl(self.settings, prefix, client="control", is_followed=True)
        self.probe = KafkaProbe(self.settings, self.topic(INBOX), client="probe")
        self.read = 0
        self.told = 0

    def topic(self, name: str) -> str:
        return full_name(self.prefix, name)

    async def follow_log(self) -> None:
        """Read the inbox as its owner does, from where it stands, whenever the group gives it."""
        offset = 0
        while True:
            event = await self.log.next()
            if isinstance(event, Assigned):
                for partition in event.partitions:
                    self.log.fetch(partition, offset, -1)
            elif isinstance(event, list):
                for record in event:
                    assert record.offset == offset
                    offset = self.read = record.offset + 1

    async def follow_runs(self, feed: AsyncIterator[RunEvent]) -> None:
        async for event in feed:
            self.told = event.sequence

    async def follow_control(self) -> None:
        while True:
            try:
                await self.control.more()
            except Exception:  # noqa: BLE001 - as its callers do: tried again
                await asyncio.sleep(0)

    async def happens(self, number: int) -> None:
        """Let a record of each kind come, and wait until all have it."""
        event = RunEvent("run.started", RUN, "flow", "f", number, number, 0, "c")
        self.producer.produce(self.topic(RUNS), encode(event), RUN.encode(), 0)
        paused = encode_control(QueuePause(at=number, by="ann"))
        self.producer.produce(self.topic(CONTROL), paused, queue_key(f"q{number}"), 0)
        assert await asyncio.to_thread(self.producer.flush, 30) == 0
        async with asyncio.timeout(SECONDS):
            assert await self.publisher.publish([(Outgoing(INBOX, 0, b"k", b"v"), None)]) == []
            while self.read < number or self.told < number or f"q{number}" not in self.control.state.paused:
                await asyncio.sleep(0.02)
            while True:
                try:
                    return await self.probe.ask()
                except Exception:  # noqa: BLE001 - a probe may fail, but not for ever
                    continue

    async def close(self) -> None:
        for client in (self.publisher, self.log, self.events, self.control):
            await client.close()


@asynccontextmanager
async def site(broker: LocalKafka, prefix: str) -> AsyncIterator[Site]:
    door = Door(broker.port)
    async with door.open():
        made = Site(broker, door, prefix)
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        topics = [NewTopic(made.topic(name), 1, 1) for name in (INBOX, RUNS, STEPS, CONTROL)]
        for answer in admin.create_topics(topics).values():
            await asyncio.to_thread(answer.result)
        made.log.open()
        await retry_transient(made.control.catch_up, "read the control topic")
        async with made.events.live(RUN) as feed:
            following = [
                asyncio.ensure_future(one)
                for one in (made.follow_log(), made.follow_runs(feed), made.follow_control())
            ]
            try:
                yield made
            finally:
                for one in following:
                    one.cancel()
                await asyncio.gather(*following, return_exceptions=True)
        await made.close()


@pytest.mark.real
async def test_all_go_on_after_the_cluster_has_said_that_it_has_no_brokers(
    kafka_broker: LocalKafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "STATISTICS_MS", 300)
    monkeypatch.setattr(compacted, "_QUIET_SECONDS", 1.0)
    async with site(kafka_broker, prefix) as clients:
        await clients.happens(1)
        for time in range(TIMES):
            clients.door.denies = True
            before = clients.door.denied
            clients.door.drop()
            async with asyncio.timeout(SECONDS):
                while clients.door.denied < before + 5:
                    await asyncio.sleep(0.02)
            clients.door.denies = False
            await clients.happens(time + 2)


@pytest.mark.real
async def test_a_successor_goes_on_where_the_client_was(
    kafka_broker: LocalKafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Life] = []

    class Observed(Life):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    for module in ("joining", "publisher", "lives"):
        monkeypatch.setattr(f"stream_durable.kafka.{module}.Life", Observed)
    async with site(kafka_broker, prefix) as clients:
        await clients.happens(1)
        before = len(made)
        for life in made[:before]:
            life.is_over = True
        await clients.happens(2)
        # The publisher, the log, and the reader of public events.
        assert len(made) == before + 3


def test_a_client_is_lost_when_two_reports_in_a_row_name_no_broker() -> None:
    life = Life()
    report: Callable[[str], None] = life.properties["stats_cb"]
    for text in (KNOWN, ALONE, KNOWN, ALONE):
        report(text)
        assert not life.is_over
    report(ALONE)
    assert life.is_over


def test_a_client_is_made_again_after_a_call_that_found_no_broker() -> None:
    made: list[list[Any]] = []

    def make() -> list[Any]:
        made.append([])
        return made[-1]

    kept = Kept(make)
    assert kept.made is None
    first = kept()
    kept.blame(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert kept() is first
    kept.blame(KafkaException(KafkaError(KafkaError._TRANSPORT)))
    second = kept()
    kept.blame(None)
    kept()
    assert len(made) == 3
    assert second is not first
