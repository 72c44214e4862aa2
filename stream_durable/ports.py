"""What the engine and the workers need of the world, and the plain values that cross the border.

Implemented by the Kafka and Postgres adapters and, for tests and the simulator, in memory. No
exception of a driver passes a port: an adapter raises `TransientError` when trying again may help,
`BrokenError` when it cannot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol
from uuid import UUID

from stream_durable.core.admission.summary import AdmissionMember, AdmissionSummary
from stream_durable.core.declared import Declaration, Declared
from stream_durable.core.definition.about import NOTHING, About
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import Definition
from stream_durable.core.format import FORMAT
from stream_durable.core.gate.summary import GatePlace, GateSummary
from stream_durable.core.lifecycle import EventHead, RunEvent, StepEvent
from stream_durable.core.messages import Kind
from stream_durable.core.run.attribute_rows import attribute_keys
from stream_durable.core.run.rows import AttemptRow, RunRow, StepRow
from stream_durable.core.tables import Rows
from stream_durable.wire.control import ControlState
from stream_durable.wire.foreign import RegisteredSchema
from stream_durable.wire.verdicts import Verdict

Headers = list[tuple[str, bytes]]


class Record(NamedTuple):
    """A record of a topic."""

    partition: int
    offset: int
    #: Milliseconds; log time where the topic stamps it.
    time: int
    key: bytes | None
    value: bytes | None
    leader_epoch: int = -1
    headers: Headers | None = None


class Assigned(NamedTuple):
    """Partitions assigned by the group; not fetched until `fetch`."""

    partitions: tuple[int, ...]


class Revoked(NamedTuple):
    """Partitions revoked by the group; fetched records no longer count."""

    partitions: tuple[int, ...]


class LogLost(NamedTuple):
    """Our offset is not in the log: the record expired, or the log was cut or replaced."""

    partition: int


LogEvent = list[Record] | Assigned | Revoked | LogLost


def without(events: Iterable[LogEvent], gone: set[int]) -> deque[LogEvent]:
    """Return events outside these partitions."""
    left: deque[LogEvent] = deque()
    for event in events:
        if isinstance(event, list):
            if records := [record for record in event if record.partition not in gone]:
                left.append(records)
        elif not isinstance(event, LogLost) or event.partition not in gone:
            left.append(event)
    return left


class LogBounds(NamedTuple):
    """Identity of a log, with the first and the next offset."""

    topic_id: str
    low: int
    high: int


class Log(Protocol):
    """A topic read as a member of a group, from offsets chosen by the reader."""

    async def next(self) -> LogEvent:
        """Wait for the next events. Assignments and revocations overtake records."""

    def fetch(self, partition: int, offset: int, leader_epoch: int) -> None:
        """Begin to fetch an assigned partition at an offset."""

    def stop_fetching(self, partition: int) -> None:
        """Stop fetching from an assigned partition, and drop records already fetched."""

    def adopt(self, partition: int) -> None:
        """Fetch a partition not yet assigned by the group, until the assignment or `disown`."""

    def disown(self, partition: int) -> None:
        """Stop fetching an adopted partition."""

    async def bounds(self, partition: int) -> LogBounds:
        """Return identity, beginning and end of a partition's log."""

    def note_progress(self, offsets: dict[int, int]) -> None:
        """Report the position to lag tools. Nothing depends on this."""

    async def close(self) -> None:
        """Leave the group."""


class CommandLog(Log, Protocol):
    """A command topic; offsets are kept in Kafka, with the set of finished offsets beyond the lowest."""

    async def moved(self) -> Assigned | Revoked:
        """Wait until partitions are given or taken away, and leave records where they are."""

    async def committed(self, partition: int) -> tuple[int | None, str | None]:
        """Return the committed offset and metadata of a partition."""

    def commit(self, marks: list[tuple[int, int, str]], done: Callable[[bool], None]) -> None:
        """Commit (partition, offset, metadata); `done` is called with whether all were stored."""


class BoundLog(CommandLog, Protocol):
    """A topic of others, with offsets kept in Kafka."""

    async def check(self) -> None:
        """Raise `TransientError` if there is no such topic."""

    def open(self) -> None:
        """Join the group."""

    async def settled(self) -> None:
        """Wait until earlier orders are carried out."""

    async def offset_at(self, partition: int, time: int) -> int:
        """Return the offset of the first record at or after a time; else the next offset."""


class Span(NamedTuple):
    """A stretch of a partition: from `start` up to, and without, `end`."""

    partition: int
    start: int
    end: int


class LogReader(Protocol):
    """A topic read as nobody's member: from offsets to offsets, as often as one likes."""

    async def bounds(self) -> Mapping[int, LogBounds]:
        """Return identity, beginning and end of each partition's log."""

    def read(self, spans: Sequence[Span]) -> AsyncGenerator[list[Record], None]:
        """Read these stretches in bounded batches, each partition in order; to be closed when left early.

        Waits as long as the world lets it wait; raises `BrokenError` when a stretch is not in the log.
        """


