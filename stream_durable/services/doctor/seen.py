"""What is seen of an instance at a moment, for the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from stream_durable.client.bindings import BindingState
from stream_durable.client.schedules import ScheduleState
from stream_durable.core.definition.graph import Graph
from stream_durable.ports import InboxReading, LiveVersion, PartitionSummary, RunSummary, TimerRow, TopicStep
from stream_durable.postgres.formats import Standing
from stream_durable.replay.holes import LeftOut
from stream_durable.replay.waits import StrayWait
from stream_durable.services.status import Readers
from stream_durable.settings import Settings
from stream_durable.wire.control import Paused, Present, Process

#: So many rows of a kind are read, and a few of them named.
ROWS_MAX: Final = 100


class Seen(NamedTuple):
    """An instance. What could not be looked at is empty or None."""

    #: Milliseconds since the epoch, by the clock of this machine.
    now: int
    settings: Settings
    #: Why Kafka or Postgres could not be asked, by name.
    unreachable: Mapping[str, str] = {}
    #: Questionable settings, in words.
    notes: Sequence[str] = ()
    #: Migrations that are not applied.
    missing: Sequence[str] = ()
    topics: Sequence[TopicStep] = ()
    #: Milliseconds by which the clock of Postgres is ahead of ours.
    ahead: int | None = None
    standings: Sequence[Standing] = ()
    partitions: Sequence[tuple[PartitionSummary, InboxReading | None]] = ()
    #: None: the broker shows no groups.
    ingress: Readers | None = None
    #: By queue.
    queues: Mapping[str, Readers] = {}
    #: None: workers do not report themselves here.
    workers: Sequence[Present] | None = None
    #: Those of all kinds that report themselves.
    processes: Sequence[Process] = ()
    paused: Mapping[str, Paused] = {}
    #: The published definitions, the latest of each workflow last.
    graphs: Sequence[Graph] = ()
    #: Versions with runs under way.
    live: Sequence[LiveVersion] = ()
    strays: Sequence[StrayWait] = ()
    #: Records of the inbox left out by the fold.
    left_out: LeftOut = LeftOut()
    #: Timers that should have fired, the oldest first.
    overdue: Sequence[TimerRow] = ()
    #: Runs with a failed compensation, and runs being undone without any change for long.
    not_undone: Sequence[RunSummary] = ()
    undoing: Sequence[RunSummary] = ()
    schedules: Sequence[ScheduleState] = ()
    bindings: Sequence[BindingState] = ()
    #: Records of the last day that could not be applied.
    dead: int = 0
