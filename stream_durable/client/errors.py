"""How a run that did not complete is told to who waits for its result."""

from __future__ import annotations

from stream_durable.core.errors import StreamDurableError
from stream_durable.core.failure import Failure


class RunFailed(StreamDurableError):  # noqa: N818 - it is named like the event
    """A run ended without an output; `code`, `message` and `step` are those of the failure.

    `status` says whether what had completed was undone: `failed`, `compensated` or `compensation_failed`.
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


class RunCancelled(StreamDurableError):  # noqa: N818 - it is named like the event
    """A run was ended before its end; `message` says why, `status` whether what had completed was undone."""

    code = "cancelled"

    def __init__(self, run: str, failure: Failure, status: str = "cancelled") -> None:
        super().__init__(f"run {run!r} was cancelled: {failure.message}")
        self.run = run
        self.failure = failure
        self.status = status
        self.message = failure.message
