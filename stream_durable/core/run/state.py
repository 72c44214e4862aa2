"""A run and its steps in memory: compact, changed in place, counted instead of scanned.

A step that was dispatched for the first time as soon as its dependencies had ended has no `Step`:
that is what the graph says about it, and neither memory nor a row is spent on repeating it.
"""

from __future__ import annotations

from msgspec import Raw

from stream_durable.core.definition.graph import Graph
from stream_durable.core.failure import Failure
from stream_durable.core.status import PENDING, READY, RUN_ENDED


class Step:
    """What is known of a step beyond what the graph says."""

    __slots__ = ("attempt", "deadline", "due", "failure", "finished", "losses", "output",
                 "started", "status", "worker")  # fmt: skip

    def __init__(self, status: str = READY, attempt: int = 1) -> None:
        """A step in this status with nothing else known of it."""
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


class Mail:
    """Signals of a run: which were seen, and those that came before anybody waited for them."""

    __slots__ = ("kept", "seen")

    def __init__(
        self, seen: list[str] | None = None, kept: list[tuple[str, str, bytes]] | None = None
    ) -> None:
        """An empty box, or the one that was stored."""
        self.seen: dict[str, None] = dict.fromkeys(seen or ())
        #: (id, signal, data), oldest first.
        self.kept: list[tuple[str, str, bytes]] = list(kept or ())


class Run:
    """One execution of a workflow."""

    __slots__ = ("active", "created", "due", "ended", "failure", "graph", "id", "input", "is_new", "left",
                 "mail", "need", "output", "partition",
        "payload", "run_sequence", "start_id", "status",
                 "step_sequence", "steps", "tags", "touched", "trace", "updated", "waiting")  # fmt: skip

    def __init__(self, key: str, partition: int, graph: Graph) -> None:
        """A run that has been named but not started."""
        self.id = key
        self.partition = partition
        self.graph = graph
        self.status = PENDING
        self.created = 0
        self.updated = 0
        self.ended: int | None = None
        self.start_id = ""
        self.input: bytes = b"null"
        self.output: bytes | None = None
        self.failure: Failure | None = None
        self.trace: str | None = None
        self.tags: tuple[str, ...] = ()
        self.step_sequence = 0
        self.run_sequence = 0
        #: Steps that have not ended; how many of these are with workers, and which of them wait.
        self.left = graph.size
        self.active = 0
        self.waiting: set[int] = set()
        #: Dependencies that have not ended, by step.
        self.need = list(graph.need)
        self.steps: dict[int, Step] = {}
        #: When the run as a whole runs out of time.
        self.due: int | None = None
        self.mail: Mail | None = None
        #: Not stored yet, and which steps have changed since the last time it was.
        self.is_new = True
        self.touched: dict[int, None] = {}
        #: Bytes of payload held in memory, for `weight`.
        self.payload = 0

    @property
    def has_ended(self) -> bool:
        """Whether anything can still happen to this run."""
        return self.status in RUN_ENDED

    def weight(self) -> int:
        """Estimate the bytes this run takes in memory: what the cache is bounded by."""
        return 1_100 + 9 * self.graph.size + 260 * len(self.steps) + self.payload


def raw_or_null(value: bytes | None) -> Raw:
    """Return a stored JSON value for a message."""
    return Raw(value if value is not None else b"null")
