"""Errors raised for a run without an output."""

from __future__ import annotations

from stream_durable.core.errors import StreamDurableError
from stream_durable.core.failure import Failure


class RunFailed(StreamDurableError):  # noqa: N818 - it is named like the event
    """A run ended without an output; `code`, `message` and `step` are those of the failure.

    `status` tells whether completed steps were undone: `failed`, `compensated` or `compensation_failed`.
    """

    def __init__(self, run: str, failure: Failure, status: str = "failed") -> None:
        place = f" at step {failure.step!r}" if failure.step else ""
        super().__init__(f"run {run!r} failed{place}: {failure.code}: {failure.message}")
        self.run = run
        self.failure = failure
        self.status = status
        self.code = failure.code
        self.message = failure.message
        self.step = failure.step


class NoOutput(StreamDurableError):  # noqa: N818 - it is read as a sentence
    """A step ended without an output, or its run did before the step could begin.

    `status` is that of the step, and `failure` tells why, if anything does.
    """

    code = "no_output"

    def __init__(self, run: str, step: str, status: str, failure: Failure | None) -> None:
        why = f": {failure.code}: {failure.message}" if failure is not None else ""
        stands = "has not begun, and the run has ended" if status == "pending" else f"is {status}"
        super().__init__(f"step {step!r} of run {run!r} has no output, for it {stands}{why}")
        self.run = run
        self.step = step
        self.status = status
        self.failure = failure


class NoAnswer(StreamDurableError):  # noqa: N818 - it is read as a sentence
    """A run gave no answer to an inquiry: the function refused or failed, or the run ended before.

    `code` and `message` are those of the failure.
    """

    def __init__(self, run: str, name: str, status: str, failure: Failure | None) -> None:
        why = f": {failure.code}: {failure.message}" if failure is not None else ""
        super().__init__(f"run {run!r} has not answered {name!r} ({status}){why}")
        self.run = run
        self.name = name
        self.status = status
        self.failure = failure
        self.code = "no_answer" if failure is None else failure.code
        self.message = "" if failure is None else failure.message


class RunCancelled(StreamDurableError):  # noqa: N818 - it is named like the event
    """A run was cancelled; `message` is the reason, `status` tells whether completed steps were undone."""

    code = "cancelled"

    def __init__(self, run: str, failure: Failure, status: str = "cancelled") -> None:
        super().__init__(f"run {run!r} was cancelled: {failure.message}")
        self.run = run
        self.failure = failure
        self.status = status
        self.message = failure.message
