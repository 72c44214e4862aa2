"""The base of messages to a run, and messages of a run to itself."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from stream_durable.core.messages.fields import Millis, Text
from stream_durable.core.messages.message import Kind, Message


class RunMessage(Message, kw_only=True):
    """A message to a run."""

    kind: ClassVar[Kind] = "run"
    key: Text = field(name="run")


class RunTimerFired(RunMessage, kw_only=True, tag="run.timer"):
    """A timer of a run is due."""

    #: Name of the step; empty for the run itself.
    timer: str
    #: Log time that was asked for.
    due: Millis


class RunContinued(RunMessage, kw_only=True, tag="run.continue"):
    """A run continues work too large for one record.

    Steps begin 500 at a time, or fewer with large inputs.
    """
