"""Partitions of the inbox as a whole."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from stream_durable.core.format import Format
from stream_durable.core.messages.fields import OptionalText, Text
from stream_durable.core.messages.message import Kind, Message


class LogMessage(Message, kw_only=True):
    """A message to a partition of the inbox as a whole. The key is the partition's number."""

    kind: ClassVar[Kind] = "log"
    key: Text = field(name="log")


class FormatRaised(LogMessage, kw_only=True, tag="log.format"):
    """From here on records of this partition are folded, and state is written, by a newer format.

    Sent to the partition with the number in the key; there is no way back.
    """

    format: Format


class RulesDeclared(LogMessage, kw_only=True, tag="log.rules"):
    """Triggers were declared, changed, or turned off or on: from here on they count for this partition.

    The definitions topic is read to the end before the effects of later records.
    """

    #: Releases without this format leave the message to newer ones.
    format: Format


class CommandsLost(LogMessage, kw_only=True, tag="log.commands_lost"):
    """Finished commands of a queue are unknown in this partition: open commands are requested again.

    Sent by a worker taking over a partition of a command topic without an offset of the group, or with an
    offset before the first kept command.
    """

    #: Its name.
    queue: Text
    #: The reporting worker.
    worker: OptionalText = ""
