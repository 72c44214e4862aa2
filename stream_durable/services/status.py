"""The state of an instance as a whole: runs, partitions, members, and problems for a person."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Final, NamedTuple

from stream_durable import operating
from stream_durable.client.queues import WorkerState
from stream_durable.core.effects import Command
from stream_durable.core.errors import RejectedError
from stream_durable.core.gate.summary import GateSummary
from stream_durable.core.lanes import lanes_of_all, parts_of, queue_of
from stream_durable.core.status import COMPENSATION_FAILED
from stream_durable.explain.phrases import counted, times
from stream_durable.explain.stopped import RESTARTED
from stream_durable.kafka.groups import Group, Groups
from stream_durable.kafka.reader import KafkaReader
from stream_durable.ports import GroupMember, OperatorViews, PartitionSummary, Record, RunQuery, Span
from stream_durable.settings import Settings
from stream_durable.wire.control import JOINS_MS
from stream_durable.wire.inbox import decode_command
from stream_durable.wire.topics import (
    COMMANDS,
    DEAD,
    EVENTS,
    INBOX,
    INGRESSES,
    RECONCILERS,
    WORKERS,
    full_name,
)

_CLIENT: Final = "stream-durable-status"
#: A record that has waited for so long is not waiting for its turn any more.
STANDS_MS: Final = 60_000
DAY_MS: Final = 86_400_000
#: Counts go so far: what is beyond is "many" to a person.
RUNS_MAX: Final = 1_000_000
DEAD_MAX: Final = 10_000


class Backlog(NamedTuple):
    """The records left for the readers of a topic."""

    records: int
    #: When the oldest of them was written, in milliseconds; None: there are none.
    since: int | None = None


class PartitionStatus(NamedTuple):
    """A partition of the inbox, with the remaining records."""

    summary: PartitionSummary
    left: Backlog


class Culprit(NamedTuple):
    """The next attempt of a queue, during which workers were lost."""

    run: str
    step: str
    losses: int


class Readers(NamedTuple):
    """The processes reading a topic, with the remaining records."""

    members: tuple[GroupMember, ...]
    left: Backlog
    #: Of a queue: the attempt with most losses among the next ones, as their commands say.
    culprit: Culprit | None = None


class Concern(NamedTuple):
    """A permanent problem, with the remedy."""

    what: str
    remedy: str


class Status(NamedTuple):
    """An instance at a moment."""

    #: Milliseconds since the epoch.
    at: int
    #: Runs by status.
    runs: Mapping[str, int]
    #: Whether all runs are counted.
    is_exact: bool
    partitions: list[PartitionStatus]
    #: None: the broker is one in memory, and shows no groups.
    reconcilers: tuple[GroupMember, ...] | None
    ingress: Readers | None
    #: By queue.
    queues: Mapping[str, Readers]
    gates: list[GateSummary]
    #: Records of the inbox of the last day that could not be applied.
    dead: int
    #: The beginning of the names of topics.
    prefix: str = "sd"


async def status(settings: Settings) -> Status:
    """Ask Postgres and Kafka how the instance stands."""
    at = time.time_ns() // 1_000_000
    async with operating.views(settings) as views:
        (runs, partitions, gates, dead), readers = await asyncio.gather(
            _stored(views, at), _readers(settings)
        )
    inbox = None if readers is None else readers.inbox
    return Status(
        at,
        runs,
        sum(runs.values()) < RUNS_MAX,
        await _partitions(settings, partitions, inbox),
        None if inbox is None else inbox.members,
        None if readers is None else readers.ingress,
        {} if readers is None else readers.queues,
        [gate for gate in gates if gate.state in {"open", "half-open"}],
        dead,
        settings.prefix,
    )


def concerns(found: Status, workers: Iterable[WorkerState] = ()) -> list[Concern]:
    """Return the problems for a person, the most urgent first; `workers` as they reported themselves."""
    return [
        *_of_partitions(found),
        *_of_roles(found),
        *_of_queues(found, list(workers)),
        *_of_what_is_kept(found),
    ]


def _of_partitions(found: Status) -> Iterator[Concern]:
    if found.reconcilers == ():
        yield Concern("no reconciler runs, so no run moves", "start one: `stream-durable reconciler`")
    for one, left in found.partitions:
        name = f"partition {one.partition}"
        if one.lost_reason is not None:
            remedy = "find out what happened to its log; `engine.on_lost_log` decides how to go on"
            yield Concern(f"{name} stands still: {one.lost_reason}", remedy)
        elif found.reconcilers != () and _has_stood(found, left):
            remedy = f"{_owner(one)} logs the reason, see also /readyz; `partitions bury` sets it aside"
            yield Concern(f"{name} stands at offset {one.next_offset} with {left.records} records", remedy)


def _owner(one: PartitionSummary) -> str:
    return one.owner or "the reconciler that is to own it"


def _of_roles(found: Status) -> Iterator[Concern]:
    ingress = found.ingress
    if ingress is not None and ingress.left.records and not ingress.members:
        yield Concern(
            f"events topic: no ingress runs, and its backlog is {ingress.left.records}",
            "start one: `stream-durable ingress`",
        )
    elif ingress is not None and _has_stood(found, ingress.left):
        text = f"the ingress is {ingress.left.records} records behind on the events topic"
        yield Concern(text, "see its log, or start another one")


def _of_queues(found: Status, workers: Sequence[WorkerState]) -> Iterator[Concern]:
    for queue, readers in found.queues.items():
        if readers.left.records and not readers.members:
            need = f"its backlog is {readers.left.records}"
            yield unserved(queue, readers, need, _last_lost(queue, workers, found.at))


def _last_lost(queue: str, workers: Sequence[WorkerState], now: int) -> str:
    """Return the last worker of a queue without readers, if lost without notice."""
    lost = [one for one in workers if queue in one.queues and now - _ms(one.since) > JOINS_MS]
    return max(lost, key=lambda one: one.seen).name if lost else ""


def unserved(queue: str, readers: Readers | None, need: str, lost: str) -> Concern:
    """Return the facts about an unserved queue, and the remedy; `lost` is its last worker."""
    start = f"start one: `stream-durable worker APP --queue {queue}`"
    culprit = None if readers is None else readers.culprit
    if culprit is None and not lost:
        return Concern(f"queue {queue}: no worker serves it, and {need}", start)
    if culprit is None:
        text = f"queue {queue}: no worker serves it now, and {need}; its last one, {lost}, was lost"
        return Concern(text, f"{RESTARTED}; the log says which attempts it had. Without a supervisor {start}")
    where = f"{culprit.run}/{culprit.step}"
    return Concern(
        f"queue {queue}: no worker serves it now, and {need}; a worker was lost {times(culprit.losses)} at "
        f"{where}, whose command is next",
        f"{RESTARTED}; `stream-durable why {shlex.quote(culprit.run)} {shlex.quote(culprit.step)}` says how "
        f"far it is. Without a supervisor {start}",
    )


def _of_what_is_kept(found: Status) -> Iterator[Concern]:
    if stuck := found.runs.get(COMPENSATION_FAILED):
        remedy = "`runs list --status compensation_failed`; retry or skip the compensation"
        yield Concern(f"{stuck} runs could not be undone", remedy)
    for gate in found.gates:
        if gate.state == "open":
            text = f"gate {gate.name} is open after {gate.failures} failures, {gate.waiting} attempts wait"
            yield Concern(text, "see to what is behind it; it lets one attempt try by itself")
    if found.dead:
        text = f"{counted(found.dead, 'record')} of the last day could not be applied"
        topic = full_name(found.prefix, DEAD)
        remedy = f"`stream-durable records list` shows them, with the reason; they are on the topic {topic}"
        yield Concern(text, remedy)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1_000)


def _has_stood(found: Status, left: Backlog) -> bool:
    return left.since is not None and found.at - left.since > STANDS_MS


async def _stored(
    views: OperatorViews, at: int
) -> tuple[dict[str, int], list[PartitionSummary], list[GateSummary], int]:
    """Ask Postgres."""
    return await asyncio.gather(
        views.run_statuses(RunQuery(), at_most=RUNS_MAX),
        views.partition_list(),
        views.gate_list(),
        views.dead_count(at - DAY_MS, at_most=DEAD_MAX),
    )


class _Read(NamedTuple):
    """The readers of each topic of the instance."""

    inbox: Group
    ingress: Readers
    queues: dict[str, Readers]


async def _readers(settings: Settings) -> _Read | None:
    """Ask Kafka for readers; None for a broker in memory."""
    groups, prefix = Groups(settings.kafka), settings.prefix
    commands = full_name(prefix, COMMANDS)
    topics = await groups.topics(full_name(prefix, ""))
    if topics is None:
        return None
    lanes = {topic.removeprefix(commands): topic for topic in topics if topic.startswith(commands)}
    inbox, events = full_name(prefix, INBOX), full_name(prefix, EVENTS)
    found = await groups.read(
        {
            inbox: full_name(prefix, RECONCILERS),
            events: full_name(prefix, INGRESSES),
            **{topic: full_name(prefix, WORKERS + lane) for lane, topic in lanes.items()},
        }
    )
    return _Read(
        found[inbox],
        await _reading(settings, events, found[events]),
        {
            queue: _together(
                [
                    await _reading(settings, lanes[lane], found[lanes[lane]])
                    for lane in lanes_of_all(parts_of(queue, by_priority=True))
                    if lane in lanes
                ]
            )
            for queue in dict.fromkeys(map(queue_of, lanes))
        },
    )


def _together(lanes: Sequence[Readers]) -> Readers:
    """Return the readers of all lanes of a queue as those of the queue: the same processes read each."""
    since = [one.left.since for one in lanes if one.left.since is not None]
    culprits = [one.culprit for one in lanes if one.culprit is not None]
    return Readers(
        lanes[0].members, Backlog(sum(one.left.records for one in lanes), min(since, default=None)),
        max(culprits, key=lambda one: one.losses, default=None),
    )  # fmt: skip


async def queues(settings: Settings) -> Mapping[str, Readers] | None:
    """Return the readers and the backlog of each queue; None for a broker in memory."""
    found = await _readers(settings)
    return None if found is None else found.queues


async def _reading(settings: Settings, topic: str, group: Group) -> Readers:
    heads = await _heads(settings, topic, group.left)
    since = min((record.time for record in heads.values()), default=None)
    return Readers(group.members, Backlog(group.lag, since), _culprit(topic, settings, heads.values()))


def _culprit(topic: str, settings: Settings, heads: Iterable[Record]) -> Culprit | None:
    """Return the command with most losses, if any has some."""
    if not topic.startswith(full_name(settings.prefix, COMMANDS)):
        return None
    found = list[Culprit]()
    for record in heads:
        with suppress(RejectedError):
            command = decode_command(record.value or b"")
            if isinstance(command, Command) and command.losses:
                found.append(Culprit(command.run, command.step, command.losses))
    return max(found, key=lambda one: one.losses, default=None)


async def _partitions(
    settings: Settings, summaries: list[PartitionSummary], inbox: Group | None
) -> list[PartitionStatus]:
    """Return positions of partitions; only commits in Postgres count, not in Kafka."""
    if inbox is None:
        return [PartitionStatus(one, Backlog(0)) for one in summaries]
    left = {
        one.partition: Span(one.partition, min(max(one.next_offset, span.start), span.end), span.end)
        for one in summaries
        if (span := inbox.bounds.get(one.partition)) is not None
    }
    heads = await _heads(settings, full_name(settings.prefix, INBOX), left)
    return [
        PartitionStatus(
            one,
            Backlog(
                span.end - span.start if (span := left.get(one.partition)) else 0,
                head.time if (head := heads.get(one.partition)) else None,
            ),
        )
        for one in summaries
    ]


async def _heads(settings: Settings, topic: str, left: Mapping[int, Span]) -> dict[int, Record]:
    """Return the next record of each partition with a backlog."""
    spans = [Span(s.partition, s.start, s.start + 1) for s in left.values() if s.start < s.end]
    records_max = max(1, len(spans))
    reader = KafkaReader(settings.kafka, topic, client=_CLIENT, records_max=records_max, is_hasty=True)
    found: dict[int, Record] = {}
    async with aclosing(reader.read(spans)) as batches:
        async for records in batches:
            found |= {record.partition: record for record in records}
    return found
