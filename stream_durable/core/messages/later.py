"""Messages for later."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from stream_durable.core.format import Format
from stream_durable.core.messages.channel import EventPublished, EventUnkeyed
from stream_durable.core.messages.fields import Millis, Text
from stream_durable.core.messages.message import Kind, Message
from stream_durable.core.messages.waits import SignalRun

#: What can be sent later.
Deferrable = SignalRun | EventPublished | EventUnkeyed


class LaterMessage(Message, kw_only=True):
    """A message about a message for later."""

    kind: ClassVar[Kind] = "later"
    key: Text = field(name="later")


class SendLater(LaterMessage, kw_only=True, tag="later.send"):
    """Send a signal or an event at a moment of log time, or some time after this is on the log."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    message: Deferrable
    #: Log time; one of the two is given.
    at: Millis | None = None
    after_ms: Millis | None = None


class CancelLater(LaterMessage, kw_only=True, tag="later.cancel"):
    """Drop a message for later that was not sent yet."""

    id: Text
    #: Releases without this format leave the message to newer ones.
    format: Format


class LaterTimerFired(LaterMessage, kw_only=True, tag="later.timer"):
    """A message for later is due, or has been remembered for long enough."""

    #: Empty.
    timer: str
    #: Log time that was asked for.
    due: Millis
