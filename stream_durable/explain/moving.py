"""Reasons of what moves: running, or about to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from stream_durable.explain.phrases import Times, attempt_of, counted
from stream_durable.explain.reason import Reason, named


@dataclass(frozen=True, kw_only=True)
class Undoing(Reason, code="undoing", word="Running", check="run"):
    """The run is being undone, the newest step first."""

    by: str
    reason: str
    #: Why, if not by a request.
    failure: str
    #: The compensation under way, in words.
    now: str
    #: Compensations that have not begun.
    left: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        cause = f" after {self.failure}" if self.failure else f", cancelled{named(self.by, self.reason)}"
        now = f"; {self.now}" if self.now else ""
        left = f"; {counted(self.left, 'step is', 'steps are')} left to undo" if self.left else ""
        return f"the run is being undone{cause}{at.since(self.since)}{now}{left}"


@dataclass(frozen=True, kw_only=True)
class Ending(Reason, code="ending", word="Running", check="run"):
    """The run is ending: attempts under way are stopped, and clean-up is done."""

    by: str
    reason: str
    #: Why, if not by a request.
    failure: str
    #: The step that it waits for, in words.
    now: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        cause = f"ending after {self.failure}" if self.failure else "being cancelled"
        now = f"; {self.now}" if self.now else ""
        return f"the run is {cause}{named(self.by, self.reason)}{at.since(self.since)}{now}"


@dataclass(frozen=True, kw_only=True)
class Running(Reason, code="running", word="Running", check="worker"):
    """A worker makes an attempt; `until` is the time limit."""

    worker: str
    attempt: int
    attempts: int
    #: When the worker is given up unless it reports.
    lease: datetime | None
    losses: int
    percent: float | None
    label: str | None

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        percent = "" if self.percent is None else f", {self.percent:g} % done"
        label = f" ({self.label})" if self.label else ""
        limit = f"; its time is over{self.comes(at)}" if self.until else ""
        on = f"{attempt_of(self.attempt, self.attempts)}, runs on {self.worker}{at.since(self.since)}"
        return f"{subject}, {on}{percent}{label}{limit}"


@dataclass(frozen=True, kw_only=True)
class Stopping(Reason, code="stopping", word="Running", check="worker"):
    """An attempt was asked to stop; the answer decides."""

    #: Empty: no worker has said that it has begun.
    worker: str
    queue: str = ""

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        if self.worker:
            limit = "" if self.until is None else f" by {at.soon(self.until)}"
            return f"{subject} was asked to stop; {self.worker} has to answer{limit}"
        limit = "" if self.until is None else f", or it counts as stopped at {at.soon(self.until)}"
        return (
            f"{subject} was asked to stop, and no worker has said that it began; a worker of queue "
            f"{self.queue} answers when it reads that{limit}"
        )


@dataclass(frozen=True, kw_only=True)
class Members(Reason, code="members", word="Running", check="wait"):
    """A group or branch is under way."""

    done: int
    total: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return (
            f"{subject} waits for its members{at.since(self.since)}: {self.done} of {self.total} have ended"
        )


@dataclass(frozen=True, kw_only=True)
class Queued(Reason, code="queued", word="Runnable", check="command"):
    """The command is on the way to a worker."""

    queue: str
    attempt: int
    attempts: int
    #: Where it is; None: that was not looked up, or cannot be known.
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    #: Unfinished commands before it.
    before: int = 0
    #: The worker that reads the partition, and the number of workers of the queue.
    reader: str = ""
    readers: int = 0

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        what = f"{subject}, {attempt_of(self.attempt, self.attempts)},"
        if self.offset is None:
            return f"{what} is on its way to a worker of queue {self.queue}{at.since(self.since)}"
        before = f"{counted(self.before, 'command')} before it" if self.before else "the next one"
        reader = f"{self.reader} reads it" if self.reader else "no worker has this partition yet"
        of = f", {counted(self.readers, 'worker')} of queue {self.queue}" if self.readers != 1 else ""
        return f"{what} is on {self.topic}/{self.partition} at {self.offset:,}, {before}; {reader}{of}"


@dataclass(frozen=True, kw_only=True)
class HeldBack(Reason, code="backlog", word="Runnable", check="command"):
    """The reconciler is behind, and publishes the commands of runs about to begin in portions."""

    attempt: int
    attempts: int
    #: So many are held back in the run's partition of the inbox.
    commands: int
    partition: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        what = f"{subject}, {attempt_of(self.attempt, self.attempts)},"
        others = counted(self.commands, "command of such runs is", "commands of such runs are")
        return (
            f"{what} waits for runs under way to end: {others} held back in partition {self.partition}, and "
            "published in portions"
        )


@dataclass(frozen=True, kw_only=True)
class Handled(Reason, code="handled", word="Runnable", check="command"):
    """No unfinished command is there: either a worker is done, or the command is not published yet."""

    queue: str
    topic: str
    partition: int
    attempt: int
    attempts: int
    readers: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        what = f"{subject}, {attempt_of(self.attempt, self.attempts)},"
        place = f"{self.topic}/{self.partition}"
        return f"{what} is on its way: it is not, or no longer, among the unfinished commands of {place}"
