"""The services' metrics: names and labels.

They are a public interface for boards and alerts. Labels are bounded: never a run, key, worker or message.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric

from stream_durable.core.status import Outcome
from stream_durable.telemetry import ROOT

AttemptOutcome = Literal["completed", "failed", "timed_out", "cancelled", "handed_back"]
GapOutcome = Literal["fetched_again", "confirmed"]


class Tally:
    """A counter without a lock, for one thread: for counts in each batch."""

    __slots__ = ("_name", "_text", "value")

    def __init__(self, name: str, text: str) -> None:
        """Count from 0."""
        self._name = name
        self._text = text
        self.value = 0

    def collect(self) -> Iterable[Metric]:
        """Return the figures for a scrape."""
        return (CounterMetricFamily(self._name, self._text, self.value),)


class Seconds:
    """A histogram without a lock, for one thread: for measurements in each batch."""

    __slots__ = ("_counts", "_name", "_sum", "_text")

    def __init__(self, name: str, text: str) -> None:
        """Begin empty."""
        self._name = name
        self._text = text
        self._sum = 0.0
        self._counts = [0] * (len(SECONDS_BUCKETS) + 1)

    def observe(self, seconds: float) -> None:
        """Count one more."""
        self._sum += seconds
        self._counts[bisect_left(SECONDS_BUCKETS, seconds)] += 1

    def collect(self) -> Iterable[Metric]:
        """Return the figures for a scrape."""
        bounds = [str(bound) for bound in (*SECONDS_BUCKETS, "+Inf")]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        return (HistogramMetricFamily(self._name, self._text, buckets, self._sum),)


class Metrics:
    """The metrics of one process, in a separate registry, so that two can coexist.

    Count once per batch, not per record: most calls take a lock. `render()` is the answer of `/metrics`.
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
        self.batches = self._tally("batches_total", "Commits that saved a batch of records.")
        #: Seconds, per batch.
        self.commit_seconds = self._seconds(
            "commit_seconds", "Time of the statement that saves a batch, as the reconciler waits for it."
        )
        #: Seconds, per batch.
        self.publish_seconds = self._seconds(
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
        self.reviews = self._counter(
            "reviews_total", "Steps that were held, and what people decided about them.", "what"
        )
        self.timers_fired = self._counter("timers_fired_total", "Timers put on the inbox when due.")
        self.cache_bytes = self._gauge("cache_bytes", "Estimated bytes of entities kept in memory.")
        #: Divided by records_folded_total: the share of misses.
        self.cache_loads = self._counter(
            "cache_loads_total", "Entities read from Postgres because they were not in memory."
        )
        #: A value above zero without load means stuck messages.
        self.outbox_rows = self._gauge("outbox_rows", "Saved rows of messages not yet acknowledged by Kafka.")
        #: Above zero after a burst of starts: they begin in portions.
        self.backlog_commands = self._gauge(
            "backlog_commands", "Commands of runs about to begin, held back since the reconciler was behind."
        )
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
        self._gaps = self._counter(
            "log_gaps_total",
            "Gaps in what the log gave, by what became of it: fetched_again, or confirmed; must be 0.",
            "outcome",
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

    def count_gap(self, outcome: GapOutcome) -> None:
        """Count records left out between two offsets of a log: fetched again, or found to be gone."""
        self._gaps.labels(outcome).inc()

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

    def _tally(self, name: str, text: str) -> Tally:
        tally = Tally(f"{ROOT}_{name}", text)
        self.registry.register(tally)
        return tally

    def _seconds(self, name: str, text: str) -> Seconds:
        seconds = Seconds(f"{ROOT}_{name}", text)
        self.registry.register(seconds)
        return seconds


#: A batch takes 1 ms on a quiet machine; above 10 s is an outage.
SECONDS_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
#: Reasons are codes of ours, some tens; a code made from data must not fill the memory of Prometheus.
REASONS_MAX: Final = 50
