"""Tokens for the functions of a run: their steps and attempts."""

from __future__ import annotations

from collections.abc import Iterable

from stream_durable.core.effects import Command
from stream_durable.core.errors import RejectedError
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.handler import Handler
from stream_durable.wire.tokens import Tokens

#: A step is waited for with its first attempt, unless the command says otherwise.
_FIRST = 1


def token_of(signs: Tokens, handler: Handler, command: Command, step: str) -> str:
    """Return the token of a step; fail the attempt for a step without one."""
    if step not in handler.tokens:
        raise unknown_wait(command.workflow, step, handler.tokens)
    try:
        return signs.sign(command.run, step, command.tokens.get(step, _FIRST))
    except RejectedError as error:
        raise Fail(error.code, str(error), retryable=False) from None


def unknown_wait(workflow: str, step: str, known: Iterable[str]) -> Fail:
    """Return the failure of an attempt taking the token of a step without one."""
    there = ", ".join(known)
    which = f"steps with a token are: {there}" if there else "it has no step added by wait_token()"
    text = f"no step {step[:128]!r} of workflow {workflow!r} ends by a token; {which}"
    return Fail("unknown_wait", text, retryable=False)
