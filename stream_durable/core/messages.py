"""Every message to an entity: the vocabulary of the inbox.

Each message names its entity by `key`, also the Kafka key; `kind` is the kind of entity. A field may be added
with a default, never renamed or removed: every later release reads the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

import msgspec
from msgspec import Meta, Raw, field

from stream_durable.core import durations
from stream_durable.core.admission.rule import Rule as StartRule
from stream_durable.core.failure import Failure
from stream_durable.core.format import Format
from stream_durable.core.gate.limits import GateChange, GateLimits, Units
from stream_durable.core.ids import ID_BYTES_MAX
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.schedule.rule import Moment, Rule

Kind = Literal["run", "channel", "gate", "later", "schedule", "admission", "log"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NULL = Raw(b"null")

if TYPE_CHECKING:
    OptionalRaw = Raw | None
else:
    # The library reads nothing but null into a union with `Raw`. What is absent stays at its default, None.
    OptionalRaw = Raw

#: Bounds are part of the types, so that values unfit for storage are refused on decoding. These count
#: characters; `decode_message` counts the bytes of non-ASCII values.
Text = Annotated[str, Meta(min_length=1, max_length=ID_BYTES_MAX)]
OptionalText = Annotated[str, Meta(max_length=ID_BYTES_MAX)]
Millis = durations.Millis
Ordinal = Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]
Partition = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
#: The attempt of the step's wait; 0 in messages of older releases: any attempt.
WaitAttempt = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]

#: The number of an event in its channel.
Arrival = Annotated[int, Meta(ge=1, le=1 << 53)]

#: A person's comment.
Comment = Annotated[str, Meta(max_length=2_000)]


class Message(msgspec.Struct, omit_defaults=True, kw_only=True, tag_field="type"):
    """What can reach an entity. `key` is spelt on the wire as the entity's kind."""

    kind: ClassVar[Kind]
    key: Text


class RunMessage(Message, kw_only=True):
    """A message to a run."""

    kind: ClassVar[Kind] = "run"
    key: Text = field(name="run")


AttributeKind = Literal["text", "number", "truth", "moment"]


class Attribute(msgspec.Struct, array_like=True, frozen=True):
    """A typed value of a run, by name: lists filter by it, sort by it and show it."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: AttributeKind
    #: A moment in milliseconds.
    value: str | bool | int | float


class StartRun(RunMessage, kw_only=True, tag="run.start"):
    """Begin a run of the definition with this fingerprint. A second start of one id changes nothing."""

    id: Text
    #: Its name.
    workflow: str
    fingerprint: str
    input: Raw = NULL
    #: For filters; the children of the run have them too.
    tags: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()
    #: The W3C `traceparent` that goes along with the run.
    trace: OptionalText | None = None
    #: Log time before which nothing begins.
    at: Millis | None = None
    #: The queue of steps without a queue.
    queue: OptionalText = ""
    #: Higher is sooner, among the commands that a worker holds.
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    #: A JSON object of the caller's.
    metadata: OptionalRaw = None
    #: The parent run and its step, and the number of generations above.
    parent: OptionalText = ""
    parent_step: OptionalText = ""
    depth: Annotated[int, Meta(ge=0, le=1_000)] = 0
    #: Paths into the run's output that the parent reads, if that travels by reference.
    picks: tuple[OptionalText, ...] = ()
    #: The trigger, if neither a client nor a parent: `event`, a message on the events topic; `schedule`; or
    #: the names of an event and of the trigger that it fired.
    trigger: OptionalText = ""
    #: How long the run may take from its beginning, in place of the workflow's time-out.
    timeout_ms: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    #: Whether the parent waits for the end; otherwise no end is reported to it.
    is_awaited: bool = True
    #: Typed values of the run: name, kind, value.
    attributes: Annotated[tuple[Attribute, ...], Meta(max_length=32)] = ()
    #: How long after its beginning the end of the run is expected, or by when, in place of the workflow's
    #: due time.
    due_ms: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    due_at: Millis | None = None


class StartWithSignal(StartRun, kw_only=True, tag="run.start_signal"):
    """A signal to a run, which is begun first if there is none of its id.

    An existing run is given the signal alone; one of another workflow is refused it.
    """

    #: A release that does not know this format leaves the message to one that does.
    format: Format
    #: Of the signal; its id is that of the message.
    signal: Text
    #: JSON that the signal carries.
    data: Raw = NULL
    #: Who sends it, under any name.
    by: OptionalText = ""
    #: How long the signal is kept for a wait that has not begun; None: until the end of the run.
    ttl_ms: Millis | None = None


class Scheduled(msgspec.Struct, array_like=True, frozen=True):
    """The schedule behind a run, and the moment, in milliseconds."""

    schedule: str
    moment: int


class StartScheduled(StartRun, kw_only=True, tag="run.start_scheduled"):
    """A schedule starts a run under an id derived from schedule and moment, and learns of the end."""

    #: A release that does not know this format leaves the message to one that does.
    format: Format
    schedule: Text
    #: For which moment.
    moment: Moment


class StartTriggered(StartRun, kw_only=True, tag="run.start_triggered"):
    """An event starts a run by a trigger: under an id of the event's, or derived from trigger and event."""

    #: A release that does not know this format leaves the message to one that does.
    format: Format
    #: The names of the trigger and of the event, and the event's id.
    on: Text
    event: Text
    event_id: Text
    #: Why no run can be started; the message becomes a dead letter.
    failure: Failure | None = None


