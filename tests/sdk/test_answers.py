"""Any exception becomes a failure that can be written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from stream_durable import Fail
from stream_durable.core.failure import MESSAGE_LENGTH_MAX, Failure
from stream_durable.sdk import answers
from stream_durable.sdk.answers import (
    CODE_LENGTH_MAX,
    TRACE_LENGTH_MAX,
    Expand,
    Finish,
    Graft,
    Jump,
    Skip,
    Snooze,
    failure_from,
)
from stream_durable.sdk.errors import HandoverError, OptionError, Problem


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_a_fail_is_its_own_fields() -> None:
    failure = failure_from(Fail("too_much", "needs another process", details={"limit": 5}, retryable=False))

    assert failure == Failure("too_much", "needs another process", retryable=False, details={"limit": 5})


def test_a_fail_without_a_message_shows_its_code() -> None:
    assert str(Fail("too_much")) == "too_much"
    assert failure_from(Fail("too_much")) == Failure("too_much")


def test_any_other_exception_is_known_by_its_type() -> None:
    failure = failure_from(raised(ConnectionError("the bank is away")))

    assert (failure.code, failure.message, failure.retryable) == ("ConnectionError", "the bank is away", True)
    assert failure.trace is not None
    assert failure.trace.endswith("ConnectionError: the bank is away\n")
    assert "test_answers.py" in failure.trace


def test_a_trace_begins_in_the_code_of_the_author() -> None:
    def broken() -> None:
        raise ConnectionError("the bank is away")

    # Called by code of ours, as a worker does.
    text = "def call(function):\n    function()\n"
    ours: dict[str, Any] = {}
    exec(compile(text, answers.__file__, "exec"), ours)  # noqa: S102 - the file's name is what counts
    error: BaseException | None = None
    try:
        ours["call"](broken)
    except ConnectionError as caught:
        error = caught.with_traceback(caught.__traceback__ and caught.__traceback__.tb_next)
    assert error is not None

    trace = failure_from(error).trace
    assert trace is not None
    assert answers.__file__ not in trace
    assert "in broken" in trace


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"at": object()}, "at: an object of type object is not JSON: annotate what the function returns"),
        (float("nan"), "nan is not a number in JSON"),
        ("x" * 20_000, "20002 bytes, more than 16000"),
    ],
)
def test_details_that_cannot_be_written_are_left_out_and_the_message_says_so(
    details: Any, reason: str
) -> None:
    failure = failure_from(Fail("odd", "look", details=details))

    assert failure.details is None
    assert failure.message.startswith(f"look (its details were left out: {reason}")


def test_lengths_are_bounded() -> None:
    def deep(n: int) -> None:
        if n:
            deep(n - 1)
        raise ValueError("x" * 100_000)

    with pytest.raises(ValueError, match="x") as caught:
        deep(200)
    failure = failure_from(caught.value)

    assert len(failure.message) == MESSAGE_LENGTH_MAX
    assert failure.trace is not None
    assert len(failure.trace) == TRACE_LENGTH_MAX
    assert len(failure_from(Fail("c" * 1_000)).code) == CODE_LENGTH_MAX


def test_an_exception_that_cannot_say_what_it_is_is_a_failure_all_the_same() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    failure = failure_from(raised(OddError()))

    assert failure.message == "(no message: RuntimeError while it was made)"


def test_texts_that_are_not_unicode_can_be_written() -> None:
    failure = failure_from(raised(OSError("file \udcff is missing")))

    assert failure.message == "file ? is missing"
    assert msgspec.json.encode(failure)


def test_a_handover_error_is_a_failure_with_its_own_code_that_is_not_tried_again() -> None:
    error = HandoverError(
        "invalid_input", "order", "charge", "parameter 'order'", [Problem("total", "is odd")]
    )

    assert failure_from(raised(error)) == Failure(
        "invalid_input",
        "workflow 'order', step 'charge': the parameter 'order' does not fit: total: is odd",
        retryable=False,
    )


def test_a_validation_error_of_the_author_shows_no_values() -> None:
    class Login(BaseModel):
        name: str
        password: SecretStr

    secret = str(40 + 2) * 3
    with pytest.raises(ValidationError) as caught:
        Login.model_validate({"password": secret})
    failure = failure_from(caught.value)

    assert failure.code == "ValidationError"
    assert failure.message == "Login: name: Field required"
    assert secret not in str(failure)
    assert failure.trace is not None
    assert failure.trace.endswith("ValidationError: Login: name: Field required\n")


def test_added_steps_wait_for_others_of_the_expansion_as_they_are_or_by_name() -> None:
    first, named = Graft("scan", 1), Graft("scan", 2, name="42")
    last = Graft("scan", 3, after=[first, "42"])

    assert Expand([first, named, last]).after == ((), (), ("0", "42"))
    assert Expand(iter([named])).steps == (named,)
    assert Expand([]).steps == ()
    assert Finish().output is None


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Skip(None), "Skip takes a text as its reason, not None"),  # type: ignore[arg-type]
        (lambda: Snooze("soon"), "'soon' is not a duration"),
        (lambda: Jump(None), "Jump takes a step or its name, not None"),  # type: ignore[arg-type]
        (lambda: Jump("x" * 513), "Jump takes a name of at most 512 bytes, not 'xxx"),
        (lambda: Graft("x" * 513), "a step to be added takes a name of at most 512 bytes, not 'xxx"),
        (lambda: Expand(["scan"]), "a list of what a template's `of` returns"),  # type: ignore[list-item]
        (lambda: Expand([], concurrency=0), "concurrency= takes a number from 1, not 0"),
        (lambda: Expand([], on_error="x"), "on_error= takes one of fail_fast, complete_all"),  # type: ignore[arg-type]
        (lambda: Expand([Graft("s", name="a"), Graft("s", name="a")]), "two of its steps are called 'a'"),
        (lambda: Expand([Graft("s", after="b")]), "step '0' is after 'b', which is not in the expansion"),
        (lambda: Expand([Graft("s", name="a", after="a")]), "steps wait for each other: a -> a"),
        (lambda: Expand([Graft("s")] * 10_001), "10000 steps at most, not 10001"),
        (lambda: Graft("s", name="a[0]"), "'a\\[0\\]' is no name for an added step"),
    ],
)
def test_an_answer_that_means_nothing_is_refused_where_it_is_made(make: Any, reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        make()


def test_an_added_step_does_not_show_its_item() -> None:
    assert "hidden" not in repr(Graft("scan", "hidden"))
