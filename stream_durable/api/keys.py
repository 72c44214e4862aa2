"""Idempotency keys: the id of a message is derived from the key, and each id counts once."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated

from fastapi import Header

from stream_durable.api.callers import Caller
from stream_durable.sdk.given import drawn

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        min_length=1,
        description="A request that is repeated with its key, by the same caller, changes nothing more.",
    ),
]


def derived(key: str | None, caller: Caller, what: str) -> str:
    """Return the id of a message: from the key, the caller and the request, otherwise a new id."""
    if key is None:
        return drawn()
    return sha256(f"{caller.name}\n{what}\n{key}".encode()).hexdigest()[:32]