class CancelRun(RunMessage, kw_only=True, tag="run.cancel"):
    """Cancel a run.

    For a run already ending, or ended, only the request is kept.
    """

    id: Text
    #: For people.
    reason: str = ""
    #: Whether what completed is undone, as if the run had failed.
    compensate: bool = False
    #: Who asks for it, under any name.
    by: OptionalText = ""


class PauseRun(RunMessage, kw_only=True, tag="run.pause"):
    """Begin no step until the run is resumed; what is under way goes on, and so does time."""

    id: Text
    reason: str = ""
    #: Who asks for it, under any name.
    by: OptionalText = ""


class ResumeRun(RunMessage, kw_only=True, tag="run.resume"):
    """Go on with a paused run."""

    id: Text
    #: An object that is merged into the run's context.
    context: OptionalRaw = None
    reason: str = ""
    #: Who asks for it, under any name.
    by: OptionalText = ""


class CancelStep(RunMessage, kw_only=True, tag="step.cancel"):
    """End a step, or a group with all members, as cancelled; later steps are cancelled too."""

    id: Text
    #: Its name.
    step: Text
    reason: str = ""
    #: Who asks for it, under any name.
    by: OptionalText = ""


class SkipStep(RunMessage, kw_only=True, tag="step.skip"):
    """End a step, or a group with all members, as skipped; later steps go on.

    After `compensation_failed` this accepts a failed or cancelled compensation.
    """

    id: Text
    step: Text
    reason: str = ""
    #: Who asks for it, under any name.
    by: OptionalText = ""


class RetryRun(RunMessage, kw_only=True, tag="run.retry"):
    """Retry steps of a run in place, whether or not the run has ended.

    After `compensation_failed` only a compensation without success, such as `charge~compensate`, is retried.
    """

    id: Text
    #: This step and all later steps; empty: all failed or cancelled steps, and all later steps.
    step: OptionalText = ""
    #: Everything, from the beginning.
    whole: bool = False
    reason: str = ""
    #: Who asks for it, under any name.
    by: OptionalText = ""


class MarkReviewed(RunMessage, kw_only=True, tag="run.reviewed"):
    """A person has looked at a failed run, which needs nobody any more until it is retried."""

    id: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: Who, under any name.
    by: OptionalText = ""
    reason: Comment = ""


class ReviewMessage(RunMessage, kw_only=True):
    """A person decides about a held step."""

    id: Text
    #: Its name.
    step: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The attempt that the step is held for; 0: any.
    attempt: WaitAttempt = 0
    #: Who decides, under any name.
    by: OptionalText = ""
    reason: Comment = ""


class CompleteHeld(ReviewMessage, kw_only=True, tag="held.complete"):
    """Complete a held step with a value; later steps go on."""

    #: JSON that becomes the output.
    output: Raw = NULL


class FailHeld(ReviewMessage, kw_only=True, tag="held.fail"):
    """Let a held step fail, and with it the run, or what the step is a member of."""

    #: Why; None: the failure that the step is held for.
    failure: Failure | None = None


class ChangeHeld(RunMessage, kw_only=True, tag="run.change_held"):
    """A person changes a run with held steps, before a decision. Fields left out stay as before."""

    id: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The name of the workflow, if the sender knows it: a run of another one is not changed.
    workflow: OptionalText = ""
    #: JSON that becomes the input of the run.
    input: OptionalRaw = None
    #: Values by their paths in the context, such as `order.total`.
    context: Annotated[dict[Text, Raw], Meta(max_length=100)] = {}
    #: The held step that gets these retries and time-outs in this run.
    step: OptionalText = ""
    retry: RetryPolicy | None = None
    #: How many attempts it has; the rest of its retries stays as it is.
    attempts: Ordinal | None = None
    #: Of an attempt or of the wait, and of all attempts together.
    timeout_ms: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    total_ms: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    #: Who changes it, under any name, and why.
    by: OptionalText = ""
    reason: Comment = ""


class InquireRun(RunMessage, kw_only=True, tag="run.inquire"):
    """A program asks the run something; a function answers beside the graph. Each id is answered once."""

    id: Text
    #: The name of the answer.
    inquiry: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: JSON that it carries.
    data: Raw = NULL


class OutsideMessage(RunMessage, kw_only=True):
    """An end, or a sign of life, from outside for a step that waits for its token."""

    id: Text
    step: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The attempt of the step that the token names; 0: any.
    attempt: WaitAttempt = 0
    #: Who ends it, under any name.
    by: OptionalText = ""