class TopicPlace(NamedTuple):
    """How far a group has read a partition."""

    partition: int
    low: int
    #: The next offset to be written.
    high: int
    #: The next offset to be read, with what was committed beside it; None: nothing was.
    offset: int | None
    metadata: str | None


class TopicViews(Protocol):
    """Topics, by their names in `Outgoing`, seen from outside of the groups.

    Raises `RejectedError` with code `unknown_topic` for a missing topic.
    """

    async def partitions(self, topic: str, group: str) -> list[TopicPlace]:
        """Return how far a group has read each partition; `group` without the instance's prefix."""

    async def offsets_at(self, topic: str, time: int) -> Mapping[int, int]:
        """Return the offset of the first record at or after a time, by partition; else the next offset."""

    def reader(self, topic: str) -> LogReader:
        """Return a reader of a topic."""


class Registry(Protocol):
    """Schemas of topics of others. Raises `TransientError` if the registry is away."""

    async def schema(self, number: int) -> RegisteredSchema:
        """Return a schema by number; raise `RejectedError` if there is none."""

    async def register(self, topic: str, schema: str) -> int:
        """Return the number of the Avro schema of a topic's values; raise `RejectedError` for a refusal."""


class Outgoing(NamedTuple):
    """A record to publish. Stored in this form, so complete and small."""

    #: The topic without the instance's prefix: `inbox`, `steps`, `commands.default`.
    topic: str
    #: None: by the key, as Kafka's own partitioner does it.
    partition: int | None
    key: bytes | None
    value: bytes | None
    #: What the headers are made of; see the engine's outbox.
    meta: Any = None


class Refusal(NamedTuple):
    """A message never accepted in this form."""

    #: The position among the messages sent together.
    at: int
    #: `too_large`, `invalid`, `no_topic`, `not_authorised`
    code: str
    #: The broker's error, for people.
    reason: str


#: For a refused message: the replacement, if any.
Instead = Callable[[Refusal], tuple[Outgoing, Headers | None] | None]


class Publisher(Protocol):
    """An idempotent producer, created once and kept.

    Unacknowledged messages are retried until acknowledged, separately and in order within each partition. A
    stuck message delays only one partition.
    """

    def send(
        self,
        messages: Sequence[tuple[Outgoing, Headers | None]],
        done: Callable[[list[Refusal]], None],
        instead: Instead | None = None,
    ) -> None:
        """Publish in order; `done` is called on the loop for each acknowledged or refused message.

        `instead` may return a replacement for a refused message, on the same partition of the topic,
        published before later messages.
        """

    async def publish(self, messages: Sequence[tuple[Outgoing, Headers | None]]) -> list[Refusal]:
        """Send and wait for the outcome; return the refusals."""

    async def close(self) -> None:
        """Wait for messages under way, up to a limit, and stop."""


class PlacingPublisher(Publisher, Protocol):
    """A publisher that knows where a record is."""

    async def place(self, message: Outgoing, headers: Headers | None = None) -> tuple[int, int]:
        """Publish one message; return partition and offset.

        Raises `RejectedError` for a message over the topic's limit, `TransientError` for a missing topic.
        """


class Blobs(Protocol):
    """Values too large to travel in messages, each a record of a topic of its own."""

    async def put(self, key: str, data: bytes) -> tuple[int, int]:
        """Store a value; return partition and offset after the acknowledgement.

        Raises `TransientError` for errors worth a retry, `RejectedError` for a value over the limit.
        """

    async def get(self, partition: int, offset: int) -> bytes | None:
        """Return the value at a place; None: it is not there, or not any more."""

    async def close(self) -> None:
        """Let go of the connections."""


class Clock(Protocol):
    """Time, replaceable in tests and in the simulator."""

    def now(self) -> int:
        """Return milliseconds since the epoch."""


class Definitions(Protocol):
    """The serialised graphs, by fingerprint."""

    def graph(self, fingerprint: str) -> Graph | None:
        """Return an already known graph."""

    def is_newer(self, fingerprint: str) -> bool:
        """Whether a definition exists in a newer format than this release."""

    def lacking(self, fingerprint: str) -> str:
        """Return the reason for a missing graph, with the remedy."""

    async def catch_up(self) -> None:
        """Read all definitions registered until now."""

    async def register(self, definition: Definition, about: About = NOTHING) -> str:
        """Publish a definition; return the fingerprint. Refuses an invalid definition."""


