"""Durations and retries, as authors write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from stream_durable import Retry
from stream_durable.core.policy import RetryPolicy
from stream_durable.sdk.durations import milliseconds
from stream_durable.sdk.errors import OptionError


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("90s", 90_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("500ms", 500),
        ("1h30m", 5_400_000),
        ("1m1ms", 60_001),
        ("0s", 0),
        (timedelta(minutes=2), 120_000),
        (timedelta(microseconds=1), 1),
        (timedelta(0), 0),
    ],
)
def test_a_duration_is_a_number_of_milliseconds(written: str | timedelta, expected: int) -> None:
    assert milliseconds(written) == expected


@pytest.mark.parametrize(
    "written", ["", "90", "s", "1.5h", "-1s", "1s1m", "1s1s", "1 s", "1S", "٣s", "1s\n", 90, None]
)
def test_anything_else_is_refused_with_a_form_that_is_right(written: Any) -> None:
    with pytest.raises(OptionError) as caught:
        milliseconds(written)

    assert str(caught.value) == (
        f'{written!r} is not a duration; write "90s", "1h30m", "2d", "500ms", or a timedelta'
    )


def test_a_duration_is_neither_negative_nor_longer_than_a_life() -> None:
    with pytest.raises(OptionError, match=r"^datetime.timedelta\(days=-1.*\) is less than nothing$"):
        milliseconds(timedelta(seconds=-1))
    with pytest.raises(OptionError, match="^'36501d' is longer than a hundred years$"):
        milliseconds("36501d")


def test_a_retry_becomes_the_data_that_the_reconciler_decides_by() -> None:
    retry = Retry(5, backoff="linear", base="2s", cap=timedelta(minutes=5), jitter=0.2, not_on="gone")

    assert retry.policy() == RetryPolicy(5, "linear", 2_000, 300_000, 0.2, (), ("gone",))


def test_an_exception_type_stands_for_its_own_name() -> None:
    class BankError(Exception):
        pass

    assert Retry(2, on=BankError).policy().on == ("BankError",)
    assert Retry(2, on=[BankError, "busy", BankError]).policy().on == ("BankError", "busy")


def test_a_retry_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Retry(5).attempts = 6  # type: ignore[misc]


def test_all_that_is_wrong_with_a_retry_is_said_at_once() -> None:
    wrong: Any = Retry(
        True,
        backoff="random",  # type: ignore[arg-type]
        base="soon",
        jitter="some",  # type: ignore[arg-type]
        on=[int],  # type: ignore[list-item]
    )

    with pytest.raises(OptionError) as caught:
        wrong.policy()

    assert str(caught.value) == (
        "attempts= takes a whole number, not True; "
        "backoff= takes one of fixed, linear, exponential, not 'random'; "
        "base= takes a duration: 'soon' is not a duration; "
        'write "90s", "1h30m", "2d", "500ms", or a timedelta; '
        "jitter= takes a number between 0 and 1, not 'some'; "
        "on= takes exception types and codes, not <class 'int'>"
    )