class CompleteStep(OutsideMessage, kw_only=True, tag="step.complete"):
    """Complete the step with a value. Before the step waits, the value is kept for it."""

    #: JSON that becomes the output.
    output: Raw = NULL


class FailStep(OutsideMessage, kw_only=True, tag="step.fail"):
    """Fail the step. Before the step waits, the failure is kept for it."""

    failure: Failure


class HeartbeatStep(OutsideMessage, kw_only=True, tag="step.heartbeat"):
    """What the step waits for is still under way: the time between heartbeats begins again."""


class ChildEnded(RunMessage, kw_only=True, tag="child.ended"):
    """A child run of a step has ended."""

    step: Text
    child: Text
    status: OptionalText
    output: Raw = NULL
    failure: Failure | None = None


class SignalRun(RunMessage, kw_only=True, tag="run.signal"):
    """A signal to a run, by name."""

    id: Text
    signal: Text
    #: JSON data.
    data: Raw = NULL
    #: Who sends it, under any name.
    by: OptionalText = ""
    #: How long it is kept for a wait that has not begun; None: until the end of the run.
    ttl_ms: Millis | None = None


class InputMessage(RunMessage, kw_only=True):
    """An action of a person on a question of a step."""

    id: Text
    #: Name of the step that asks.
    wait: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The number of the question of this step; 0: any.
    attempt: WaitAttempt = 0
    #: The acting person, under any name.
    by: OptionalText = ""


class AnswerInput(InputMessage, kw_only=True, tag="input.answer"):
    """Answer the question; the step ends with it."""

    #: JSON that fits the schema of the question.
    answer: Raw
    comment: Comment = ""


class ClaimInput(InputMessage, kw_only=True, tag="input.claim"):
    """Take the question on, unless it is somebody else's already."""


class AssignInput(InputMessage, kw_only=True, tag="input.assign"):
    """Assign the question to a person, in place of the present assignee."""

    #: Who is to answer; empty: anybody of the role.
    to: OptionalText = ""
    #: Who may answer; None: as before.
    role: OptionalText | None = None
    comment: Comment = ""


class CommentInput(InputMessage, kw_only=True, tag="input.comment"):
    """Note something beside the question."""

    comment: Comment


class AttemptMessage(RunMessage, kw_only=True):
    """A worker's message about an attempt."""

    #: Its name.
    step: Text
    #: From 1, as the command says.
    attempt: Ordinal
    #: Name of the worker.
    worker: OptionalText = ""


class Call(msgspec.Struct, omit_defaults=True, array_like=True, frozen=True):
    """The call that a message about an attempt comes from, as in the command."""

    #: How many passes of the attempt came before, how often it had been returned, and its worker lost.
    passes: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    returns: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    losses: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0


class AttemptStarted(AttemptMessage, kw_only=True, tag="attempt.started"):
    """A long attempt is under way; silence longer than the lease gives it up."""

    #: How long after this, or after the latest heartbeat, the worker is given up.
    lease_ms: Millis = 30_000
    #: When the attempt itself runs out of time, counted from its start; None: never.
    timeout_ms: Millis | None = None

    #: Whether the command had been delivered before, and the function is not called, for it may have kept
    #: values since: the attempt is requested again with them.
    is_repeat: bool = False
    #: How many passes of the attempt came before, as the command says; with `is_repeat` only.
    passes: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    #: How often it had been returned, and its worker lost, as the command says; with `is_repeat` only.
    returns: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    losses: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    #: Of a function that may keep values: the call, which holds the attempt unless it was replaced.
    call: Call | None = None


class AttemptHeartbeat(AttemptMessage, kw_only=True, tag="attempt.heartbeat"):
    """A long attempt still runs."""

    #: How long after this the worker is given up.
    lease_ms: Millis = 30_000
    #: How far the attempt is, with what words.
    percent: float | None = None
    label: str | None = None
    #: The partition for cancellations, once the partition of the attempt's command has moved.
    reply_to: Partition | None = None


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
    waits: Annotated[tuple[InnerWait, ...], Meta(min_length=1, max_length=1_000)]
    #: Whether the worker keeps the suspended function, and needs no other answers than these.
    is_kept: bool = False
    #: How often the attempt had been returned, as the command says.
    returns: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    #: How often its worker had been lost, as the command says.
    losses: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    #: What the pass has cost at its gate, in all; None: the forecast holds.
    spent: Units | None = None


class LogLine(msgspec.Struct, omit_defaults=True, array_like=True):
    """A log line of a step."""

    #: Worker's own clock, milliseconds.
    time: int
    level: str
    text: str


class Change(msgspec.Struct, omit_defaults=True, array_like=True):
    """A change of the run's context, made by a step."""

    kind: Literal["put", "merge", "merge_deep", "append", "increment", "delete"]
    key: str
    #: The value put or appended, the object merged into that at the key (the context itself if the key is
    #: empty; `merge_deep` goes into objects within objects), or the number added.
    value: Raw = NULL


