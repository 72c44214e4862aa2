"""The services' log events: names and fields.

They are a public interface for searches and alerts. A log event is named `noun.past_verb` and carries fields,
never formatted text. Levels: debug for each batch or attempt, info for the life of a service, warning for
recovered faults, error for faults needing a person.

A logger made by `logger()` writes to the standard library's logger of the same name and configures nothing,
so an embedding program gets the events in its own log. Only the CLI, as owner of its process, calls
`log_lines.configure_logging()`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final, Literal, Self, cast

import structlog
from structlog.stdlib import BoundLogger
from structlog.typing import EventDict, WrappedLogger

ROOT: Final = "stream_durable"

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]


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
API_FAILED: Final = LogEvent(
    "api.failed", "error", "reason", "A request to the API failed by a fault of ours."
)
API_OPENED: Final = LogEvent("api.opened", "info", "address", "The API listens at this address.")
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
GAP_FOUND: Final = LogEvent(
    "gap.found",
    "warning",
    "topic partition expected found",
    "Records between two offsets did not come; they are fetched again before anything behind them is taken.",
)
GAP_CONFIRMED: Final = LogEvent(
    "gap.confirmed",
    "error",
    "topic partition expected found",
    "The log itself has no records between these offsets, and goes on behind them: they are lost.",
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
RECORD_SKIPPED: Final = LogEvent(
    "record.skipped",
    "warning",
    "topic partition offset reason",
    "A record of a bound topic cannot be taken, and is passed over as the binding says.",
)
INTAKE_STOPPED: Final = LogEvent(
    "intake.stopped",
    "error",
    "topic partition offset reason",
    "A record of a bound topic cannot be taken, and its partition stops there as the binding says.",
)
BINDING_FAILED: Final = LogEvent(
    "binding.failed",
    "error",
    "binding topic reason",
    "The reader of a binding has ended by a fault; another begins.",
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
QUEUE_PAUSED: Final = LogEvent(
    "queue.paused", "info", "queue by reason", "This worker begins nothing from a queue until it is resumed."
)
QUEUE_RESUMED: Final = LogEvent("queue.resumed", "info", "queue", "This worker serves a queue again.")

OFFSETS_REFUSED: Final = LogEvent(
    "offsets.refused",
    "warning",
    "topic reason",
    "A new queue's workers have no offset to begin at; the first one requests open commands again.",
)
COMMAND_REJECTED: Final = LogEvent(
    "command.rejected", "error", "queue partition offset reason", "A worker cannot run a record of its queue."
)
ATTEMPT_ANNOUNCED: Final = LogEvent(
    "attempt.announced",
    "info",
    "run step attempt",
    "A worker that was lost had perhaps begun this attempt; it is called under a lease, and a loss counts.",
)
ATTEMPT_SUSPECTED: Final = LogEvent(
    "attempt.suspected",
    "warning",
    "run step attempt losses",
    "Workers were lost during this attempt, `losses` of them counted; it is repeated under a lease.",
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
