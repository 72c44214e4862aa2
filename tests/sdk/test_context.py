"""What a step may ask about itself."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from pydantic import BaseModel

from stream_durable import Context, Fail
from stream_durable.core.run.context import change


class Attempt:
    """Stands for the worker."""

    deadline = datetime(2030, 1, 1, tzinfo=UTC)
    cancelled = True

    def __init__(self) -> None:
        self.said: list[tuple[float, str | None]] = []
        self.lines: list[tuple[str, str]] = []

    def progress(self, percent: float, label: str | None, /) -> None:
        self.said.append((percent, label))

    def wrote(self, level: str, text: str, /) -> None:
        self.lines.append((level, text))


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


def test_the_attempt_hears_of_each_line_even_if_the_process_shows_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    attempt = Attempt()

    with caplog.at_level(logging.CRITICAL):
        Context(None, attempt).log.info("packing %s", "tea")
        Context(None, attempt).log.debug("too much")

    assert attempt.lines == [("info", "packing tea")]
    assert not caplog.messages


def test_a_log_record_names_the_line_that_wrote_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Context(None, Attempt()).log.info("here")

    assert caplog.records[0].funcName == "test_a_log_record_names_the_line_that_wrote_it"


class Parcel(BaseModel):
    weight: float


VALUES = {"n": 1, "list": [1], "object": {"a": 1}, "text": "x", "nothing": None}


def changed(ctx: Context) -> None:
    ctx.put("parcel", Parcel(weight=2.5))
    ctx.put("text", "y")
    ctx.merge({"p": 1, "n": 5})
    ctx.merge({"b": 2}, at="object")
    ctx.merge({"c": 3}, at="new object")
    ctx.merge({"object": {"a": {"deep": 1}}, "parcel": {"from": "Rome"}})
    ctx.append("list", {"two": 2})
    ctx.append("new list", [])
    ctx.increment("n")
    ctx.increment("count", 2.5)
    ctx.delete("nothing")
    ctx.delete("never there")


AFTERWARDS = {
    "n": 6, "list": [1, {"two": 2}], "object": {"a": {"deep": 1}, "b": 2}, "text": "y",
    "parcel": {"weight": 2.5, "from": "Rome"},
    "p": 1, "new object": {"c": 3}, "new list": [[]], "count": 2.5,
}  # fmt: skip


def test_an_attempt_sees_what_it_changes() -> None:
    ctx = Context(None, values=VALUES)
    changed(ctx)

    assert {key: ctx.get(key) for key in AFTERWARDS} == AFTERWARDS
    assert (ctx.has("count"), ctx.has("nothing"), ctx.get("nothing", "gone")) == (True, False, "gone")


def test_the_reconciler_makes_the_same_of_the_changes() -> None:
    from builders import Play, step

    ctx = Context(None, values=VALUES)
    changed(ctx)
    run = Play(step("a")).run
    assert change(run, tuple(put(VALUES))) is None
    assert change(run, ctx.changes) is None

    assert run.context is not None
    assert msgspec.json.decode(run.context.encoded()) == AFTERWARDS


def put(values: dict[str, Any]) -> Any:
    ctx = Context(None)
    ctx.merge(values)
    return ctx.changes


def test_update_puts_what_the_function_makes_of_the_value() -> None:
    ctx = Context(None, values=VALUES)

    assert ctx.update("list", lambda found: [*found, 2]) == [1, 2]
    assert ctx.update("fresh", lambda found: found + 1, default=7) == 8
    assert [(one.kind, one.key) for one in ctx.changes] == [("put", "list"), ("put", "fresh")]


def test_what_is_read_is_a_copy() -> None:
    ctx = Context(None, values=VALUES)
    ctx.get("list").append(2)

    assert ctx.get("list") == [1]
    assert ctx.changes == ()


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        (lambda ctx: ctx.append("n", 1), "append at 'n' needs a list there"),
        (lambda ctx: ctx.merge({}, at="list"), "merge at 'list' needs an object there"),
        (lambda ctx: ctx.increment("text"), "increment at 'text' needs a number"),
        (lambda ctx: ctx.increment("n", True), "adds a number, not an object of type bool"),
        (lambda ctx: ctx.increment("n", float("inf")), "inf is not a number in JSON"),
        (lambda ctx: ctx.merge([1]), "merge takes an object"),
        (lambda ctx: ctx.put("", 1), "a key of the context is a text, not ''"),
        (lambda ctx: ctx.put("x", object()), "kept in the context at 'x' does not fit"),
    ],
)
def test_a_change_that_cannot_be_made_fails_at_once_and_changes_nothing(do: Any, reason: str) -> None:
    ctx = Context(None, values=VALUES)

    with pytest.raises(Fail, match=reason) as failed:
        do(ctx)
    assert (failed.value.code, failed.value.retryable) == ("bad_change", False)
    assert ctx.changes == ()


def test_the_context_and_its_changes_are_bounded_together() -> None:
    ctx = Context(None, values={"there": "x" * 500_000})
    ctx.put("more", "y" * 300_000)

    with pytest.raises(Fail, match="900000 are the most: return large values as a step's output") as failed:
        ctx.put("more", "z" * 200_000)
    assert failed.value.code == "context_too_large"
    assert ctx.get("more") == "y" * 300_000


def test_threads_of_an_attempt_may_change_it_together() -> None:
    ctx = Context(None)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(200):
            threads.submit(ctx.increment, "n")
            threads.submit(ctx.append, "list", 1)
            threads.submit(ctx.update, "updated", lambda found: found + 1, 0)

    assert (ctx.get("n"), len(ctx.get("list")), ctx.get("updated")) == (200, 200, 200)


def test_outputs_tags_and_metadata_are_what_was_handed_over() -> None:
    ctx = Context(
        None,
        step="ship",
        outputs={"charge": Raw(b'{"n":1}'), "pack": 2},
        tags=("vip",),
        metadata={"by": "tom"},
    )

    assert (ctx.output("charge"), ctx.output("pack"), ctx.output("other", None)) == ({"n": 1}, 2, None)
    assert (ctx.tags, ctx.metadata, Context(None).metadata) == (("vip",), {"by": "tom"}, {})
    with pytest.raises(
        Fail, match="step 'ship' was handed no output of step 'other': name it in the step's reads="
    ):
        ctx.output("other")