class Current(Definitions, Protocol):
    """The definitions, and the current definition of each name."""

    def current(self, workflow: str) -> str | None:
        """Return the fingerprint registered last under a name, as far as read.

        This release may be unable to fold the definition: then newer releases serve the runs.
        """

    def about(self, fingerprint: str) -> About:
        """Return the latest schemas and descriptions of a definition."""

    @property
    def declared(self) -> Declared:
        """What apps declare beside workflows, as far as read."""


class Catalogue(Current, Protocol):
    """The definitions, for lists."""

    def workflows(self) -> list[str]:
        """Return the names of all workflows read, sorted."""

    def known(self) -> list[Graph]:
        """Return all graphs read."""

    def registered(self, fingerprint: str) -> int | None:
        """Return when a definition was registered last, in milliseconds, as far as read."""

    async def declare(self, declarations: Sequence[Declaration]) -> None:
        """Publish declarations; they count for all that comes to the inbox after this returns."""

    async def has_queue(self, queue: str) -> bool:
        """Say whether there is a topic for a queue's commands."""

    async def more(self) -> None:
        """Wait for records beyond those of the last call; the first call waits for nothing."""


class Control(Protocol):
    """Paused queues and present workers, on a compacted topic."""

    #: As far as read.
    state: ControlState

    @property
    def position(self) -> int:
        """The offset behind the last record read."""

    async def catch_up(self) -> None:
        """Read the topic to the end. Raises `TransientError` if it cannot be read."""

    async def more(self) -> None:
        """Wait until more has been read. Raises `TransientError` if the topic cannot be read."""


class VerdictLog(Protocol):
    """What was decided about records of the inbox and does not follow from the inbox alone."""

    async def about(self, partition: int, offset: int, since: int) -> list[Verdict]:
        """Return the verdicts on records of a partition from an offset on, the first for each record first.

        `since` is a log time before all of these records.
        """


class TimerRow(NamedTuple):
    """The time for putting a message on the inbox; without `due`, a deletion."""

    kind: Kind
    key: str
    name: str
    partition: int
    due: int | None


#: (due, kind, key, name): timers by due time.
TimerPosition = tuple[int, Kind, str, str]


class DeadRow(NamedTuple):
    """A record impossible to apply, kept whole."""

    partition: int
    generation: int
    offset: int
    code: str
    reason: str
    key: bytes | None
    value: bytes | None
    time: int


@dataclass(slots=True)
class Share:
    """The changes of one batch in one partition. All shares of a batch are written, or none."""

    partition: int
    token: UUID
    from_offset: int
    to_offset: int
    clock: int
    leader_epoch: int
    #: Of the last record folded: recognises a log that is another one at the same offsets.
    fingerprint: int
    generation: int
    #: By which the partition goes on from here.
    format: int = 1
    evidence: bytes = b""
    #: How many records of the share were anything but applied.
    exceptions: int = 0
    dead: list[DeadRow] = field(default_factory=list)
    outbox: bytes | None = None
    #: Of entities.
    rows: Rows = field(default_factory=Rows)
    timers: list[TimerRow] = field(default_factory=list)
    #: Acknowledged outbox rows, by first offset.
    published: list[int] = field(default_factory=list)
    #: Commands held back, as a body, with their number; and acknowledged rows of those held before.
    held: bytes | None = None
    held_count: int = 0
    begun: list[int] = field(default_factory=list)


class Claim(NamedTuple):
    """The content of a partition's row for a new owner."""

    partition: int
    #: For people; the token is what fences.
    epoch: int
    next_offset: int
    clock: int
    topic_id: str | None
    leader_epoch: int
    fingerprint: int
    generation: int
    #: Takeovers since the partition last moved on.
    stalls: int
    #: (first offset, body), oldest first.
    outbox: list[tuple[int, bytes]]
    #: Whether the state was rebuilt, so that published messages are unknown.
    must_redrive: bool = False
    #: In which the state is written, and by whose rules the next record is folded.
    format: int = 1
    #: (first offset, number of commands) of what is held back, oldest first.
    held: Sequence[tuple[int, int]] = ()


class Cursor(NamedTuple):
    """Owner and position of a partition, read back after an unknown outcome."""

    token: UUID | None
    next_offset: int
    #: Whether outstanding work must be requested again.
    must_redrive: bool = False


class Attendance(NamedTuple):
    """Which reconcilers live, as far as the store knows."""

    #: Our own number.
    number: int
    #: The numbers of all living processes; empty while unknown.
    living: frozenset[int]
    #: Partitions of dead owners, with the epoch of the ownership.
    orphans: dict[int, int]


#: Ids of entities, by kind.
Keys = Mapping[Kind, Sequence[str]]
#: Rows of the requested entities, by class of row; each begins with the entity's id, without the partition.
#: Missing entities are left out.
Loaded = Mapping[type[Any], Sequence[Sequence[Any]]]


