"""Passes of an attempt: kept values, and waits within a function."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw

from stream_durable.core.format import Format
from stream_durable.core.gate.limits import Units
from stream_durable.core.messages.attempts import AttemptMessage
from stream_durable.core.messages.fields import NULL, Millis, Ordinal, Text

#: So many waits begin with one message at the most.
WAITS_MAX: Final = 1_000


class PassMessage(AttemptMessage, kw_only=True):
    """A worker's message about a pass of an attempt, from its top or from where it waited."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    #: How many passes of the attempt came before.
    passes: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0


class AttemptNoted(PassMessage, kw_only=True, tag="attempt.noted"):
    """A function keeps a value, for every later pass and attempt of its step.

    The first one of a pass announces the attempt, as `attempt.started` does.
    """

    #: Its name within the step.
    note: Text
    #: Position among all that the attempt waits for and keeps, from 1.
    at: Ordinal
    #: Whether it takes the place of the one before: how far the function has come.
    is_checkpoint: bool = False
    #: JSON.
    value: Raw = NULL
    #: Whether it is the first one of this pass.
    is_first: bool = False
    #: How often the attempt had been returned, as the command says.
    returns: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    #: How often its worker had been lost, as the command says.
    losses: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    #: With `is_first`: how long after this, or after the latest heartbeat, the worker is given up.
    lease_ms: Millis = 30_000
    timeout_ms: Millis | None = None


class InnerWait(msgspec.Struct, omit_defaults=True, array_like=True):
    """Something that a function waits for."""

    #: Position among all that the attempt waits for and keeps, from 1.
    at: Ordinal
    #: A node of a definition, named `step/name`.
    node: Raw


class AttemptWaits(PassMessage, kw_only=True, tag="attempt.waits"):
    """A pass of an attempt has come to waits without answers; the next pass begins when all have ended."""

    #: Position among all that the attempt waits for and keeps, and a node of a definition, named `step/name`.
    waits: Annotated[tuple[InnerWait, ...], Meta(min_length=1, max_length=WAITS_MAX)]
    #: Whether the worker keeps the suspended function, and needs no other answers than these.
    is_kept: bool = False
    #: How often the attempt had been returned, as the command says.
    returns: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    #: How often its worker had been lost, as the command says.
    losses: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    #: What the pass has cost at its gate, in all; None: the forecast holds.
    spent: Units | None = None
