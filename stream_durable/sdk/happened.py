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

    #: The present status of the run or the step.
    status: str
    run: str = ""
    workflow: str = ""
    #: For a run: the failed step, if any.
    step: str | None = None
    #: The attempt of the step, from 1.
    attempt: int = 0
    failure: Failure | None = None
    #: The step's output, as JSON types.
    output: Any = None
    #: The reason of a cancellation.
    reason: str | None = None


_decode = msgspec.json.Decoder(Happened).decode


def read_happened(data: bytes) -> Happened:
    """Decode the argument given by the worker."""
    return _decode(data)
