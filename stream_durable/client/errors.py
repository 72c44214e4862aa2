"""How a run that did not complete is told to who waits for its result."""

from __future__ import annotations

from stream_durable.core.errors import StreamDurableError
from stream_durable.core.failure import Failure


class RunFailed(StreamDurableError):  # noqa: N818 - it is named like the event
    """A run ended without an output; `code`, `message` and `step` are those of the failure."""

    def __init__(self, run: str, failure: Failure) -> None:
        place = f" at step {failure.step!r}" if failure.step else ""
        super().__init__(f"run {run!r} failed{place}: {failure.code}: {failure.message}")
        self.run = run
        self.failure = failure
        self.code = failure.code
        self.message = failure.message
        self.step = failure.step


class RunCancelled(StreamDurableError):  # noqa: N818 - it is named like the event
    """A run was ended before its end; `message` says why."""

    code = "cancelled"

    def __init__(self, run: str, failure: Failure) -> None:
        super().__init__(f"run {run!r} was cancelled: {failure.message}")
        self.run = run
        self.failure = failure
        self.message = failure.message
