"""The nodes of a graph, serialisable without code, and the definition holding them.

New fields have defaults; a definition using a new field declares the field's format in `format`. Unknown
fields are refused: a run folded without them would behave differently.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Literal, assert_never, final

import msgspec

from stream_durable.core.admission.rule import Starts
from stream_durable.core.definition.canonical import canonical
from stream_durable.core.definition.guards import Breaker, Gate, QueueRule
from stream_durable.core.definition.moments import AnyMoment
from stream_durable.core.format import Format
from stream_durable.core.messages import Millis
from stream_durable.core.policy import NO_RETRY, Count, RetryPolicy

#: The effect of a final failure on the run: it fails, or later steps go on, as if the step had been skipped
#: or with the failure on record, or the step is held until a person decides.
OnError = Literal["fail", "skip", "continue", "hold"]
#: The effect of a failed member on the group: it fails at once, or keeps the failure as a result.
OnMemberError = Literal["fail_fast", "complete_all"]
#: How people are asked: yes or no, one of several, some of several, a text, a number, a date, or fields.
AnswerKind = Literal["approval", "choice", "choices", "text", "number", "date", "form"]


class Join(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """The number of steps to complete out of several; with 1, a race for the first."""

    of: tuple[str, ...]
    enough: Count = 1
    #: Whether to cancel members still under way then.
    cancel_rest: bool = False


class Node(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
):
    """The fields of every node: a name, and the dependencies."""

    name: str
    after: tuple[str, ...] = ()
    #: The members of `after` whose end suffices, however they ended.
    ended: tuple[str, ...] = ()
    joins: tuple[Join, ...] = ()
    #: The group or branch around this node, and the number of the branch's clause.
    member_of: str | None = None
    clause: Count = 0
    on_error: OnError = "fail"
    #: How long after its beginning the end is expected; a missed moment is reported, and changes nothing.
    due_ms: Millis | None = None
    #: In place of it a path to the moment, or to a time from then; or `=` and the moment.
    due_at: str | None = None

    @property
    def is_expected(self) -> bool:
        """Whether the end is expected by some moment."""
        return self.due_ms is not None or self.due_at is not None


@final
class StepNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="step"):
    """A user's function, called by a worker of the queue."""

    queue: str = "default"
    retry: RetryPolicy = NO_RETRY
    #: Time limit of an attempt, from the start on a worker.
    timeout_ms: Millis | None = None
    #: Whether the function takes the run's input, and which outputs; nothing else travels.
    takes_input: bool = True
    takes: tuple[str, ...] = ()
    #: The groups whose members' results are taken, failures too.
    results: tuple[str, ...] = ()
    #: Whether the function takes the run's context.
    takes_context: bool = False
    #: How long the step may take in all, from when it may begin: attempts and the time between them.
    total_ms: Millis | None = None
    #: The compensation of the step, after completion, if the run fails later.
    compensation: StepNode | None = None
    breaker: Breaker | None = None
    #: Passed before each attempt, after the breaker, and left with its end.
    gate: Gate | None = None
    #: The place in the line before a gate and in the queue, higher is sooner; None: as the run.
    priority: int | None = None
    #: What the call costs of the gate's rate: a path, or `=` and a number; None: 1.
    units: str | None = None

    @property
    def is_gated(self) -> bool:
        """Whether somebody is asked before each attempt."""
        return self.breaker is not None or self.gate is not None


@final
class SleepNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="sleep"):
    """Waits for a time, or until a moment by the calendar."""

    #: 0 where `until` is given.
    duration_ms: Millis
    until: AnyMoment | None = None
    #: By whose clocks: the name of an IANA time zone, or a path to one.
    zone: str = "UTC"


@final
class SignalNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="signal"):
    """A wait for one of the named signals, or for all of them."""

    signals: tuple[str, ...]
    #: Whether one of each is needed.
    all_of: bool = False
    timeout_ms: Millis | None = None
    #: JSON text of the output when the time is over; None: the step fails with code `timeout`.
    on_timeout: str | None = None

    @property
    def named(self) -> str:
        """The signals in words."""
        return (" and " if self.all_of else " or ").join(self.signals)


@final
class EventNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="event"):
    """Waits for an event of a name and of the key found at a path when the wait begins."""

    event: str
    #: A path such as `input.id` or `charge.number`.
    key: str
    #: Whether no other wait that takes gets the same event.
    take: bool = False
    timeout_ms: Millis | None = None
    on_timeout: str | None = None


@final
class InputNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="input"):
    """A question to people; the first fitting answer is the output.

    Texts may hold paths in braces, as in `Ship {input.id}?`, filled at the beginning of the wait.
    """

    answer: AnswerKind = "approval"
    #: JSON text of the JSON Schema that an answer has to fit.
    schema: str = '{"type":"boolean"}'
    prompt: str = ""
    #: The role and the assignee.
    role: str = ""
    assignee: str = ""
    #: JSON text of an object for the display of the question.
    metadata: str | None = None
    timeout_ms: Millis | None = None
    on_timeout: str | None = None


@final
class TokenNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="token"):
    """Waits until somebody who has its token ends it, with a value or a failure."""

    #: The longest time between two heartbeats; None: none are expected.
    heartbeat_ms: Millis | None = None
    timeout_ms: Millis | None = None
    on_timeout: str | None = None


@final
class ParallelNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="parallel"):
    """A group of the nodes naming this group in `member_of`. The output is each member's result, by name."""

    on_member_error: OnMemberError = "fail_fast"
    #: So many members run at once; None: all of them.
    concurrency: Count | None = None
    #: Passed before the first member begins, and left with the end of the group.
    gate: Gate | None = None
    priority: int | None = None


@final
class EachNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="each"):
    """A step for each item of the list at a path. The output is the list of outputs in the same order."""

    over: str
    #: The member's node, named like this node.
    step: StepNode
    concurrency: Count | None = None
    #: So many completed members suffice, and the rest is cancelled; None: all of them.
    enough: Count | None = None
    on_member_error: OnMemberError = "fail_fast"


@final
class BranchNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="branch"):
    """A choice of one clause; members in other clauses are skipped. The output is the clause's output."""

    #: A path to the value that decides; None: `selector` does, on a worker, and answers the clause's number.
    on: str | None = None
    selector: StepNode | None = None
    #: JSON text of the value that picks each clause; None: the clause for every other value.
    cases: tuple[str | None, ...] = ()


@final
class ChildNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="child"):
    """A run of another workflow; the output is the child's output."""

    workflow: str
    fingerprint: str
    #: A path to the child's input, or its fields, each with a path or with `=` and the JSON text of a value;
    #: None: the child's input is null.
    input: str | dict[str, str] | None = None
    retry: RetryPolicy = NO_RETRY
    timeout_ms: Millis | None = None
    #: The child runs again until the value at this path is true. Paths begin with the name of this node.
    until: str | None = None
    #: What the next input takes from the output of the last round, by field; other fields stay as they are.
    again: dict[str, str] = {}
    at_most: Count = 1_000
    every_ms: Millis = 0
    #: The compensation of the child, if the run fails later.
    compensation: StepNode | None = None
    #: The queue of the child's steps without a queue; None: the parent's.
    queue: str | None = None
    #: JSON text of the output when the time is over; None: the step fails with code `timeout`.
    on_timeout: str | None = None
    #: Whether the step waits for the end; otherwise its output is the id of the child. Inside of steps only.
    wait: bool = True
    #: Of a child that is not waited for: whether it goes on if the run fails or is cancelled.
    leave: bool = False


#: Nodes waiting for something other than a worker, and nodes with members, ending with them. A new kind of
#: node belongs to one of these; the type checker then asks for every place that must know each kind.
WaitNode = SleepNode | SignalNode | EventNode | InputNode | TokenNode | ChildNode
GroupNode = ParallelNode | EachNode | BranchNode
AnyNode = StepNode | WaitNode | GroupNode


def word_of(node: AnyNode) -> str:
    """Return the word for this kind of node."""
    match node:
        case StepNode() | EachNode() | SleepNode():
            return "step"
        case SignalNode() | EventNode() | InputNode() | TokenNode():
            return "wait"
        case ParallelNode():
            return "group"
        case BranchNode():
            return "branch"
        case ChildNode():
            return "child"
        case _:
            assert_never(node)


def function_of(node: AnyNode) -> StepNode | None:
    """Return the function called by workers for a node, or for each created member."""
    match node:
        case StepNode():
            return node
        case EachNode():
            return node.step
        case BranchNode():
            return node.selector
        case SleepNode() | SignalNode() | EventNode() | InputNode() | TokenNode():
            return None
        case ParallelNode() | ChildNode():
            return None
        case _:
            assert_never(node)


def work_of(node: AnyNode) -> StepNode | None:
    """Return the function called by a worker for the node itself."""
    return None if isinstance(node, EachNode) else function_of(node)


def undo_of(node: AnyNode) -> StepNode | None:
    """Return a node's compensation; for generated members see `function_of`."""
    match node:
        case StepNode() | ChildNode():
            return node.compensation
        case SleepNode() | SignalNode() | EventNode() | InputNode() | TokenNode():
            return None
        case ParallelNode() | EachNode() | BranchNode():
            return None
        case _:
            assert_never(node)


#: The most calls of a function beside the graph that may be under way in a run; twice as many are remembered.
CALLS_AT_ONCE_MAX: Final = 50


class BesideNode(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """A function called beside the graph, in order, while a run goes on: at an inquiry, signal or event."""

    #: Of the inquiries, or of the reaction; the function's node is called as `beside_name` says.
    name: str
    on: Literal["inquiry", "signal", "event"] = "inquiry"
    #: The name of the signals, or of the events with the path to their key in the input, to react to.
    signal: str = ""
    event: str = ""
    key: str = ""
    #: How many calls for one run may be under way at the same time.
    concurrency: Count = 1
    step: StepNode


class Definition(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """A named graph with options, identified by a fingerprint; a run keeps the first definition."""

    name: str
    nodes: tuple[AnyNode, ...]
    timeout_ms: Millis | None = None
    #: Templates: steps outside of the graph until an answer adds them.
    templates: tuple[StepNode, ...] = ()
    #: Hooks by name: see `HOOKS`.
    hooks: tuple[StepNode, ...] = ()
    #: How often the whole graph is tried; its delays are between two tries.
    restart: RetryPolicy = NO_RETRY
    #: Whether objects that steps answer are merged into the run's context. Only old definitions say so: today
    #: the context holds what functions put there.
    keeps_context: bool = False
    #: Optional public events, besides those of every run.
    events: tuple[str, ...] = ()
    #: How many steps of one run may be with workers at the same time; None: as many as could begin.
    concurrency: Count | None = None
    #: Functions called beside the graph.
    beside: tuple[BesideNode, ...] = ()
    #: The gate that each run passes before it begins.
    gate: Gate | None = None
    #: How long after its beginning the end of a run is expected.
    due_ms: Millis | None = None
    #: Queues that are limited as a whole or have lanes by priority, by name.
    queues: tuple[QueueRule, ...] = ()
    #: Which runs begin, and which go with another.
    starts: Starts | None = None
    #: The format needed to fold a run of this: older releases leave the run to newer ones.
    format: Format = 1

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits, changing with any change of the definition."""
        return fingerprint_of(encode_definition(self))


def uses_tokens(definition: Definition) -> bool:
    """Return whether a step of a workflow ends by a token."""
    return any(isinstance(node, TokenNode) for node in definition.nodes)


#: Hooks called once before the run ends in this way, and hooks called for steps.
RUN_HOOKS = ("on_success", "on_failure", "on_cancel")
STEP_HOOKS = ("on_step_start", "on_step_complete", "on_step_fail", "on_attempt_fail")
#: Called for a run, and for steps.
DUE_HOOK = "on_overdue"
HOOKS = (*RUN_HOOKS, *STEP_HOOKS, DUE_HOOK)


def gate_of(node: AnyNode) -> Gate | None:
    """Return the gate of a node's function or group, if any."""
    passed = node if isinstance(node, ParallelNode) else function_of(node)
    return None if passed is None else passed.gate


def may_hold(node: AnyNode) -> bool:
    """Return whether a node, or a member made of it, is held when it has failed."""
    return "hold" in (node.on_error, getattr(function_of(node), "on_error", ""))


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Definition)


def fingerprint_of(data: bytes) -> str:
    """Return the fingerprint of a published definition.

    Computed from the bytes, not from the decoded definition: a later release knows more fields, and must
    still find the definition of a run.
    """
    return sha256(data).hexdigest()[:16]


def encode_definition(definition: Definition) -> bytes:
    """Return the canonical bytes for fingerprinting, publishing and storing."""
    return _encoder.encode(canonical(definition))


def decode_definition(data: bytes) -> Definition:
    """Decode the bytes of `encode_definition`."""
    return _decoder.decode(data)