class Store(Protocol):
    """The state, for a reconciler's reads and writes."""

    def trouble(self) -> str | None:
        """Return the reason if the database refuses everybody."""

    async def attend(self) -> Attendance:
        """Report that this process lives, until the connection ends, and return the other living processes.

        Partitions claimed from then on become orphans with the death of this process.
        """

    async def claim(self, partition: int, owner: str, token: UUID, knows: int = FORMAT) -> Claim:
        """Become the owner of a partition; the previous owner can write nothing more.

        Raises `NewerFormatError`, and changes nothing, for a format beyond the owner's.
        """

    async def adopt(
        self, partition: int, epoch: int, owner: str, token: UUID, knows: int = FORMAT
    ) -> Claim | None:
        """Claim an orphan, unless somebody has since: None then, and nothing changes."""

    async def identify(self, partition: int, token: UUID, topic_id: str) -> None:
        """Record the identity of a partition's log, on the first read."""

    async def lose(self, partition: int, token: UUID, reason: str) -> None:
        """Mark a partition as stopped after the loss of the log."""

    async def must_redrive(
        self, partition: int, token: UUID, *, is_due: bool, commands: bool = False,
        successor: UUID | None = None,
    ) -> None:  # fmt: skip
        """Record whether outstanding work has to be requested again; with `commands`, whether it is being.

        Either has the next owner request everything. `successor`, with `commands` only, replaces the token: a
        database set back to before this refuses commits by the new one.
        """

    async def suspect(self, partition: int, token: UUID, offset: int) -> int:
        """Record the start of folding a record alone; return the number of such starts, 0 if fenced."""

    async def absolve(self, partition: int, token: UUID) -> None:
        """Clear the suspicion of a partition."""

    async def new_generation(
        self, partition: int, token: UUID, topic_id: str, next_offset: int, reason: str
    ) -> int | None:
        """Go on with another log at this offset; return the generation's number, None if fenced."""

    async def commit(self, shares: Sequence[Share]) -> bool:
        """Write all shares, or nothing when the compare-and-set of any partition misses."""

    async def cursors(self, partitions: Sequence[int]) -> dict[int, Cursor]:
        """Read owner and position of these partitions."""

    async def backlog_row(self, partition: int, from_offset: int) -> bytes | None:
        """Return held commands in their stored form; None: they are gone."""

    async def load(self, keys: Keys) -> Loaded:
        """Read entities; signals only for runs with signals."""

    async def timers(
        self, partition: int, after: TimerPosition, until: int, limit: int
    ) -> list[TimerPosition]:
        """Return the timers of a partition beyond a position and due by `until`, nearest first."""

    async def unfinished(self, partition: int, after: RunPosition, limit: int) -> list[RunPosition]:
        """Return runs not yet ended, oldest first, beyond `after`."""

    async def close(self) -> None:
        """Let go of the connections."""


class PartitionState(NamedTuple):
    """A partition's row: progress of the fold, and owner."""

    partition: int
    owner: str | None
    next_offset: int
    clock: int
    fingerprint: int
    generation: int
    topic_id: str | None
    format: int = 1


class Digest(NamedTuple):
    """A number identifying a set of rows, in any order.

    The number of rows, and the sums over both halves of a 128-bit hash of each row. Sums do not depend on
    order; exact sums, unlike exclusive or, do not cancel out for two errors.
    """

    rows: int
    high: int
    low: int


class RowMark(NamedTuple):
    """A row by primary key, with the hash of the whole row."""

    key: tuple[str, ...]
    hash: str


class State(Protocol):
    """A consistent view of everything folded; time stands still while open."""

    async def partitions(self) -> list[PartitionState]:
        """Return where every partition stands."""

    async def is_empty(self) -> bool:
        """Return whether nothing was ever folded."""

    async def digests(self) -> dict[tuple[str, int], Digest]:
        """Return a digest for each (table, partition) with rows."""

    def marks(self, table: str, partitions: Sequence[int]) -> AsyncGenerator[list[RowMark], None]:
        """Iterate over the rows of a table in these partitions, by key, in bounded batches."""

    async def row(self, table: str, key: Sequence[str]) -> Mapping[str, Any] | None:
        """Return a row, column by column."""


class StoredRun(NamedTuple):
    """A stored run with steps, from one snapshot."""

    run: RunRow
    steps: list[StepRow]
    #: How many runs its steps have started.
    children: int = 0


class RunPosition(NamedTuple):
    """A run's position by age. A page begins beyond a position."""

    created: int
    id: str


class AttributeTest(NamedTuple):
    """A condition on an attribute, by its key (`core/attributes.py`)."""

    name: str
    #: From this key on, and before this one.
    low: str
    high: str
    #: Not between the two.
    is_not: bool = False
    #: Text within a text, letter for letter.
    text: str | None = None

    def is_met(self, attributes: Mapping[str, str]) -> bool:
        """Return whether these keys by name meet the condition."""
        key = attributes.get(self.name)
        if key is None or (self.low <= key < self.high) is self.is_not:
            return False
        return self.text is None or self.text in key[1:]