class AttemptEnd(AttemptMessage, kw_only=True):
    """The end of an attempt, with logs and changes of the context."""

    #: Worker's own clock, milliseconds; for people, never for decisions.
    started: Millis = 0
    finished: Millis = 0
    #: What the run's context is to become, in order: kind of change, key, value.
    changes: tuple[Change, ...] = ()
    #: Lines that the step wrote: time, level, text.
    logs: tuple[LogLine, ...] = ()
    #: Of a call that has kept values: the end counts only while this call holds the attempt, so that what
    #: follows from a value is never taken over without the value.
    call: Call | None = None
    #: What the call has cost at its gate, in all; None: the forecast holds.
    spent: Units | None = None


class AttemptCompleted(AttemptEnd, kw_only=True, tag="attempt.completed"):
    """An attempt ended with a value."""

    #: What the function returned.
    output: Raw = NULL


class AttemptFailed(AttemptEnd, kw_only=True, tag="attempt.failed"):
    """An attempt ended without a value."""

    #: See below.
    failure: Failure
    #: The delay before the next attempt, where a function of the author's decides it.
    delay_ms: Millis | None = None


class AttemptReturned(AttemptEnd, kw_only=True, tag="attempt.returned"):
    """A worker returns an unused attempt; the same attempt is requested again."""

    #: How long to wait before it is asked for again.
    delay_ms: Millis = 0
    reason: Annotated[str, Meta(max_length=4_000)] = ""
    #: How often the attempt had been given back before: the command says it, and a repeat says the same.
    returns: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    #: Whether the worker's code has no such function.
    is_not_carried: bool = False


class AttemptSkipped(AttemptEnd, kw_only=True, tag="attempt.skipped"):
    """The step is skipped; later steps go on without the output."""

    #: For people.
    reason: Annotated[str, Meta(max_length=4_000)] = ""


class AttemptJumped(AttemptEnd, kw_only=True, tag="attempt.jumped"):
    """The step is done, and the steps up to the target are skipped."""

    #: The step that the run goes on with.
    to: Text
    output: Raw = NULL


