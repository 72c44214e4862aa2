"""Decisions about held steps from outside."""

from __future__ import annotations

from typing import Any, Literal, assert_never

import msgspec
from msgspec import Raw

from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.format import HOLD
from stream_durable.core.messages import NULL, CompleteHeld, FailHeld, RetryRun, SkipStep


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A value for a held step, still to be judged."""

    id: str
    run: str
    step: str
    value: Raw = NULL
    by: str = ""
    reason: str = ""

    def message(self) -> CompleteHeld:
        """Return the message for the inbox."""
        return CompleteHeld(
            key=self.run, id=self.id, step=self.step, format=HOLD, by=self.by, reason=self.reason,
            output=self.value,
        )  # fmt: skip


def decided(
    decision: Literal["retry", "complete", "skip", "fail"],
    run: str,
    step: str,
    *,
    id: str,  # noqa: A002 - the word for it everywhere
    by: str,
    reason: str,
    value: Raw | None,
    failure: Failure | None,
) -> RetryRun | SkipStep | FailHeld | Completion:
    """Return the message of a decision; refuse a value or a failure that belongs to another decision."""
    if (value is not None and decision != "complete") or (failure is not None and decision != "fail"):
        text = "'value' goes with the review 'complete', and 'error' with 'fail'"
        raise RejectedError("contradiction", f"{text}; this one is {decision!r}")
    about: dict[str, Any] = {"id": id, "step": step, "by": by, "reason": reason}
    match decision:
        case "retry":
            return RetryRun(key=run, **about)
        case "skip":
            return SkipStep(key=run, **about)
        case "fail":
            return FailHeld(key=run, format=HOLD, failure=failure, **about)
        case "complete":
            return Completion(run=run, value=NULL if value is None else value, **about)
        case _:
            assert_never(decision)
