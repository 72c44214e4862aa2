"""The argument of hooks: a run or a step began, ended, or failed an attempt."""

from __future__ import annotations

from typing import Any

import msgspec

from stream_durable.core.failure import Failure


class Happened(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The argument for a hook's parameter of this type. Tests construct their own.

    >>> Happened(run="order-42", workflow="order", step="charge", status="completed").step
    'charge'
    """

    #: Where the run, or the step that is told of, stands now.
    status: str
    run: str = ""
    workflow: str = ""
    #: Of a run as a whole: the step that it failed of, if it did.
    step: str | None = None
    #: Of a step, from 1.
    attempt: int = 0
    failure: Failure | None = None
    #: What the step came to, as JSON has it.
    output: Any = None
    #: Why it was cancelled.
    reason: str | None = None


_decode = msgspec.json.Decoder(Happened).decode


def read_happened(data: bytes) -> Happened:
    """Decode the argument given by the worker."""
    return _decode(data)