class Grafted(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A step added to the run by an answer."""

    #: The template or step with the function to call.
    of: Text
    #: Within the expansion; empty: its position.
    name: OptionalText = ""
    item: Raw = NULL
    #: Names within the expansion.
    after: tuple[Text, ...] = ()


class AttemptExpanded(AttemptEnd, kw_only=True, tag="attempt.expanded"):
    """The step is done after the added steps, with the list of outputs."""

    steps: Annotated[tuple[Grafted, ...], Meta(max_length=10_000)] = ()
    concurrency: Annotated[int, Meta(ge=1)] | None = None
    complete_all: bool = False


class AttemptFinished(AttemptEnd, kw_only=True, tag="attempt.finished"):
    """The run completes now, with this output."""

    #: The output of the run.
    output: Raw = NULL


class AttemptCancels(AttemptEnd, kw_only=True, tag="attempt.cancels"):
    """A reaction is done, and cancels the run."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    #: For people.
    reason: Annotated[str, Meta(max_length=4_000)] = ""
    #: Whether what completed is undone, as if the run had failed.
    compensate: bool = False


class EmittedRecord(msgspec.Struct, omit_defaults=True, kw_only=True, tag="record", tag_field="kind"):
    """A record for a topic of others."""

    #: As the cluster calls it.
    topic: Text
    #: Bytes in base64, as is `value`; null: without a key, and with a tombstone.
    record_key: bytes | None = field(default=None, name="key")
    value: bytes | None = None
    #: What the value is, as a media type.
    content: OptionalText = ""
    #: The fingerprint of the Avro schema of the value.
    schema: OptionalText = ""


class EmittedEvent(msgspec.Struct, omit_defaults=True, kw_only=True, tag="event", tag_field="kind"):
    """An event for waiting runs."""

    event: Text
    #: Empty: without a key.
    event_key: OptionalText = field(default="", name="key")
    data: Raw = NULL
    ttl_ms: Millis = 0


class EmittedSignal(msgspec.Struct, omit_defaults=True, kw_only=True, tag="signal", tag_field="kind"):
    """A signal to another run."""

    run: Text
    signal: Text
    data: Raw = NULL
    #: How long it is kept for a wait that has not begun; None: until the end of the run.
    ttl_ms: Millis | None = None


class EmittedStart(msgspec.Struct, omit_defaults=True, kw_only=True, tag="run", tag_field="kind"):
    """The start of another run."""

    run: Text
    workflow: Text
    fingerprint: OptionalText = ""
    input: Raw = NULL
    tags: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()


Emission = EmittedRecord | EmittedEvent | EmittedSignal | EmittedStart


class AttemptEmitted(AttemptMessage, kw_only=True, tag="attempt.emitted"):
    """An attempt ended; the emissions leave, and attributes are set, if the end is saved as the step's."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The end, a message of its own.
    end: (
        AttemptCompleted | AttemptSkipped | AttemptJumped | AttemptExpanded | AttemptFinished | AttemptCancels
    )
    #: In the order of the calls.
    emissions: Annotated[tuple[Emission, ...], Meta(max_length=1_000)] = ()
    #: Typed values for the run: name, kind, value.
    attributes: Annotated[tuple[Attribute, ...], Meta(max_length=32)] = ()


class EmissionRefused(RunMessage, kw_only=True, tag="emission.refused"):
    """A topic refused an emission for good."""

    #: Of the emission.
    id: Text
    format: Format
    step: Text
    attempt: Ordinal
    topic: Text
    #: `too_large`, `no_topic`, `not_authorised` or `invalid`.
    code: OptionalText = ""
    reason: Annotated[str, Meta(max_length=4_000)] = ""


class EventDelivered(RunMessage, kw_only=True, tag="event.delivered"):
    """A channel passes an event on to a wait of this run."""

    #: Name of the step that waits.
    wait: Text
    id: Text
    data: Raw = NULL
    attempt: WaitAttempt = 0
    #: Who published the event, and when it came to the channel, in log time.
    by: OptionalText = ""
    at: Millis = 0


class EventOffered(EventDelivered, kw_only=True, tag="event.offered"):
    """A channel offers an event to one of the waits that take.

    The run answers `channel.taken`, or `channel.unwait` if it no longer waits; until then no other takes it.
    """

    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The channel to answer.
    channel: Text


class EventGiven(RunMessage, kw_only=True, tag="event.given"):
    """A channel gives the next event to a reaction of this run.

    The run answers `channel.reacted` at the end of the reaction, or `channel.unread` without one. No other
    event comes before.
    """

    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The step name of the reaction, without the number of a call.
    reaction: Text
    id: Text
    data: Raw = NULL
    #: Which opening of the read this is for.
    ordinal: Ordinal
    #: Strictly increasing in the channel.
    number: Arrival
    #: The channel to answer.
    channel: Text
    #: When the event came to the channel, in log time.
    at: Millis = 0
    #: Who published it.
    by: OptionalText = ""


class SleepUntil(RunMessage, kw_only=True, tag="sleep.until"):
    """When a sleep of this run ends, computed once from the calendar."""

    step: Text
    #: Which attempt of the step sleeps.
    attempt: Ordinal
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: Log time; None: see `failure`.
    at: Millis | None = None
    #: Why there is no such moment; the step fails with it.
    failure: Failure | None = None


class WaitChecked(RunMessage, kw_only=True, tag="wait.check"):
    """A channel asks whether the run still waits; if not, the run has the wait closed.

    Sent when the message opening the wait came more than three seconds late, possibly from a replaced
    reconciler.
    """

    #: Name of the step that waits.
    wait: Text
    #: The channel that has the wait.
    channel: Text
    attempt: WaitAttempt = 0


class RunTimerFired(RunMessage, kw_only=True, tag="run.timer"):
    """A timer of a run is due."""

    #: Name of the step; empty for the run itself.
    timer: str
    #: Log time that was asked for.
    due: Millis


class RunContinued(RunMessage, kw_only=True, tag="run.continue"):
    """A run continues work too large for one record.

    Steps begin 500 at a time, or fewer with large inputs.
    """


class ChannelMessage(Message, kw_only=True):
    """A message to a channel."""

    kind: ClassVar[Kind] = "channel"
    key: Text = field(name="channel")


class EventPublished(ChannelMessage, kw_only=True, tag="channel.event"):
    """An event of the channel's name and key happened."""

    id: Text
    #: JSON data.
    data: Raw = NULL
    #: How long the event is kept for waits that have not begun yet.
    ttl_ms: Millis
    #: Who publishes it, under any name.
    by: OptionalText = ""


class EventUnkeyed(ChannelMessage, kw_only=True, tag="channel.unkeyed"):
    """An event without a key happened: no run waits for it, and triggers alone take it.

    The channel is that of the name and the event's id, and keeps nothing.
    """

    id: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: JSON data.
    data: Raw = NULL
    #: Who publishes it, under any name.
    by: OptionalText = ""


class WaitOpened(ChannelMessage, kw_only=True, tag="channel.wait"):
    """A run waits for an event of this channel."""

    #: The run that waits.
    run: Text
    #: Name of the step that waits.
    wait: Text
    attempt: WaitAttempt = 0
    #: Log time since which the run waits; 0: not said.
    since: Millis = 0


class WaitClosed(ChannelMessage, kw_only=True, tag="channel.unwait"):
    """A run no longer waits, and gives back an event offered to the wait.

    A wait of a later attempt stays open.
    """

    #: The run that waited.
    run: Text
    #: Name of the step that waited.
    wait: Text
    attempt: WaitAttempt = 0


class TakeOpened(WaitOpened, kw_only=True, tag="channel.take"):
    """A run waits for an event of this channel that no other `channel.take` gets."""

    #: Releases without this format leave the message to newer ones.
    format: Format


class EventTaken(ChannelMessage, kw_only=True, tag="channel.taken"):
    """A wait has ended with the offered event: no other wait takes the event."""

    #: Of the event.
    id: Text
    #: The run that waited.
    run: Text
    #: Name of the step that waited.
    wait: Text
    attempt: WaitAttempt
    #: Releases without this format leave the message to newer ones.
    format: Format


class ReadMessage(ChannelMessage, kw_only=True):
    """A message about the events of a channel for a reaction of a run."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    run: Text
    #: The step name of the reaction, without the number of a call.
    reaction: Text
    #: Which opening this is, from 1: messages about an earlier one change nothing.
    ordinal: Ordinal


class ReadOpened(ReadMessage, kw_only=True, tag="channel.read"):
    """A run reacts to the events of this channel."""

    #: Log time: events from then on are given.
    since: Millis = 0


class EventReacted(ReadMessage, kw_only=True, tag="channel.reacted"):
    """The reaction to the event of this number has ended: the next event may be given."""

    number: Arrival


class ReadClosed(ReadMessage, kw_only=True, tag="channel.unread"):
    """A run reacts no more."""


class ChannelContinued(ChannelMessage, kw_only=True, tag="channel.continue"):
    """A channel continues work too large for one record: an event wakes 500 waits or reactions at a time."""


class ChannelTimerFired(ChannelMessage, kw_only=True, tag="channel.timer"):
    """Events of the channel have come to the end of their time."""

    #: Empty.
    timer: str
    #: Log time that was asked for.
    due: Millis


#: What can be sent later.
Deferrable = SignalRun | EventPublished | EventUnkeyed


class LaterMessage(Message, kw_only=True):
    """A message about a message for later."""

    kind: ClassVar[Kind] = "later"
    key: Text = field(name="later")


class SendLater(LaterMessage, kw_only=True, tag="later.send"):
    """Send a signal or an event at a moment of log time, or some time after this is on the log."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    message: Deferrable
    #: Log time; one of the two is given.
    at: Millis | None = None
    after_ms: Millis | None = None


class CancelLater(LaterMessage, kw_only=True, tag="later.cancel"):
    """Drop a message for later that was not sent yet."""

    id: Text
    #: Releases without this format leave the message to newer ones.
    format: Format


class LaterTimerFired(LaterMessage, kw_only=True, tag="later.timer"):
    """A message for later is due, or has been remembered for long enough."""

    #: Empty.
    timer: str
    #: Log time that was asked for.
    due: Millis


Overlap = Literal["skip", "queue_one", "queue_all", "cancel", "allow"]
#: How long after its moment a firing is caught up.
CATCH_UP_MS = 86_400_000


class Plan(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The task of a schedule, with the rule."""

    rule: Rule
    #: The workflow of its runs, in the version that is current when it fires.
    workflow: Text
    #: Of each run.
    input: Raw = NULL
    #: What a firing does while a run of an earlier one is under way.
    overlap: Overlap = "skip"
    #: How late a firing may be; a moment that is missed by more does not fire.
    catch_up_ms: Millis = CATCH_UP_MS
    #: How long each run may take, in place of the workflow's time-out.
    timeout_ms: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    #: After so many firings in a row that failed, the schedule turns itself off.
    disable_after: Ordinal | None = None
    tags: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()
    queue: OptionalText = ""
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    #: A JSON object.
    metadata: OptionalRaw = None


class ScheduleMessage(Message, kw_only=True):
    """A message to a schedule."""

    kind: ClassVar[Kind] = "schedule"
    key: Text = field(name="schedule")


class ScheduleFact(ScheduleMessage, kw_only=True):
    """A message to a schedule, with a format."""

    #: Releases without this format leave the message to newer ones.
    format: Format


class ScheduleOrder(ScheduleFact, kw_only=True):
    """An order of a person or a program."""

    id: Text
    by: OptionalText = ""
    reason: Comment = ""


class SetSchedule(ScheduleOrder, kw_only=True, tag="schedule.set"):
    """Create a schedule at run time, or change one; without a plan, go back to the code's."""

    plan: Plan | None = None
    #: Whether it is refused where there is one.
    is_new: bool = False


class DeclareSchedule(ScheduleFact, kw_only=True, tag="schedule.declare"):
    """The code of an app declares a schedule. Changes and pauses at run time stay in force."""

    id: Text
    app: Text
    plan: Plan


class DeclaredSchedules(ScheduleFact, kw_only=True, tag="schedule.roll"):
    """All schedules declared by an app; those no longer among them are marked, not deleted.

    The key is that of the app's roll.
    """

    id: Text
    app: Text
    names: Annotated[tuple[Text, ...], Meta(max_length=10_000)] = ()


class UndeclareSchedule(ScheduleFact, kw_only=True, tag="schedule.undeclare"):
    """The code of an app declares a schedule no longer. It goes on, and is reported."""

    app: Text


class PauseSchedule(ScheduleOrder, kw_only=True, tag="schedule.pause"):
    """Turn a schedule off: its moments do not fire until it is turned on, nor afterwards."""


class ResumeSchedule(ScheduleOrder, kw_only=True, tag="schedule.resume"):
    """Turn a schedule on again, from now on."""


class DeleteSchedule(ScheduleOrder, kw_only=True, tag="schedule.delete"):
    """Forget a schedule; runs go on. A deployment still declaring the schedule creates it again."""


class TriggerSchedule(ScheduleOrder, kw_only=True, tag="schedule.trigger"):
    """Start a run of the schedule now, on or off, whatever else is under way."""


class BackfillSchedule(ScheduleOrder, kw_only=True, tag="schedule.backfill"):
    """Start runs for moments of the past, one after another; a moment with a run gets no second one."""

    moments: Annotated[tuple[Moment, ...], Meta(min_length=1, max_length=1_000)]
    #: The time between one start and the next.
    pace_ms: Annotated[int, Meta(ge=1, le=86_400_000)] = 1_000


class ScheduleNext(ScheduleFact, kw_only=True, tag="schedule.next"):
    """The next moment of a schedule, computed once from the calendar."""

    #: Which computation of the schedule this answers: the count of its changes, and the moment before.
    revision: Millis
    after: Millis
    #: None: there is no more.
    at: Moment | None = None
    #: How many moments before it were missed for good.
    missed: Millis = 0
    #: Why there is none; the schedule is turned off.
    failure: Failure | None = None


class ScheduledRunEnded(ScheduleFact, kw_only=True, tag="schedule.ended"):
    """A run of the schedule has ended, or could not be started."""

    run: Text
    status: OptionalText
    failure: Failure | None = None


class ScheduleTimerFired(ScheduleMessage, kw_only=True, tag="schedule.timer"):
    """A moment of a schedule is due, or the next one of a back-fill."""

    #: Empty, or `backfill`.
    timer: str
    #: Log time that was asked for.
    due: Millis


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


class AdmissionMessage(Message, kw_only=True):
    """A message to an admission: the starts of a workflow and a key."""

    kind: ClassVar[Kind] = "admission"
    key: Text = field(name="admission")


class AdmissionAsked(AdmissionMessage, kw_only=True, tag="admission.ask"):
    """A run wants to begin."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    run: Text
    #: How often the run has asked: a later time replaces an earlier one.
    attempt: Ordinal
    #: The rule of the run's definition.
    rule: StartRule
    #: Higher is sooner, where one waits for another.
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    #: Whether it has begun before, and so goes with no other run.
    is_again: bool = False
    #: Its input, where the run that begins is given those of all.
    input: OptionalRaw = None
    #: Log time of the request; 0: unknown.
    asked: Millis = 0


class AdmissionBegun(AdmissionMessage, kw_only=True, tag="admission.begun"):
    """A run let in has begun: the members are merged."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    run: Text
    #: As it has asked.
    attempt: Ordinal


class AdmissionLeft(AdmissionMessage, kw_only=True, tag="admission.leave"):
    """A run has ended, or does not want to begin any more, or has merged as requested."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    run: Text
    #: As it has asked.
    attempt: Ordinal


class AdmissionTimerFired(AdmissionMessage, kw_only=True, tag="admission.timer"):
    """A time of an admission is over."""

    #: Empty.
    timer: str
    #: Log time that was asked for.
    due: Millis


class RunAdmitted(RunMessage, kw_only=True, tag="run.admitted"):
    """An admission lets the run begin. Repeated from time to time until the run has begun, or ends."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    admission: Text
    #: As the run has asked.
    attempt: Ordinal
    #: The inputs of all runs that go with it and its own, in the order of arrival; empty: its own alone.
    inputs: Annotated[tuple[Raw, ...], Meta(max_length=500)] = ()


class RunMerged(RunMessage, kw_only=True, tag="run.merged"):
    """The run ends without having begun: another run is the taker."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    admission: Text
    #: As the run has asked.
    attempt: Ordinal
    into: Text


class RequestDoubted(RunMessage, kw_only=True, tag="run.doubted"):
    """A request for admission may be a late repeat: the run asks again if it still waits."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    admission: Text
    #: As the run has asked.
    attempt: Ordinal
    #: The time of that request, and of the new one at the earliest.
    asked: Millis
    after: Millis


class RunFollowed(RunMessage, kw_only=True, tag="run.follow"):
    """A parent waits for a child merged into the run: the end of the run is reported as the child's."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    parent: Text
    parent_step: Text
    child: Text
    #: Paths into the output that the parent reads, if that travels by reference.
    picks: tuple[OptionalText, ...] = ()


class LogMessage(Message, kw_only=True):
    """A message to a partition of the inbox as a whole. The key is the partition's number."""

    kind: ClassVar[Kind] = "log"
    key: Text = field(name="log")


class FormatRaised(LogMessage, kw_only=True, tag="log.format"):
    """From here on records of this partition are folded, and state is written, by a newer format.

    Sent to the partition with the number in the key; there is no way back.
    """

    format: Format


class RulesDeclared(LogMessage, kw_only=True, tag="log.rules"):
    """Triggers were declared, changed, or turned off or on: from here on they count for this partition.

    The definitions topic is read to the end before the effects of later records.
    """

    #: Releases without this format leave the message to newer ones.
    format: Format


class CommandsLost(LogMessage, kw_only=True, tag="log.commands_lost"):
    """Finished commands of a queue are unknown in this partition: open commands are requested again.

    Sent by a worker taking over a partition of a command topic without an offset of the group, or with an
    offset before the first kept command.
    """

    #: Its name.
    queue: Text
    #: The reporting worker.
    worker: OptionalText = ""


AnyMessage = (
    StartRun
    | CancelRun
    | SignalRun
    | AttemptStarted
    | AttemptHeartbeat
    | AttemptCompleted
    | AttemptFailed
    | EventDelivered
    | RunTimerFired
    | EventPublished
    | WaitOpened
    | WaitClosed
    | ChannelTimerFired
    | AttemptReturned
    | PauseRun
    | ResumeRun
    | CancelStep
    | SkipStep
    | RetryRun
    | ChildEnded
    | AttemptSkipped
    | AttemptJumped
    | AttemptExpanded
    | AttemptFinished
    | GateAsked
    | GateLeft
    | GateTimerFired
    | GatePassed
    | WaitChecked
    | ChannelContinued
    | RunContinued
    | FormatRaised
    | CommandsLost
    | AnswerInput
    | ClaimInput
    | AssignInput
    | CommentInput
    | SleepUntil
    | StartWithSignal
    | EventOffered
    | TakeOpened
    | EventTaken
    | CompleteStep
    | FailStep
    | HeartbeatStep
    | InquireRun
    | AttemptEmitted
    | EmissionRefused
    | AttemptNoted
    | AttemptWaits
    | SendLater
    | CancelLater
    | LaterTimerFired
    | AttemptCancels
    | StartScheduled
    | SetSchedule
    | DeclareSchedule
    | DeclaredSchedules
    | UndeclareSchedule
    | PauseSchedule
    | ResumeSchedule
    | DeleteSchedule
    | TriggerSchedule
    | BackfillSchedule
    | ScheduleNext
    | ScheduledRunEnded
    | ScheduleTimerFired
    | EventGiven
    | ReadOpened
    | EventReacted
    | ReadClosed
    | PlaceAsked
    | PlaceLeft
    | SetGate
    | ResetGate
    | ProbeBreaker
    | PlaceGiven
    | StartTriggered
    | EventUnkeyed
    | RulesDeclared
    | CompleteHeld
    | FailHeld
    | ChangeHeld
    | AdmissionAsked
    | AdmissionBegun
    | AdmissionLeft
    | AdmissionTimerFired
    | RunAdmitted
    | RunMerged
    | RunFollowed
    | RequestDoubted
    | MarkReviewed
)

#: Message types in a fixed order: evidence keeps the position. Append only.
MESSAGE_TYPES: tuple[type[Message], ...] = (
    StartRun,
    CancelRun,
    SignalRun,
    AttemptStarted,
    AttemptHeartbeat,
    AttemptCompleted,
    AttemptFailed,
    EventDelivered,
    RunTimerFired,
    EventPublished,
    WaitOpened,
    WaitClosed,
    ChannelTimerFired,
    AttemptReturned,
    PauseRun,
    ResumeRun,
    CancelStep,
    SkipStep,
    RetryRun,
    ChildEnded,
    AttemptSkipped,
    AttemptJumped,
    AttemptExpanded,
    AttemptFinished,
    GateAsked,
    GateLeft,
    GateTimerFired,
    GatePassed,
    WaitChecked,
    ChannelContinued,
    RunContinued,
    FormatRaised,
    CommandsLost,
    AnswerInput,
    ClaimInput,
    AssignInput,
    CommentInput,
    SleepUntil,
    StartWithSignal,
    EventOffered,
    TakeOpened,
    EventTaken,
    CompleteStep,
    FailStep,
    HeartbeatStep,
    InquireRun,
    AttemptEmitted,
    EmissionRefused,
    AttemptNoted,
    AttemptWaits,
    SendLater,
    CancelLater,
    LaterTimerFired,
    AttemptCancels,
    StartScheduled,
    SetSchedule,
    DeclareSchedule,
    DeclaredSchedules,
    UndeclareSchedule,
    PauseSchedule,
    ResumeSchedule,
    DeleteSchedule,
    TriggerSchedule,
    BackfillSchedule,
    ScheduleNext,
    ScheduledRunEnded,
    ScheduleTimerFired,
    EventGiven,
    ReadOpened,
    EventReacted,
    ReadClosed,
    PlaceAsked,
    PlaceLeft,
    SetGate,
    ResetGate,
    ProbeBreaker,
    PlaceGiven,
    StartTriggered,
    EventUnkeyed,
    RulesDeclared,
    CompleteHeld,
    FailHeld,
    ChangeHeld,
    AdmissionAsked,
    AdmissionBegun,
    AdmissionLeft,
    AdmissionTimerFired,
    RunAdmitted,
    RunMerged,
    RunFollowed,
    RequestDoubted,
    MarkReviewed,
)