class ListPosition(NamedTuple):
    """A run's position in a list: the value of its order, and the id. A page begins beyond a position."""

    value: int | str
    id: str


class RunQuery(NamedTuple):
    """Conditions for runs; defaults match every run. Times are milliseconds of log time."""

    workflow: str | None = None
    fingerprint: str | None = None
    #: Any of these; empty: all.
    status: tuple[str, ...] = ()
    tag: str | None = None
    #: The queue of the steps without a queue.
    queue: str | None = None
    #: The parent run.
    parent: str | None = None
    created_since: int | None = None
    created_before: int | None = None
    updated_since: int | None = None
    updated_before: int | None = None
    #: What the JSON of the input holds, letter for letter.
    input_text: str | None = None
    #: Without runs cancelled and undone on request.
    unasked: bool = False
    #: Only runs with held steps.
    needs_review: bool = False
    #: Only open runs that are overdue, or have overdue steps.
    overdue: bool = False
    #: Only failed runs that were marked as reviewed, or were not.
    reviewed: bool | None = None
    attributes: tuple[AttributeTest, ...] = ()
    #: Beginning of the id.
    id_prefix: str | None = None
    #: What a text among the attributes holds, letter for letter.
    attribute_text: str | None = None
    #: `client`, `event`, `schedule` or `parent`.
    trigger: str | None = None
    schedule: str | None = None
    #: The code of the failure, and the step that failed; empty: none.
    failure_code: str | None = None
    failed_step: str | None = None


#: The columns that runs are sorted by; `duration` is that of ended runs.
RunSort = Literal["created", "started", "updated", "duration"]


class RunOrder(NamedTuple):
    """The order of a list of runs: by a column or an attribute, then by id. Runs without it are left out."""

    by: RunSort = "created"
    attribute: str | None = None
    is_up: bool = False

    def place(self, run: RunSummary) -> ListPosition | None:
        """Return the position of a run in this order; None: it is left out."""
        value: int | str | None
        if self.attribute is not None:
            value = attribute_keys(run.attributes).get(self.attribute)
        elif self.by == "duration":
            began = run.created if run.started is None else run.started
            value = None if run.ended is None else run.ended - began
        else:
            value = getattr(run, self.by)
        return None if value is None else ListPosition(value, run.id)


NEWEST: Final = RunOrder()


class RunSummary(NamedTuple):
    """A run as a line of a list."""

    id: str
    workflow: str
    fingerprint: str
    status: str
    created: int
    updated: int
    ended: int | None
    done: int
    total: int
    #: A JSON list.
    tags: str | None
    failure: bytes | None
    queue: str | None = None
    priority: int = 0
    #: A JSON object.
    metadata: bytes | None = None
    parent: str | None = None
    parent_step: str | None = None
    attempt: int = 1
    started: int | None = None
    #: A JSON object: the requests to the run.
    requests: bytes | None = None
    #: A JSON list of [name, kind, value].
    attributes: bytes | None = None


class RunPage(NamedTuple):
    """Some runs, in order, and where to go on; None: there are no more."""

    runs: list[RunSummary]
    following: ListPosition | None


class WorkflowFigures(NamedTuple):
    """What the runs of a workflow come to. Times are milliseconds of log time."""

    workflow: str
    #: Number of open runs, and of the waiting ones among them.
    open: int
    waiting: int
    #: Dead letters: runs that failed for good, undone or not, unless somebody cancelled them.
    failed: int
    #: Runs created since a moment, and how many of them completed.
    started: int
    completed: int
    #: Of the newest run; None: there is none.
    last_created: int | None
    last_status: str | None


class RunFlow(NamedTuple):
    """The runs created within a stretch of time. Times are milliseconds of log time."""

    at: int
    created: int
    #: How many of these failed.
    failed: int


class FailureCause(NamedTuple):
    """Failed runs with the same cause."""

    workflow: str
    #: `failed` or `compensation_failed`.
    status: str
    #: The failed step; empty: the run as a whole.
    step: str
    code: str
    runs: int
    #: The latest end, in milliseconds of log time, and the run.
    last: int
    last_run: str


class LiveVersion(NamedTuple):
    """How many runs of a version of a workflow have not ended."""

    workflow: str
    fingerprint: str
    runs: int


class PartitionSummary(NamedTuple):
    """A partition of the inbox as a line of a list."""

    partition: int
    #: The last owner; None: there was none.
    owner: str | None
    #: Number of takeovers, in all and since the last progress.
    takeovers: int
    next_offset: int
    stalls: int
    #: The reason of a standstill, if the log was lost.
    lost_reason: str | None
    #: Commands of runs about to begin that are held back, since the reconciler is behind.
    held: int = 0


