"""Channels: events, with the waits and reactions of runs, and answers to the runs."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Raw, field

from stream_durable.core.format import Format
from stream_durable.core.messages.fields import (
    NULL,
    Arrival,
    Millis,
    More,
    OptionalText,
    Ordinal,
    Text,
    WaitAttempt,
)
from stream_durable.core.messages.message import Kind, Message
from stream_durable.core.messages.run import RunMessage


class EventDelivered(RunMessage, kw_only=True, tag="event.delivered"):
    """A channel passes an event on to a wait of this run."""

    #: Name of the step that waits.
    wait: Text
    id: Text
    data: Raw = NULL
    attempt: WaitAttempt = 0
    #: Who published the event, and when it came to the channel, in log time.
    by: OptionalText = ""
    at: Millis = 0


class EventOffered(EventDelivered, kw_only=True, tag="event.offered"):
    """A channel offers an event to one of the waits that take.

    The run answers `channel.taken`, or `channel.unwait` if it no longer waits; until then no other takes it.
    """

    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The channel to answer.
    channel: Text


class EventGiven(RunMessage, kw_only=True, tag="event.given"):
    """A channel gives the next event to a reaction of this run.

    The run answers `channel.reacted` when there is room for further events, or `channel.unread` without a
    reaction. No other event comes before, except those given together.
    """

    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The step name of the reaction, without the number of a call.
    reaction: Text
    id: Text
    data: Raw = NULL
    #: Which opening of the read this is for.
    ordinal: Ordinal
    #: Strictly increasing in the channel.
    number: Arrival
    #: The channel to answer.
    channel: Text
    #: When the event came to the channel, in log time.
    at: Millis = 0
    #: Who published it.
    by: OptionalText = ""
    #: How many that were given together follow this one.
    more: More = 0


class WaitChecked(RunMessage, kw_only=True, tag="wait.check"):
    """A channel asks whether the run still waits; if not, the run has the wait closed.

    Sent when the message opening the wait came more than three seconds late, possibly from a replaced
    reconciler.
    """

    #: Name of the step that waits.
    wait: Text
    #: The channel that has the wait.
    channel: Text
    attempt: WaitAttempt = 0


class ChannelMessage(Message, kw_only=True):
    """A message to a channel."""

    kind: ClassVar[Kind] = "channel"
    key: Text = field(name="channel")


class EventPublished(ChannelMessage, kw_only=True, tag="channel.event"):
    """An event of the channel's name and key happened."""

    id: Text
    #: JSON data.
    data: Raw = NULL
    #: How long the event is kept for waits that have not begun yet.
    ttl_ms: Millis
    #: Who publishes it, under any name.
    by: OptionalText = ""


class EventUnkeyed(ChannelMessage, kw_only=True, tag="channel.unkeyed"):
    """An event without a key happened: no run waits for it, and triggers alone take it.

    The channel is that of the name and the event's id, and keeps nothing.
    """

    id: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: JSON data.
    data: Raw = NULL
    #: Who publishes it, under any name.
    by: OptionalText = ""


class WaitOpened(ChannelMessage, kw_only=True, tag="channel.wait"):
    """A run waits for an event of this channel."""

    #: The run that waits.
    run: Text
    #: Name of the step that waits.
    wait: Text
    attempt: WaitAttempt = 0
    #: Log time since which the run waits; 0: not said.
    since: Millis = 0


class WaitClosed(ChannelMessage, kw_only=True, tag="channel.unwait"):
    """A run no longer waits, and gives back an event offered to the wait.

    A wait of a later attempt stays open.
    """

    #: The run that waited.
    run: Text
    #: Name of the step that waited.
    wait: Text
    attempt: WaitAttempt = 0


class TakeOpened(WaitOpened, kw_only=True, tag="channel.take"):
    """A run waits for an event of this channel that no other `channel.take` gets."""

    #: Releases without this format leave the message to newer ones.
    format: Format


class EventTaken(ChannelMessage, kw_only=True, tag="channel.taken"):
    """A wait has ended with the offered event: no other wait takes the event."""

    #: Of the event.
    id: Text
    #: The run that waited.
    run: Text
    #: Name of the step that waited.
    wait: Text
    attempt: WaitAttempt
    #: Releases without this format leave the message to newer ones.
    format: Format


class ReadMessage(ChannelMessage, kw_only=True):
    """A message about the events of a channel for a reaction of a run."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    run: Text
    #: The step name of the reaction, without the number of a call.
    reaction: Text
    #: Which opening this is, from 1: messages about an earlier one change nothing.
    ordinal: Ordinal


class ReadOpened(ReadMessage, kw_only=True, tag="channel.read"):
    """A run reacts to the events of this channel."""

    #: Log time: events from then on are given.
    since: Millis = 0


class EventReacted(ReadMessage, kw_only=True, tag="channel.reacted"):
    """A reaction has room for further events than those up to this number."""

    number: Arrival
    #: For how many.
    room: Ordinal = 1


class ReadClosed(ReadMessage, kw_only=True, tag="channel.unread"):
    """A run reacts no more."""


class ChannelContinued(ChannelMessage, kw_only=True, tag="channel.continue"):
    """A channel continues work too large for one record: an event wakes 500 waits or reactions at a time."""


class ChannelTimerFired(ChannelMessage, kw_only=True, tag="channel.timer"):
    """Events of the channel have come to the end of their time."""

    #: Empty.
    timer: str
    #: Log time that was asked for.
    due: Millis
