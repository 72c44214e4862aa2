"""A run and its steps in memory: compact, changed in place, counted instead of scanned.

A step dispatched as soon as all dependencies ended has no `Step` during the first attempt: the graph implies
the state, and neither memory nor a row repeats it.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from stream_durable.core.definition.graph import Graph
from stream_durable.core.emissions import RefusedEmission
from stream_durable.core.failure import Failure
from stream_durable.core.messages import Grafted, OptionalRaw, Scheduled
from stream_durable.core.run.attribute_set import Attributes
from stream_durable.core.run.entry import Entry
from stream_durable.core.run.from_outside import Act, Asked, Beside, Changed, Outside, Own, Review, Sent
from stream_durable.core.run.inner import Inner, Inside
from stream_durable.core.run.mail import Mail
from stream_durable.core.run.ring import Ring
from stream_durable.core.status import PENDING, READY, RUN_ENDED

_encode = msgspec.json.Encoder().encode

#: The code of a step that was cancelled because a race, a group or the run was decided without it.
NOT_NEEDED = "not_needed"
#: Ids of orders to a run that are remembered.
ORDERS_SEEN_MAX = 20
#: The end of a step: status, output, failure.
End = tuple[int, str, bytes | None, Failure | None]


class Graft(msgspec.Struct, omit_defaults=True):
    """Members added to a step at run time."""

    #: The number of this graft within the run, and within the step: it distinguishes members.
    at: int
    count: int
    turn: int = 1
    #: The kind of the members, if not given by the definition.
    steps: tuple[Grafted, ...] = ()
    concurrency: int | None = None
    enough: int | None = None
    complete_all: bool = False
    #: Whether members wait for one another.
    is_chained: bool = False


class Detail(msgspec.Struct, omit_defaults=True):
    """Fields left at defaults by most steps; kept apart so that an ordinary step pays nothing."""

    #: The attempt from which retries are counted: the step was begun anew with it.
    first: int = 1
    #: The same for values inside the step, where a person began it again with all it had kept; 0: `first`.
    kept_since: int = 0
    #: When the step's total time is over.
    until: int | None = None
    #: Why a step that could begin has not: `paused`, `group`, `section`, `line` or `gate`.
    held: str = ""
    #: The gate that was asked for a place, until it is given back; empty with `held`: a breaker was asked.
    place: str = ""
    #: The gate of the step's queue, asked after that of the step.
    queue_place: str = ""
    #: What the attempt said that it has cost.
    spent: int | None = None
    #: How often the attempt has been given back, and how often for a time without its places at gates.
    returns: int = 0
    snoozes: int = 0
    #: Whether a command for the attempt was delivered twice, and nobody knows what came of the first time.
    is_suspect: bool = False
    #: Whether the attempt was asked to stop and its answer is waited for.
    is_stopping: bool = False
    #: Whether the step becomes skipped after its stop, not cancelled.
    is_skipped: bool = False
    #: Whether it was asked to stop, and has, or is waited for no longer.
    has_stopped: bool = False
    #: Whether the step completed after it was no longer needed.
    is_needless: bool = False
    #: Whether this step's answer finished the run.
    is_final: bool = False
    #: Whether the step ended without having begun.
    is_idle: bool = False
    graft: Graft | None = None
    #: How many grafts the step had before it was begun anew.
    turns: int = 0
    #: The clause that a branch has picked.
    clause: int | None = None
    #: The child under way, the round, and the input if other than the first.
    child: str = ""
    round: int = 0
    input: OptionalRaw = None
    #: The question to people, with its changes.
    asked: Asked | None = None
    #: What came from outside by the step's token.
    outside: Outside | None = None
    #: The inquiry that a step beside the graph is for.
    beside: Beside | None = None
    #: The signals or the event that ended the wait, if they came before it began, or say who sent them.
    sent: tuple[Sent, ...] = ()
    #: The argument of a hook.
    happened: OptionalRaw = None
    inside: Inside | None = None
    inner: Inner | None = None
    #: When the worker of a long attempt reported last.
    heard: int | None = None
    #: How far the attempt is, as it said last.
    percent: float | None = None
    label: str | None = None
    #: The latest refusals of what the step emitted, and the event that a wait has taken.
    refused: tuple[RefusedEmission, ...] = ()
    taken: str = ""
    #: What the latest of its earlier attempts took: an offer that comes again gets the same answer.
    taken_before: tuple[tuple[int, str], ...] = ()
    #: Since when a person is to decide about the step, whether that failed it, and all decisions so far.
    held_since: int | None = None
    is_failed_by_hand: bool = False
    reviews: tuple[Review, ...] = ()
    #: What a person has changed of its definition for this run.
    own: Own | None = None
    #: By when the step is expected to end, while it is open, and when that was missed.
    expected: int | None = None
    overdue_since: int | None = None
    #: What was done for earlier attempts of a wait, or of the waits inside the step.
    past: tuple[Act, ...] = ()


class Step:
    """The state of a step beyond the graph."""

    __slots__ = ("attempt", "deadline", "detail", "due", "failure", "finished", "losses", "output",
                 "sequence", "started", "status", "worker")  # fmt: skip

    def __init__(self, status: str = READY, attempt: int = 1) -> None:
        """Create a step with this status."""
        self.status = status
        self.attempt = attempt
        self.output: bytes | None = None
        self.failure: Failure | None = None
        self.started: int | None = None
        self.finished: int | None = None
        self.worker: str | None = None
        #: When its timer fires; a step has one at the most: retry, lease, time-out or sleep.
        self.due: int | None = None
        #: When a started attempt runs out of time.
        self.deadline: int | None = None
        #: How often a worker was lost during this attempt.
        self.losses = 0
        #: The public event of the end.
        self.sequence: int | None = None
        self.detail: Detail | None = None

    @property
    def is_held_up(self) -> bool:
        """Whether the step has begun, and makes its next attempt or pass as soon as it may."""
        detail = self.detail
        if self.status != PENDING or detail is None:
            return False
        return detail.inside is not None or self.attempt > detail.first or detail.returns > 0

    def detailed(self) -> Detail:
        """Return the detail for writing."""
        if self.detail is None:
            self.detail = Detail()
        return self.detail


class Request(msgspec.Struct, omit_defaults=True):
    """A request to a run."""

    id: str
    at: int
    reason: str = ""
    compensate: bool = False
    #: Who asked for it, under any name.
    by: str = ""


class Requests(msgspec.Struct, omit_defaults=True):
    """Requests to a run, without results."""

    #: What asked for the start, as its message says; empty: a client or a parent.
    trigger: str = ""
    cancel: Request | None = None
    #: Cancels of a run already ending, without effect, and of a run that was retried since.
    late_cancel: Request | None = None
    past_cancel: Request | None = None
    pause: Request | None = None
    resume: Request | None = None
    retry: Request | None = None
    #: Paths in the run's output read by the parent.
    picks: tuple[str, ...] = ()
    #: The time-out given with the start; None: that of the workflow.
    timeout_ms: int | None = None
    #: Whether the parent waits for the end of the run.
    is_awaited: bool = True
    scheduled: Scheduled | None = None
    #: Ids of the latest orders that were carried out: a repeat that comes late does nothing.
    seen: list[str] = []
    #: Ready steps waiting for a continuation record.
    deferred: list[str] = []
    #: How often the reactions to events were registered with their channels, and since when events count.
    reads: int = 0
    reads_since: int = 0
    #: What has to let the run begin, and whether it has.
    entry: Entry | None = None
    #: How many steps are held, and how much of the run's time-out was left when the first one was.
    held: int = 0
    left_ms: int | None = None
    #: The due time given with the start; None: that of the workflow.
    due_ms: int | None = None
    due_at: int | None = None
    #: By when the run is expected to end, when that was missed, and how many are overdue of it and its steps.
    expected: int | None = None
    overdue_since: int | None = None
    overdue: int = 0
    #: What people changed, oldest first, and the input since.
    changes: tuple[Changed, ...] = ()
    input: OptionalRaw = None
    #: The keys of waits and reactions that had begun before the input had another one, by name.
    keys: dict[str, str] = {}
    #: That somebody has looked at the failed run, since the latest retry.
    reviewed: Request | None = None

    def remember(self, order: str) -> None:
        """Record an applied request."""
        self.seen.append(order)
        del self.seen[:-ORDERS_SEEN_MAX]


class Run:
    """One execution of a workflow."""

    __slots__ = ("active", "attempt", "attributes", "context", "created", "depth", "due",
                 "ended", "failure", "graph", "has_lanes", "has_new_inputs", "id", "input",
                 "inputs", "is_new", "items", "joined", "left", "line", "mail", "metadata",
                 "need", "open", "orphans", "output", "parent", "parent_step", "partition",
                 "payload", "priority", "queue", "requests", "rings", "run_sequence", "start_id",
                 "started", "status", "step_sequence", "steps", "tags", "touched", "trace",
                 "undo", "updated", "waiting")  # fmt: skip

    def __init__(self, key: str, partition: int, graph: Graph, status: str = PENDING) -> None:
        """Create a run not yet started, or from stored values."""
        self.id = key
        self.partition = partition
        #: The workflow's graph; one of the run's own once a step has added to it.
        self.graph = graph
        self.status = status
        self.created = self.updated = 0
        #: When it began, for the first time.
        self.started: int | None = None
        self.ended: int | None = None
        self.start_id = ""
        self.input: bytes = b"null"
        #: A JSON list of the inputs of all runs that begin as this one; None: its own alone.
        self.inputs: bytes | None = None
        self.has_new_inputs = False
        self.output: bytes | None = None
        #: Why the run fails or is cancelled; there before the run has ended, while it is put in order.
        self.failure: Failure | None = None
        self.trace: str | None = None
        self.tags: tuple[str, ...] = ()
        self.queue: str | None = None
        self.priority = 0
        #: Whether first attempts have a lane of their own: a matter of the format in which it was started.
        self.has_lanes = False
        self.metadata: bytes | None = None
        self.parent: str | None = None
        self.parent_step: str | None = None
        self.depth = 0
        #: The try of the whole graph, from 1.
        self.attempt = 1
        self.context: Context | None = None
        self.attributes: Attributes | None = None
        self.requests: Requests | None = None
        self.step_sequence = 0
        self.run_sequence = 0
        #: Number of unfinished steps; number with workers; and the waiting ones.
        self.left = graph.size
        self.active = 0
        self.waiting: set[int] = set()
        #: Number of open dependencies of each step: unfinished steps, and a turn in a group.
        self.need = list(graph.need)
        #: Of groups and branches that have begun: how many members have not ended, and other counts.
        self.open: dict[int, Open] = {}
        #: Of joins: how many members have completed, and how many can no longer.
        self.joined: dict[int, list[int]] = {}
        #: Steps that could begin but for the workflow's `concurrency`, as a heap; some have ended meanwhile.
        self.line: list[int] | None = None
        #: The items that members of a group are made for, once they were looked at.
        self.items: dict[int, list[Raw]] | None = None
        #: Steps still to be undone, the next one last, once undoing has begun.
        self.undo: list[int] | None = None
        self.steps: dict[int, Step] = {}
        #: Steps that have no place in the graph any more, as long as their last row is not stored.
        self.orphans: dict[str, Step] | None = None
        #: When the run as a whole runs out of time, or, before it has begun, when it begins.
        self.due: int | None = None
        self.mail: Mail | None = None
        #: Where the calls of functions beside the graph stand, by function, once that was looked at.
        self.rings: dict[str, Ring] = {}
        #: Not stored yet, and which steps have changed since the last time it was.
        self.is_new = True
        self.touched: dict[int, None] = {}
        #: Bytes of payload held in memory, for `weight`.
        self.payload = 0

    @property
    def is_over(self) -> bool:
        """Whether the run needs no memory any more."""
        return self.ended is not None

    @property
    def has_ended(self) -> bool:
        """Whether the run has ended for good."""
        return self.status in RUN_ENDED

    @property
    def is_ending(self) -> bool:
        """Whether the run fails, is cancelled or is finished, or has ended."""
        return self.failure is not None or self.output is not None

    @property
    def is_paused(self) -> bool:
        """Whether the run is paused."""
        return self.requests is not None and self.requests.pause is not None

    @property
    def begins_nothing(self) -> bool:
        """Whether no step may begin. On its way to an end, a paused run goes all of the way."""
        return self.is_paused and self.failure is None and self.cancel_request is None

    def has_seen(self, order: str) -> bool:
        """Return whether a request of this id was applied."""
        return self.requests is not None and order in self.requests.seen

    @property
    def cancel_request(self) -> Request | None:
        """The request for the run's end, if any."""
        return None if self.requests is None else self.requests.cancel

    def weight(self) -> int:
        """Estimate the run's memory in bytes, for the bound of the cache."""
        kept = self.payload + (0 if self.mail is None else 300 * len(self.mail.kept))
        return 1_200 + 9 * self.graph.size + 270 * len(self.steps) + self.graph.own_weight + kept


class Open:
    """Counters of a group or branch under way."""

    __slots__ = ("completed", "excess", "held", "left", "lost", "running", "turn")

    def __init__(self, left: int) -> None:
        """Create counters without begun members."""
        #: Numbers of members unfinished, completed, and unable to complete.
        self.left = left
        self.completed = 0
        self.lost = 0
        #: Number of members under way, if limited, and the next member.
        self.running = 0
        self.turn = 0
        #: Members of an ordered group under way beyond its places: some were made anew by hand.
        self.excess = 0
        self.held: set[int] = set()


class Context:
    """The run's context: a JSON object, changed key by key."""

    __slots__ = ("fields", "is_dirty", "size")

    def __init__(self, fields: dict[str, Raw] | None = None) -> None:
        """Create an empty or a stored context."""
        self.fields = fields or {}
        self.is_dirty = False
        self.size = sum(len(bytes(value)) + len(key) + 4 for key, value in self.fields.items())

    def encoded(self) -> Raw:
        """Return the context as one JSON object."""
        return Raw(_encode(self.fields))


def raw_or_null(value: bytes | None) -> Raw:
    """Return a stored JSON value for a message."""
    return Raw(value if value is not None else b"null")