#: (time, partition, generation, offset): dead letters, newest first.
DeadPosition = tuple[int, int, int, int]


class DeadSummary(NamedTuple):
    """A record of the inbox that could not be applied, as a line of a list."""

    #: Log time.
    time: int
    #: Of the inbox, and which of its logs.
    partition: int
    generation: int
    offset: int
    code: str
    reason: str
    key: bytes | None
    #: Size of the value; None: there is none.
    bytes: int | None


#: `create` and `change` are what `topics apply` does; a `warning` it cannot remedy, a `refuse` stops all.
TopicAction = Literal["ok", "create", "change", "warning", "refuse"]


class TopicStep(NamedTuple):
    """A difference between a topic and what it should be, with what is to be done."""

    topic: str
    action: TopicAction
    detail: str


class GroupMember(NamedTuple):
    """A process in a consumer group."""

    name: str
    host: str
    #: How many partitions it has.
    partitions: int


class InboxReading(NamedTuple):
    """How far a partition of the inbox is read, by Kafka and by a position of ours."""

    #: As the cluster calls it.
    topic: str
    partition: int
    #: The next offset to be written.
    high: int
    #: When the record at the position was written, in milliseconds; None: there is none.
    oldest: int | None
    #: The reconciler with the partition; empty: none.
    reader: str


class CommandPlace(NamedTuple):
    """Where the command of an attempt is, and who reads there."""

    #: As the cluster calls it.
    topic: str
    partition: int
    #: None: no unfinished command of the attempt was found among the first ones.
    offset: int | None
    #: Unfinished commands before it, or, without it, all that were found.
    before: int
    #: The worker with the partition, and all workers of the queue.
    reader: str
    readers: tuple[str, ...]


class Traffic(Protocol):
    """What is on the topics and who reads them, looked up when asked: a few requests to the brokers each."""

    async def inbox(self, partition: int, position: int) -> InboxReading | None:
        """Return how a partition of the inbox is read; `position` is the next offset to be folded.

        None: the broker shows no groups.
        """

    async def command(self, lane: str, run: str, step: str, attempt: int) -> CommandPlace | None:
        """Return the place of an attempt's command; None: no such topic, or the broker shows no groups.

        Looks through a bounded number of unfinished commands.
        """


class ChannelRange(NamedTuple):
    """A range of channels, from the first to before the last; None: unbounded. Optionally with a key."""

    first: str | None = None
    last: str | None = None
    key: str | None = None


class EventWait(NamedTuple):
    """An open wait for an event."""

    channel: str
    run: str
    wait: str
    workflow: str
    #: Log time since which the step waits, and until when.
    since: int | None
    due: int | None
    #: Of a reaction: how many events it has not worked off; None: a wait.
    behind: int | None = None


class SignalWait(NamedTuple):
    """An open wait for signals."""

    #: When the run was created.
    created: int
    run: str
    wait: str
    workflow: str
    fingerprint: str
    since: int | None
    due: int | None
    #: Of a reaction: how many signals it has not worked off; None: a wait.
    behind: int | None = None


class SignalStep(NamedTuple):
    """A step waiting for signals, or a reaction to a signal."""

    fingerprint: str
    #: Its name.
    step: str
    #: The signal of a reaction; None: a wait.
    reacts_to: str | None = None


class ReactionSource(NamedTuple):
    """A reaction with the source of events or signals."""

    reaction: str
    #: Of events.
    channel: str | None
    #: The signal; None: it reacts to events.
    signal: str | None


class QuestionQuery(NamedTuple):
    """Conditions for open questions; None is no condition."""

    workflow: str | None = None
    wait: str | None = None
    role: str | None = None
    #: Empty: unassigned questions.
    assignee: str | None = None
    #: Of the run.
    tag: str | None = None
    #: Questions closed by a time-out before this.
    expires_before: int | None = None
    #: The moment by which the answer is expected is before this one.
    due_before: int | None = None


class StoredEvidence(NamedTuple):
    """A message to a run that was not applied."""

    time: int
    #: Its place in the list of message types.
    type: int
    outcome: int
    #: Why it is dead.
    code: str | None
    reason: str | None
    #: Who sent it, if it says so.
    by: str | None = None


class StoredLater(NamedTuple):
    """A message for later, or without a body a run that has not begun."""

    due: int
    id: str
    body: bytes | None


class StoredSchedule(NamedTuple):
    """A schedule without its firings."""

    name: str
    body: bytes


class StoredQuestion(NamedTuple):
    """An open question."""

    opened: int
    run: str
    wait: str
    workflow: str
    fingerprint: str
    attempt: int
    prompt: str
    role: str
    assignee: str
    due: int | None
    expires: int | None
    #: A JSON list, of the run.
    tags: str | None


