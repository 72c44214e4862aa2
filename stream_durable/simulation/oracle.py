"""The whole inbox folded from the beginning, record by record: the expected state of a deployment.

After the loss of a log, folding continues in the next log at the deployment's position.

Deliberately plain: no batches, no cache, no store. Only the pure fold and the conversion of entities to rows
are shared with the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from stream_durable.core.admission.rule import Rule as StartRule
from stream_durable.core.admission.state import Admission
from stream_durable.core.channel.reading import is_behind
from stream_durable.core.channel.state import Channel
from stream_durable.core.definition.graph import Graph
from stream_durable.core.effects import CancelAttempt, Command, Effects, Publication
from stream_durable.core.entities import Entity
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import create, fold
from stream_durable.core.gate.breaker_state import Breaker
from stream_durable.core.gate.limits import GateLimits
from stream_durable.core.gate.state import Gate
from stream_durable.core.ids import partition_of
from stream_durable.core.later.rows import LaterRow
from stream_durable.core.later.rows import write as write_later
from stream_durable.core.later.state import Later
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.log import Log
from stream_durable.core.messages import (
    AttemptEmitted,
    AttemptEnd,
    AttemptMessage,
    AttemptReturned,
    Attribute,
    CancelStep,
    ChangeHeld,
    Emission,
    InputMessage,
    InquireRun,
    Message,
    OutsideMessage,
    PlaceAsked,
    PlaceGiven,
    RetryRun,
    ReviewMessage,
    RunAdmitted,
    ScheduleOrder,
    SkipStep,
    StartRun,
)
from stream_durable.core.run import rows
from stream_durable.core.run.question_rows import QuestionRow, question_rows
from stream_durable.core.run.rows import RunRow, StepRow
from stream_durable.core.run.signal_rows import SignalRow, signal_rows
from stream_durable.core.run.signal_wait_rows import SignalWaitRow, signal_wait_rows
from stream_durable.core.run.state import Run
from stream_durable.core.schedule.rule import Rule
from stream_durable.core.schedule.state import Schedule
from stream_durable.core.status import Outcome
from stream_durable.core.tables import Rows
from stream_durable.engine.partition import fingerprint
from stream_durable.memory.broker import Broker
from stream_durable.ports import Record
from stream_durable.simulation.lives import Lives
from stream_durable.wire.inbox import decode_message
from stream_durable.wire.topics import DEFINITIONS, VERDICTS
from stream_durable.wire.verdicts import UNSTORABLE, Verdict, decode_verdict

#: (partition, generation, offset) of a record.
Place = tuple[int, int, int]
#: (kind, key, name) of a timer.
TimerKey = tuple[str, str, str]
#: What a client may order at a moment at which it makes no sense, and how that is refused.
_ORDERS = (
    CancelStep, SkipStep, RetryRun, InputMessage, OutsideMessage, InquireRun, ScheduleOrder, ReviewMessage,
    ChangeHeld,
)  # fmt: skip
_UNTIMELY = ("not_begun", "nothing_to_retry", "undo_first", "unknown_step", "not_asked", "invalid_answer",
             "unknown_attempt", "unknown_answer", "unknown_schedule", "schedule_exists",
             "bad_moment", "not_held")  # fmt: skip


class Judged(NamedTuple):
    """The outcome of a record."""

    message: Message | None
    outcome: Outcome
    clock: int
    record: Record
    #: Why it is dead.
    code: str = ""


class Folded(NamedTuple):
    """A message applied to a run, with effects."""

    message: Message
    clock: int
    events: list[StepEvent | RunEvent]
    commands: list[Command | CancelAttempt]
    #: Whether the run had ended when it was folded.
    has_ended: bool
    #: What the attempt emitted that ended, whether or not it left.
    emissions: tuple[Emission, ...] = ()
    #: The attributes that it gave the run, unless the step failed.
    attributes: tuple[Attribute, ...] = ()


class Turn(NamedTuple):
    """A message applied to a schedule, and how far it has come then."""

    message: Message
    after: int
    rule: Rule | None
    overlap: str


class Passage(NamedTuple):
    """A message applied to a gate, with whom it let pass, and the limits then."""

    message: Message
    clock: int
    given: list[PlaceGiven]
    limits: GateLimits


class Entered(NamedTuple):
    """A message applied to an admission, with whom it let in, and the rule then."""

    message: Message
    admitted: list[RunAdmitted]
    rule: StartRule | None


class Oracle:
    """The consequences of the inbox."""

    def __init__(self, partition_count: int, graphs: Callable[[str], Graph | None]) -> None:
        """Nothing folded yet."""
        self._partition_count = partition_count
        self._graphs = graphs
        #: By partition, the one that was raised last.
        self.formats: dict[int, int] = {}
        self.entities: dict[tuple[str, str], Entity] = {}
        self.judged: dict[Place, Judged] = {}
        #: Runs of which commands may have gone ahead of records that the store did not take, or that were
        #: lost with their log.
        self.ahead: set[str] = set()
        #: What was decided about records and does not follow from the inbox alone.
        self._verdicts: dict[tuple[int, int, int], Verdict] = {}
        #: By run, the statements in their order.
        self.step_events: dict[str, list[StepEvent]] = {}
        self.run_events: dict[str, list[RunEvent]] = {}
        #: (queue, command) in order, each as often as it was asked for.
        self.commands: list[tuple[str, Command | CancelAttempt]] = []
        self.messages: list[Message] = []
        self.timers: dict[TimerKey, int] = {}
        #: Every moment that was ever asked for.
        self.asked: set[tuple[TimerKey, int]] = set()
        #: The rows of steps as each was stored last.
        self._rows: dict[tuple[str, str], StepRow] = {}
        #: The messages that ended an attempt, with the time of the log: (run, step, attempt) -> them.
        self.answers: dict[tuple[str, str, int], list[tuple[AttemptEnd, int]]] = {}
        #: Records that left for topics of others, in order.
        self.publications: list[Publication] = []
        #: How often attempts were given back, to be made again.
        self.returned = 0
        #: Events that could be taken while a wait that takes was open on their channel.
        self.left_lying: list[str] = []
        #: The same of schedules.
        self.turns: dict[str, list[Turn]] = {}
        #: The same of gates.
        self.passages: dict[str, list[Passage]] = {}
        #: The same of admissions.
        self.entries: dict[str, list[Entered]] = {}
        #: When limits of all keys were declared first, the requests to pass that have to say so, and others.
        self._limited_from: int | None = None
        self._is_limited: set[int] = set()
        self.limited: list[PlaceAsked] = []
        self.unlimited: list[PlaceAsked] = []
        #: What was applied, by run, in order.
        self.applied: dict[str, list[Folded]] = {}

    def fold_all(self, broker: Broker, lives: Lives) -> None:
        """Fold the present and lost records of the inbox."""
        self.ahead.update((record.key or b"").decode(errors="replace") for record in lives.lost)
        for noted in broker.topic(VERDICTS).records():
            verdict = decode_verdict(noted.value)
            self._verdicts.setdefault((noted.partition, verdict.offset, verdict.fingerprint), verdict)
        declared = [
            r.time for r in broker.topic(DEFINITIONS).records() if (r.key or b"").startswith(b"gate/")
        ]
        self._limited_from = min(declared, default=None)
        clocks: dict[int, int] = {}
        for place, record in lives.lived():
            clock = clocks[record.partition] = max(clocks.get(record.partition, 0), record.time)
            self.judged[place] = self._fold(record, clock)

    def untimely(self) -> set[Place]:
        """Return the positions of clients' requests at impossible moments."""
        return {
            place
            for place, judged in self.judged.items()
            if isinstance(judged.message, _ORDERS) and judged.code in _UNTIMELY
        }

    def of_ahead(self) -> set[Place]:
        """Return the dead letters among workers' reports of attempts begun ahead."""
        return {
            place
            for place, judged in self.judged.items()
            if judged.outcome is Outcome.DEAD
            and isinstance(judged.message, AttemptMessage)
            and judged.message.key in self.ahead
        }

    def run_rows(self) -> dict[str, RunRow]:
        """Return the row of every run."""
        return {e.id: rows.run_row(e) for e in self.entities.values() if isinstance(e, Run)}

    def step_rows(self) -> dict[tuple[str, str], StepRow]:
        """Return the row of every recorded step."""
        found = dict(self._rows)
        for run in self.runs():
            # As they are now: one that has changed since it was stored last must show.
            index = run.graph.index
            run.touched = dict.fromkeys(
                index[name] for key, name in self._rows if key == run.id and name in index
            )
            found.update({(row.run, row.name): row for row in rows.step_rows(run)})
        return found

    def signal_rows(self) -> dict[tuple[str, int], SignalRow]:
        """Return the row of every remembered signal; none here ever counts as stored."""
        return {row[:2]: row for run in self.runs() for row in signal_rows(run) if row.id is not None}

    def question_rows(self) -> dict[tuple[str, str], QuestionRow]:
        """Return the row of every open question."""
        found = {}
        for run in self.runs():
            run.touched = dict.fromkeys(i for i in run.graph.asking if i in run.steps)
            found.update({row[:2]: row for row in question_rows(run) if row.opened is not None})
        return found

    def signal_wait_rows(self) -> dict[tuple[str, str], SignalWaitRow]:
        """Return the row of every open signal wait inside a step."""
        found = {}
        for run in self.runs():
            run.touched = dict.fromkeys(i for i in run.graph.listening if i in run.steps)
            found.update({row[:2]: row for row in signal_wait_rows(run) if row.signals is not None})
        return found

    def laters(self) -> list[Later]:
        """Return every message for later."""
        return [e for e in self.entities.values() if isinstance(e, Later) and not e.is_over]

    def later_rows(self) -> dict[str, LaterRow]:
        """Return the row of every message for later."""
        found = Rows()
        for later in self.laters():
            later.is_touched = True
            write_later(later, found)
        return {row.id: row for row in found.get(LaterRow, ())}

    def schedules(self) -> list[Schedule]:
        """Return every schedule, and every roll of an app."""
        return [e for e in self.entities.values() if isinstance(e, Schedule) and not e.is_over]

    def channels(self) -> list[Channel]:
        """Return every channel."""
        return [e for e in self.entities.values() if isinstance(e, Channel)]

    def gates(self) -> list[Gate | Breaker]:
        """Return every used gate."""
        return [e for e in self.entities.values() if isinstance(e, Gate | Breaker) and not e.is_over]

    def admissions(self) -> list[Admission]:
        """Return every admission in use."""
        return [e for e in self.entities.values() if isinstance(e, Admission) and not e.is_over]

    def runs(self) -> list[Run]:
        """Return every run."""
        return [e for e in self.entities.values() if isinstance(e, Run)]

    def _fold(self, record: Record, clock: int) -> Judged:
        message: Message | None = None
        effects = Effects(self.formats.get(record.partition, 1))
        try:
            known = self._verdicts and self._verdicts.get(
                (record.partition, record.offset, fingerprint(record))
            )
            if known:
                if known.code == UNSTORABLE and record.key is not None:
                    self.ahead.add(record.key.decode())
                raise known.error()
            if record.value is None:
                raise RejectedError("unreadable", "no value")
            read = decode_message(record.value)
            if record.key != read.key.encode():
                raise RejectedError("wrong_key", "the key is another one")
            message = read
            entity = self._entity(message, record.partition)
            outcome = fold(entity, message, clock, effects)
        except RejectedError as error:
            return Judged(message, Outcome.DEAD, clock, record, error.code)
        if outcome is Outcome.APPLIED:
            entity.updated = clock
            self.formats[record.partition] = effects.format
            self._note_entity(entity, message, clock, effects)
        if isinstance(entity, Run):
            self._note_steps(entity)
        self._take(effects)
        self._note_limited(effects, record)
        return Judged(message, outcome, clock, record)

    def _note_limited(self, effects: Effects, record: Record) -> None:
        if effects.has_new_rules and self._limited_from is not None and record.time >= self._limited_from:
            self._is_limited.add(record.partition)
        of = self.limited if record.partition in self._is_limited else self.unlimited
        of += [each for each in effects.messages if isinstance(each, PlaceAsked)]

    def _note_entity(self, entity: Entity, message: Message, clock: int, effects: Effects) -> None:
        if isinstance(entity, Run):
            self._note(entity, message, clock, effects)
        elif isinstance(entity, Schedule):
            plan = entity.plan
            rule, overlap = (None, "") if plan is None else (plan.rule, plan.overlap)
            self.turns.setdefault(entity.id, []).append(Turn(message, entity.after, rule, overlap))
        elif isinstance(entity, Gate):
            given = [each for each in effects.messages if isinstance(each, PlaceGiven)]
            self.passages.setdefault(entity.id, []).append(Passage(message, clock, given, entity.limits))
        elif isinstance(entity, Admission):
            admitted = [each for each in effects.messages if isinstance(each, RunAdmitted)]
            self.entries.setdefault(entity.id, []).append(Entered(message, admitted, entity.rule))
        elif isinstance(entity, Channel):
            self._note_channel(entity, clock)

    def _note_channel(self, channel: Channel, clock: int) -> None:
        if channel.takers and (lying := channel.next_free(clock)):
            self.left_lying.append(f"{channel.id!r} keeps {lying!r}, and {[*channel.takers]} take one")
        if is_behind(channel):
            self.left_lying.append(f"{channel.id!r} keeps events that it could give to {channel.idle}")

    def _entity(self, message: Message, partition: int) -> Entity:
        entity = self.entities.get((message.kind, message.key))
        if entity is None:
            entity = create(message, partition, self._graphs)
        is_home = (
            message.key == str(partition)
            if isinstance(entity, Log)
            else partition_of(message.key, self._partition_count) == partition
        )
        if not is_home:
            raise RejectedError("wrong_partition", "it lives elsewhere")
        self.entities[message.kind, message.key] = entity
        return entity

    def _note(self, run: Run, message: Message, clock: int, effects: Effects) -> None:
        commands = [command for _, command in effects.commands]
        emissions: tuple[Emission, ...] = ()
        attributes = message.attributes if isinstance(message, StartRun | AttemptEmitted) else ()
        if isinstance(message, AttemptEmitted):
            emissions = message.emissions
            message = message.end
        events = list(effects.events)
        done = Folded(message, clock, events, commands, run.has_ended, emissions, attributes)
        self.applied.setdefault(run.id, []).append(done)
        if isinstance(message, AttemptReturned):
            self.returned += 1
        elif isinstance(message, AttemptEnd):
            place = (run.id, message.step, message.attempt)
            self.answers.setdefault(place, []).append((message, clock))

    def _note_steps(self, run: Run) -> None:
        if run.touched or run.orphans:
            self._rows.update({(row.run, row.name): row for row in rows.step_rows(run)})
            run.touched.clear()
            run.orphans = None

    def _take(self, effects: Effects) -> None:
        for event in effects.events:
            if isinstance(event, StepEvent):
                self.step_events.setdefault(event.run, []).append(event)
            else:
                self.run_events.setdefault(event.run, []).append(event)
        self.commands += effects.commands
        self.commands += [(queue, command) for queue, _, command in effects.redirected]
        self.messages += effects.messages
        self.publications += effects.publications
        for key, due in effects.timers.items():
            if due is None:
                self.timers.pop(key, None)
            else:
                self.timers[key] = due
                self.asked.add((key, due))
