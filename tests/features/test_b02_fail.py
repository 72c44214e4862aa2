"""B2: a failure is an exception or an explicit error with code, message, details, retryable or not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_durable import Fail, Retry, Workflow
from stream_durable.testing import Engine


async def failure_of(engine: Engine, function: Any, **options: Any) -> Any:
    flow = Workflow("order")
    flow.add("step", function, **options)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "failed", run.table
    assert run.failure is not None
    return run.failure


async def test_an_explicit_failure_with_everything(engine: Engine) -> None:
    def step() -> None:
        raise Fail("too_much", "needs another process", details={"limit": [1, 2]}, retryable=False)

    failure = await failure_of(engine, step, retry=Retry(3))
    assert (failure.code, failure.message, failure.details, failure.retryable, failure.step) == (
        "too_much", "needs another process", {"limit": [1, 2]}, False, "step",
    )  # fmt: skip
    assert failure.trace is None


async def test_a_failure_is_retryable_unless_it_says_otherwise(engine: Engine) -> None:
    tried: list[bool] = []

    def step() -> None:
        tried.append(True)
        raise Fail("busy")

    failure = await failure_of(engine, step, retry=Retry(3, base="1s"))
    assert (failure.code, failure.message, failure.retryable, len(tried)) == ("busy", "", True, 3)


async def test_an_exception_has_the_name_of_its_type_its_text_and_its_trace(engine: Engine) -> None:
    class OutOfPaper(Exception): ...

    async def step() -> None:
        try:
            {}["tray"]
        except KeyError as error:
            raise OutOfPaper("the printer is empty") from error

    failure = await failure_of(engine, step)
    assert (failure.code, failure.message, failure.retryable, failure.details) == (
        "OutOfPaper", "the printer is empty", True, None,
    )  # fmt: skip
    assert 'raise OutOfPaper("the printer is empty") from error' in failure.trace
    assert "KeyError: 'tray'" in failure.trace, "with its cause"
    assert __file__ in failure.trace


async def test_a_subclass_of_fail_is_a_failure_with_its_code(engine: Engine) -> None:
    class Refused(Fail):
        def __init__(self) -> None:
            super().__init__("refused", "the bank says no", retryable=False)

    def step() -> None:
        raise Refused

    failure = await failure_of(engine, step, retry=Retry(3))
    assert (failure.code, failure.message) == ("refused", "the bank says no")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("I have no text")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (Fail(""), "Fail", ""),
        (Fail("x" * 500), "x" * 125 + "...", ""),
        (Fail("a", "m" * 10_000), "a", "m" * 3_997 + "..."),
        (Fail("a", "a \ud800 surrogate"), "a", "a ? surrogate"),
        (ValueError("m" * 10_000), "ValueError", "m" * 3_997 + "..."),
        (Unspeakable(), "Unspeakable", "(no message: ValueError while it was made)"),
        (
            Fail("a", "b", details="d" * 20_000),
            "a",
            "b (its details were left out: 20002 bytes, more than 16000)",
        ),
        (AssertionError(), "AssertionError", ""),
        (StopIteration(3), "RuntimeError", "coroutine raised StopIteration"),
        (
            ExceptionGroup("both", [ValueError("a"), KeyError("b")]),
            "ExceptionGroup",
            "both (2 sub-exceptions)",
        ),
        (asyncio.CancelledError(), "CancelledError", ""),
        (TimeoutError("slow"), "TimeoutError", "slow"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_whatever_is_raised_becomes_a_failure(
    engine: Engine, error: BaseException, code: str, message: str
) -> None:
    async def step() -> None:
        raise error

    failure = await failure_of(engine, step)
    assert (failure.code, failure.message) == (code, message)


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit()], ids=repr)
@pytest.mark.parametrize("is_async", [True, False])
async def test_what_is_no_exception_of_the_usual_kind_is_a_failure_too(
    engine: Engine, error: BaseException, is_async: bool
) -> None:
    """`sys.exit()` in a library must not end the worker: the next one would take the step and end, too."""

    async def later() -> None:
        raise error

    def step() -> None:
        raise error

    flow = Workflow("order")
    flow.add("step", later if is_async else step)
    run = await engine.start(flow)
    await engine.advance("1m")
    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure.code == type(error).__name__


async def test_a_very_deep_recursion_is_a_failure_with_a_short_trace(engine: Engine) -> None:
    def deep(n: int) -> int:
        return deep(n + 1)

    failure = await failure_of(engine, lambda: deep(0))
    assert failure.code == "RecursionError"
    assert len(failure.trace) <= 8_000


async def test_fail_and_answers_are_not_mixed_up(engine: Engine) -> None:
    """To return a `Fail` instead of raising it is a mistake that is told."""
    failure = await failure_of(engine, lambda: Fail("down"))
    assert failure.code == "invalid_output"
    assert "Fail" in failure.message


async def test_failures_of_attempts_are_kept_and_said_publicly(engine: Engine) -> None:
    flow = Workflow("order")
    engine.fail("step", times=2, error=Fail("busy", "try again", details={"n": 1}))
    flow.add("step", lambda: "well", retry=Retry(3, base="1s"))
    run = await engine.start(flow)
    await engine.until_idle()
    retrying = [event for event in run.events if event.type == "step.retrying"]
    assert [(event.failure.code, event.failure.details) for event in retrying] == [("busy", {"n": 1})] * 2  # type: ignore[union-attr]
    attempts = run._engine.ask(run._target.attempts)
    assert [(each.attempt, each.status, each.failure and each.failure.code) for each in attempts] == [
        (1, "failed", "busy"), (2, "failed", "busy"), (3, "completed", None),
    ]  # fmt: skip
