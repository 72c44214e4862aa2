"""Options as authors give them, read one by one; what cannot be read is noted, and reading goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from stream_durable.core.definition.validate import retry_faults
from stream_durable.core.policy import NO_RETRY, RetryPolicy
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.errors import OptionError
from stream_durable.sdk.plain_json import NotJsonError, write_plain
from stream_durable.sdk.retry import Retry, read_retry

if TYPE_CHECKING:
    from stream_durable.sdk.steps import Step


class Options:
    """Reads the options of one step, or of a workflow, and gathers what is wrong with them."""

    __slots__ = ("faults", "label")

    def __init__(self, label: str) -> None:
        #: How sentences about it begin: `step 'charge'`.
        self.label = label
        #: (code, message)
        self.faults: list[tuple[str, str]] = []

    def copy(self) -> Options:
        """Return the same with a list of its own, for faults that are found anew each time."""
        copy = Options(self.label)
        copy.faults += self.faults
        return copy

    def fault(self, code: str, message: str) -> None:
        """Note one thing wrong."""
        self.faults.append((code, f"{self.label}: {message}"))

    def duration(self, option: str, value: Duration | None) -> int | None:
        """Return milliseconds, or None where there is no such time."""
        if value is None:
            return None
        try:
            return milliseconds(value)
        except OptionError as error:
            self.fault("bad_duration", f"{option} takes a duration: {error}")
            return None

    def retry(self, value: object, default: RetryPolicy) -> RetryPolicy:
        """Return the policy that is given, else the default."""
        if value is None:
            return default
        if not isinstance(value, Retry):
            self.fault("bad_retry", f"retry= takes a Retry, such as Retry(3), not {value!r}")
            return default
        policy, faults = read_retry(value)
        for fault in faults:
            self.fault("bad_retry", f"Retry: {fault}")
        return policy

    def default_retry(self, value: object) -> RetryPolicy:
        """Return the policy for the steps of a workflow, judged here so that no step is blamed for it."""
        policy = self.retry(value, NO_RETRY)
        judged = list(retry_faults(policy))
        for code, text in judged:
            self.fault(code, text)
        return NO_RETRY if judged else policy

    def after(self, value: Any, of: type[Step], workflow: object) -> tuple[str, ...]:
        """Return the names of what must have ended before, each once."""
        if isinstance(value, str | of) or not isinstance(value, Iterable):
            value = (value,)
        names = []
        for each in value:
            if isinstance(each, str):
                names.append(each)
            elif not isinstance(each, of):
                self.fault("bad_after", f"after= takes steps and their names, not {each!r}")
            elif each.workflow is not workflow:
                self.fault(
                    "foreign_step", f"after= names {each.name!r} of another workflow, {each.workflow.name!r}"
                )
            else:
                names.append(each.name)
        return tuple(dict.fromkeys(names))

    def time_limit(self, timeout: Duration | None, on_timeout: object) -> tuple[int | None, str | None]:
        """Return how long a wait may take, and the JSON of what it answers then; None: it fails."""
        limit_ms = self.duration("timeout=", timeout)
        if isinstance(on_timeout, str) and on_timeout == "fail":
            return limit_ms, None
        if timeout is None:
            self.fault("contradiction", "on_timeout= says nothing without a timeout=")
        try:
            output = write_plain(on_timeout).decode()
        except NotJsonError as error:
            self.fault("bad_on_timeout", f"on_timeout= takes a JSON value: {error}")
            return limit_ms, None
        # Without a limit the fault is told; the core need not tell it again.
        return limit_ms, output if limit_ms is not None else None


def name_of(value: object) -> str:
    """Return a name as a plain text; what is no text becomes one that validation refuses and shows.

    Interned, because the bytes of a definition leave out a default only if it is the same object, and its
    fingerprint must not depend on where a text came from.
    """
    return sys.intern(str.__str__(value) if isinstance(value, str) else f"<{value!r}>")
