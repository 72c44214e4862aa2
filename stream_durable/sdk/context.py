"""What a step may ask about itself while it runs."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol

if TYPE_CHECKING:
    # The default is for type checkers only, so that a bare `Context` is as good as `Context[Any]`.
    from typing_extensions import TypeVar

    Input = TypeVar("Input", default=Any)
else:
    from typing import TypeVar

    Input = TypeVar("Input")

_logger = logging.getLogger("stream_durable.step")


class Control(Protocol):
    """What runs an attempt: it is asked from the attempt's own thread, whichever that is."""

    @property
    def deadline(self) -> datetime | None: ...

    @property
    def cancelled(self) -> bool: ...

    def progress(self, percent: float, label: str | None, /) -> None: ...


class Context(Generic[Input]):
    """One attempt, seen by the function that makes it.

    A step gets it by annotating a parameter, and names the type of the run's input where it reads it. A test
    makes its own: all but the input has a default.

    >>> Context({"id": "42"}, run_id="order-42", step="ship").idempotency_key
    'order-42/ship/1'
    """

    __slots__ = ("_control", "_log", "attempt", "input", "run_id", "step", "workflow")

    def __init__(
        self,
        input: Input,  # noqa: A002 - the word for it everywhere
        control: Control | None = None,
        *,
        run_id: str = "run",
        workflow: str = "workflow",
        step: str = "step",
        attempt: int = 1,
    ) -> None:
        self._control = control
        self._log: StepLogger | None = None
        #: The run's input, already in its type.
        self.input = input
        self.run_id = run_id
        self.workflow = workflow
        self.step = step
        #: From 1; a step that failed and is tried again has the next number.
        self.attempt = attempt

    @property
    def idempotency_key(self) -> str:
        """`run/step/attempt`: the same only where this very attempt is made again, after a crash say."""
        return f"{self.run_id}/{self.step}/{self.attempt}"

    @property
    def deadline(self) -> datetime | None:
        """When this attempt runs out of time; None: never."""
        return self._control.deadline if self._control is not None else None

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for this attempt any more; a function in a thread looks here and leaves."""
        return self._control is not None and self._control.cancelled

    @property
    def log(self) -> StepLogger:
        """A logger whose records carry `workflow`, `run`, `step` and `attempt`."""
        if self._log is None:
            bound = {
                "workflow": self.workflow,
                "run": self.run_id,
                "step": self.step,
                "attempt": self.attempt,
            }
            self._log = StepLogger(_logger, bound)
        return self._log

    def progress(self, percent: float, label: str | None = None) -> None:
        """Say how far the step is, 0 to 100, and perhaps what it is at. What lies outside is cut to it."""
        if self._control is not None:
            self._control.progress(min(percent, 100) if percent > 0 else 0, label)


if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class StepLogger(_Adapter):
    """Adds who speaks to each record, and keeps what the caller gives as `extra`."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs
