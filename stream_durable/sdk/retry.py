"""Retry options for authors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple, get_args

from stream_durable.core.failure import Failure
from stream_durable.core.policy import NO_RETRY, Backoff, RetryPolicy
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.errors import OptionError

#: A code, or an exception type standing for its own name.
Kind = str | type[BaseException]

#: Returns the wait after a failed attempt, from the attempt's number (from 1) and the failure.
DelayAfter = Callable[[int, Failure], Duration]


@dataclass(frozen=True, slots=True)
class Retry:
    """Try a step up to `attempts` times, with waits between attempts.

    `on` and `not_on` select by the failure's code: the code of `Fail`, or the name of the exception's own
    type. An exception type stands for this name only, so subclasses are named separately: the decision is
    taken from the recorded failure, without Python.

    >>> Retry(5, base="1s", cap="1m", on=(ConnectionError, "rate_limited")).policy().on
    ('ConnectionError', 'rate_limited')
    """

    #: Attempts in all, the first included.
    attempts: int
    _: KW_ONLY
    #: The growth of waits, or a function of the attempt's number and the failure returning the wait.
    backoff: Backoff | DelayAfter = "exponential"
    #: The first wait; `linear` and `exponential` grow from it, up to `cap`.
    base: Duration = "1s"
    cap: Duration = "1m"
    #: The share of a wait, 0 to 1, by which jitter shortens it.
    jitter: float = 0.0
    #: Failures to retry; empty: all.
    on: Kind | Iterable[Kind] = ()
    #: Failures never to retry.
    not_on: Kind | Iterable[Kind] = ()

    def policy(self) -> RetryPolicy:
        """Return the policy for the reconciler, or raise one `OptionError` for all faults."""
        policy, faults = read_retry(self)
        if faults:
            raise OptionError("; ".join(faults))
        return policy


class Tries(NamedTuple):
    """A parsed retry."""

    policy: RetryPolicy = NO_RETRY
    #: Where a function decides how long to wait.
    delay_after: DelayAfter | None = None


NO_TRIES = Tries()


def read_retry(retry: Retry) -> tuple[RetryPolicy, list[str]]:
    """Return the policy, and a sentence for each option that could not be read."""
    faults: list[str] = []
    options: dict[str, Any] = {
        "attempts": _attempts(retry.attempts, faults),
        "backoff": _backoff(retry, faults),
        "base_ms": _duration("base", retry.base, NO_RETRY.base_ms, faults),
        "cap_ms": _duration("cap", retry.cap, NO_RETRY.cap_ms, faults),
        "jitter": _jitter(retry.jitter, faults),
        "on": _codes("on", retry.on, faults),
        "not_on": _codes("not_on", retry.not_on, faults),
    }
    if faults:
        # The core checks combinations of options, and would blame the replacements of faulty ones.
        return NO_RETRY, faults
    # The bytes of a definition leave out a default only if it is the same object, and its fingerprint must
    # not depend on whether a number happens to be that.
    given = {name: value for name, value in options.items() if value != getattr(NO_RETRY, name)}
    return RetryPolicy(**given) if given else NO_RETRY, faults


def _attempts(value: object, faults: list[str]) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    faults.append(f"attempts= takes a whole number, not {value!r}")
    return NO_RETRY.attempts


def _backoff(retry: Retry, faults: list[str]) -> Backoff:
    value = retry.backoff
    if callable(value):
        faults += _function_faults(retry, value)
        return "exponential"
    if value not in get_args(Backoff):
        faults.append(f"backoff= takes one of {', '.join(get_args(Backoff))}, not {value!r}")
        return "exponential"
    return value


def _function_faults(retry: Retry, function: DelayAfter) -> list[str]:
    faults = []
    try:
        inspect.signature(function).bind(1, Failure(code="any"))
    except (TypeError, ValueError):
        faults.append("a function as backoff= takes two values, the attempt's number and its failure")
    if inspect.iscoroutinefunction(function):
        faults.append("a function as backoff= is a plain one, without `async`")
    if (retry.base, retry.cap, retry.jitter) != ("1s", "1m", 0.0):
        faults.append("base=, cap= and jitter= have no effect if backoff= is a function")
    return faults


def _duration(option: str, value: Duration, default: int, faults: list[str]) -> int:
    try:
        return milliseconds(value)
    except OptionError as error:
        faults.append(f"{option}= takes a duration: {error}")
        return default


def _jitter(value: object, faults: list[str]) -> float:
    if isinstance(value, int | float):
        return float(value)
    faults.append(f"jitter= takes a number between 0 and 1, not {value!r}")
    return 0.0


def _codes(option: str, value: object, faults: list[str]) -> tuple[str, ...]:
    kinds = list(value) if isinstance(value, Iterable) and not isinstance(value, str | type) else [value]
    codes = []
    for kind in kinds:
        if isinstance(kind, str):
            codes.append(kind)
        elif isinstance(kind, type) and issubclass(kind, BaseException):
            codes.append(kind.__name__)
        else:
            faults.append(f"{option}= takes exception types and codes, not {kind!r}")
    return tuple(dict.fromkeys(codes))
