"""Definitions, a run to play with, and a store in a dictionary: what tests of the core are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from stream_durable.core.admission.rows import AdmissionRow, MemberRow
from stream_durable.core.admission.state import Admission
from stream_durable.core.channel.rows import EventRow, WaitRow
from stream_durable.core.channel.state import Channel
from stream_durable.core.definition.formats import format_of
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.moments import AnyMoment
from stream_durable.core.definition.nodes import (
    AnyNode,
    BesideNode,
    BranchNode,
    ChildNode,
    Definition,
    EachNode,
    EventNode,
    InputNode,
    ParallelNode,
    SignalNode,
    SleepNode,
    StepNode,
    TokenNode,
)
from stream_durable.core.definition.validate import validate
from stream_durable.core.effects import CancelAttempt, Command, Effects
from stream_durable.core.entities import ENTITIES, TABLES, Entity, Graphs, timer_fired
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.fold import create, fold
from stream_durable.core.format import ASKS, BESIDE, TOKENS
from stream_durable.core.gate.breaker_state import Breaker
from stream_durable.core.gate.line import Line
from stream_durable.core.gate.rows import GateRow, PlaceRow, TurnRow
from stream_durable.core.gate.state import Gate
from stream_durable.core.later.rows import LaterRow
from stream_durable.core.later.state import Later
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.log import Log
from stream_durable.core.messages import (
    AnswerInput,
    AttemptCompleted,
    AttemptExpanded,
    AttemptFailed,
    AttemptFinished,
    AttemptHeartbeat,
    AttemptJumped,
    AttemptReturned,
    AttemptSkipped,
    AttemptStarted,
    CancelRun,
    CancelStep,
    ChildEnded,
    CompleteStep,
    EventDelivered,
    EventPublished,
    FailStep,
    Grafted,
    HeartbeatStep,
    InquireRun,
    Kind,
    Message,
    PauseRun,
    ResumeRun,
    RetryRun,
    RunTimerFired,
    SignalRun,
    SkipStep,
    StartRun,
)
from stream_durable.core.policy import NO_RETRY, RetryPolicy
from stream_durable.core.run.again import base_of
from stream_durable.core.run.mail import Mail
from stream_durable.core.run.rows import RunChange, RunRow, StepRow
from stream_durable.core.run.signal_rows import SignalRow
from stream_durable.core.run.state import Context, Detail, Open, Requests, Run, Step
from stream_durable.core.schedule.rows import FiringRow, ScheduleRow
from stream_durable.core.schedule.state import Schedule
from stream_durable.core.status import PENDING, STEP_ENDED, Outcome
from stream_durable.core.tables import Rows
from stream_durable.ports import TimerRow

RUN = "run-1"
#: Log time at which a play begins.
NOON = 1_764_000_000_000


def step(name: str, *after: str, retry: RetryPolicy = NO_RETRY, **options: Any) -> StepNode:
    return StepNode(name=name, after=after, retry=retry, **options)


def sleep(name: str, *after: str, ms: int = 1_000) -> SleepNode:
    return SleepNode(name=name, after=after, duration_ms=ms)


def until(name: str, *after: str, moment: AnyMoment, zone: str = "UTC") -> SleepNode:
    return SleepNode(name=name, after=after, duration_ms=0, until=moment, zone=zone)


def signal(name: str, *after: str, signals: tuple[str, ...] = ("go",), **options: Any) -> SignalNode:
    return SignalNode(name=name, after=after, signals=signals, **options)


def event(name: str, *after: str, of: str = "paid", key: str = "input.id", **options: Any) -> EventNode:
    return EventNode(name=name, after=after, event=of, key=key, **options)


def ask(name: str, *after: str, **options: Any) -> InputNode:
    """Return a question that is answered with true or false."""
    return InputNode(name=name, after=after, **options)


def token(name: str, *after: str, **options: Any) -> TokenNode:
    return TokenNode(name=name, after=after, **options)


def answering(name: str = "quote", *, concurrency: int = 1, **options: Any) -> BesideNode:
    """Return a function that answers inquiries beside the graph."""
    return BesideNode(name=name, concurrency=concurrency, step=StepNode(name=f"~{name}", **options))


def reacting(signal: str = "", event: str = "", *, concurrency: int = 1, **options: Any) -> BesideNode:
    """Return a function that reacts to signals of a name, or to events of a name and the key `input.id`."""
    made = StepNode(name=f"~on_{signal or event}", **options)
    if signal:
        return BesideNode(name=f"on_{signal}", on="signal", signal=signal, concurrency=concurrency, step=made)
    return BesideNode(
        name=f"on_{event}", on="event", event=event, key="input.id", concurrency=concurrency, step=made
    )


def parallel(name: str, *after: str, **options: Any) -> ParallelNode:
    return ParallelNode(name=name, after=after, **options)


def inside(group: str, node: AnyNode, clause: int = 0) -> Any:
    """Return a node as a member of a group, or of a clause of a branch."""
    return msgspec.structs.replace(node, member_of=group, clause=clause)


def each(
    name: str, *after: str, over: str = "input.items", retry: RetryPolicy = NO_RETRY, **options: Any
) -> EachNode:
    of_member = {key: options.pop(key) for key in ("compensation", "takes", "total_ms") if key in options}
    made = StepNode(name=name, retry=retry, **of_member)
    return EachNode(name=name, after=after, over=over, step=made, **options)


def branch(
    name: str, *after: str, cases: tuple[str | None, ...] = ('"a"', '"b"'), **options: Any
) -> BranchNode:
    """Return a branch on `input.kind`, or on what a worker selects."""
    if options.pop("is_selected", False):
        return BranchNode(name=name, after=after, selector=StepNode(name=name), cases=cases, **options)
    return BranchNode(name=name, after=after, on="input.kind", cases=cases, **options)


def child(name: str, *after: str, **options: Any) -> ChildNode:
    return ChildNode(name=name, after=after, workflow="kid", fingerprint="f1", **options)


def undoing(name: str, **options: Any) -> StepNode:
    """Return what undoes a step."""
    return StepNode(name=f"{name}~compensate", takes=(name,), **options)


def hook(kind: str, **options: Any) -> StepNode:
    return StepNode(name=f"~{kind}", **options)


def definition(*nodes: AnyNode, **options: Any) -> Definition:
    """Return a definition that is sound: a test of the fold is not one of the validation."""
    made = Definition(
        name="order",
        nodes=nodes,
        format=format_of(
            (*nodes, *options.get("templates", ())),
            options.get("concurrency"),
            options.get("beside", ()),
            options.get("gate"),
            options.get("due_ms"),
            options.get("queues", ()),
            options.get("starts"),
        ),
        **options,
    )
    assert not validate(made)
    return made


class Said:
    """What came of one message, in words that are short to compare with."""

    def __init__(self, outcome: Outcome, effects: Effects) -> None:
        self.outcome = outcome
        self.effects = effects
        self.commands = [c for _, c in effects.commands if type(c) is Command]
        self.cancels = [(c.step, c.attempt) for _, c in effects.commands if type(c) is CancelAttempt]
        self.asked = [(c.step, c.attempt) for c in self.commands]
        self.facts = [fact(event) for event in effects.events]
        self.messages = effects.messages
        #: Of runs, by the timer's name.
        self.timers = {name: due for (kind, _, name), due in effects.timers.items() if kind == "run"}

    @property
    def is_silent(self) -> bool:
        """Whether nothing was asked of the outside."""
        return not any(everything(self.effects))


def fact(event: StepEvent | RunEvent) -> str:
    """Return `step.completed a` or `run.started`."""
    return f"{event.type} {event.step}" if type(event) is StepEvent else event.type


def everything(effects: Effects) -> tuple[list[Any], list[Any], list[Any], dict[Any, Any], list[Any]]:
    """Return all that effects hold, to be compared."""
    return effects.commands, effects.events, effects.messages, effects.timers, effects.redirected


class Play:
    """One run, told message by message at a log time that the test moves."""

    def __init__(
        self,
        *nodes: AnyNode,
        input: bytes = b"null",  # noqa: A002 - as the message calls it
        start: dict[str, Any] | None = None,
        tags: tuple[str, ...] = (),
        trace: str | None = None,
        in_format: int = 1,
        **options: Any,
    ) -> None:
        self.in_format = in_format
        self.graph = Graph(definition(*nodes, **options))
        self.now = NOON
        self.start = StartRun(
            key=RUN, id="start-1", workflow="order", fingerprint=self.graph.fingerprint,
            input=Raw(input), tags=tags, trace=trace, **(start or {}),
        )  # fmt: skip
        run = create(self.start, 3, {self.graph.fingerprint: self.graph}.get)
        assert isinstance(run, Run)
        self.run = run
        self.began = self.tell(self.start)

    def tell(self, message: Message) -> Said:
        """Fold a message into the run."""
        effects = Effects(self.in_format)
        self.last = Said(fold(self.run, message, self.now, effects), effects)
        return self.last

    def refused(self, message: Message) -> str:
        """Return the code with which a message is refused, having made sure that it changed nothing."""
        before, effects = picture(self.run), Effects(self.in_format)
        try:
            outcome = fold(self.run, message, self.now, effects)
        except RejectedError as error:
            assert picture(self.run) == before
            assert not any(everything(effects))
            return error.code
        raise AssertionError(f"not refused but {outcome.name}")

    def completed(self, name: str, output: bytes = b"null", attempt: int = 1, **options: Any) -> Said:
        return self.tell(AttemptCompleted(key=RUN, step=name, attempt=attempt, output=Raw(output), **options))

    def skipped(self, name: str, attempt: int = 1) -> Said:
        return self.tell(AttemptSkipped(key=RUN, step=name, attempt=attempt, reason="not needed"))

    def jumped(self, name: str, to: str, output: bytes = b"null", attempt: int = 1) -> Said:
        return self.tell(AttemptJumped(key=RUN, step=name, attempt=attempt, to=to, output=Raw(output)))

    def finished(self, name: str, output: bytes = b"null", attempt: int = 1) -> Said:
        return self.tell(AttemptFinished(key=RUN, step=name, attempt=attempt, output=Raw(output)))

    def expanded(self, name: str, *steps: Grafted, attempt: int = 1, **options: Any) -> Said:
        return self.tell(AttemptExpanded(key=RUN, step=name, attempt=attempt, steps=steps, **options))

    def paused(self) -> Said:
        return self.tell(PauseRun(key=RUN, id="p1"))

    def resumed(self, context: bytes | None = None) -> Said:
        return self.tell(ResumeRun(key=RUN, id="r1", context=None if context is None else Raw(context)))

    def step_cancelled(self, name: str) -> Said:
        return self.tell(CancelStep(key=RUN, id="cs1", step=name))

    def step_skipped(self, name: str) -> Said:
        return self.tell(SkipStep(key=RUN, id="ss1", step=name))

    def retried(self, name: str = "", id: str = "retry-1", *, whole: bool = False) -> Said:  # noqa: A002
        return self.tell(RetryRun(key=RUN, id=id, step=name, whole=whole))

    def child_ended(
        self, name: str, output: bytes = b"null", status: str = "completed", child: str = ""
    ) -> Said:
        failure = None if status == "completed" else Failure("Broken", "the child broke", step="s")
        return self.tell(
            ChildEnded(key=RUN, step=name, child=child or f"{RUN}//{name}", status=status, output=Raw(output),
                       failure=failure)
        )  # fmt: skip

    def reload(self) -> None:
        """Store the run and load it again."""
        saved = Saved()
        self.run.is_new = True
        self.run.touched.update(dict.fromkeys(self.run.steps))
        saved.save(self.run)
        before = lasting_picture(self.run)
        self.run = saved.load_run(RUN, self.graph)
        assert lasting_picture(self.run) == before

    def failed(self, name: str, code: str = "Oops", attempt: int = 1, *, retryable: bool = True) -> Said:
        failure = Failure(code, "it broke", retryable)
        return self.tell(AttemptFailed(key=RUN, step=name, attempt=attempt, failure=failure))

    def started(self, name: str, worker: str = "w1", attempt: int = 1, **options: Any) -> Said:
        return self.tell(AttemptStarted(key=RUN, step=name, attempt=attempt, worker=worker, **options))

    def beats(
        self, name: str, worker: str = "w1", attempt: int = 1, lease_ms: int = 30_000, **fields: Any
    ) -> Said:
        message = AttemptHeartbeat(
            key=RUN, step=name, attempt=attempt, worker=worker, lease_ms=lease_ms, **fields
        )
        return self.tell(message)

    def returned(self, name: str, worker: str = "w1", attempt: int = 1, delay_ms: int = 0) -> Said:
        message = AttemptReturned(
            key=RUN, step=name, attempt=attempt, worker=worker, delay_ms=delay_ms, reason="drained"
        )
        return self.tell(message)

    def signalled(self, name: str = "go", data: bytes = b"null", id: str = "s1") -> Said:  # noqa: A002
        return self.tell(SignalRun(key=RUN, id=id, signal=name, data=Raw(data)))

    def delivered(self, wait: str, data: bytes = b"null") -> Said:
        return self.tell(EventDelivered(key=RUN, wait=wait, id="e1", data=Raw(data)))

    def answered(self, wait: str, answer: bytes = b"true", id: str = "a1", **options: Any) -> Said:  # noqa: A002
        message = AnswerInput(key=RUN, id=id, wait=wait, format=ASKS, answer=Raw(answer), **options)
        return self.tell(message)

    def ended_outside(
        self,
        name: str,
        output: bytes = b"null",
        id: str = "o1",  # noqa: A002
        attempt: int = 1,
        by: str = "",  # noqa: A002
    ) -> Said:
        return self.tell(
            CompleteStep(key=RUN, id=id, step=name, format=TOKENS, attempt=attempt, output=Raw(output), by=by)
        )

    def failed_outside(self, name: str, id: str = "o1", attempt: int = 1) -> Said:  # noqa: A002
        failure = Failure("lost", "on the way", retryable=False)
        return self.tell(FailStep(key=RUN, id=id, step=name, format=TOKENS, attempt=attempt, failure=failure))

    def beats_outside(self, name: str, attempt: int = 1) -> Said:
        return self.tell(HeartbeatStep(key=RUN, id="b1", step=name, format=TOKENS, attempt=attempt))

    def inquired(self, id: str = "q1", data: bytes = b"null", name: str = "quote") -> Said:  # noqa: A002
        return self.tell(InquireRun(key=RUN, id=id, inquiry=name, format=BESIDE, data=Raw(data)))

    def cancelled(self, reason: str = "", **options: Any) -> Said:
        return self.tell(CancelRun(key=RUN, id="c1", reason=reason, **options))

    def fire(self, name: str = "") -> Said:
        """Move the clock to when this timer is due, and let it fire."""
        due = self.due(name)
        assert due is not None, f"{name!r} has no timer"
        self.now = max(self.now, due)
        return self.tell(RunTimerFired(key=RUN, timer=name, due=due))

    def due(self, name: str = "") -> int | None:
        """Return when a step's timer, or the run's, is due."""
        return self.step(name).due if name else self.run.due

    def step(self, name: str) -> Step:
        return self.run.steps[self.run.graph.index[name]]

    def status(self, name: str) -> str | None:
        """Return a step's status; None while only the graph knows of it."""
        found = self.run.steps.get(self.run.graph.index[name])
        return None if found is None else found.status


