"""What the fold asks of the outside. Nothing here is carried out before the state is saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.messages import (
    NULL,
    EmittedRecord,
    EventPublished,
    EventUnkeyed,
    Kind,
    LogLine,
    Message,
    OptionalRaw,
    Scheduled,
    StartRun,
)
from stream_durable.core.status import Outcome


class Kept(msgspec.Struct, omit_defaults=True, array_like=True, gc=False):
    """What a step has got inside its function: the end of a wait, or a value that it keeps."""

    #: Its name within the step.
    name: str
    #: Of a wait as in a definition, else `once` or `checkpoint`.
    kind: str
    #: Position in this attempt, from 1; 0: it is from an earlier attempt.
    at: int = 0
    value: Raw = NULL
    #: Why there is no value.
    failure: Failure | None = None


class Command(msgspec.Struct, omit_defaults=True, kw_only=True, tag="attempt", tag_field="type", gc=False):
    """A command to a worker to make an attempt. `run/step/attempt` is the idempotency key."""

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
    #: The step of the function, if other than the step itself.
    function: str = ""
    #: The item that a member of a group was made for.
    item: OptionalRaw = None
    #: What the run's context holds.
    context: OptionalRaw = None
    #: The argument of a hook, a `Happened`.
    happened: OptionalRaw = None
    #: The attempt since the step was last reset: the count of retries.
    ordinal: int = 0
    #: How often the attempt has been given back.
    returns: int = 0
    priority: int = 0
    tags: tuple[str, ...] = ()
    metadata: OptionalRaw = None
    #: Paths into the output read by the reconciler, kept with a reference.
    picks: tuple[str, ...] = ()
    #: How often a worker has been lost while it was at the attempt.
    losses: int = 0
    #: Whether it is asked for again on purpose, since nobody knows whether its answer is on the log.
    redriven: bool = False
    #: Whether an earlier attempt blocked its worker, so that this one begins alone.
    alone: bool = False
    #: Whether an earlier command for it was delivered twice, so that it may have ended a worker.
    is_suspect: bool = False
    #: How many passes of the attempt came before, each of which ended with a wait.
    passes: int = 0
    #: What the function has got so far; with `is_rest` only since the last pass, for a worker that keeps it.
    kept: tuple[Kept, ...] = ()
    is_rest: bool = False
    #: That worker.
    keeper: str = ""
    #: The generation of the partition's log: an answer to the same attempt may be lost with another log.
    generation: int = 0
    #: The attempts of steps that end by a token, by name, other than the first.
    tokens: dict[str, int] = {}
    #: The inputs of all runs that began as this one, in order of arrival; None: its own alone.
    inputs: tuple[Raw, ...] | None = None
    #: What started the run, if a schedule did.
    scheduled: Scheduled | None = None


class CancelAttempt(
    msgspec.Struct, omit_defaults=True, kw_only=True, tag="cancel", tag_field="type", gc=False
):
    """A command to the attempt's worker to drop the attempt, queued or running."""

    run: str
    step: str
    attempt: int
    #: Whether the run waits for the answer, which is a failure with code `cancelled` if it is no other.
    must_answer: bool = False
    #: The worker concerned; empty: any with the attempt.
    worker: str = ""


class AttemptNote(NamedTuple):
    """A record of an attempt beyond the row of the step."""

    partition: int
    status: str
    started: int | None
    finished: int | None
    worker: str | None
    failure: Failure | None
    logs: tuple[LogLine, ...]


class Publication(NamedTuple):
    """An emitted record for a topic of others."""

    id: str
    run: str
    step: str
    attempt: int
    record: EmittedRecord


#: A timer may come to the log this much before its moment: clocks differ a little.
EARLY_MS = 1_000


class Effects:
    """The effects of the messages of one batch, in order."""

    __slots__ = (
        "attempts", "commands", "events", "format", "happened", "has_early_timer", "has_new_rules", "load",
        "lost_queues", "messages", "publications", "redirected", "reviews", "starts", "timers",
    )  # fmt: skip

    def __init__(self, in_format: int = 1) -> None:
        """Begin without effects, in the format of the partition."""
        #: By whose rules a message is folded: a change of the fold asks here whether it is in force yet.
        self.format = in_format
        #: (queue, command)
        self.commands: list[tuple[str, Command | CancelAttempt]] = []
        #: (queue, partition, command): to a worker that the partition of its run does not reach.
        self.redirected: list[tuple[str, int, CancelAttempt]] = []
        #: Queues whose open attempts in this partition must be requested again.
        self.lost_queues: list[str] = []
        self.events: list[StepEvent | RunEvent] = []
        #: Messages to other entities, by way of the inbox.
        self.messages: list[Message] = []
        #: Those among them that start a run of whatever version is current when they are published.
        self.starts: list[StartRun] = []
        #: Events that came, for triggers.
        self.happened: list[EventPublished | EventUnkeyed] = []
        #: Whether what is declared has to be read before triggers are asked.
        self.has_new_rules = False
        #: What steps emitted, in order.
        self.publications: list[Publication] = []
        #: (kind, key, timer) -> due in milliseconds of log time, or None to drop it; the last word counts.
        self.timers: dict[tuple[Kind, str, str], int | None] = {}
        #: (run, step, attempt) -> what there is to keep of it; the last word counts.
        self.attempts: dict[tuple[str, str, int], AttemptNote] = {}
        #: Whether a timer came to the log before its moment, by the log's clock.
        self.has_early_timer = False
        #: `held` for each step that was held, and decisions about held steps; None: none.
        self.reviews: list[str] | None = None
        #: Weight of the steps begun by the present message.
        self.load = 0

    def note_review(self, what: str) -> None:
        """Count a held step, or a decision."""
        if self.reviews is None:
            self.reviews = []
        self.reviews.append(what)

    def plan_again(self, timer: tuple[Kind, str, str], due: int, now: int) -> bool:
        """Plan again a timer fired early; return whether there was need."""
        if due - now <= EARLY_MS:
            return False
        self.timers[timer] = due
        self.has_early_timer = True
        return True


#: Applies a message to an entity: (entity, message, now, effects) -> outcome.
Handler = Callable[[Any, Any, int, Effects], Outcome]
Handlers = Mapping[type[Message], Handler]
