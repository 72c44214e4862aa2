"""The tables of the store in memory: those of the database, row for row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from stream_durable.core.channel.rows import EventRow, WaitRow
from stream_durable.core.entities import TABLES
from stream_durable.core.gate.rows import GateRow, PlaceRow
from stream_durable.core.run.question_rows import QuestionRow
from stream_durable.core.run.rows import AttemptRow, RunRow, StepRow
from stream_durable.core.run.signal_rows import SignalRow
from stream_durable.core.run.signal_wait_rows import SignalWaitRow
from stream_durable.ports import DeadRow

TimerKey = tuple[str, str, str]


@dataclass(slots=True)
class PartitionRow:
    """The owner of an inbox partition, and the position of the fold."""

    next_offset: int = 0
    clock: int = 0
    token: UUID | None = None
    owner: str | None = None
    epoch: int = 0
    stalls: int = 0
    topic_id: str | None = None
    leader_epoch: int = -1
    fingerprint: int = 0
    generation: int = 0
    lost_reason: str | None = None
    suspect_offset: int | None = None
    suspect_token: UUID | None = None
    suspicions: int = 0
    must_redrive: bool = False
    must_redrive_commands: bool = False
    format: int = 1
    owner_format: int = 1
    presence: int | None = None


class EvidenceRow(NamedTuple):
    """The outcomes of the records of a share."""

    partition: int
    generation: int
    from_offset: int
    to_offset: int
    clock: int
    exceptions: int
    records: bytes


@dataclass(slots=True)
class Tables:
    """All stored rows."""

    partitions: dict[int, PartitionRow]
    #: Rows of entities, by class and key.
    rows: dict[type[Any], dict[Any, Any]] = field(default_factory=lambda: {t.row: {} for t in TABLES})
    #: (kind, key, name) -> (partition, due)
    timers: dict[TimerKey, tuple[int, int]] = field(default_factory=dict)
    #: (partition, generation, from offset)
    evidence: dict[tuple[int, int, int], EvidenceRow] = field(default_factory=dict)
    #: (partition, generation, offset)
    dead: dict[tuple[int, int, int], DeadRow] = field(default_factory=dict)
    #: (partition, from offset) -> body
    outbox: dict[tuple[int, int], bytes] = field(default_factory=dict)
    #: (partition, from offset) -> (how many commands, body)
    backlog: dict[tuple[int, int], tuple[int, bytes]] = field(default_factory=dict)

    @property
    def runs(self) -> dict[str, RunRow]:
        """By id."""
        return self.rows[RunRow]

    @property
    def steps(self) -> dict[tuple[str, str], StepRow]:
        """By run and name."""
        return self.rows[StepRow]

    @property
    def attempts(self) -> dict[tuple[str, str, int], AttemptRow]:
        """By run, step and number."""
        return self.rows[AttemptRow]

    @property
    def signals(self) -> dict[tuple[str, int], SignalRow]:
        """By run and position."""
        return self.rows[SignalRow]

    @property
    def questions(self) -> dict[tuple[str, str], QuestionRow]:
        """By run and step."""
        return self.rows[QuestionRow]

    @property
    def signal_waits(self) -> dict[tuple[str, str], SignalWaitRow]:
        """By run and wait."""
        return self.rows[SignalWaitRow]

    @property
    def events(self) -> dict[tuple[str, str], EventRow]:
        """By channel and id."""
        return self.rows[EventRow]

    @property
    def waits(self) -> dict[tuple[str, str, str], WaitRow]:
        """By channel, run and wait."""
        return self.rows[WaitRow]

    @property
    def gates(self) -> dict[str, GateRow]:
        """By name."""
        return self.rows[GateRow]

    @property
    def places(self) -> dict[tuple[str, str, str], PlaceRow]:
        """By gate, run and step."""
        return self.rows[PlaceRow]
