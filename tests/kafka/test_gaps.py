"""Records that are left out on the way to a reader are noticed, and fetched again."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from waiting import eventually

from stream_durable.kafka.gaps import Gaps
from stream_durable.kafka.log import GroupLog
from stream_durable.local.kafka import LocalKafka
from stream_durable.metrics import Metrics
from stream_durable.ports import Assigned, LogEvent, LogLost, Record, Revoked
from stream_durable.settings import KafkaSettings

_RECORDS = 300


def record(partition: int, offset: int, epoch: int = -1) -> Record:
    return Record(partition, offset, 0, b"k", b"v", epoch)


def counted(metrics: Metrics, outcome: str) -> int:
    name = "stream_durable_log_gaps_total"
    return int(metrics.registry.get_sample_value(name, {"outcome": outcome}) or 0)


class Site:
    """Gaps of a topic of which partition 0 is fetched from 5 on, and the fetches again."""

    def __init__(self, *, is_whole: bool = True) -> None:
        self.metrics = Metrics()
        self.again: list[tuple[int, int, int]] = []
        self.gaps = Gaps("t", self.metrics if is_whole else None, self._fetch_again)
        self.gaps.begin(0, 5, 2)

    def _fetch_again(self, partition: int, offset: int, epoch: int) -> None:
        self.again.append((partition, offset, epoch))
        # As the log does.
        self.gaps.stop(partition)
        self.gaps.begin(partition, offset, epoch)

    def handed(self, *offsets: int, partition: int = 0) -> list[int]:
        return [each.offset for each in self.gaps.without([record(partition, at, 7) for at in offsets])]


def test_a_gap_and_what_is_behind_it_is_fetched_again() -> None:
    site = Site()

    assert site.handed(5, 6, 9, 10) == [5, 6]
    assert site.again == [(0, 7, 7)]
    assert site.handed(7, 8, 9, 10) == [7, 8, 9, 10]
    assert (counted(site.metrics, "fetched_again"), counted(site.metrics, "confirmed")) == (1, 0)


def test_records_missing_where_a_fetch_begins_are_fetched_in_its_epoch() -> None:
    site = Site()

    assert site.handed(6) == []
    assert site.again == [(0, 5, 2)]


def test_without_a_record_before_it_a_gap_is_fetched_in_no_epoch() -> None:
    site = Site()
    site.handed(5, 6)

    assert site.handed(8) == []
    assert site.again == [(0, 7, -1)]


def test_other_partitions_go_on_beside_a_gap() -> None:
    site = Site()
    site.gaps.begin(1, 0, -1)
    mixed = [record(0, 5), record(1, 0), record(0, 7), record(1, 1), record(0, 8), record(1, 3), record(1, 4)]

    assert site.gaps.without(mixed) == [record(0, 5), record(1, 0), record(1, 1)]
    assert site.again == [(0, 6, -1), (1, 2, -1)]


def test_a_gap_that_comes_again_is_real_and_taken_once() -> None:
    site = Site()
    site.handed(7, 8)

    assert site.handed(7, 8) == [7, 8]
    assert site.handed(9) == [9]
    assert (counted(site.metrics, "fetched_again"), counted(site.metrics, "confirmed")) == (1, 1)


def test_a_gap_behind_a_real_one_is_fetched_again_too() -> None:
    site = Site()
    site.handed(7)

    assert site.handed(7, 9) == [7]
    assert site.again == [(0, 5, 2), (0, 8, 7)]


def test_a_gap_that_is_another_each_time_is_taken_in_the_end() -> None:
    site = Site()
    fetched = []
    for found in (20, 19, 21):
        assert site.handed(found) == []
        fetched.append(site.again[-1])

    assert site.handed(22) == [22]
    assert fetched == [(0, 5, 2)] * 3
    assert counted(site.metrics, "confirmed") == 1


def test_what_is_read_once_more_from_before_is_no_gap() -> None:
    site = Site()
    site.handed(5, 6, 7)

    assert site.handed(3, 6, 8) == [3, 6, 8]
    site.gaps.begin(0, 2, -1)
    assert site.handed(2, 3) == [2, 3]
    assert site.again == []


@pytest.mark.parametrize("event", [Revoked((0,)), LogLost(0)])
def test_of_what_is_taken_away_or_lost_nothing_is_expected(event: Revoked | LogLost) -> None:
    site = Site()
    site.gaps.hear(event)

    assert site.handed(50) == [50]
    assert site.again == []


def test_a_partition_that_was_adopted_and_is_given_goes_on() -> None:
    site = Site()
    site.handed(5)
    site.gaps.hear(Assigned((0,)))

    assert site.handed(7) == []
    assert site.again == [(0, 6, -1)]


def test_a_late_record_behind_a_stop_is_dropped_and_not_fetched() -> None:
    site = Site()
    site.gaps.stop(0)

    assert site.handed(9) == []
    assert site.again == []
    site.gaps.begin(0, 5, 2)
    assert site.handed(5, 6) == [5, 6]


def test_a_topic_that_is_not_whole_has_gaps() -> None:
    site = Site(is_whole=False)

    assert site.handed(5, 9, 30) == [5, 9, 30]
    assert site.again == []


class Topic:
    """A topic of one partition on a real broker, and a log that reads it."""

    def __init__(self, kafka: LocalKafka) -> None:
        self.name = f"gaps-{secrets.token_hex(4)}"
        self._servers = {"bootstrap.servers": kafka.bootstrap, "log_level": 0}
        self._admin = AdminClient(self._servers)
        self._admin.create_topics([NewTopic(self.name, 1, 1)])[self.name].result(60)
        self.metrics = Metrics()
        settings = KafkaSettings(bootstrap=kafka.bootstrap)
        self.log = GroupLog(settings, self.name, self.name, client="c", records_max=20, whole=self.metrics)

    def produce(self, count: int, *, transactions: bool = False) -> None:
        """Append records; a transaction for each leaves a marker behind it."""
        producer = Producer({**self._servers, **({"transactional.id": self.name} if transactions else {})})
        if transactions:
            producer.init_transactions(60)
        for _ in range(count):
            if transactions:
                producer.begin_transaction()
            producer.produce(self.name, b"v")
            if transactions:
                producer.commit_transaction(60)
        assert producer.flush(60) == 0

    async def read(self, count: int) -> list[int]:
        """Return the first offsets from 0 on that the reader gets."""
        found: list[int] = []
        async with asyncio.timeout(120):
            while len(found) < count:
                event = await self.log.next()
                if isinstance(event, Assigned) and event.partitions:
                    self.log.fetch(0, 0, -1)
                elif isinstance(event, list):
                    found += [each.offset for each in event]
        return found


@pytest.fixture
def topic(kafka_broker: LocalKafka) -> Iterator[Topic]:
    return Topic(kafka_broker)


@pytest.mark.real
async def test_what_is_lost_between_the_client_and_the_reader_comes_all_the_same(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic.produce(_RECORDS)
    put, lost = topic.log._arrivals.put, set[int]()

    def lossy(event: LogEvent) -> list[Record]:
        """Lose some records once, as by a race of a stop."""
        vanish: list[Record] = []
        if isinstance(event, list):
            vanish = [r for r in event if r.offset % 50 in (0, 7, 8) and r.offset not in lost]
            event = [r for r in event if r not in vanish]
        lost.update(r.offset for r in vanish)
        return vanish + put(event)

    monkeypatch.setattr(topic.log._arrivals, "put", lossy)
    topic.log.open()
    try:
        assert await topic.read(_RECORDS) == list(range(_RECORDS))
    finally:
        await topic.log.close()
    assert len(lost) == _RECORDS // 50 * 3
    # Of two gaps in one batch of the client the first is fetched again, and what is behind it comes with it.
    assert counted(topic.metrics, "fetched_again") > 0
    assert not counted(topic.metrics, "confirmed")


@pytest.mark.real
async def test_records_that_the_log_has_not_are_passed_over_after_one_fetch(topic: Topic) -> None:
    topic.produce(5, transactions=True)
    topic.log.open()
    try:
        assert await topic.read(5) == [0, 2, 4, 6, 8]
    finally:
        await topic.log.close()
    assert (counted(topic.metrics, "fetched_again"), counted(topic.metrics, "confirmed")) == (4, 4)


@pytest.mark.real
async def test_a_gap_is_fetched_again_while_the_loop_folds_during_a_save(topic: Topic) -> None:
    """The way of records that are taken on arrival, and not awaited."""
    topic.produce(3)
    found: list[int] = []
    topic.log.open()
    try:
        found += await topic.read(3)
        topic.log.on_arrival(lambda: found.extend(r.offset for r in topic.log.take_records() or ()))
        # What is expected next is not what is on the log next.
        topic.log._gaps.begin(0, 1, -1)
        await asyncio.to_thread(topic.produce, 1)
        await eventually(lambda: _is(found, 6), "what was left out", seconds=60)
    finally:
        topic.log.on_arrival(None)
        await topic.log.close()
    assert found == [0, 1, 2, 1, 2, 3]


async def _is(found: list[int], count: int) -> bool:
    return len(found) == count
