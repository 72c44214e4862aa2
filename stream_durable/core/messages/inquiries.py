"""Inquiries: a program asks a run, and a function answers."""

from __future__ import annotations

from msgspec import Raw

from stream_durable.core.format import Format
from stream_durable.core.messages.fields import NULL, Text
from stream_durable.core.messages.run import RunMessage


class InquireRun(RunMessage, kw_only=True, tag="run.inquire"):
    """A program asks the run something; a function answers beside the graph. Each id is answered once."""

    id: Text
    #: The name of the answer.
    inquiry: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: JSON that it carries.
    data: Raw = NULL