class Meeting:
    """One channel, told message by message."""

    def __init__(self, key: str = "paid/7") -> None:
        self.now = NOON
        self.channel = Channel(key, 3)

    def tell(self, message: Message) -> Outcome:
        """Fold a message into the channel; what it asked for is in `effects`."""
        self.effects = Effects()
        return fold(self.channel, message, self.now, self.effects)

    def published(self, id: str = "e1", data: bytes = b"1", ttl_ms: int = 60_000) -> Outcome:  # noqa: A002
        return self.tell(EventPublished(key=self.channel.id, id=id, data=Raw(data), ttl_ms=ttl_ms))

    def fire(self) -> Outcome:
        """Move the clock to when events expire, and say so."""
        assert self.channel.due is not None
        self.now = max(self.now, self.channel.due)
        return self.tell(timer_fired("channel", self.channel.id, "", self.channel.due))

    @property
    def delivered(self) -> list[tuple[str, str, str]]:
        """(run, wait, event) of what the last message passed on."""
        sent = self.effects.messages
        return [(m.key, m.wait, m.id) for m in sent if isinstance(m, EventDelivered)]


def picture(entity: Entity) -> dict[str, Any]:
    """Return everything an entity consists of, by value, without what is derived when somebody looks."""
    return {name: _value(getattr(entity, name)) for name in type(entity).__slots__ if name != "rings"}


#: What storing and loading are meant to change, and what is derived again when it is needed.
PASSING = (
    "is_new", "touched_events", "touched_waits", "lost", "touched_places", "orphans", "items",
    "undo", "is_touched", "has_new_inputs", "touched", "_leases",
)  # fmt: skip


def lasting_picture(entity: Entity) -> dict[str, Any]:
    """Return a picture without what storing and loading are meant to change.

    Of a run by the names of its steps: in which order those were added that it got at run time does not
    matter.
    """
    seen = picture(entity)
    for name in PASSING:
        seen.pop(name, None)
    if not isinstance(entity, Run):
        del seen["updated"]
        is_over = isinstance(entity, Gate | Admission) and entity.is_over
        return {"id": entity.id} if is_over else seen
    # An estimate: what members that are gone have left in their rows is counted, or not.
    del seen["payload"]
    names = entity.graph.names
    seen["graph"] = (entity.graph.fingerprint, sorted(names), entity.graph.total)
    seen["steps"] = {names[i]: step for i, step in seen["steps"].items()}
    return {**seen, **counters(entity)}


def counters(run: Run) -> dict[str, Any]:
    """Return what a run counts, by the names of its steps, as far as that still matters."""
    names, graph = run.graph.names, run.graph
    waiting = {names[i] for i in run.waiting}
    counted: dict[str, Any] = {"left": run.left, "active": run.active, "waiting": waiting}
    if run.ended is not None:
        return {
            "left": 0, "active": 0, "waiting": set(), "need": {}, "open": {}, "joined": {}, "line": set(),
        }  # fmt: skip
    counted["line"] = {names[i] for i in in_line(run)}
    counted["need"] = {
        name: need
        for i, (name, need) in enumerate(zip(names, run.need, strict=True))
        if (step := run.steps.get(i)) is None or step.status not in STEP_ENDED
    }
    counted["open"] = {
        names[i]: _counts(run, i, group)
        for i, group in run.open.items()
        if run.steps[i].status not in STEP_ENDED
    }
    counted["joined"] = {
        (names[graph.joins[k].step], k): "settled" if counts[0] < 0 else tuple(counts)
        for k, counts in run.joined.items()
    }
    return counted


