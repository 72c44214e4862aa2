"""Reasons that need somebody: for review, or since something holds up the run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from stream_durable.explain.phrases import Times, counted, quoted, times
from stream_durable.explain.reason import Reason, named

#: What becomes of a lost worker.
RESTARTED: Final = "`up` and `dev` start a lost worker again within 30 s, other supervisors as they are told"


@dataclass(frozen=True, kw_only=True)
class CompensationFailed(Reason, code="compensation_failed", word="Needs review", check="run"):
    """A compensation failed, so that a step is not undone. A person retries or skips the compensation."""

    #: The compensation, such as `charge~compensate`.
    compensation: str
    failure: str
    message: str
    #: Number of steps that could not be undone.
    count: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        more = f" and {counted(self.count - 1, 'other')}" if self.count > 1 else ""
        return (
            f"{self.compensation}{more} failed for good{self.was(at)} with {self.failure}"
            f"{quoted(self.message)}; a person has to retry or skip it"
        )


@dataclass(frozen=True, kw_only=True)
class Held(Reason, code="held", word="Needs review", check="attempts"):
    """A step failed for good and is held. A person retries, completes, skips or fails the step."""

    failure: str
    message: str
    #: The attempt that failed last.
    attempt: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        after = f" after {self.attempt} attempts" if self.attempt > 1 else ""
        return (
            f"{subject} failed for good{self.was(at)}{after} with {self.failure}{quoted(self.message)}; "
            "it is held until a person retries, completes, skips or fails it"
        )


@dataclass(frozen=True, kw_only=True)
class Failed(Reason, code="failed", word="Needs review", check="attempts"):
    """A step failed for good, or the run ran out of time. A person retries, or starts another run."""

    #: The failed step; empty: the run as a whole.
    step: str
    failure: str
    message: str
    #: The attempt that failed last.
    attempt: int = 1
    #: Steps that did not run because of it.
    cancelled: int = 0

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        after = f" after {self.attempt} attempts" if self.attempt > 1 else ""
        others = f"; {counted(self.cancelled, 'step')} did not run" if self.cancelled else ""
        what = f"{self.step} failed for good" if self.step else f"{subject} failed"
        return f"{what}{self.was(at)}{after} with {self.failure}{quoted(self.message)}{others}"


@dataclass(frozen=True, kw_only=True)
class DatabaseAway(Reason, code="database_away", word="Blocked", check="run"):
    """Postgres does not answer: no run moves, and nothing can be read."""

    problem: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return (
            f"{subject} cannot be read, and no run moves: the database does not answer{quoted(self.problem)}"
        )


@dataclass(frozen=True, kw_only=True)
class BrokerAway(Reason, code="broker_away", word="Blocked", check="run"):
    """Kafka does not answer: no run moves, and neither definition nor commands can be read."""

    problem: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return f"{subject} cannot move, for no run does: Kafka does not answer{quoted(self.problem)}"


@dataclass(frozen=True, kw_only=True)
class NoDefinition(Reason, code="no_definition", word="Blocked", check="run"):
    """The definition of the run is not on its topic, or in a format of a newer release."""

    workflow: str
    fingerprint: str
    problem: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return (
            f"{subject} cannot move without definition {self.fingerprint} of workflow {self.workflow}"
            f"{quoted(self.problem)}"
        )


@dataclass(frozen=True, kw_only=True)
class LogLost(Reason, code="log_lost", word="Blocked", check="run"):
    """The log of the inbox partition was lost, cut or replaced; the partition stands still."""

    topic: str
    partition: int
    offset: int
    problem: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        place = f"{self.topic}/{self.partition}"
        return f"{subject} stands still, as {place} does at offset {self.offset:,}{quoted(self.problem)}"


@dataclass(frozen=True, kw_only=True)
class NoOwner(Reason, code="no_owner", word="Blocked", check="run"):
    """No reconciler reads the inbox partition of the run; `since` is the time of the oldest unread record."""

    topic: str
    partition: int
    #: Unread records.
    records: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        waits = f", and {counted(self.records, 'record waits', 'records wait')}{at.since(self.since)}"
        place = f"{self.topic}/{self.partition}"
        return f"{subject} stands still: no reconciler reads {place}{waits if self.records else ''}"


@dataclass(frozen=True, kw_only=True)
class Behind(Reason, code="behind", word="Blocked", check="run"):
    """The owner of the inbox partition is behind, so a newer state may follow; `since` as above."""

    topic: str
    partition: int
    owner: str
    #: Unread records.
    records: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return (
            f"{subject} may have moved on: {self.owner} is {counted(self.records, 'record')} behind on "
            f"{self.topic}/{self.partition}, with the oldest{self.was(at)}"
        )


@dataclass(frozen=True, kw_only=True)
class Paused(Reason, code="paused", word="Blocked", check="run"):
    """The run was paused. Nothing resumes it by itself."""

    by: str
    reason: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return f"the run was paused{named(self.by, self.reason)}{self.was(at)}; nothing resumes it by itself"


@dataclass(frozen=True, kw_only=True)
class QueuePaused(Reason, code="queue_paused", word="Blocked", check="queue"):
    """The queue was paused. Nothing resumes it by itself."""

    queue: str
    by: str
    reason: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        who = f"queue {self.queue} was paused{named(self.by, self.reason)}{self.was(at)}"
        return f"{subject} waits, since {who}; nothing resumes it by itself"


@dataclass(frozen=True, kw_only=True)
class BreakerOpen(Reason, code="breaker_open", word="Blocked", check="gate"):
    """A circuit breaker is open; `until` is the time of the trial."""

    gate: str
    failures: int
    #: Attempts that wait there, this one among them.
    waiting: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        trial = "" if self.until is None else f"; it lets one attempt try{self.comes(at)}"
        often = counted(self.failures, "failure")
        return (
            f"{subject} cannot pass breaker {self.gate}, open{at.since(self.since)} after {often}{trial}"
            f"{_others(self.waiting)}"
        )


@dataclass(frozen=True, kw_only=True)
class BreakerTrial(Reason, code="breaker_trial", word="Blocked", check="gate"):
    """Another attempt is the trial of a half-open breaker; the end decides."""

    gate: str
    #: The run and step on trial; empty: none yet.
    run: str
    step: str
    waiting: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        tries = f"{self.step} of {self.run} tries" if self.run else "the next attempt tries"
        then = "" if self.until is None else f"; without its end another one tries{self.comes(at)}"
        since = at.since(self.since)
        return (
            f"{subject} cannot pass breaker {self.gate}, half-open{since}, where {tries}{then}"
            f"{_others(self.waiting)}"
        )


@dataclass(frozen=True, kw_only=True)
class GateAsked(Reason, code="gate_asked", word="Blocked", check="gate"):
    """The attempt has asked a closed gate, which lets attempts pass one portion after another."""

    gate: str
    #: Attempts that wait there.
    waiting: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        line = f"{counted(self.waiting, 'attempt waits', 'attempts wait')} there"
        return f"{subject} is about to pass breaker {self.gate}{f': {line}' if self.waiting else ''}"


@dataclass(frozen=True, kw_only=True)
class NoWorker(Reason, code="no_worker", word="Blocked", check="worker"):
    """The command waits on a queue without workers; after known losses a supervisor starts another."""

    queue: str
    topic: str
    partition: int
    #: Of the command; None: it was not found among the first unfinished ones.
    offset: int | None
    #: Unfinished commands before it.
    before: int
    #: Workers lost during this attempt.
    losses: int = 0
    #: The last worker of the queue, lost without a word, with the time of its last record; empty: none.
    worker: str = ""
    heard: datetime | None = None

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        place = f"{self.topic}/{self.partition}" + ("" if self.offset is None else f" at {self.offset:,}")
        first = counted(self.before, "command is", "commands are")
        before = f", {first} before it" if self.before else ""
        return f"{subject} is on {place}{before}, and no worker reads queue {self.queue}{self._lost(at)}"

    def _lost(self, at: Times) -> str:
        """Return the known losses of workers."""
        if self.losses:
            return f" now: a worker was lost {times(self.losses)} during this attempt; {RESTARTED}"
        if not self.worker:
            return ""
        heard = "" if self.heard is None else f", heard of last{at.on(self.heard)}"
        return f" now: its last one, {self.worker}{heard}, was lost; {RESTARTED}"


@dataclass(frozen=True, kw_only=True)
class NoCarrier(Reason, code="no_carrier", word="Blocked", check="worker"):
    """No worker of the queue carries the workflow, in whichever version."""

    queue: str
    workflow: str
    #: Workers of the queue.
    workers: tuple[str, ...]

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        count = f"none of the {counted(len(self.workers), 'worker')} of queue {self.queue}"
        return f"{subject} waits for code: {count} carries workflow {self.workflow}"


@dataclass(frozen=True, kw_only=True)
class NotCarried(Reason, code="not_carried", word="Blocked", check="worker"):
    """A worker read the command and has no such function; the command is sent again later."""

    queue: str
    worker: str
    workflow: str
    message: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return (
            f"{subject} was given back by {self.worker}, which does not carry it{quoted(self.message)}; "
            f"queue {self.queue} gets it again{self.comes(at)}"
        )


@dataclass(frozen=True, kw_only=True)
class WorkerSilent(Reason, code="worker_silent", word="Blocked", check="worker"):
    """A worker with the attempt misses heartbeats; after the lease another gets the attempt."""

    worker: str
    #: Workers lost in this attempt before.
    losses: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        lost = f"; {counted(self.losses, 'worker')} before it fell silent too" if self.losses else ""
        silent = f"{self.worker}, silent{at.since(self.since)}"
        return f"{subject} is with {silent}; it is given up{self.comes(at)}{lost}"


def _others(waiting: int) -> str:
    return "" if waiting < 2 else f"; {counted(waiting - 1, 'other waits', 'others wait')} with it"
