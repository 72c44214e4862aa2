"""A log in memory, with a story on it in which everything happens, and schemas to fold it into."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from builders import NOON, ask, event, signal, step
from msgspec import Raw
from pydantic import SecretStr

from stream_durable.core.admission.rule import BatchRule
from stream_durable.core.definition.about import NOTHING, About
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import Definition
from stream_durable.core.failure import Failure
from stream_durable.core.format import ADMISSIONS, ASKS, GATES, INSIDE, LATER, READS, SCHEDULES
from stream_durable.core.gate.limits import GateChange, GateLimits, KeysChange
from stream_durable.core.ids import channel_id, partition_of
from stream_durable.core.messages import (
    AdmissionAsked,
    AnswerInput,
    AttemptCompleted,
    AttemptFailed,
    AttemptStarted,
    AttemptWaits,
    Attribute,
    BackfillSchedule,
    CancelLater,
    CancelRun,
    ChannelTimerFired,
    ClaimInput,
    CommentInput,
    DeclaredSchedules,
    DeclareSchedule,
    DeleteSchedule,
    EventPublished,
    GateAsked,
    GateLeft,
    GateTimerFired,
    InnerWait,
    Message,
    PauseSchedule,
    PlaceAsked,
    Plan,
    ReadClosed,
    ReadOpened,
    ResumeSchedule,
    ScheduledRunEnded,
    ScheduleNext,
    ScheduleTimerFired,
    SendLater,
    SetGateKeys,
    SetSchedule,
    SignalRun,
    StartRun,
    StartScheduled,
    TriggerSchedule,
    UndeclareSchedule,
    WaitOpened,
)
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.schedule.rule import Rule
from stream_durable.ports import LogBounds, Record, Span
from stream_durable.postgres.migrate import make
from stream_durable.postgres.snapshot import snapshot
from stream_durable.postgres.store import PostgresStore
from stream_durable.replay.rebuild import World
from stream_durable.settings import EngineSettings, PostgresSettings
from stream_durable.wire.inbox import encode

PARTITIONS = 4
ORDER = Definition(
    name="order",
    nodes=(
        step("reserve", retry=RetryPolicy(attempts=3, base_ms=1_000, cap_ms=60_000)),
        event("paid", of="paid", key="input.id"),
        signal("approved", "reserve", signals=("approve",)),
        ask("agreed", prompt="Ship {input.id}?", role="warehouse", due_ms=60_000, timeout_ms=86_400_000),
        step("ship", "approved", "paid", "agreed"),
    ),
    format=ASKS,
    timeout_ms=86_400_000,
)


@dataclass
class MemoryLog:
    """What a test puts on a topic, read in batches as small as the test likes."""

    records: dict[int, list[Record]] = field(default_factory=lambda: {p: [] for p in range(PARTITIONS)})
    batch: int = 1_000
    topic_id: str = "first"
    #: Records below are gone.
    low: int = 0

    def add(self, *messages: Message) -> None:
        for message in messages:
            self.put(message.key, encode(message))

    def put(
        self, key: str, value: bytes | None, *, partition: int | None = None, headers: Mapping[str, str] = {}
    ) -> Record:
        where = partition_of(key, PARTITIONS) if partition is None else partition
        log = self.records[where]
        sent = [(name, text.encode()) for name, text in headers.items()]
        record = Record(where, len(log), NOON + 10 * len(log), key.encode(), value, 0, sent)
        log.append(record)
        return record

    async def bounds(self) -> Mapping[int, LogBounds]:
        return {p: LogBounds(self.topic_id, self.low, len(log)) for p, log in self.records.items()}

    async def read(self, spans: Sequence[Span]) -> AsyncGenerator[list[Record], None]:
        for partition, start, end in spans:
            for offset in range(start, end, self.batch):
                yield self.records[partition][offset : min(offset + self.batch, end)]


class KnownDefinitions:
    """Definitions that are known from the start."""

    def __init__(self, *definitions: Definition) -> None:
        graphs = map(Graph, definitions)
        self._graphs = {graph.fingerprint: graph for graph in graphs}

    def graph(self, fingerprint: str) -> Graph | None:
        return self._graphs.get(fingerprint)

    def is_newer(self, fingerprint: str) -> bool:
        return False

    def lacking(self, fingerprint: str) -> str:
        return f"definition {fingerprint} is not known"

    async def catch_up(self) -> None:
        """Know everything."""

    async def register(self, definition: Definition, about: About = NOTHING) -> str:
        raise AssertionError("a rebuild registers nothing")


def schema(dsn: str, name: str) -> PostgresSettings:
    return PostgresSettings(dsn=SecretStr(dsn), db_schema=name)


async def world(
    settings: PostgresSettings,
    inbox: MemoryLog,
    *,
    verdicts: MemoryLog | None = None,
    known: Iterable[Definition] = (ORDER,),
    cache_bytes_max: int = 64 * 1024 * 1024,
    is_made: bool = False,
) -> World:
    """Return what a rebuild of this log into a schema needs; the schema is made, unless it is there."""
    if not is_made:
        await make(settings, PARTITIONS)
    return World(
        inbox=inbox,
        verdicts=verdicts or MemoryLog(),
        definitions=KnownDefinitions(*known),
        look=lambda: snapshot(settings),
        store=lambda: PostgresStore(settings),
        settings=EngineSettings(cache_bytes_max=cache_bytes_max),
        partition_count=PARTITIONS,
    )


def start(i: int, padding: int = 0) -> StartRun:
    value = Raw(b'{"id":"k%d","padding":"%b"}' % (i, b"x" * padding))
    fingerprint = ORDER.fingerprint()
    return StartRun(
        key=f"run-{i}", id=f"s{i}", workflow="order", fingerprint=fingerprint, input=value,
        attributes=(Attribute("number", "number", i),),
    )  # fmt: skip


def a_story(runs: int = 24, batch: int = 1_000, padding: int = 0) -> MemoryLog:
    """Return a log with runs that end well, badly and not yet, early events, garbage and repeats."""
    log = MemoryLog(batch=batch)
    for i in range(runs):
        log.add(start(i, padding), start(i, padding))
        log.add(WaitOpened(key=channel_id("paid", f"k{i}"), run=f"run-{i}", wait="paid"))
    for i in range(runs):
        _reserve(log, i)
        log.put(f"run-{i}", (b"garbage", b'{"type":"run.cancel","run":"another","id":"x"}', None)[i % 3])
    for i in range(0, runs, 2):
        log.add(SignalRun(key=f"run-{i}", id=f"m{i}", signal="approve", data=Raw(b'"yes"')))
        log.add(
            SignalRun(key=f"run-{i}", id=f"n{i}", signal="later", data=Raw(b"1"), by="tom", ttl_ms=60_000)
        )
    for i in range(0, runs, 3):
        _agree(log, i)
    for i in range(runs):
        _charge(log, i)
    for i in range(0, runs, 4):
        channel = channel_id("paid", f"early-{i}")
        early = EventPublished(key=channel, id=f"e{i}", data=Raw(b"{}"), ttl_ms=60_000, by="till")
        _later(log, i, early)
        _expire(log, channel_id("paid", f"nobody-{i}"))
        _schedule(log, i)
        _read(log, i, channel)
        log.add(early, early, CancelRun(key=f"run-{i}", id=f"c{i}", reason="enough"))
    return log


def _agree(log: MemoryLog, i: int) -> None:
    """Let people do something about a question, and answer every other one, wrongly and twice."""
    run = f"run-{i}"
    log.add(ClaimInput(key=run, id=f"claim-{i}", wait="agreed", format=ASKS, by="ann"))
    log.add(CommentInput(key=run, id=f"comment-{i}", wait="agreed", format=ASKS, comment="is it paid?"))
    if i % 2:
        for answer in (b'"yes"', b"true", b"true"):
            log.add(AnswerInput(key=run, id=f"a{i}", wait="agreed", format=ASKS, answer=Raw(answer)))


def _read(log: MemoryLog, i: int, channel: str) -> None:
    """Let a reaction have what comes to a channel, and let another be closed again."""
    for number, reaction in enumerate(("~heard", "~closed")):
        about: dict[str, Any] = {"key": channel, "run": f"run-{i}", "reaction": reaction, "ordinal": 1}
        opened = ReadOpened(**about, format=READS)
        log.add(opened, opened)
        if number:
            log.add(ReadClosed(**about, format=READS))


def _expire(log: MemoryLog, channel: str) -> None:
    """Let an event that nobody had expire."""
    log.add(EventPublished(key=channel, id="lost", data=Raw(b"{}"), ttl_ms=0, by="till"))
    due = log.records[partition_of(channel, PARTITIONS)][-1].time
    log.add(ChannelTimerFired(key=channel, timer="", due=due))


def _later(log: MemoryLog, i: int, event: EventPublished) -> None:
    """Let messages be sent later, of which one is sent at once, one waits, and one is cancelled."""
    for name, after_ms in (("now", 0), ("soon", 60_000), ("never", 60_000)):
        key = f"event:{event.key}#{name}"
        message = msgspec.structs.replace(event, id=f"{name}-{i}")
        planned = SendLater(key=key, format=LATER, message=message, after_ms=after_ms)
        log.add(planned, planned)
        if name == "never":
            log.add(CancelLater(key=key, id=f"not-{i}", format=LATER))


def _schedule(log: MemoryLog, i: int) -> None:
    """Let schedules be created, changed, paused, deleted, declared and no longer declared, and fire."""
    name = f"schedule-{i}"
    fact: dict[str, Any] = {"key": name, "format": SCHEDULES}
    plan = Plan(rule=Rule(every_ms=60_000), workflow="order", overlap="queue_all", disable_after=1)
    log.add(SetSchedule(**fact, id="set", plan=plan, is_new=True))
    created = log.records[partition_of(name, PARTITIONS)][-1].time
    moment = created - created % 60_000 + 60_000
    next_one = ScheduleNext(**fact, revision=1, after=created, at=moment)
    log.add(next_one, next_one, TriggerSchedule(**fact, id="now"), TriggerSchedule(**fact, id="now"))
    log.add(BackfillSchedule(**fact, id="past", moments=(1_000, 2_000)))
    log.add(ScheduleTimerFired(key=name, timer="", due=moment))
    log.add(ScheduledRunEnded(**fact, run=f"{name}//@now", status="failed", failure=Failure("boom")))
    log.add(PauseSchedule(**fact, id="off"), ResumeSchedule(**fact, id="on"))
    log.add(DeclareSchedule(**fact, id="code", app="shop", plan=plan))
    for names in ((name,), ()):
        log.add(DeclaredSchedules(key="shop//", format=SCHEDULES, id=f"roll-{i}", app="shop", names=names))
    log.add(UndeclareSchedule(**fact, app="shop"))
    if not i % 8:
        log.add(DeleteSchedule(**fact, id="gone"))
    run = f"{name}//1970-01-01T00:00:01Z"
    log.add(
        StartScheduled(
            key=run, id=run, workflow="order", fingerprint=ORDER.fingerprint(), format=SCHEDULES,
            schedule=name, moment=1_000, trigger="schedule",
        )
    )  # fmt: skip


def _charge(log: MemoryLog, i: int) -> None:
    """Let runs elsewhere meet, and ask one of two gates, until it opens, is tried, and holds the others."""
    bank, run = f"bank-{i % 2}", f"elsewhere-{i}"
    asked = GateAsked(key=bank, run=run, step="charge", attempt=1, failures=2)
    log.add(asked, asked)
    limits = GateLimits(at_once=1, weights={"gold": 3})
    meeting = AdmissionAsked(
        key="wf//",
        run=run,
        attempt=1,
        format=ADMISSIONS,
        rule=BatchRule(size=50, within_ms=1),
        input=Raw(b"1"),
    )
    log.add(meeting, meeting)
    entered = PlaceAsked(
        key="desk//", run=run, step="charge", attempt=1, format=GATES, limits=limits, share=f"k{i % 3}"
    )
    log.add(entered, entered)
    keyed = PlaceAsked(
        key=f"crm//k{i % 3}", run=run, step="charge", attempt=1, format=GATES, limits=GateLimits(at_once=1)
    )
    change = KeysChange(at=i // 2 + 1, id="k", change=GateChange(at_once=1 + i % 2))
    log.add(keyed, SetGateKeys(key=keyed.key, format=GATES, keys=change))
    if i < 6:
        log.add(GateLeft(key=bank, run=run, step="charge", attempt=1, is_ok=None if i < 2 else False))
    if i in (10, 11):
        log.add(GateTimerFired(key=bank, timer="", due=_reset_of(log, bank)))


def _reset_of(log: MemoryLog, gate: str) -> int:
    """Return when a gate that opened with its second failure may be tried."""
    records = log.records[partition_of(gate, PARTITIONS)]
    left = [r.time for r in records if r.key == gate.encode() and b'"is_ok":false' in (r.value or b"")]
    return left[1] + 30_000


def _reserve(log: MemoryLog, i: int) -> None:
    run = f"run-{i}"
    done = AttemptCompleted(key=run, step="reserve", attempt=1, output=Raw(b'"done"'), worker="w1")
    failure = Failure("Oops", "not this time")
    failed = AttemptFailed(key=run, step="reserve", attempt=1, failure=failure, worker="w1")
    begun = AttemptStarted(key=run, step="reserve", attempt=1, worker="w1", timeout_ms=60_000)
    counted = InnerWait(1, Raw(b'{"kind":"signal","name":"reserve/counted","signals":["counted"]}'))
    waits = AttemptWaits(key=run, step="reserve", attempt=1, format=INSIDE, worker="w1", waits=(counted,))
    log.add(*((done, done), (failed,), (begun, waits), (begun, done))[i % 4])
