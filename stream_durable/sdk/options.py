"""Reads authors' options; unreadable options are recorded as faults, and reading continues."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast, get_args

import msgspec

from stream_durable.core.definition import guards
from stream_durable.core.definition.paths import root_of
from stream_durable.core.definition.retry_faults import retry_faults
from stream_durable.core.durations import parsed_ms
from stream_durable.core.gate.limits import GateLimits
from stream_durable.sdk.breaker import Breaker
from stream_durable.sdk.durations import Duration, milliseconds, read_rate
from stream_durable.sdk.errors import OptionError
from stream_durable.sdk.gate import PRIORITIES, Gate
from stream_durable.sdk.plain_json import NotJsonError, write_plain
from stream_durable.sdk.retry import NO_TRIES, Retry, Tries, read_retry

_Word = TypeVar("_Word")
C = TypeVar("C", bound=Callable[..., Any])


class Options:
    """Reads the options of a step or a workflow, and collects faults."""

    __slots__ = ("description", "faults", "label")

    def __init__(self, label: str) -> None:
        #: How sentences about it begin: `step 'charge'`.
        self.label = label
        #: The description for people.
        self.description = ""
        #: (code, message)
        self.faults: list[tuple[str, str]] = []

    def copy(self) -> Options:
        """Return a copy with a separate list, for faults found again on each check."""
        copy = Options(self.label)
        copy.faults += self.faults
        return copy

    def part(self, name: str) -> Options:
        """Return a reader for a part, with faults labelled: `step 'charge', when=`."""
        part = Options(f"{self.label}, {name}")
        part.faults = self.faults
        return part

    def fault(self, code: str, message: str) -> None:
        """Record a fault."""
        self.faults.append((code, f"{self.label}: {message}"))

    def known(
        self, given: Mapping[str, Any], names: Collection[str], *, elsewhere: Collection[str]
    ) -> dict[str, Any]:
        """Return the known options; report the others."""
        for name in given:
            if name not in names:
                hint = _meant(name, names)
                if name in elsewhere:
                    hint = "; only a step that is a function has it"
                self.fault("unknown_option", f"there is no option {name}= here{hint}")
        return {name: value for name, value in given.items() if name in names}

    def duration(self, option: str, value: Duration | None) -> int | None:
        """Return milliseconds, or None where there is no such time."""
        if value is None:
            return None
        try:
            return milliseconds(value)
        except OptionError as error:
            self.fault("bad_duration", f"{option} takes a duration: {error}")
            return None

    def due(self, value: object) -> dict[str, Any]:
        """Return the fields of a node for a due time: a duration, a moment, or a path to one of these."""
        if isinstance(value, datetime):
            if value.tzinfo is None:
                self.fault("bad_moment", f"due= takes a datetime with a time zone, not {value!r}")
            return {"due_at": f"={value.isoformat()}"}
        if isinstance(value, str) and parsed_ms(value) is None and root_of(value).isidentifier():
            return {"due_at": name_of(value)}
        found = self.duration("due=", value)  # type: ignore[arg-type]  # what is no duration is reported
        return {} if found is None else {"due_ms": found}

    def count(self, option: str, value: object) -> int | None:
        """Return a whole number; the core checks the range."""
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        self.fault("bad_option", f"{option} takes a whole number, not {value!r}")
        return None

    def flag(self, option: str, value: object) -> bool:
        """Return yes or no."""
        if not isinstance(value, bool):
            self.fault("bad_option", f"{option} takes True or False, not {value!r}")
        return value is True

    def text(self, option: str, value: object) -> str:
        """Return a text."""
        if value is not None and not isinstance(value, str):
            self.fault("bad_option", f"{option} takes a text, not {value!r}")
        return value if isinstance(value, str) else ""

    def texts(self, option: str, value: object) -> tuple[str, ...]:
        """Return several texts; a single text is refused."""
        if isinstance(value, Iterable) and not isinstance(value, str):
            texts = tuple(value)
            if all(isinstance(each, str) for each in texts):
                return texts
        self.fault("bad_option", f"{option} takes several texts, not {value!r}")
        return ()

    def an_object(self, option: str, value: object) -> dict[str, Any]:
        """Return a JSON object."""
        text = None if value is None else self.json(option, value)
        found = {} if text is None else msgspec.json.decode(text)
        if isinstance(found, dict):
            return found
        self.fault("bad_option", f"{option} takes an object, not {value!r}")
        return {}

    def key(self, option: str, value: object) -> str | None:
        """Return a key of the run's context."""
        if value is None or (isinstance(value, str) and value):
            return value
        self.fault("bad_option", f"{option} takes a key of the context, a text, not {value!r}")
        return None

    def word(self, option: str, value: object, kind: Any, default: _Word) -> _Word:
        """Return a word of a `Literal`."""
        words = get_args(kind)
        if value is None:
            return default
        for word in words:
            if isinstance(value, str) and value == word:
                return word  # type: ignore[no-any-return]  # of the same `Literal` as the default
        self.fault("bad_option", f"{option} takes one of {', '.join(words)}, not {value!r}")
        return default

    def function(self, option: str, value: object) -> Callable[..., Any] | None:
        """Return a callable."""
        if value is None or callable(value):
            return value
        self.fault("bad_option", f"{option} takes a function, not {value!r}")
        return None

    def retry(self, value: object, default: Tries) -> Tries:
        """Return the given retry, or the default."""
        if value is None:
            return default
        if not isinstance(value, Retry):
            self.fault("bad_retry", f"retry= takes a Retry, such as Retry(3), not {value!r}")
            return default
        policy, faults = read_retry(value)
        for fault in faults:
            self.fault("bad_retry", f"Retry: {fault}")
        return Tries(policy, value.backoff if callable(value.backoff) else None)

    def default_retry(self, value: object) -> Tries:
        """Return the default retry for steps of a workflow, checked here: no step is to blame."""
        tries = self.retry(value, NO_TRIES)
        judged = list(retry_faults(tries.policy))
        for code, text in judged:
            self.fault(code, text)
        return NO_TRIES if judged else tries

    def plain_retry(self, option: str, value: object) -> Tries:
        """Return a retry that is decided where there is no worker, and so without a function."""
        if value is not None and not isinstance(value, Retry):
            self.fault("bad_retry", f"{option} takes a Retry, such as Retry(3), not {value!r}")
            return NO_TRIES
        tries = self.retry(value, NO_TRIES)
        if tries.delay_after is not None:
            text = f"{option} is decided without a worker, so its backoff= cannot be a function"
            self.fault("bad_retry", text)
        return tries

    def breaker(self, value: object) -> guards.Breaker | None:
        """Return the given breaker, or a default breaker for a name."""
        if value is None:
            return None
        if isinstance(value, str):
            value = Breaker(value)
        if not isinstance(value, Breaker):
            self.fault("bad_breaker", f'breaker= takes a Breaker, such as Breaker("bank"), not {value!r}')
            return None
        failures = self.count("Breaker: failures=", value.failures)
        window_ms = self.duration("Breaker: window=", value.window)
        reset_ms = self.duration("Breaker: reset=", value.reset)
        if failures is None or window_ms is None or reset_ms is None:
            return None
        return guards.Breaker(
            name=name_of(value.name), failures=failures, window_ms=window_ms, reset_ms=reset_ms
        )

    def gate(self, value: object) -> guards.Gate | None:
        """Return the given gate."""
        if value is None:
            return None
        if not isinstance(value, Gate):
            self.fault("bad_gate", f'gate= takes a Gate, such as Gate("bank", at_once=10), not {value!r}')
            return None
        weights = None if value.weights is None else self.an_object("Gate: weights=", value.weights)
        rate = self._rate(value.rate)
        return guards.Gate(
            name=name_of(value.name),
            limits=GateLimits(
                at_once=self.count("Gate: at_once=", value.at_once),
                rate=None if rate is None else rate[0],
                rate_ms=1_000 if rate is None else rate[1],
                burst=self.count("Gate: burst=", value.burst) or 0,
                weights=None
                if weights is None
                else {key: self.count("Gate: weights=", weight) or 0 for key, weight in weights.items()},
            ),
            per=None if value.per is None else self.text("Gate: per=", value.per),
        )

    def _rate(self, value: object) -> tuple[int, int] | None:
        """Return how many pass in how many milliseconds."""
        if value is None:
            return None
        try:
            return read_rate(value)
        except OptionError as error:
            self.fault("bad_rate", f"Gate: rate= {error}")
            return None

    def priority(self, value: object) -> int | None:
        """Return a priority as a number; None: that of the run."""
        if isinstance(value, str) and value in PRIORITIES:
            return PRIORITIES[value]
        if isinstance(value, str):
            text = f'priority= takes "high", "normal", "low", or -100 to 100, not {value!r}'
            self.fault("bad_priority", text)
            return None
        return self.count("priority=", value)

    def units(self, value: object) -> str | None:
        """Return a path to a number, or `=` and a number."""
        if value is None or isinstance(value, str):
            return value
        count = self.count("units=", value)
        return None if count is None else f"={count}"

    def json(self, what: str, value: object) -> str | None:
        """Return the JSON text of a value; `what` begins the sentence if it has none."""
        try:
            return write_plain(value).decode()
        except NotJsonError as error:
            self.fault("not_json", f"{what} takes a JSON value: {error}")
            return None

    def time_limit(self, timeout: Duration | None, on_timeout: object) -> tuple[int | None, str | None]:
        """Return the time limit of a wait and the JSON of `on_timeout`; None: the wait fails."""
        limit_ms = self.duration("timeout=", timeout)
        if isinstance(on_timeout, str) and on_timeout == "fail":
            return limit_ms, None
        if timeout is None:
            self.fault("contradiction", "on_timeout= has no effect without timeout=")
        output = self.json("on_timeout=", on_timeout)
        # Without a limit the fault is told; the core need not tell it again.
        return limit_ms, output if limit_ms is not None else None


def name_of(value: object) -> str:
    """Return a name as a plain text; other values become an invalid name for validation to report."""
    return str.__str__(value) if isinstance(value, str) else f"<{value!r}>"


def refuses_unknown(call: C) -> C:
    """Let a call with an unknown option raise `TypeError` with the nearest option."""
    names = [one.name for one in signature(call).parameters.values() if one.kind is one.KEYWORD_ONLY]

    @wraps(call)
    def checked(*args: Any, **options: Any) -> Any:
        for name in options:
            if name not in names and (hint := _meant(name, names)):
                raise TypeError(f"there is no option {name}= here{hint}")
        return call(*args, **options)

    return cast(C, checked)


def _meant(name: str, names: Collection[str]) -> str:
    close = get_close_matches(name, names, 1)
    return f"; is {close[0]}= meant?" if close else ""