def in_line(run: Run) -> set[int]:
    """Return the steps that still wait for a place in their run."""
    return {
        i
        for i in run.line or ()
        if (step := run.steps.get(i)) is not None
        and step.status == PENDING
        and step.detail is not None
        and step.detail.held == "run"
    }


def _counts(run: Run, i: int, group: Open) -> tuple[Any, ...]:
    detail = run.steps[i].detail
    enough = None if detail is None or detail.graft is None else detail.graft.enough
    told = (group.completed, group.lost) if enough is not None else ()
    return (group.left, group.running, group.excess, {run.graph.names[m] for m in group.held}, *told)


def _value(value: Any) -> Any:
    if isinstance(value, Context):
        return encode_struct(value.fields), value.size
    if isinstance(value, Step | Mail | Open):
        # What has still to be stored is no part of what lasts.
        lasting = [name for name in type(value).__slots__ if name != "touched"]
        return tuple(_value(getattr(value, name)) for name in lasting)
    if isinstance(value, Graph):
        return value.fingerprint, value.size, value.total
    if isinstance(value, Line):
        return list(value.waiting.items()), value.now, value.shares
    if isinstance(value, Detail | Requests):
        return None if value == Detail() else encode_struct(value)
    if isinstance(value, dict):
        return {key: _value(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_value(one) for one in value]
    return set(value) if isinstance(value, set) else value


encode_struct = msgspec.json.Encoder(order="deterministic").encode


#: Under which name a play keeps the rows of each table.
_HELD = {
    RunRow: "runs", StepRow: "steps", SignalRow: "signals", EventRow: "events", WaitRow: "waits",
    GateRow: "gates", PlaceRow: "places", LaterRow: "laters", ScheduleRow: "schedules", FiringRow: "firings",
    TurnRow: "turns", AdmissionRow: "admissions", MemberRow: "members",
}  # fmt: skip
_KINDS: dict[type[Entity], Kind] = {
    Run: "run", Channel: "channel", Breaker: "gate", Gate: "gate", Later: "later", Schedule: "schedule",
    Admission: "admission", Log: "log",
}  # fmt: skip


class Saved:
    """Rows as the store would hold them, so that an entity can be loaded as if from there."""

    def __init__(self) -> None:
        self.runs: dict[str, RunRow] = {}
        self.steps: dict[tuple[str, str], StepRow] = {}
        self.events: dict[tuple[str, str], EventRow] = {}
        self.waits: dict[tuple[str, str, str], WaitRow] = {}
        self.gates: dict[str, GateRow] = {}
        self.laters: dict[str, LaterRow] = {}
        self.places: dict[tuple[str, str, str], PlaceRow] = {}
        self.turns: dict[tuple[str, str], TurnRow] = {}
        self.schedules: dict[str, ScheduleRow] = {}
        self.firings: dict[tuple[str, str], FiringRow] = {}
        self.signals: dict[tuple[str, int], SignalRow] = {}
        self.admissions: dict[str, AdmissionRow] = {}
        self.members: dict[tuple[str, str], MemberRow] = {}
        self.timers: dict[tuple[Kind, str, str], TimerRow] = {}

    def save(self, entity: Entity) -> None:
        """Write what changed in an entity."""
        rows = Rows()
        ENTITIES[_KINDS[type(entity)]].write(entity, rows)
        self.write(rows)

    def save_timers(self, effects: Effects) -> None:
        """Write what was asked of timers."""
        self.write(Rows(), [TimerRow(*timer, 0, due) for timer, due in effects.timers.items()])

    def write(self, rows: Rows, timers: Iterable[TimerRow] = ()) -> None:
        """Do what the statement `batch_commit` does."""
        for row in rows.get(RunRow, ()):
            assert row.id not in self.runs, "a run is inserted once"
        for table in TABLES:
            if table.is_loaded:
                for row in rows.get(table.row, ()):
                    is_there = not table.needs or getattr(row, table.needs) is not None
                    _put(getattr(self, _HELD[table.row]), row[: table.key], row, is_there)
        for change in rows.get(RunChange, ()):
            moved = change._asdict()
            if change.context is None:
                del moved["context"]
            if change.inputs is None:
                del moved["inputs"]
            self.runs[change.id] = self.runs[change.id]._replace(**moved)
        for timer in timers:
            _put(self.timers, timer[:3], timer, timer.due is not None)

    def load_run(self, key: str, graph: Graph) -> Run:
        run = self._load("run", key, 0, lambda fingerprint: graph)
        assert isinstance(run, Run)
        return run

    def load_channel(self, key: str, partition: int) -> Channel:
        channel = self._load("channel", key, partition)
        assert isinstance(channel, Channel)
        return channel

    def load_later(self, key: str, partition: int) -> Later:
        later = self._load("later", key, partition) or Later(key, partition)
        assert isinstance(later, Later)
        return later

    def load_schedule(self, key: str, partition: int) -> Schedule:
        schedule = self._load("schedule", key, partition) or Schedule(key, partition)
        assert isinstance(schedule, Schedule)
        return schedule

    def load_gate(self, key: str, partition: int) -> Breaker:
        gate = self._load("gate", key, partition) or Breaker(key, partition)
        assert isinstance(gate, Breaker)
        return gate

    def load(self, entity: Entity) -> Entity:
        """Return the entity that the rows say this one is."""
        graph = base_of(entity.graph) if isinstance(entity, Run) else None
        found = self._load(_KINDS[type(entity)], entity.id, entity.partition, lambda fingerprint: graph)
        if found is None:
            assert isinstance(entity, Gate | Breaker | Later | Schedule | Admission)
            return type(entity)(entity.id, entity.partition)
        return found

    def _load(
        self, kind: Kind, key: str, partition: int, graphs: Graphs = lambda fingerprint: None
    ) -> Entity | None:
        parts = []
        for table in ENTITIES[kind].tables:
            if table.is_loaded:
                held = getattr(self, _HELD[table.row]).values()
                # In an order in which they were not written: a store promises none.
                rows = sorted((row for row in held if row[0] == key), key=_key, reverse=True)
                parts.append([_as_loaded(row) for row in rows])
        return ENTITIES[kind].thaw(key, partition, parts, graphs)

    def all(self) -> dict[str, Any]:
        """Return all rows, in an order that does not tell when they were written."""
        return {table: sorted(held.values(), key=_key) for table, held in vars(self).items()}


def _as_loaded(row: Any) -> Sequence[Any]:
    """Return a row as a query gives it: without the partition, which follows from the key."""
    if isinstance(row, RunRow) or "partition" not in row._fields:
        return tuple(row)
    at = row._fields.index("partition")
    return (*row[:at], *row[at + 1 :])


def _put(table: dict[Any, Any], key: Sequence[Any], row: Any, is_there: bool) -> None:  # noqa: FBT001
    at = key[0] if len(key) == 1 else tuple(key)
    if is_there:
        table[at] = row
    else:
        table.pop(at, None)


def _key(row: Sequence[Any]) -> tuple[str, ...]:
    return tuple(map(str, row[:3]))
