"""Gates and breakers: places of runs, orders, and answers to the runs."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, field

from stream_durable.core.format import Format
from stream_durable.core.gate.limits import GateChange, GateLimits, KeysChange, Units
from stream_durable.core.messages.fields import Comment, Millis, OptionalText, Ordinal, Text
from stream_durable.core.messages.message import Kind, Message
from stream_durable.core.messages.run import RunMessage


class GateMessage(Message, kw_only=True):
    """A message to a gate."""

    kind: ClassVar[Kind] = "gate"
    key: Text = field(name="gate")


class GateAsked(GateMessage, kw_only=True, tag="gate.ask"):
    """An attempt wants to pass the gate."""

    #: The run of the attempt.
    run: Text
    step: Text
    attempt: Ordinal
    #: How the breaker is set, as the definition of the run that asks has it.
    failures: Ordinal = 5
    window_ms: Millis = 60_000
    reset_ms: Millis = 30_000


class GateLeft(GateMessage, kw_only=True, tag="gate.leave"):
    """An attempt that had passed, or still waits, needs the gate no more."""

    #: The run of the attempt.
    run: Text
    step: Text
    attempt: Ordinal
    #: Whether the dependency answered; None: nobody knows, for the attempt was cancelled.
    is_ok: bool | None = None
    #: Log time since which the attempt is over; 0: not said.
    since: Millis = 0


class GateTimerFired(GateMessage, kw_only=True, tag="gate.timer"):
    """A timer of a gate is due."""

    #: Empty.
    timer: str
    #: Log time that was asked for.
    due: Millis


class GatePassed(RunMessage, kw_only=True, tag="gate.pass"):
    """A gate lets an attempt of this run pass."""

    step: Text
    attempt: Ordinal
    gate: OptionalText = ""


class PlaceAsked(GateMessage, kw_only=True, tag="gate.enter"):
    """A step, or a run as a whole, wants to pass a gate."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    run: Text
    #: Empty: it is the run that passes.
    step: OptionalText = ""
    #: The attempt, and how many passes of it came before: a later one replaces an earlier one.
    attempt: Ordinal
    passes: Units = 0
    #: The limits that the definition of the run says.
    limits: GateLimits
    #: The key whose turn it is to be, where keys take turns.
    share: OptionalText = ""
    #: Higher is sooner.
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    #: What the call costs of the rate; None: 1.
    units: Units | None = None
    #: What was changed last for all keys of the gate, as far as known at publication.
    keys: KeysChange | None = None


class PlaceLeft(GateMessage, kw_only=True, tag="gate.exit"):
    """A step or a run needs its place at a gate, or in the line, no more."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    run: Text
    step: OptionalText = ""
    #: As it has asked.
    attempt: Ordinal
    passes: Units = 0
    #: What the call has cost in fact; None: what was said before.
    units: Units | None = None


class GateOrder(GateMessage, kw_only=True):
    """An order of a person or a program."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    id: Text
    by: OptionalText = ""
    reason: Comment = ""


class SetGate(GateOrder, kw_only=True, tag="gate.set"):
    """Change limits of a gate, whatever definitions say, until they are reset."""

    change: GateChange


class ResetGate(GateOrder, kw_only=True, tag="gate.reset"):
    """Let a gate go by what definitions say."""


class SetGateKeys(GateMessage, kw_only=True, tag="gate.keys"):
    """Tell one key what was changed, or reset, for all keys of its gate."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    keys: KeysChange


class ProbeBreaker(GateOrder, kw_only=True, tag="breaker.probe"):
    """Let one attempt try now: an open breaker is half-open before its time."""


class PlaceGiven(RunMessage, kw_only=True, tag="gate.entered"):
    """A gate lets a step of this run pass, or the run as a whole.

    Repeated from time to time while the gate keeps the place; a run without a need for it leaves.
    """

    #: Releases without this format leave the message to newer ones.
    format: Format
    step: OptionalText = ""
    attempt: Ordinal
    passes: Units = 0
    gate: Text
    #: Whether the gate keeps a place for it, to be given back.
    is_held: bool = False
