"""Admissions: starts that meet by workflow and key, and answers to the runs."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Raw, field

from stream_durable.core.admission.rule import Rule as StartRule
from stream_durable.core.format import Format
from stream_durable.core.messages.fields import Millis, OptionalRaw, OptionalText, Ordinal, Text
from stream_durable.core.messages.message import Kind, Message
from stream_durable.core.messages.run import RunMessage


class AdmissionMessage(Message, kw_only=True):
    """A message to an admission: the starts of a workflow and a key."""

    kind: ClassVar[Kind] = "admission"
    key: Text = field(name="admission")


class AdmissionAsked(AdmissionMessage, kw_only=True, tag="admission.ask"):
    """A run wants to begin."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    run: Text
    #: How often the run has asked: a later time replaces an earlier one.
    attempt: Ordinal
    #: The rule of the run's definition.
    rule: StartRule
    #: Higher is sooner, where one waits for another.
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    #: Whether it has begun before, and so goes with no other run.
    is_again: bool = False
    #: Its input, where the run that begins is given those of all.
    input: OptionalRaw = None
    #: Log time of the request; 0: unknown.
    asked: Millis = 0


class AdmissionBegun(AdmissionMessage, kw_only=True, tag="admission.begun"):
    """A run let in has begun: the members are merged."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    run: Text
    #: As it has asked.
    attempt: Ordinal


class AdmissionLeft(AdmissionMessage, kw_only=True, tag="admission.leave"):
    """A run has ended, or does not want to begin any more, or has merged as requested."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    run: Text
    #: As it has asked.
    attempt: Ordinal


class AdmissionTimerFired(AdmissionMessage, kw_only=True, tag="admission.timer"):
    """A time of an admission is over."""

    #: Empty.
    timer: str
    #: Log time that was asked for.
    due: Millis


class RunAdmitted(RunMessage, kw_only=True, tag="run.admitted"):
    """An admission lets the run begin. Repeated from time to time until the run has begun, or ends."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    admission: Text
    #: As the run has asked.
    attempt: Ordinal
    #: The inputs of all runs that go with it and its own, in the order of arrival; empty: its own alone.
    inputs: Annotated[tuple[Raw, ...], Meta(max_length=500)] = ()
    #: Whether the run has to report its end, for others wait for that, whatever its own definition says.
    is_single: bool = False


class RunMerged(RunMessage, kw_only=True, tag="run.merged"):
    """The run ends without having begun: another run is the taker."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    admission: Text
    #: As the run has asked.
    attempt: Ordinal
    into: Text


class RequestDoubted(RunMessage, kw_only=True, tag="run.doubted"):
    """A request for admission may be a late repeat: the run asks again if it still waits."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    admission: Text
    #: As the run has asked.
    attempt: Ordinal
    #: The time of that request, and of the new one at the earliest.
    asked: Millis
    after: Millis


class RunFollowed(RunMessage, kw_only=True, tag="run.follow"):
    """A parent waits for a child merged into the run: the end of the run is reported as the child's."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    parent: Text
    parent_step: Text
    child: Text
    #: Paths into the output that the parent reads, if that travels by reference.
    picks: tuple[OptionalText, ...] = ()
