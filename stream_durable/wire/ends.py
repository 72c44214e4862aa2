"""Ends of steps by a token, and heartbeats, as they come from outside: the token is not checked yet."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw

from stream_durable.core.failure import Failure
from stream_durable.core.format import TOKENS
from stream_durable.core.messages import NULL, CompleteStep, FailStep, HeartbeatStep
from stream_durable.wire.tokens import Tokens


class OutsideEnd(msgspec.Struct, frozen=True, kw_only=True):
    """An end, or a heartbeat, for the step that a token names; the token is still to be checked."""

    id: str
    #: Not shown: it is a secret.
    token: str
    kind: Literal["complete", "fail", "heartbeat"]
    output: Raw = NULL
    failure: Failure | None = None
    by: str = ""

    def __repr__(self) -> str:
        return f"<{self.kind} by a token>"

    def message(self, tokens: Tokens) -> CompleteStep | FailStep | HeartbeatStep:
        """Return it for the inbox; raise `RejectedError` for a token that was not signed here."""
        named = tokens.read(self.token)
        about: dict[str, Any] = {
            "key": named.run, "id": self.id, "step": named.step, "attempt": named.attempt, "format": TOKENS,
            "by": self.by,
        }  # fmt: skip
        if self.kind == "complete":
            return CompleteStep(**about, output=self.output)
        if self.kind == "fail":
            return FailStep(**about, failure=self.failure or Failure("failed", retryable=False))
        return HeartbeatStep(**about)