class StoredEvent(NamedTuple):
    """An event kept by a channel for future waits, or an expired event without any taker."""

    channel: str
    id: str
    #: None: it expired.
    data: bytes | None
    expires: int
    #: The times of arrival and of the first wake-up.
    published: int | None
    taken: int | None
    sent_by: str | None = None


class StoredSignal(NamedTuple):
    """A signal kept by a run, or expired."""

    id: str
    name: str
    #: Whether it is kept until it expires.
    is_kept: bool
    sent_by: str | None
    came: int | None
    expires: int | None


class Views(Protocol):
    """The state for clients. Commits of a reconciler are visible at once.

    Raises `RejectedError` with code `too_broad` for a query over its time limit.
    """

    async def run_get(self, run: str) -> RunRow | None:
        """Return a run without steps."""

    async def run_with_steps(self, run: str) -> StoredRun | None:
        """Return a run and all stored steps."""

    async def run_list(
        self,
        query: RunQuery,
        *,
        limit: int = 50,
        after: ListPosition | None = None,
        order: RunOrder = NEWEST,
    ) -> RunPage:
        """Return a page of the matching runs."""

    async def run_count(self, query: RunQuery, *, at_most: int) -> int:
        """Count the matching runs, up to a limit."""

    async def run_statuses(self, query: RunQuery, *, at_most: int) -> dict[str, int]:
        """Count the matching runs by status, up to a limit."""

    async def child_counts(self, runs: Sequence[str]) -> dict[str, int]:
        """Count the children of each of these runs; runs without children are left out."""

    async def workflow_figures(self, workflows: Sequence[str], *, since: int) -> list[WorkflowFigures]:
        """Return figures about the runs of each of these workflows, by name."""

    async def event_waits(
        self, channels: ChannelRange, workflow: str | None, *, after: tuple[str, str, str], limit: int
    ) -> list[EventWait]:
        """Return a page of the open waits for events, by channel, run and step."""

    async def signal_waits(
        self,
        steps: Sequence[SignalStep],
        workflow: str | None,
        *,
        after: tuple[int, str, str],
        limit: int,
    ) -> list[SignalWait]:
        """Return a page of the open waits of these steps, and of reactions, oldest runs first."""

    async def behind(self, run: str, reactions: Sequence[ReactionSource]) -> dict[str, int]:
        """Count the events and kept signals waiting for each reaction of a run.

        Left out is a reaction to events without a registration.
        """

    async def open_questions(
        self, query: QuestionQuery, *, after: tuple[int, str, str], limit: int
    ) -> list[StoredQuestion]:
        """Return a page of open questions, the oldest first, beyond (opened, run, wait)."""

    async def kept_events(
        self, channels: ChannelRange, *, after: tuple[str, str], limit: int, untaken: bool = False
    ) -> list[StoredEvent]:
        """Return a page of the kept events, by channel and id."""

    async def expired_events(
        self, channels: ChannelRange, *, after: tuple[str, str], limit: int
    ) -> list[StoredEvent]:
        """Return a page of expired events without any taker, by channel and id."""

    async def run_signals(self, run: str) -> list[StoredSignal]:
        """Return kept and expired signals of a run, oldest first."""

    async def run_evidence(self, run: str, *, since: int, limit: int) -> list[StoredEvidence]:
        """Return the messages to a run since a time that were duplicate, late or dead, oldest first."""

    async def later_list(self, *, after: tuple[int, str], limit: int) -> list[StoredLater]:
        """Return a page of messages for later and of runs that have not begun, by (due, id)."""

    async def schedule_get(self, name: str) -> StoredSchedule | None:
        """Return a schedule."""

    async def schedule_list(self, *, after: str = "", limit: int = 1_000) -> list[StoredSchedule]:
        """Return a page of the schedules, by name."""

    async def schedule_firings(self, name: str) -> list[Sequence[Any]]:
        """Return the firings of a schedule, as they are loaded, unordered."""

    async def run_family(self, run: str, *, limit: int) -> list[RunSummary]:
        """Return the first ancestor of a run and all descendants, unordered.

        Beyond the limit, the last generations are left out.
        """

    async def step_list(self, run: str, *, after: str = "", limit: int = 1_000) -> list[StepRow]:
        """Return a page of the steps of a run that have a row, by name."""

    async def attempt_list(
        self, run: str, *, step: str | None = None, after: tuple[str, int] = ("", 0), limit: int = 1_000
    ) -> list[AttemptRow]:
        """Return a page of what is kept of a run's attempts, by step and number."""

    async def gate_list(self, *, after: str = "", limit: int = 1_000) -> list[GateSummary]:
        """Return a page of the gates and breakers, by id."""

    async def gate_get(self, gate: str) -> GateSummary | None:
        """Return a gate or a breaker; None: unused."""

    async def admission_list(self, *, after: str = "", limit: int = 1_000) -> list[AdmissionSummary]:
        """Return a page of the admissions with runs waiting or under way, by id."""

    async def admission_get(self, admission: str) -> AdmissionSummary | None:
        """Return an admission; None: unused."""

    async def admission_members(
        self, admission: str, *, after: int = 0, limit: int = 1_000
    ) -> list[AdmissionMember]:
        """Return a page of the unsettled runs at an admission, in the order of ordinals."""

    async def partition_list(self) -> list[PartitionSummary]:
        """Return where the partitions stand."""

    async def dead_count(self, since: int, *, at_most: int) -> int:
        """Count the dead letters since a moment, up to a limit."""

    async def live_versions(self) -> list[LiveVersion]:
        """Return the versions of workflows with runs under way."""

    async def overdue_timers(self, before: int, *, limit: int) -> list[TimerRow]:
        """Return timers due before a moment and not applied yet, the oldest first."""

    async def failure_causes(self, since: int, *, runs_max: int, limit: int) -> list[FailureCause]:
        """Group failed runs created since a moment by cause; only the newest runs count, up to a limit.

        Causes with failed compensations come first, then causes with many runs.
        """

    async def run_flow(self, since: int, *, width: int, count: int, at_most: int) -> list[RunFlow]:
        """Count the runs created within each of `count` stretches of `width` milliseconds, up to a limit."""

    async def partition_get(self, partition: int) -> PartitionSummary | None:
        """Return where a partition of the inbox stands."""

    async def gate_places(
        self, gate: str, *, is_inside: bool | None = None, after: int = 0, limit: int = 1_000
    ) -> list[GatePlace]:
        """Return a page of places at a gate, inside or waiting or both, in the order of ordinals."""

    async def dead_list(self, *, after: DeadPosition | None = None, limit: int = 50) -> list[DeadSummary]:
        """Return a page of the records that could not be applied, newest first."""

    async def dead_get(self, partition: int, generation: int, offset: int) -> DeadRow | None:
        """Return such a record whole; None: there is none at this place."""

    async def close(self) -> None:
        """Let go of the connections."""


