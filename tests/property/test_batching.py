"""How records are cut into batches cannot be seen afterwards; nor can what was in memory meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from builders import NOON, RUN, Saved, step
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec import Raw

from property.shapes import Choices
from property.world import World, laws, lives
from stream_durable.core.channel.state import Channel
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import BranchNode, Definition
from stream_durable.core.errors import RejectedError
from stream_durable.core.gate.breaker_state import Breaker
from stream_durable.core.ids import partition_of
from stream_durable.core.later.state import Later
from stream_durable.core.messages import (
    AttemptCompleted,
    CancelRun,
    Kind,
    Message,
    StartRun,
    WaitClosed,
    WaitOpened,
)
from stream_durable.core.schedule.state import Schedule
from stream_durable.engine import batch
from stream_durable.engine.cache import Cache
from stream_durable.engine.partition import Partition
from stream_durable.ports import Claim, Record, Share
from stream_durable.wire.inbox import VALUE_BYTES_MAX, encode

PARTITIONS = 3
TOKEN = UUID(int=7)

#: A definition that no validation would let pass: to begin `b` is a bug, and raises.
BROKEN = Graph(Definition(name="broken", nodes=(step("a"), BranchNode(name="b", after=("a",)))))

JUNK = (
    None, b"", b"\x00\xff", b"{}", b"[1]", b'{"type":"run.rewind","run":"run-0"}', b'{"type":"run.cancel"}',
    b'{"type":"run.cancel","run":"","id":"c"}', b'{"type":"run.cancel","run":"run-0","id":"a\\u0000"}',
    b'{"type":"run.cancel","run":"run-0"', b" " * (VALUE_BYTES_MAX + 1),
)  # fmt: skip


class Owner:
    """Folds batches as the reconciler does, into rows that are kept in memory."""

    def __init__(self, graphs: dict[str, Graph], cache_bytes: int) -> None:
        self.graphs = graphs
        self.cache = Cache(cache_bytes)
        self.partitions = {
            i: Partition(Claim(i, 1, 0, 0, "topic", -1, 0, 0, 0, []), TOKEN) for i in range(PARTITIONS)
        }
        self.poison: dict[tuple[int, int], RejectedError] = {}
        self.saved = Saved()
        self.published: dict[tuple[int, str], list[Any]] = {}
        self.evidence: dict[int, list[tuple[Any, ...]]] = {}
        self.dead: list[Any] = []
        self.exceptions = 0

    def apply(self, records: list[Record]) -> None:
        reads = [batch.read(record) for record in records]
        while True:
            self._load(reads)
            try:
                foldings = batch.fold_records(
                    reads, self.partitions, self.cache, self.graphs.get, self.poison, PARTITIONS
                )
            except batch.Unfoldable as error:
                self.poison[error.record.partition, error.record.offset] = RejectedError(
                    "unfoldable", str(error)
                )
                self.cache.forget_partitions({record.partition for record in records})
                continue
            break
        for folding in foldings:
            self._save(batch.finish(folding))
        self.cache.shrink()

    def _load(self, reads: list[batch.Read]) -> None:
        missing = batch.missing(reads, self.cache, {})
        for key in missing.get("run", ()):
            if key in self.saved.runs:
                graph = self.graphs[self.saved.runs[key].fingerprint]
                self.cache.keep("run", self.saved.load_run(key, graph))
        loads: dict[Kind, Callable[[str, int], Channel | Breaker | Later | Schedule]] = {
            "channel": self.saved.load_channel, "gate": self.saved.load_gate,
            "later": self.saved.load_later, "schedule": self.saved.load_schedule,
        }  # fmt: skip
        for kind, load in loads.items():
            for key in missing.get(kind, ()):
                entity = load(key, partition_of(key, PARTITIONS))
                if not entity.is_over:
                    self.cache.keep(kind, entity)

    def _save(self, finished: batch.Finished) -> None:
        share = finished.share
        self.saved.write(share.rows, share.timers)
        self._note(share)
        for message in finished.messages:
            self.published.setdefault((share.partition, message.topic), []).append(message)
        for (kind, _), entity in finished.touched.items():
            self.cache.keep(kind, entity)
        self.partitions[share.partition].moved(share)

    def _note(self, share: Share) -> None:
        e = msgspec.json.decode(share.evidence, type=batch.Evidence)
        columns = (e.offsets, e.types, e.keys, e.outcomes, e.times)
        assert e.offsets[-1] < share.to_offset
        self.evidence.setdefault(share.partition, []).extend(zip(*columns, strict=True))
        self.dead += share.dead
        self.exceptions += share.exceptions

    def everything(self) -> dict[str, Any]:
        """Return all that can be seen from outside."""
        cursors = [(p.next_offset, p.clock, p.fingerprint) for p in self.partitions.values()]
        return {
            "rows": self.saved.all(), "published": self.published, "evidence": self.evidence,
            "dead": sorted(self.dead), "exceptions": self.exceptions,
            "poison": {at: str(error) for at, error in self.poison.items()},
            "cursors": cursors,
        }  # fmt: skip


def renamed(message: Message, run: str) -> Message:
    """Return a message of a world as one of another run."""
    if isinstance(message, WaitOpened | WaitClosed):
        return msgspec.structs.replace(message, run=run)
    return msgspec.structs.replace(message, key=run) if message.key == RUN else message


def broken_run(key: str) -> list[Message]:
    start = StartRun(key=key, id="s", workflow="broken", fingerprint=BROKEN.fingerprint)
    done = AttemptCompleted(key=key, step="a", attempt=1, output=Raw(b"1"))
    return [start, done, done, CancelRun(key=key, id="c")]


def records_of(worlds: list[World], choose: Choices) -> list[Record]:
    """Return the records of several worlds, one in between the other, with junk and records gone astray."""
    lanes = [[renamed(t.message, f"run-{i}") for t in world.trail] for i, world in enumerate(worlds)]
    lanes.append(broken_run("broken-1"))
    lanes = [lane for lane in lanes if lane]
    offsets = [0] * PARTITIONS
    records: list[Record] = []
    now = NOON

    def add(key: bytes | None, value: bytes | None, partition: int) -> None:
        offset = offsets[partition] = offsets[partition] + 1 + choose.chance(10)
        records.append(Record(partition, offset, now - choose.of((0, 0, 40)), key, value))

    while lanes:
        lane = choose.of(lanes)
        message = lane.pop(0)
        lanes = [lane for lane in lanes if lane]
        now += choose.of((0, 7, 300))
        home = partition_of(message.key, PARTITIONS)
        add(message.key.encode(), encode(message), (home + choose.chance(3)) % PARTITIONS)
        if choose.chance(8):
            add(choose.of((b"run-0", None, b"\xff")), choose.of(JUNK), choose.below(PARTITIONS))
    return records


def in_batches(owner: Owner, records: list[Record], size: Callable[[], int]) -> dict[str, Any]:
    at = 0
    while at < len(records):
        end = at + size()
        owner.apply(records[at:end])
        at = end
    return owner.everything()


@laws
@given(
    st.lists(lives(size_max=10, moves_max=40), min_size=1, max_size=3),
    st.binary(min_size=300, max_size=300),
    st.sampled_from([1, 2, 5, 30, 200]),
)
def test_batching_is_invisible(worlds: list[World], data: bytes, size_max: int) -> None:
    graphs = {g.fingerprint: g for g in (*(world.graph for world in worlds), BROKEN)}
    choose = Choices(data)
    records = records_of(worlds, choose)

    at_once = in_batches(Owner(graphs, 1 << 30), records, lambda: len(records))
    in_memory = in_batches(Owner(graphs, 1 << 30), records, lambda: 1 + choose.below(size_max))
    from_rows = in_batches(Owner(graphs, 0), records, lambda: 1 + choose.below(size_max))
    some_of_both = in_batches(Owner(graphs, 5_000), records, lambda: 1 + choose.below(size_max))

    assert in_memory == at_once
    assert from_rows == at_once
    assert some_of_both == at_once
    event(f"{len(at_once['poison'])} records poisoned")


def test_a_record_that_raises_is_set_aside_and_the_others_go_on() -> None:
    owner = Owner({BROKEN.fingerprint: BROKEN}, 1 << 30)
    partition = partition_of("broken-1", PARTITIONS)
    records = [
        Record(partition, i, NOON + i, m.key.encode(), encode(m))
        for i, m in enumerate(broken_run("broken-1"))
    ]

    owner.apply(records)

    assert [(row.offset, row.code) for row in owner.dead] == [(1, "unfoldable"), (2, "unfoldable")]
    assert "AssertionError" in owner.dead[0].reason
    run = owner.saved.runs["broken-1"]
    assert (run.status, run.updated, run.ended) == ("cancelled", NOON + 3, NOON + 3)
    assert [len(owner.published[partition, topic]) for topic in ("runs", "dead")] == [2, 2]
