"""Waves of records on the topics of real processes; after each, everybody has to sing again.

A wave is a range of numbers, and so is what has to be repeated when something breaks:
`python -m fuzz --seed 7 --topics inbox --first 12000 --records 500`.
"""

import asyncio
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from kill.fleet import INGRESS, RECONCILER, WORKER, Fleet
from kill.instance import QUEUE, Instance
from kill.scene import Ground
from memory import MEGABYTE, MemoryWatch
from waiting import eventually

from fuzz.corpus import MARKER, Record
from fuzz.mutations import BYTES_MAX, record
from fuzz.workflows import app
from stream_durable.core.ids import partition_of
from stream_durable.kafka.topic_rules import wanted

CLIENT = "client"
PARTITIONS = 4
#: Some functions take half a minute; nobody has to wait for them at the end.
#: The bound on memory counts it, and is not to depend on the machine.
_CACHE_BYTES = 64 * 1024 * 1024
_SETTINGS = {
    "STREAM_DURABLE_WORKER__DRAIN_MS": "2000",
    "STREAM_DURABLE_ENGINE__CACHE_BYTES_MAX": str(_CACHE_BYTES),
    "STREAM_DURABLE_SECURITY__TOKEN_SECRETS": "this secret is of a campaign and of nothing else",
}
_BEGIN_SECONDS = 40
_LOOK_SECONDS = 0.1
#: What is different in each line of a log.
_STAMP = ', "timestamp"'
_ROLES = (RECONCILER, RECONCILER, WORKER, INGRESS)


class Broken(AssertionError):
    """Something has stopped, ended, grown or talked; the text says what, and how to see it again."""


class Plan(NamedTuple):
    """What is written."""

    seed: int
    topics: tuple[str, ...]
    #: Of each topic, and how many of them before somebody looks.
    records: int
    wave: int = 500
    first: int = 0
    #: A run that begins after a wave has to complete within this, in every partition.
    bound_seconds: float = 30.0
    #: Bytes of the largest; 0: none of those that are made large on purpose.
    largest: int = BYTES_MAX


@dataclass
class Report:
    """What a campaign came to."""

    seed: int
    written: Counter[str] = field(default_factory=Counter)
    #: Records that the broker or the client's library refused.
    refused: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    canaries: int = 0
    slowest_seconds: float = 0.0
    peaks_mb: dict[str, int] = field(default_factory=dict)
    bounds_mb: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def bounds() -> dict[str, int]:
    """The most that a process may hold, by role, in bytes: what it is at rest and what settings allow."""
    rest = 110 * MEGABYTE
    # Fetched by librdkafka and not handed over yet, the same being decompressed, decoded and on its way out.
    in_flight = 8 * BYTES_MAX
    # Objects of Python weigh several times what they stand for on the wire.
    cached = 3 * _CACHE_BYTES
    return {
        RECONCILER: rest + cached + 2 * in_flight,
        WORKER: rest + 3 * in_flight,
        INGRESS: rest + 2 * in_flight,
        CLIENT: rest + 2 * in_flight,
    }


