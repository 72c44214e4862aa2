"""The registry of kinds of entity: partition, creation, handlers and tables.

A new kind is a folder and an entry here. All code for storing, loading, timing or replaying entities reads
the entries, and knows no kind by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from stream_durable.core.admission import fold as admission_fold
from stream_durable.core.admission import rows as admission_rows
from stream_durable.core.admission.state import Admission
from stream_durable.core.channel import fold as channel_fold
from stream_durable.core.channel import rows as channel_rows
from stream_durable.core.channel.state import Channel
from stream_durable.core.definition.graph import Graph
from stream_durable.core.effects import Handlers
from stream_durable.core.gate import fold as gate_fold
from stream_durable.core.gate import rows as gate_rows
from stream_durable.core.gate.breaker_state import Breaker
from stream_durable.core.gate.state import Gate
from stream_durable.core.ids import partition_of
from stream_durable.core.later import fold as later_fold
from stream_durable.core.later import rows as later_rows
from stream_durable.core.later.state import Later
from stream_durable.core.log import HANDLERS as LOG_HANDLERS
from stream_durable.core.log import Log, home_of_log
from stream_durable.core.messages import (
    KINDS,
    AdmissionTimerFired,
    ChannelTimerFired,
    GateTimerFired,
    Kind,
    LaterTimerFired,
    RunTimerFired,
    ScheduleTimerFired,
)
from stream_durable.core.run import (
    answers,
    attempts,
    beginning,
    beside,
    changing,
    decisions,
    emitting,
    holding,
    inputs,
    orders,
    passes,
    passing,
    reactions,
    start,
    tokens,
    waits,
)
from stream_durable.core.run import rows as run_rows
from stream_durable.core.run.attribute_rows import AttributeRow
from stream_durable.core.run.question_rows import QuestionRow
from stream_durable.core.run.signal_wait_rows import SignalWaitRow
from stream_durable.core.run.state import Run
from stream_durable.core.schedule import fold as schedule_fold
from stream_durable.core.schedule import rows as schedule_rows
from stream_durable.core.schedule.state import Schedule
from stream_durable.core.tables import Parts, Rows, Table

Entity = Run | Channel | Gate | Breaker | Later | Schedule | Admission | Log
TimerFired = (
    RunTimerFired
    | ChannelTimerFired
    | GateTimerFired
    | LaterTimerFired
    | ScheduleTimerFired
    | AdmissionTimerFired
)
Graphs = Callable[[str], Graph | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityKind:
    """The entry of a kind of entity."""

    #: Return the entity that a message is the first to reach, or refuse a message that cannot be first.
    create: Callable[[Any, int, Graphs], Entity]
    #: The handler of each message.
    handlers: Handlers
    #: Return the partition in which the one of an id lives, of so many; -1: in none.
    home: Callable[[str, int], int] = partition_of
    #: The message for a due timer; None: no timers.
    timer: type[TimerFired] | None = None
    #: The tables it is kept in; without any it is made anew by each message.
    tables: tuple[Table, ...] = ()
    #: Add rows for all changes since the last save, and count them as saved.
    write: Callable[[Any, Rows], None] = lambda entity, rows: None
    #: Return the entity of an id, in a partition, from its rows; None without rows.
    thaw: Callable[[str, int, Parts, Graphs], Entity | None] = lambda key, partition, parts, graphs: None
    #: Return whether it is left to the store once it is saved, since nothing comes for it soon; None: never.
    rests: Callable[[Any], bool] | None = None


def _kind(kind: Kind) -> EntityKind:
    match kind:
        case "run":
            return EntityKind(
                create=start.create,
                handlers={
                    **start.HANDLERS, **attempts.HANDLERS, **answers.HANDLERS, **orders.HANDLERS,
                    **waits.HANDLERS, **inputs.HANDLERS, **tokens.HANDLERS,
                    **beside.HANDLERS, **changing.HANDLERS, **decisions.HANDLERS, **emitting.HANDLERS,
                    **holding.HANDLERS, **beginning.HANDLERS,
                    **passes.HANDLERS, **passing.HANDLERS, **reactions.HANDLERS,
                },
                timer=RunTimerFired,
                tables=run_rows.TABLES,
                write=run_rows.write,
                thaw=run_rows.thaw,
            )  # fmt: skip
        case "channel":
            return EntityKind(
                create=lambda message, partition, graphs: Channel(message.key, partition),
                handlers=channel_fold.HANDLERS,
                timer=ChannelTimerFired,
                tables=channel_rows.TABLES,
                write=channel_rows.write,
                thaw=channel_rows.thaw,
            )
        case "gate":
            return EntityKind(
                create=lambda message, partition, graphs: gate_fold.create(message, partition),
                handlers=gate_fold.HANDLERS,
                timer=GateTimerFired,
                tables=gate_rows.TABLES,
                write=gate_rows.write,
                thaw=gate_rows.thaw,
            )
        case "later":
            return EntityKind(
                create=lambda message, partition, graphs: Later(message.key, partition),
                handlers=later_fold.HANDLERS,
                timer=LaterTimerFired,
                tables=later_rows.TABLES,
                write=later_rows.write,
                thaw=later_rows.thaw,
            )
        case "schedule":
            return EntityKind(
                create=schedule_fold.create,
                handlers=schedule_fold.HANDLERS,
                timer=ScheduleTimerFired,
                tables=schedule_rows.TABLES,
                write=schedule_rows.write,
                thaw=schedule_rows.thaw,
                rests=lambda schedule: schedule.is_resting,
            )
        case "admission":
            return EntityKind(
                create=lambda message, partition, graphs: admission_fold.create(message, partition),
                handlers=admission_fold.HANDLERS,
                timer=AdmissionTimerFired,
                tables=admission_rows.TABLES,
                write=admission_rows.write,
                thaw=admission_rows.thaw,
            )
        case "log":
            return EntityKind(
                create=lambda message, partition, graphs: Log(message.key, partition),
                handlers=LOG_HANDLERS,
                home=home_of_log,
            )
        case _:
            assert_never(kind)


ENTITIES: Mapping[Kind, EntityKind] = {kind: _kind(kind) for kind in KINDS}
TABLES: tuple[Table, ...] = tuple(table for kind in ENTITIES.values() for table in kind.tables)
#: By kind, whether an entity is left to the store once it is saved; the others stay in memory.
RESTS = {kind: entity.rests for kind, entity in ENTITIES.items() if entity.rests is not None}
#: Rows of every batch, of few, and of those with questions, messages for later, schedules, lost events,
#: keys that take turns, attributes, admissions or signal waits inside steps, as the statement has them.
USUAL_ROWS = (run_rows.RunRow, run_rows.RunChange, run_rows.StepRow)
RARE_ROWS = (
    QuestionRow,
    later_rows.LaterRow,
    schedule_rows.ScheduleRow,
    schedule_rows.FiringRow,
    channel_rows.ExpiredRow,
    gate_rows.TurnRow,
    AttributeRow,
    admission_rows.AdmissionRow,
    admission_rows.MemberRow,
    SignalWaitRow,
)
SELDOM_ROWS: tuple[type[Any], ...] = tuple(
    table.row for table in TABLES if table.row not in (*USUAL_ROWS, *RARE_ROWS)
)


def timer_fired(kind: Kind, key: str, timer: str, due: int) -> TimerFired:
    """Return the message for an entity's due timer."""
    message = ENTITIES[kind].timer
    assert message is not None, kind
    return message(key=key, timer=timer, due=due)
