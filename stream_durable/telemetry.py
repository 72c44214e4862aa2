"""The services' log events and metrics: names and fields.

Both are a public interface for searches and alerts. A log event is named `noun.past_verb` and carries fields,
never formatted text. Levels: debug for each batch or attempt, info for the life of a service, warning for
recovered faults, error for faults needing a person. Metric labels are bounded: never a run, key, worker or
message.

A logger made by `logger()` writes to the standard library's logger of the same name and configures nothing,
so an embedding program gets the events in its own log. Only the CLI, as owner of its process, calls
`log_lines.configure_logging()`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, Literal, Self, cast

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from structlog.stdlib import BoundLogger
from structlog.typing import EventDict, WrappedLogger

from stream_durable.core.status import Outcome

ROOT: Final = "stream_durable"

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]
AttemptOutcome = Literal["completed", "failed", "timed_out", "cancelled", "handed_back"]


class LogEvent(str):
    """The name of a log event, with level, fields and meaning."""

    __slots__ = ("fields", "level", "meaning")

    level: Level
    fields: tuple[str, ...]
    meaning: str

    def __new__(cls, name: str, level: Level, fields: str, meaning: str) -> Self:
        event = super().__new__(cls, name)
        event.level, event.fields, event.meaning = level, tuple(fields.split()), meaning
        return event


SERVICE_STARTED: Final = LogEvent(
    "service.started", "info", "service version kafka postgres", "A service is up and takes work."
)
SERVICE_STOPPED: Final = LogEvent(
    "service.stopped", "info", "service seconds", "A service has stopped in good order; `seconds` to drain."
)
SERVICE_FAILED: Final = LogEvent(
    "service.failed", "error", "service reason", "A service ends after a fatal error."
)
PROCESS_STARTED: Final = LogEvent("process.started", "info", "name pid", "A child process was started.")
PROCESS_ENDED: Final = LogEvent(
    "process.ended",
    "warning",
    "name pid code restarted_in attempts",
    "A child process ended by itself; it is restarted after this many seconds, or left if that is empty. "
    "As far as a worker could note it, `attempts` names what was on in it, the one to blame first.",
)
SETTINGS_QUESTIONED: Final = LogEvent(
    "settings.questioned", "warning", "note", "Start-up allowed a questionable setting."
)
HEALTH_OPENED: Final = LogEvent("health.opened", "info", "host port", "The health server listens here.")

PARTITION_ADOPTED: Final = LogEvent(
    "partition.adopted", "warning", "partition owner_number", "Its owner died: it is taken over at once."
)
PARTITION_TAKEN: Final = LogEvent(
    "partition.taken",
    "info",
    "partition offset owner_number previous_owner took_ms",
    "This process owns the partition from now on and folds from this offset; the takeover took this long.",
)
PARTITION_FENCED: Final = LogEvent(
    "partition.fenced", "warning", "partition offset", "A commit was refused: another process is the owner."
)
COMMIT_REFUSED: Final = LogEvent(
    "commit.refused",
    "warning",
    "reason code",
    "The database refused a batch: `transient`, the `statement` alone, or `systemic`.",
)
PARTITION_RESTORED: Final = LogEvent(
    "partition.restored",
    "warning",
    "partition offset stored",
    "The partition's row has another owner, or an older position from a backup: taken over again.",
)
PARTITION_HALTED: Final = LogEvent(
    "partition.halted", "error", "partition offset reason", "The partition waits for a person; others go on."
)
PARTITION_HELD: Final = LogEvent(
    "partition.held",
    "error",
    "partition offset run fingerprint reason",
    "The partition waits at this record, which this process cannot fold; other partitions go on.",
)
PARTITION_REFUSED: Final = LogEvent(
    "partition.refused",
    "error",
    "partition reason",
    "A newer release has written the partition's state; this release stands by and changes nothing.",
)
PARTITION_RELEASED: Final = LogEvent(
    "partition.released", "info", "partition offset", "A held partition goes on: the cause is gone."
)
PARTITION_STALLED: Final = LogEvent(
    "partition.stalled",
    "warning",
    "partition offset high_watermark",
    "The log has records but none was delivered, so the partition is assigned again.",
)
LOG_LOST: Final = LogEvent(
    "log.lost",
    "error",
    "partition offset reason continued_at",
    "The log was truncated, deleted or replaced; `continued_at` is empty if the partition waits.",
)
RECORD_ISOLATED: Final = LogEvent(
    "record.isolated",
    "error",
    "partition offset takeovers",
    "A record killed the folding process repeatedly, and was set aside as a dead letter.",
)
RECORD_REJECTED: Final = LogEvent(
    "record.rejected",
    "warning",
    "topic partition offset reason",
    "A record cannot be read or applied and is on the dead letter topic.",
)
PRODUCER_REPLACED: Final = LogEvent(
    "producer.replaced", "warning", "reason", "A producer failed for good and was replaced."
)
WORK_REQUESTED: Final = LogEvent(
    "work.requested",
    "info",
    "partition runs",
    "Outstanding work of a partition was requested again.",
)
DEPENDENCY_FAILED: Final = LogEvent(
    "dependency.failed",
    "warning",
    "reason doing",
    "A call to Kafka or Postgres failed for now; it is retried.",
)
MESSAGE_REFUSED: Final = LogEvent(
    "message.refused",
    "warning",
    "topic code reason",
    "A topic refused a message for good; a message about the refusal is published instead.",
)
MESSAGE_DROPPED: Final = LogEvent(
    "message.dropped",
    "error",
    "topic code reason",
    "A message was refused for good, and so was every replacement.",
)
RECORD_POISONED: Final = LogEvent(
    "record.poisoned",
    "error",
    "partition offset error",
    "Folding a record raised: a bug. The record is set aside as a dead letter and the partition goes on.",
)
KAFKA_REPORTED: Final = LogEvent(
    "kafka.reported",
    "warning",
    "topic error",
    "The Kafka client reported an error and recovers by itself.",
)
DEFINITION_REJECTED: Final = LogEvent(
    "definition.rejected",
    "warning",
    "offset reason",
    "A record of the definitions topic is not a definition and is ignored.",
)
KAFKA_LOST: Final = LogEvent("kafka.lost", "warning", "reason", "No broker answers; work waits.")
KAFKA_REGAINED: Final = LogEvent("kafka.regained", "info", "seconds", "Brokers answer again.")
POSTGRES_LOST: Final = LogEvent("postgres.lost", "warning", "reason", "The database does not answer.")
POSTGRES_REGAINED: Final = LogEvent("postgres.regained", "info", "seconds", "The database answers again.")
LOOP_BLOCKED: Final = LogEvent("loop.blocked", "error", "seconds", "The event loop was blocked.")

COMMANDS_LOST: Final = LogEvent(
    "commands.lost",
    "warning",
    "topic partition offset begun_at reason",
    "The done commands are unknown, or some have expired; open commands are requested again.",
)
OFFSETS_REFUSED: Final = LogEvent(
    "offsets.refused",
    "warning",
    "topic reason",
    "A new queue's workers have no offset to begin at; the first one requests open commands again.",
)
COMMAND_REJECTED: Final = LogEvent(
    "command.rejected", "error", "queue partition offset reason", "A worker cannot run a record of its queue."
)
ATTEMPT_SUSPECTED: Final = LogEvent(
    "attempt.suspected",
    "warning",
    "run step attempt losses",
    "A worker was lost during this attempt; it is repeated under a lease, and another loss counts.",
)
ATTEMPT_FAILED: Final = LogEvent(
    "attempt.failed",
    "warning",
    "workflow run step attempt code reason trace",
    "An attempt failed; its step is retried as defined. `trace` is the stack trace of an exception, if any.",
)
FUNCTION_MISSED: Final = LogEvent(
    "function.missed",
    "warning",
    "workflow run step reason",
    "This worker has no code for a step and returns its attempts. Logged once per step.",
)

ATTEMPT_BLOCKED: Final = LogEvent(
    "attempt.blocked", "error", "run step attempt seconds stack", "A step blocks the event loop."
)
ATTEMPT_ABANDONED: Final = LogEvent(
    "attempt.abandoned",
    "error",
    "run step attempt seconds returned",
    "The worker ends because this step blocked it for too long; this many other attempts were returned.",
)
THREAD_REPLACED: Final = LogEvent(
    "thread.replaced", "warning", "run step attempt overdue", "A thread is still busy with an ended attempt."
)
THREAD_RETURNED: Final = LogEvent(
    "thread.returned", "info", "run step attempt seconds", "A replaced thread has finished its call."
)

LOG_EVENTS: Final = tuple(value for value in list(globals().values()) if isinstance(value, LogEvent))


def logger(name: str) -> BoundLogger:
    """Return a logger of events for `name`, a module's `__name__`."""
    bound = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, structlog.contextvars.merge_contextvars, _to_standard],
        wrapper_class=BoundLogger,
        cache_logger_on_first_use=True,
    )
    return cast("BoundLogger", bound)


