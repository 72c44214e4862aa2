"""Admission of messages and records from outside, by registrations and declarations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.messages import EventUnkeyed, Message, SendLater, StartTriggered
from stream_durable.ports import Catalogue, Current, Registry
from stream_durable.wire import events
from stream_durable.wire.answers import judge_for_some
from stream_durable.wire.changes import RunChange, judge_input_for_some
from stream_durable.wire.ends import OutsideEnd
from stream_durable.wire.foreign import Values
from stream_durable.wire.held_values import judge_value_for_some
from stream_durable.wire.reviews import Completion
from stream_durable.wire.tokens import NO_TOKENS, Tokens

_NAMES_SHOWN: Final = 20
#: What is judged by what is registered and declared: the catalogue is to be read to its end before.
ABOUT_DEFINITIONS: Final = (events.Start, events.Answer, Completion, RunChange, EventUnkeyed, SendLater)


async def learn(values: Values, given: Iterable[bytes | None], registry: Registry | None) -> None:
    """Look up the schemas for reading these values; raise `TransientError` if the registry is away."""
    if registry is None or not values.asks:
        return
    values.forget()
    for number in {number for value in given if (number := values.lacking(value)) is not None}:
        try:
            values.learn(number, await registry.schema(number))
        except RejectedError as error:
            values.learn(number, error)


def resolved(message: events.FromOutside, catalogue: Catalogue, tokens: Tokens = NO_TOKENS) -> Message:
    """Return the message for the inbox, by registrations and declarations; raise if there can be none."""
    if isinstance(message, events.Answer):
        judge_for_some(message, catalogue.known())
        return message.message()
    if isinstance(message, Completion):
        judge_value_for_some(message, catalogue.known(), catalogue.about)
        return message.message()
    if isinstance(message, RunChange):
        judge_input_for_some(message, catalogue.known(), catalogue.about)
        return message.message()
    if isinstance(message, OutsideEnd):
        return message.message(tokens)
    if not isinstance(message, events.Start):
        events.check_taken(message, catalogue.declared)
        return message
    fingerprint = catalogue.current(message.workflow)
    if fingerprint is None:
        known = catalogue.workflows()
        shown = ", ".join(known[:_NAMES_SHOWN]) or "none"
        raise RejectedError(
            "unknown_workflow",
            f"no workflow {message.workflow[:128]!r} is registered; there are: {shown}. Start a worker "
            "that has it, then send this again",
        )
    refusal = catalogue.about(fingerprint).refusal(message.workflow, bytes(message.input))
    if refusal is not None:
        raise refusal
    return message.of(fingerprint)


def failure_of(start: StartTriggered, definitions: Current) -> Failure | None:
    """Return why a trigger can start no run, or None."""
    if not start.fingerprint:
        text = f"no workflow {start.workflow!r} is registered: start a worker that has it"
        return Failure("unknown_workflow", f"{text}, then publish the event again", retryable=False)
    refusal = definitions.about(start.fingerprint).refusal(start.workflow, bytes(start.input))
    return None if refusal is None else Failure(refusal.code, str(refusal), retryable=False)
