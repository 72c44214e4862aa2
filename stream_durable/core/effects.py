"""What the fold asks of the outside. Nothing here is carried out before the state is saved."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.messages import Kind, Message


class Command(msgspec.Struct, omit_defaults=True, kw_only=True, tag="attempt", tag_field="type", gc=False):
    """Ask a worker to make one attempt. `run/step/attempt` is its idempotency key."""

    run: str
    step: str
    attempt: int
    workflow: str
    fingerprint: str
    input: Raw = Raw(b"")
    outputs: dict[str, Raw] = {}
    timeout_ms: int | None = None
    #: The W3C `traceparent` that the run was started under.
    trace: str | None = None


class CancelAttempt(
    msgspec.Struct, omit_defaults=True, kw_only=True, tag="cancel", tag_field="type", gc=False
):
    """Ask the worker that has this attempt, queued or running, to drop it."""

    run: str
    step: str
    attempt: int


class Effects:
    """What the messages of one batch ask of the outside, in the order in which they asked."""

    __slots__ = ("commands", "events", "messages", "timers")

    def __init__(self) -> None:
        """Begin with nothing asked."""
        #: (queue, command)
        self.commands: list[tuple[str, Command | CancelAttempt]] = []
        self.events: list[StepEvent | RunEvent] = []
        #: Messages to other entities, by way of the inbox.
        self.messages: list[Message] = []
        #: (kind, key, timer) -> due in milliseconds of log time, or None to drop it; the last word counts.
        self.timers: dict[tuple[Kind, str, str], int | None] = {}