class Campaign:
    """An instance, its processes, a client, and what is thrown at them."""

    def __init__(self, ground: Ground, plan: Plan, say: Callable[[str], None]) -> None:
        name = f"fuzz_{secrets.token_hex(3)}"
        self._instance = Instance(name, ground.kafka, ground.postgres.dsn(), _SETTINGS, PARTITIONS)
        # A topic that this release does not have is nobody's.
        there = {t.name.removeprefix(f"{name}.") for t in wanted(self._instance.settings, (QUEUE,))}
        self._plan = plan._replace(topics=tuple(topic for topic in plan.topics if topic in there))
        self._say = say
        home = ground.home / name
        self._fleet = Fleet(self._instance, home, "fuzz.workflows:app")
        self._songs = home / "canaries.jsonl"
        self._heard = 0
        #: By way and partition: when the latest run that completed had begun.
        self._latest: dict[tuple[str, int], float] = {}
        self._memory = MemoryWatch(lambda: [p for p in self._fleet.processes if not p.is_over])
        self._producers = {codec: self._producer(codec) for codec in ("none", "lz4", "zstd", "gzip")}
        self.report = Report(plan.seed)
        self._bounds = bounds()
        self._scanned: dict[Path, int] = {}

    async def run(self) -> Report:
        """Write everything, wave by wave; raise `Broken` as soon as something is."""
        begun = time.monotonic()
        try:
            await self._begin()
            plan = self._plan
            for first in range(plan.first, plan.first + plan.records, plan.wave):
                await self._wave(first, min(plan.wave, plan.first + plan.records - first))
            await self._end()
        finally:
            self._memory.stop()
            self._fleet.end()
            self._instance.disconnect()
            self._conclude(time.monotonic() - begun)
        return self.report

    def complaints(self) -> list[str]:
        """What the processes say is wrong, each once, with how often it was said."""
        said: Counter[str] = Counter()
        for process in self._fleet.processes:
            for line in process.log.read_text(errors="replace").splitlines():
                if line.startswith("{") and '"level": "info"' not in line and "record.rejected" not in line:
                    said[f"{process.role}: {line.split(_STAMP, 1)[0][:500]}"] += 1
        return [f"  {count} times {line}" for line, count in said.most_common(12)]

    async def _begin(self) -> None:
        await self._instance.create()
        for role in _ROLES:
            self._fleet.start(role)
        await eventually(self._is_defined, "the workflows are known", seconds=_BEGIN_SECONDS)
        self._fleet.start(CLIENT, [sys.executable, "-m", "fuzz.client", str(self._songs)])
        self._memory.start()
        await self._all_sing("before the first record", time.time(), _BEGIN_SECONDS)

    async def _is_defined(self) -> bool:
        return await self._instance.definitions() >= len(app.workflows)

    async def _wave(self, first: int, records: int) -> None:
        written = self.report.written.total()
        await asyncio.to_thread(self._write, first, records)
        took = await self._all_sing(self._again(first, records), time.time(), self._plan.bound_seconds)
        self._check(self._again(first, records))
        held = ", ".join(f"{role} {peak // MEGABYTE}" for role, peak in self._memory.peaks.items())
        count = self.report.written.total() - written
        self._say(f"{first + records:,}: {count:,} records, all sang within {took:.1f} s; MB at most: {held}")

    def _again(self, first: int, records: int) -> str:
        topics = " ".join(self._plan.topics)
        return (
            f"python -m fuzz --seed {self._plan.seed} --first {first} --records {records} --topics {topics}"
        )

    def _write(self, first: int, records: int) -> None:
        for number in range(first, first + records):
            for topic in self._plan.topics:
                self._produce(topic, record(self._plan.seed, topic, number, self._plan.largest))
        for producer in self._producers.values():
            assert producer.flush(60) == 0, "the broker does not take what it should"

    def _produce(self, topic: str, made: Record) -> None:
        producer = self._producers[made.codec]
        partition = self._partition(topic, made)
        # Without a key the broker refuses it on a compacted topic, and its neighbours with it.
        key = made.key or (b"" if topic == "definitions" else None)

        def heard(error: KafkaError | None, _: Message) -> None:
            (self.report.written if error is None else self.report.refused)[topic] += 1

        while True:
            try:
                producer.produce(
                    self._instance.topic(topic),
                    made.value,
                    key,
                    partition,
                    headers=made.headers,
                    on_delivery=heard,
                )
            except BufferError:
                producer.poll(0.1)
            except KafkaException:
                self.report.refused[topic] += 1
                return
            else:
                self.report.bytes += len(made.value or b"")
                producer.poll(0)
                return

    def _partition(self, topic: str, made: Record) -> int:
        count = 1 if topic == "definitions" else PARTITIONS
        if made.partition >= 0 or made.key is None:
            return max(0, made.partition) % count
        try:
            return partition_of(made.key.decode(), count)
        except UnicodeDecodeError:
            return len(made.key) % count

    async def _all_sing(self, what: str, since: float, seconds: float) -> float:
        """Wait until a run that began after `since` has completed in each partition, by each way."""
        wanted = [(via, partition) for via in ("inbox", "events") for partition in range(PARTITIONS)]
        deadline = time.monotonic() + seconds
        while silent := [one for one in wanted if self._latest.get(one, 0.0) < since]:
            self._alive(what)
            self._listen(what)
            if time.monotonic() > deadline:
                ways = ", ".join(f"{via} {partition}" for via, partition in silent)
                raise Broken(f"no run of partitions {ways} completed in {seconds:.0f} s\nagain: {what}")
            await asyncio.sleep(_LOOK_SECONDS)
        return time.time() - since

    def _listen(self, what: str) -> None:
        if not self._songs.exists():
            return
        with self._songs.open() as songs:
            songs.seek(self._heard)
            lines = songs.read()
        whole = lines[: lines.rfind("\n") + 1]
        self._heard += len(whole.encode())
        for song in map(json.loads, whole.splitlines()):
            if "error" in song:
                raise Broken(f"the client failed: {song}\nagain: {what}")
            self.report.canaries += 1
            self.report.slowest_seconds = max(self.report.slowest_seconds, song["seconds"])
            where = song["via"], song["partition"]
            self._latest[where] = max(self._latest.get(where, 0.0), song["begun"])

    def _alive(self, what: str) -> None:
        if died := self._fleet.died():
            raise Broken(f"ended by itself: {died}\nagain: {what}")

    def _check(self, what: str) -> None:
        self._alive(what)
        for role, peak in self._memory.peaks.items():
            if peak > self._bounds[role]:
                text = f"a {role} held {peak // MEGABYTE} MB, {self._bounds[role] // MEGABYTE} is its bound"
                raise Broken(f"{text}\nagain: {what}")
        for line in self._talk():
            raise Broken(f"a payload is in a log: {line[:600]}\nagain: {what}")

    def _talk(self) -> list[str]:
        """New lines of the logs that hold what is in payloads."""
        found = []
        for process in self._fleet.processes:
            with process.log.open("rb") as log:
                log.seek(self._scanned.get(process.log, 0))
                lines = log.read()
                self._scanned[process.log] = log.tell()
            found += [
                f"{process.name}: {line.decode(errors='replace')}"
                for line in lines.splitlines()
                if MARKER.encode() in line
            ]
        return found

    async def _end(self) -> None:
        """Stop everything in good order: garbage must not keep a process from ending either."""
        client = next(p for p in self._fleet.processes if p.role == CLIENT)
        client.kill()
        await self._fleet.stop()
        self._check("the whole campaign")

    def _conclude(self, seconds: float) -> None:
        report = self.report
        report.seconds = seconds
        report.peaks_mb = {role: peak // MEGABYTE for role, peak in self._memory.peaks.items()}
        report.bounds_mb = {role: bound // MEGABYTE for role, bound in self._bounds.items()}

    def _producer(self, codec: str) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._instance.settings.kafka.bootstrap,
                "log_level": 0,
                "message.max.bytes": 2 * BYTES_MAX,
                "compression.codec": codec,
                "queue.buffering.max.kbytes": 200_000,
                "linger.ms": 5,
                "log.connection.close": False,
            }
        )
