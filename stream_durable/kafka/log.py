"""Reads a topic as a member of a group, from offsets given by the caller.

The group only assigns partitions. The callback accepts an assignment without fetching; fetching begins after
the engine's takeover of the partition, at the offset and leader epoch in its row. (`seek` after an assignment
would race the client's own lookup.)

One thread owns the consumer and makes every call on it: polls, callbacks and the engine's requests. When the
loop falls behind, the thread waits, then pauses and polls on, to stay in the group. Commits are asynchronous,
one at a time: an older one never follows a newer one. Only revoked partitions are committed synchronously.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_durable.kafka.arrivals import Arrivals, Held, record_of
from stream_durable.kafka.bounds import Bounds
from stream_durable.kafka.commits import Commits, Committed
from stream_durable.kafka.config import heard, transient
from stream_durable.kafka.gaps import Gaps
from stream_durable.kafka.group_config import group_config
from stream_durable.kafka.joining import Joining
from stream_durable.kafka.lives import Life
from stream_durable.kafka.orders import Orders
from stream_durable.kafka.threads import Pace, in_thread
from stream_durable.metrics import Metrics
from stream_durable.ports import Assigned, LogBounds, LogEvent, LogLost, Record, Revoked
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import KAFKA_REPORTED, logger

_log = logger(__name__)

#: How long an order waits for the client at most, and on a quiet log.
_POLL_SECONDS, _QUIET_POLL_SECONDS = 0.05, 0.5
#: How long the thread just waits for the loop before it pauses the partitions.
_PATIENCE_SECONDS = 1.0
#: How long a revocation waits for the batch under way; the fence in the store covers one that takes longer.
_REVOKE_SECONDS = 5.0
#: How long leaving the group may take, beyond the commits before it.
_CLOSE_SECONDS = 20.0


class GroupLog:
    """Reads one topic as a member of a group."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        group: str,
        *,
        client: str,
        records_max: int = 2_000,
        bytes_max: int = 16_000_000,
        reset: str = "error",
        whole: Metrics | None = None,
    ) -> None:
        """Join nothing yet; `open` does. Hold about `bytes_max` until they are taken, and as much again.

        With `whole`, the topic has a record at each offset: missing ones are fetched again, and counted
        there.
        """
        self._settings, self._topic = settings, topic
        self._records_max, self._bytes_max = records_max, bytes_max
        self._config = group_config(settings, group, client, bytes_max, reset)
        self._commits = Commits(topic, self._commit, self._call)
        self._bounds = Bounds(settings, client, topic)
        #: What the group gave us; an order to fetch that was overtaken by a revocation is void.
        self._given: set[int] = set()
        #: What we fetch though the group has not given it to us.
        self._adopted: set[int] = set()
        #: Being taken away: what was done for them may still be committed.
        self._leaving: set[int] = set()
        self._fetching: set[int] = set()
        self._paused: set[int] = set()
        self._orders = Orders(settings, self._call)
        self._committed = Committed(settings, topic, self._orders, lambda: self._consumer, self._call)
        self._arrivals = Arrivals(records_max)
        self._held = Held()
        self._gaps = Gaps(topic, whole, self._fetch_again)
        #: Set by the loop when it has dealt with the revocation that it was told of last.
        self._revoked = threading.Event()
        self._joining = Joining(topic, self._subscribed)
        self._is_revoking = self._is_stopping = False
        self._pace = Pace(_POLL_SECONDS, _QUIET_POLL_SECONDS)
        self._thread = threading.Thread(target=self._serve, name=f"log-{topic}", daemon=True)

    def open(self) -> None:
        """Join the group. To be called on the loop that will take the events."""
        self._loop = asyncio.get_running_loop()
        self._consumer = self._joining.join()
        self._thread.start()

    def _subscribed(self, life: Life) -> Consumer:
        def committed(error: KafkaError | None, parts: list[TopicPartition]) -> None:
            if self._joining.is_current(life):
                self._commits.heard(error, parts)

        ours = {**life.properties, "on_commit": committed}
        consumer = Consumer({**heard(self._settings, self._config), **ours})
        moves = {"on_assign": self._on_assign, "on_revoke": self._on_revoke, "on_lost": self._on_lost}
        consumer.subscribe([self._topic], **moves)
        return consumer

    async def next(self) -> LogEvent:
        """Wait for the next events; waiting batches come together."""
        self._answer_revocation()
        while isinstance(event := await self._arrivals.next(), list):
            self._held.take(event)
            if records := self._gaps.without(event):
                return records
        self._gaps.hear(event)
        self._is_revoking = isinstance(event, Revoked)
        return event

    def on_arrival(self, call: Callable[[], None] | None) -> None:
        """Call this whenever something has arrived; with None no more."""
        self._arrivals.on_arrival = call

    def take_records(self) -> list[Record] | None:
        """Return arrived records if next in order."""
        while (records := self._arrivals.take_records()) is not None:
            self._held.take(records)
            if records := self._gaps.without(records):
                return records
        return None

    async def moved(self) -> Assigned | Revoked:
        """Wait until partitions are given or taken away, and leave records where they are."""
        self._answer_revocation()
        move = await self._arrivals.moved()
        self._gaps.hear(move)
        self._is_revoking = isinstance(move, Revoked)
        return move

    def _answer_revocation(self) -> None:
        """Let the log's thread go on: the last revocation is handled."""
        if self._is_revoking:
            self._is_revoking = False
            self._revoked.set()

    def fetch(self, partition: int, offset: int, leader_epoch: int) -> None:
        """Begin to fetch a partition at an offset."""
        self._gaps.begin(partition, offset, leader_epoch)
        self._orders.add(lambda: self._fetch(partition, offset, leader_epoch))

    def stop_fetching(self, partition: int) -> None:
        """Stop fetching from a partition, and drop records read but not taken."""
        self._orders.add(lambda: self._stop_one(partition))
        self._held.take(self._arrivals.stop(partition))
        self._gaps.stop(partition)

    def _fetch_again(self, partition: int, offset: int, leader_epoch: int) -> None:
        self.stop_fetching(partition)
        self.fetch(partition, offset, leader_epoch)

    def adopt(self, partition: int) -> None:
        """Fetch a partition not yet assigned by the group, until the assignment or `disown`."""
        self._orders.add(lambda: self._adopted.add(partition))

    def disown(self, partition: int) -> None:
        """Stop fetching an adopted partition."""
        self._orders.add(lambda: self._adopted.discard(partition))
        self.stop_fetching(partition)

    def note_progress(self, offsets: dict[int, int]) -> None:
        """Commit offsets to Kafka, for lag tools only."""
        marks = [TopicPartition(self._topic, p, offset) for p, offset in offsets.items()]
        self._orders.add(lambda: self._commit(marks, waits=False))

    def commit(self, marks: list[tuple[int, int, str]], done: Callable[[bool], None]) -> None:
        """Commit offsets with metadata; `done` is called, on the loop, with whether all were stored."""
        parts = [TopicPartition(self._topic, p, offset, metadata) for p, offset, metadata in marks]
        self._orders.add(lambda: self._commits.add(parts, done, waits=self._must_wait))

    @property
    def _must_wait(self) -> bool:
        """Whether a commit has to be stored before the thread goes on, since partitions are given up."""
        return self._is_stopping or bool(self._leaving)

    def leave_now(self, marks: list[tuple[int, int, str]], seconds: float) -> None:
        """Commit for good and leave the group, from any thread; for when the loop does not turn."""
        parts = [TopicPartition(self._topic, p, offset, metadata) for p, offset, metadata in marks]
        self._orders.add(lambda: self._commit(parts, waits=True))
        self._stop_reading()
        self._thread.join(seconds)

    def _stop_reading(self) -> None:
        self._is_stopping = True
        self._held.taken.set()
        self._revoked.set()

    async def committed(self, partition: int) -> tuple[int | None, str | None]:
        """Return the committed offset and metadata of a partition."""
        return await self._committed.of(partition)

    async def bounds(self, partition: int) -> LogBounds:
        """Return the log's identity and bounds."""
        return await in_thread(self._bounds.ask, partition)

    async def close(self) -> None:
        """Leave the group; a client that does not answer is left to the end of its session."""
        self._stop_reading()
        until = self._loop.time() + _CLOSE_SECONDS
        while self._thread.is_alive() and self._loop.time() < until:
            await in_thread(self._thread.join, 1.0)
        if self._thread.is_alive():
            _log.warning(KAFKA_REPORTED, topic=self._topic, error="the client does not close")
        self._bounds.close()

    def _serve(self) -> None:
        try:
            while not self._is_stopping:
                self._orders.follow()
                if self._joining.is_lost:
                    self._join_again("the client has lost every broker")
                elif self._joining.is_overdue and not self._adopted:
                    self._join_again("the group gives no share")
                if self._has_room() or self._hold_back():
                    self._poll(self._pace.seconds)
        except BaseException as error:  # The loop must hear of it: this thread has nobody to tell.
            self._call(self._arrivals.fail, error)
        finally:
            self._is_stopping = True
            # What was ordered before the end, such as the last commit, is still carried out.
            self._orders.follow()
            # The client waits for the end of what the group has not given, and so could not take back.
            self._stop(list(self._adopted))
            self._consumer.close()

    def _join_again(self, reason: str) -> None:
        """Go on with another client; the group assigns the partitions again."""
        if gone := self._given | self._adopted:
            self._tell(Revoked(tuple(gone)))
        self._given, self._adopted, self._fetching, self._paused = set(), set(), set(), set()
        self._commits.abandon()
        old, self._consumer = self._consumer, self._joining.join()
        self._joining.leave(old, reason)

    def _has_room(self) -> bool:
        return self._held.records < self._records_max and self._held.bytes < self._bytes_max

    def _poll(self, seconds: float) -> None:
        first = self._consumer.poll(seconds)
        if first is None:
            return
        messages = [first, *self._consumer.consume(self._records_max - 1, 0)]
        records: list[Record] = []
        fetching = self._fetching
        for message in messages:
            if message.error() is not None:
                self._on_error(message)
            elif (partition := message.partition()) in fetching:
                records.append(record_of(partition, message))
        if records:
            self._held.hand_over(records)
            self._tell(records)

    def _hold_back(self) -> bool:
        """Wait until the loop takes the records; return whether they were taken."""
        self._held.taken.clear()
        if self._has_room() or self._held.taken.wait(_PATIENCE_SECONDS):
            return True
        self._paused = set(self._fetching)
        self._consumer.pause([TopicPartition(self._topic, p) for p in self._paused])
        while not self._is_stopping and not self._has_room():
            self._poll(_POLL_SECONDS)
            self._orders.follow()
        self._resume(self._paused & self._fetching)
        return False

    def _resume(self, partitions: set[int]) -> None:
        if partitions:  # A pause outlives every kind of re-assignment, so it must be taken back before one.
            self._consumer.resume([TopicPartition(self._topic, p) for p in partitions])
            self._paused -= partitions

    def _on_error(self, message: Message) -> None:
        error = message.error()
        assert error is not None
        partition = message.partition()
        if error.code() == KafkaError._AUTO_OFFSET_RESET and partition is not None:
            # Said once, then the partition is silent for ever unless it is assigned anew.
            self._tell(LogLost(partition))
        elif error.fatal():
            raise transient(error, self._settings)
        else:
            _log.warning(KAFKA_REPORTED, topic=self._topic, error=error.str())

    def _on_assign(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        consumer.incremental_assign([])
        if consumer is not self._consumer:
            return
        self._joining.end()
        self._given |= {p.partition for p in parts}
        self._adopted -= self._given
        # Told without partitions too: a member that stands by is where it should be.
        self._tell(Assigned(tuple(p.partition for p in parts)))

    def _on_revoke(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        if consumer is not self._consumer:
            return
        gone = [p.partition for p in parts]
        self._given.difference_update(gone)
        left = self._let_go(gone)
        if not self._is_stopping and gone:
            self._revoked.clear()
            self._tell(Revoked(tuple(gone)))
            self._revoked.wait(_REVOKE_SECONDS)
            # What the batch under way still has to commit, while the partitions are ours.
            self._leaving = set(gone)
            self._orders.follow()
            self._leaving = set()
        self._give_up(consumer, left)

    def _on_lost(self, consumer: Consumer, parts: list[TopicPartition]) -> None:
        if consumer is not self._consumer:
            return
        gone = [p.partition for p in parts]
        self._given.difference_update(gone)
        left = self._let_go(gone)
        self._joining.begin()
        self._tell(Revoked(tuple(gone)))
        self._give_up(consumer, left)

    def _give_up(self, consumer: Consumer, left: list[TopicPartition]) -> None:
        """Give up partitions for the group, with one call.

        The first call answers the group, and may end a client that is closing: a second is never answered.
        """
        try:
            consumer.incremental_unassign(left)
        except KafkaException as error:
            _log.warning(KAFKA_REPORTED, topic=self._topic, error=str(error))
            consumer.incremental_unassign([])

    def _fetch(self, partition: int, offset: int, leader_epoch: int) -> None:
        if partition not in self._given and partition not in self._adopted:
            return
        self._stop([partition])
        try:
            part = TopicPartition(self._topic, partition, offset, "", leader_epoch)
            self._consumer.incremental_assign([part])
        except KafkaException as error:
            _log.warning(KAFKA_REPORTED, topic=self._topic, error=str(error))
            return
        self._fetching.add(partition)

    def _stop_one(self, partition: int) -> None:
        self._stop([partition])
        self._call(self._arrivals.has_stopped, partition)

    def _stop(self, partitions: list[int]) -> None:
        if not (left := self._let_go(partitions)):
            return
        try:
            self._consumer.incremental_unassign(left)
        except KafkaException as error:
            _log.warning(KAFKA_REPORTED, topic=self._topic, error=str(error))

    def _let_go(self, partitions: list[int]) -> list[TopicPartition]:
        """Take no more records of partitions; return those still to be unassigned."""
        ours = {p for p in partitions if p in self._fetching}
        self._resume(ours & self._paused)
        self._fetching -= ours
        return [TopicPartition(self._topic, p) for p in ours]

    def _commit(self, marks: list[TopicPartition], *, waits: bool) -> bool | None:
        """Commit; return whether stored, or None if reported later."""
        # Of a partition that is another's by now, we would set back what its owner has committed.
        marks = [mark for mark in marks if mark.partition in self._given or mark.partition in self._leaving]
        if not marks:
            return False
        try:
            if not waits:
                self._consumer.commit(offsets=marks, asynchronous=True)
                return None
            stored = self._consumer.commit(offsets=marks, asynchronous=False)
            return all(part.error is None for part in stored)
        except KafkaException as error:
            _log.warning(KAFKA_REPORTED, topic=self._topic, error=str(error))
            return False

    def _tell(self, event: LogEvent) -> None:
        self._pace.note()
        self._call(self._take_in, event)

    def _take_in(self, event: LogEvent) -> None:
        if dropped := self._arrivals.put(event):
            self._held.take(dropped)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The loop is closed: nobody is left who would want to know.
            self._is_stopping = True
