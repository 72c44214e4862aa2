"""Telemetry: names that people alert by, and logs that disturb nobody who embeds us."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr

from stream_durable.core.status import Outcome
from stream_durable.log_lines import configure_logging
from stream_durable.metrics import REASONS_MAX, Metrics
from stream_durable.telemetry import LOG_EVENTS, PARTITION_TAKEN, LogEvent, logger

NAMES = {
    "reviews",
    "attempts",
    "attempts_running",
    "batches",
    "cache_bytes",
    "cache_loads",
    "commit_seconds",
    "dead_letters",
    "commits_refused",
    "definitions_rejected",
    "fenced",
    "log_gaps",
    "lost_log",
    "messages_refused",
    "outbox_rows",
    "backlog_commands",
    "partitions_held",
    "partitions_owned",
    "publish_seconds",
    "records_folded",
    "takeovers",
    "threads_overdue",
    "timers_fired",
}
#: What a line has already, or the standard library's records.
RESERVED = {"event", "level", "logger", "timestamp", "exception", "exc_info", "stack_info"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("stream_durable")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)


def series(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.render().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_every_log_event_is_a_noun_and_a_past_verb_with_declared_fields() -> None:
    irregular = {"begun", "found", "held", "lost", "taken", "learnt"}

    assert len(LOG_EVENTS) == len(set(LOG_EVENTS)) > 20
    for event in LOG_EVENTS:
        assert re.fullmatch(r"[a-z]+\.[a-z]+", event)
        assert event.endswith("ed") or event.partition(".")[2] in irregular
        assert event.fields
        assert not RESERVED & set(event.fields)
        assert event.meaning.endswith(".")


def test_the_constant_of_a_log_event_is_spelt_like_its_name() -> None:
    from stream_durable import telemetry

    constants = {name: value for name, value in vars(telemetry).items() if isinstance(value, LogEvent)}

    assert all(name == value.replace(".", "_").upper() for name, value in constants.items())
    assert tuple(constants.values()) == LOG_EVENTS


@pytest.mark.usefixtures("restored_logging")
def test_off_a_terminal_a_log_is_one_json_object_a_line() -> None:
    out = io.StringIO()
    configure_logging("info", "auto", stream=out)

    logger("stream_durable.engine").info(PARTITION_TAKEN, partition=3, offset=7, dsn=SecretStr("hunter2"))
    logger("stream_durable.engine").debug("batch.committed", records=1)
    logging.getLogger("foreign").warning("%s is odd", "this")

    ours, foreign = [json.loads(line) for line in out.getvalue().splitlines()]
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "event": "partition.taken",
        "partition": 3,
        "offset": 7,
        "dsn": "**********",
        "level": "info",
        "logger": "stream_durable.engine",
    }
    assert (foreign["event"], foreign["level"], foreign["logger"]) == ("this is odd", "warning", "foreign")


@pytest.mark.usefixtures("restored_logging")
def test_on_a_terminal_a_log_is_for_people() -> None:
    out = Terminal()
    configure_logging("info", "auto", stream=out)

    logger("stream_durable.engine").info(PARTITION_TAKEN, partition=3)

    assert "partition.taken" in out.getvalue()
    assert "\x1b[" in out.getvalue()


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("format_", ["json", "console"])
def test_an_exception_is_logged_with_its_trace(format_: str) -> None:
    out = io.StringIO()
    configure_logging("info", "json" if format_ == "json" else "console", stream=out)

    for name in ("stream_durable.worker", "foreign"):
        try:
            raise LookupError("of no avail")
        except LookupError:
            logger(name).exception("service.failed", service="worker")

    assert out.getvalue().count("Traceback") == out.getvalue().count("LookupError: of no avail") == 2
    if format_ == "json":
        assert all("Traceback" in json.loads(line)["exception"] for line in out.getvalue().splitlines())


@pytest.mark.usefixtures("restored_logging")
def test_configuring_again_replaces_our_handler_and_leaves_others_alone() -> None:
    root, foreign = logging.getLogger(), logging.NullHandler()
    root.addHandler(foreign)
    before = root.level
    first, second = io.StringIO(), io.StringIO()

    configure_logging("info", "json", stream=first)
    configure_logging("debug", "json", stream=second)
    logger("stream_durable.x").debug("batch.committed", records=1)
    logging.getLogger("foreign").info("silent")

    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1
    assert foreign in root.handlers
    assert root.level == before


def test_embedded_we_speak_through_the_programs_own_logging(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), structlog.contextvars.bound_contextvars(tenant="a"):
        logger("stream_durable.engine").bind(partition=3).info(PARTITION_TAKEN, offset=7)
        logger("stream_durable.engine").debug("batch.committed")

    (record,) = caplog.records
    assert record.name == "stream_durable.engine"
    assert record.getMessage() == "partition.taken partition=3 offset=7 tenant='a'"
    assert not structlog.is_configured(), "the program's own structlog is left as it is"


def test_the_metrics_are_these_and_each_says_what_it_is() -> None:
    found = {metric.name: metric for metric in Metrics().registry.collect()}

    assert set(found) == {f"stream_durable_{name}" for name in NAMES}
    assert all(len(metric.documentation) > 20 for metric in found.values())


def test_two_processes_worth_of_metrics_live_side_by_side() -> None:
    one, other = Metrics(), Metrics()

    one.batches.value += 1

    assert series(one)["stream_durable_batches_total"] == 1
    assert series(other)["stream_durable_batches_total"] == 0


def test_counts_are_by_batch_and_by_outcome() -> None:
    metrics = Metrics()

    metrics.count_folded(Outcome.APPLIED, 40)
    metrics.count_folded(Outcome.DUPLICATE, 2)
    metrics.count_attempts("handed_back", 3)
    metrics.commit_seconds.observe(0.003)
    metrics.partitions_owned.set(8)

    found = series(metrics)
    assert found['stream_durable_records_folded_total{outcome="applied"}'] == 40
    assert found['stream_durable_records_folded_total{outcome="duplicate"}'] == 2
    assert found['stream_durable_records_folded_total{outcome="dead"}'] == 0
    assert found['stream_durable_attempts_total{outcome="handed_back"}'] == 3
    assert found['stream_durable_commit_seconds_bucket{le="0.005"}'] == 1
    assert found["stream_durable_partitions_owned"] == 8


def test_reasons_made_from_data_cannot_make_series_without_bound() -> None:
    metrics = Metrics()

    for reason in ("unreadable", "unreadable", "order 4711 is unknown", "x" * 41, "a\nb", "a\n"):
        metrics.count_dead_letters(reason)
    for number in range(1_000):
        metrics.count_dead_letters(f"made_up_{number}")

    found = {name: value for name, value in series(metrics).items() if "dead_letters_total" in name}
    assert found['stream_durable_dead_letters_total{reason="unreadable"}'] == 2
    assert sum(found.values()) == 1_006
    assert len(found) <= REASONS_MAX + 1