class OperatorViews(Views, Protocol):
    """What people's tools read beside what clients do."""

    async def run_ids(self, beginning: str, limit: int) -> list[str]:
        """Return ids with this beginning, in order."""

    async def live_runs(
        self, version: LiveVersion, step: str | None, statuses: Collection[str], limit: int
    ) -> tuple[int, list[str]]:
        """Count the open runs of a version with the step in none of these statuses, and return the first ids.

        Without a step, or without statuses, every run counts.
        """


class StoredApiToken(NamedTuple):
    """A token of the API, without its secret. Times are milliseconds."""

    #: Written beside whatever its holder does.
    name: str
    role: Literal["viewer", "operator", "admin"]
    may_see_payloads: bool
    created: int
    #: None: it does not expire.
    expires: int | None
    revoked: int | None


class ApiTokens(Protocol):
    """The tokens of the API, by the hashes of their secrets."""

    async def find(self, digest: bytes) -> StoredApiToken | None:
        """Return the token of a secret's hash, be it expired or revoked; None: there is none."""

    async def all(self) -> list[StoredApiToken]:
        """Return all tokens, by name."""

    async def add(self, digest: bytes, token: StoredApiToken) -> bool:
        """Keep a token; false, and nothing kept: the name is taken."""

    async def revoke(self, name: str, now: int) -> bool:
        """Revoke a token; false: there is none of this name that is not revoked."""

    async def close(self) -> None:
        """Let go of the connections."""


class LoggedEvent(NamedTuple):
    """The head of a public event, with the place on the log."""

    #: The index of the partition in `EventFlow.positions`.
    place: int
    offset: int
    head: EventHead


class EventFlow(NamedTuple):
    """The events of all runs and steps from some positions on."""

    #: Where the flow begins: an offset for each partition about runs, then for each about steps.
    positions: tuple[int, ...]
    #: In order by partition.
    batches: AsyncIterator[list[LoggedEvent]]


class RunEvents(Protocol):
    """Public events of a run from the log: at least once, in order by topic."""

    def live(self, run: str) -> AbstractAsyncContextManager[AsyncIterator[RunEvent]]:
        """Yield the events of a run as a whole, from the call on."""

    def past(
        self, run: str, since: int
    ) -> AbstractAsyncContextManager[AsyncIterator[RunEvent | StepEvent | None]]:
        """Yield the events of a run and of all steps since a time, then new events.

        None comes once, after all events published before the call.
        """

    def flow(self) -> AbstractAsyncContextManager[EventFlow]:
        """Yield the heads of the events of all runs and steps, from the call on."""

    async def close(self) -> None:
        """Close the connections, and end all streams."""
