"""The source of an explanation: a run, with evidence from the same moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from stream_durable.core.admission.summary import AdmissionMember, AdmissionSummary
from stream_durable.core.gate.summary import GatePlace, GateSummary
from stream_durable.core.run.rows import RunRow
from stream_durable.core.run.state import Run
from stream_durable.ports import CommandPlace, InboxReading, PartitionSummary
from stream_durable.wire.control import ControlState

#: A record unread for so long is not waiting for its turn any more.
BEHIND_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """A gate or a breaker, with the first places inside."""

    summary: GateSummary
    places: tuple[GatePlace, ...] = ()


@dataclass(frozen=True, slots=True)
class AdmissionEvidence:
    """The admission before a run, with the first members."""

    summary: AdmissionSummary
    members: tuple[AdmissionMember, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run with all evidence; evidence not looked up is left out."""

    run: Run
    now: datetime
    #: By the name of a breaker, or the id of a gate.
    gates: Mapping[str, GateEvidence] = field(default_factory=dict)
    #: Where the run waits before it begins, if `starts=` has it wait.
    admission: AdmissionEvidence | None = None
    #: Child runs by id.
    children: Mapping[str, RunRow] = field(default_factory=dict)
    #: Names of the signals that the run keeps.
    signals: frozenset[str] = frozenset()
    #: By step: where its command is.
    commands: Mapping[str, CommandPlace] = field(default_factory=dict)
    #: Paused queues and present workers.
    control: ControlState = field(default_factory=ControlState)
    #: The run's partition of the inbox, by Postgres and by Kafka.
    partition: PartitionSummary | None = None
    inbox: InboxReading | None = None

    @property
    def now_ms(self) -> int:
        """The moment in milliseconds."""
        return round(self.now.timestamp() * 1_000)


def moment(milliseconds: int | None) -> datetime | None:
    """Return stored time; nothing for none or 0."""
    return datetime.fromtimestamp(milliseconds / 1_000, UTC) if milliseconds else None
