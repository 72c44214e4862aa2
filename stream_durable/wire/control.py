"""The control topic: paused queues and present processes, one record for each, compacted.

A record without a value withdraws what its key stands for.
"""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple, TypeVar, assert_never

import msgspec
from msgspec import Meta

from stream_durable.core.errors import RejectedError

_QUEUE: Final = "queue/"
_WORKER: Final = "worker/"
_PROCESS: Final = "process/"
#: Within this time after its first record a worker joins the groups of its queues.
JOINS_MS: Final = 5_000
#: A worker that misses so many of its records in a row is gone.
_MISSED_MAX: Final = 3
#: How long the record of a killed process is kept.
KEPT_MS: Final = 86_400_000

REASON_LENGTH_MAX: Final = 1_000
BY_LENGTH_MAX: Final = 200


class QueuePause(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="queue.paused"):
    """Workers begin no attempt from this queue."""

    #: When it was asked for, in milliseconds.
    at: int
    by: Annotated[str, Meta(max_length=BY_LENGTH_MAX)] = ""
    reason: Annotated[str, Meta(max_length=REASON_LENGTH_MAX)] = ""


class QueueResume(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="queue.resumed"):
    """Workers begin attempts from this queue again."""

    #: When it was asked for, in milliseconds.
    at: int
    by: Annotated[str, Meta(max_length=BY_LENGTH_MAX)] = ""
    reason: Annotated[str, Meta(max_length=REASON_LENGTH_MAX)] = ""


class QueueLoad(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a worker has of a queue."""

    queue: str
    #: Attempts under way, and commands read and not begun.
    running: int
    waiting: int


class WorkerHere(msgspec.Struct, frozen=True, kw_only=True, tag="worker.here"):
    """A present worker, with workflows and load."""

    #: When it started, in milliseconds.
    since: int
    #: How often it says so.
    every_ms: Annotated[int, Meta(ge=1)]
    concurrency: int
    #: The offset up to which it obeys this topic.
    heard: int
    queues: tuple[QueueLoad, ...]
    #: (workflow, fingerprint)
    carries: tuple[tuple[str, str], ...]
    #: The release that it runs; empty: one that does not say.
    version: Annotated[str, Meta(max_length=200)] = ""
    #: The newest format that it knows; 0: it does not say.
    format: int = 0
    host: Annotated[str, Meta(max_length=255)] = ""


class ProcessHere(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="process.here"):
    """A present process, other than a worker."""

    #: `reconciler`, `ingress` or `api`.
    kind: Annotated[str, Meta(max_length=40)]
    #: When it started, in milliseconds.
    since: int
    #: How often it says so.
    every_ms: Annotated[int, Meta(ge=1)]
    #: The release that it runs, and the newest format that it knows.
    version: Annotated[str, Meta(max_length=200)]
    format: int
    host: Annotated[str, Meta(max_length=255)]


class Paused(NamedTuple):
    """A paused queue, with the place of the record."""

    offset: int
    pause: QueuePause


class Present(NamedTuple):
    """A worker, and the time of its last record on the log."""

    name: str
    seen: int
    here: WorkerHere

    def is_gone(self, now: int) -> bool:
        """Whether it has missed several of its records: it was killed, or cannot reach Kafka."""
        return now - self.seen > _MISSED_MAX * self.here.every_ms

    def load(self, queue: str) -> QueueLoad | None:
        """Return its load of a queue; None: it does not serve that."""
        return next((load for load in self.here.queues if load.queue == queue), None)


class Process(NamedTuple):
    """A process of any kind, and the time of its last record on the log."""

    kind: str
    name: str
    seen: int
    here: WorkerHere | ProcessHere

    def is_gone(self, now: int) -> bool:
        """Whether several records are missing."""
        return now - self.seen > _MISSED_MAX * self.here.every_ms

    @property
    def key(self) -> bytes:
        """The key of the record."""
        if isinstance(self.here, WorkerHere):
            return worker_key(self.name)
        return process_key(self.kind, self.name)


class ControlState:
    """What has been read of the topic."""

    def __init__(self) -> None:
        """Nothing is paused, nobody is present."""
        self.paused: dict[str, Paused] = {}
        #: Queues resumed since, with who did it.
        self.resumed: dict[str, QueueResume] = {}
        self.workers: dict[str, Present] = {}
        #: Those that are no workers, by kind and name.
        self.others: dict[tuple[str, str], Process] = {}

    def learn(self, key: bytes | None, value: bytes | None, *, offset: int, time: int) -> bool:
        """Take a record in, and return whether a pause has begun, changed or ended.

        Raises `RejectedError` for a record that is none of ours.
        """
        name = (key or b"").decode(errors="replace")
        if name.startswith(_QUEUE):
            queue = name.removeprefix(_QUEUE)
            order = None if value is None else _decoded(value, _ORDER)
            self.paused.pop(queue, None)
            self.resumed.pop(queue, None)
            match order:
                case QueuePause():
                    self.paused[queue] = Paused(offset, order)
                case QueueResume():
                    self.resumed[queue] = order
                case None:
                    pass
                case _:
                    assert_never(order)
            return True
        if name.startswith(_PROCESS):
            self._learn_process(name.removeprefix(_PROCESS), value, time)
            return False
        if not name.startswith(_WORKER):
            raise RejectedError("unreadable", f"unknown key {name[:100]!r}")
        worker = name.removeprefix(_WORKER)
        if value is None:
            self.workers.pop(worker, None)
        else:
            self.workers[worker] = Present(worker, time, _decoded(value, _HERE))
        return False

    def _learn_process(self, name: str, value: bytes | None, time: int) -> None:
        kind, _, own = name.partition("/")
        if value is None:
            self.others.pop((kind, own), None)
        else:
            self.others[kind, own] = Process(kind, own, time, _decoded(value, _PROCESS_HERE))

    def processes(self) -> list[Process]:
        """Return the processes of all kinds, workers too, by kind and name, present or gone."""
        workers = (Process("worker", one.name, one.seen, one.here) for one in self.workers.values())
        return sorted([*workers, *self.others.values()], key=lambda one: (one.kind, one.name))

    def serving(self, queue: str, now: int) -> list[Present]:
        """Return the workers of a queue that are not gone."""
        return [one for one in self.workers.values() if one.load(queue) is not None and not one.is_gone(now)]

    def last_lost(self, queue: str, now: int) -> Present | None:
        """Return the latest worker of a queue without a reader now, if lost without notice."""
        served = [
            one
            for one in self.workers.values()
            if one.load(queue) is not None and now - one.here.since > JOINS_MS
        ]
        return max(served, key=lambda one: one.seen, default=None)


def queue_key(queue: str) -> bytes:
    """Return the key of a queue's record."""
    return f"{_QUEUE}{queue}".encode()


def worker_key(worker: str) -> bytes:
    """Return the key of a worker's record."""
    return f"{_WORKER}{worker}".encode()


def process_key(kind: str, name: str) -> bytes:
    """Return the key of the record of a process other than a worker."""
    return f"{_PROCESS}{kind}/{name}".encode()


encode_control = msgspec.json.Encoder().encode
_Value = TypeVar("_Value")
_ORDER: Final = msgspec.json.Decoder(QueuePause | QueueResume)
_HERE: Final = msgspec.json.Decoder(WorkerHere)
_PROCESS_HERE: Final = msgspec.json.Decoder(ProcessHere)


def _decoded(value: bytes, decoder: msgspec.json.Decoder[_Value]) -> _Value:
    try:
        return decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RejectedError("unreadable", f"no record of ours: {error}") from error
