"""What a step may ask about itself."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from stream_durable import Context


class Attempt:
    """Stands for the worker."""

    deadline = datetime(2030, 1, 1, tzinfo=UTC)
    cancelled = True

    def __init__(self) -> None:
        self.said: list[tuple[float, str | None]] = []

    def progress(self, percent: float, label: str | None, /) -> None:
        self.said.append((percent, label))


def test_a_context_made_by_hand_needs_only_the_input() -> None:
    context = Context({"id": "42"})

    assert context.input == {"id": "42"}
    assert (context.attempt, context.deadline, context.cancelled) == (1, None, False)
    context.progress(50)


def test_the_idempotency_key_names_run_step_and_attempt() -> None:
    assert Context(None, run_id="order-42", step="ship", attempt=3).idempotency_key == "order-42/ship/3"


def test_deadline_and_cancellation_are_what_the_worker_says_when_asked() -> None:
    context = Context(None, Attempt())

    assert context.deadline == Attempt.deadline
    assert context.cancelled


def test_progress_goes_to_the_worker_and_stays_between_0_and_100() -> None:
    attempt = Attempt()
    context = Context(None, attempt)

    for percent in (50, 100.5, -1, float("nan"), float("inf")):
        context.progress(percent, "packed")

    assert attempt.said == [(50, "packed"), (100, "packed"), (0, "packed"), (0, "packed"), (100, "packed")]


def test_log_records_say_which_attempt_speaks(caplog: pytest.LogCaptureFixture) -> None:
    context = Context(None, run_id="order-42", workflow="order", step="ship", attempt=2)

    with caplog.at_level(logging.INFO):
        context.log.info("shipping %s", "tea", extra={"parcel": 7})

    record = caplog.records[0].__dict__
    assert caplog.messages == ["shipping tea"]
    assert (record["run"], record["workflow"], record["step"], record["attempt"]) == (
        "order-42",
        "order",
        "ship",
        2,
    )
    assert record["parcel"] == 7
    assert context.log is context.log