class _Line(dict[str, Any]):
    """The message of a standard log record: fields for our formatter, a plain line for any other."""

    def __str__(self) -> str:
        fields = " ".join(f"{name}={self[name]!r}" for name in self if name not in _APART)
        trace = self.get("trace")
        return f"{self['event']} {fields}".rstrip() + (f"\n{trace.rstrip()}" if trace else "")


#: Parts of an event that are no fields of its line.
_APART: Final = ("event", "exc_info", "trace")


def _to_standard(
    wrapped: WrappedLogger, level: str, event: EventDict
) -> tuple[tuple[_Line], Mapping[str, Any]]:
    """Pass the event to the standard library, in the form expected by structlog's formatter.

    The formatter reads the exception from the event, all others from the record.
    """
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    extra = {"_logger": wrapped, "_name": level}
    return (_Line(event),), {"exc_info": event.get("exc_info"), "extra": extra}


class Metrics:
    """The metrics of one process, in a separate registry, so that two can coexist.

    Count once per batch, not per record: each call takes a lock. `render()` is the answer of `/metrics`.
    """

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._records_folded = self._counter(
            "records_folded_total",
            "Records of the inbox folded and saved, by outcome.",
            "outcome",
        )
        self._folded = {one: self._records_folded.labels(one.name.lower()) for one in Outcome}
        #: Commits that saved a batch; with records_folded_total it gives the size of a batch.
        self.batches = self._counter("batches_total", "Commits that saved a batch of records.")
        #: Seconds, per batch.
        self.commit_seconds = self._histogram(
            "commit_seconds", "Time of the statement that saves a batch, as the reconciler waits for it."
        )
        #: Seconds, per batch.
        self.publish_seconds = self._histogram(
            "publish_seconds", "Time from a commit until Kafka has acknowledged all its messages."
        )
        self._dead_letters = self._counter(
            "dead_letters_total", "Records put on the dead letter topic, by the code of the reason.", "reason"
        )
        self._reasons: dict[str, Counter] = {}
        self._refused = self._counter(
            "messages_refused_total",
            "Messages refused by their topics for good, by reason; replacements were published.",
            "reason",
        )
        #: The sum over all reconcilers must be the number of partitions.
        self.partitions_owned = self._gauge("partitions_owned", "Inbox partitions owned by this process.")
        self.partitions_held = self._gauge(
            "partitions_held",
            "Partitions waiting at a record that cannot be folded here; must be 0.",
        )
        self.takeovers = self._counter(
            "takeovers_total", "Partitions taken over; a steady rate means that ownership keeps moving."
        )
        self.fenced = self._counter(
            "fenced_total", "Commits refused because another process owns a partition."
        )
        self._refused_commits = self._counter(
            "commits_refused_total",
            "Commits refused by the database: transient, statement or systemic.",
            "code",
        )
        self.definitions_rejected = self._counter(
            "definitions_rejected_total", "Invalid records of the definitions topic."
        )
        self.timers_fired = self._counter("timers_fired_total", "Timers put on the inbox when due.")
        self.cache_bytes = self._gauge("cache_bytes", "Estimated bytes of entities kept in memory.")
        #: Divided by records_folded_total: the share of misses.
        self.cache_loads = self._counter(
            "cache_loads_total", "Entities read from Postgres because they were not in memory."
        )
        #: A value above zero without load means stuck messages.
        self.outbox_rows = self._gauge("outbox_rows", "Saved rows of messages not yet acknowledged by Kafka.")
        self._attempts = self._counter(
            "attempts_total", "Attempts ended on this worker, by outcome.", "outcome"
        )
        self._ended: dict[AttemptOutcome, Counter] = {
            outcome: self._attempts.labels(outcome)
            for outcome in ("completed", "failed", "timed_out", "cancelled", "handed_back")
        }
        self.attempts_running = self._gauge("attempts_running", "Attempts running on this worker.")
        #: Above worker.threads_overdue_max the worker ends.
        self.threads_overdue = self._gauge(
            "threads_overdue", "Threads of this worker still busy with ended attempts."
        )
        self.lost_log = self._counter(
            "lost_log_total", "Partitions with a truncated, deleted or replaced log; must be 0."
        )

    def count_folded(self, outcome: Outcome, count: int) -> None:
        """Count records of a batch with the same outcome."""
        self._folded[outcome].inc(count)

    def count_refused_commit(self, code: str) -> None:
        """Count a commit refused by the database."""
        self._refused_commits.labels(code).inc()

    def count_dead_letters(self, reason: str, count: int = 1) -> None:
        """Count by reason; unknown and surplus reasons count as `other`, since series are kept for ever."""
        if reason not in self._reasons:
            is_bounded = len(self._reasons) < REASONS_MAX and re.fullmatch(r"[a-z][a-z0-9_]{0,39}", reason)
            reason = reason if is_bounded else "other"
            self._reasons[reason] = self._dead_letters.labels(reason)
        self._reasons[reason].inc(count)

    def count_refused(self, code: str) -> None:
        """Count a message refused for good, by reason."""
        self._refused.labels(code).inc()

    def count_attempts(self, outcome: AttemptOutcome, count: int = 1) -> None:
        """Count attempts with the same end."""
        self._ended[outcome].inc(count)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{ROOT}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"{ROOT}_{name}", text, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"{ROOT}_{name}", text, buckets=SECONDS_BUCKETS, registry=self.registry)


#: A batch takes 1 ms on a quiet machine; above 10 s is an outage.
SECONDS_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
#: Reasons are codes of ours, some tens; a code made from data must not fill the memory of Prometheus.
REASONS_MAX: Final = 50
