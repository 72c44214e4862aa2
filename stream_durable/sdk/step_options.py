"""The options of each kind of step, for editors and type checkers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict

from stream_durable.core.definition.nodes import OnError
from stream_durable.sdk.breaker import Breaker
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.gate import Gate, Priority
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.steps import After, Step

#: The effect of a failed member on its group; `hold`: the member is held until a person decides.
OnMembers = Literal["fail_fast", "complete_all", "hold"]


#: The effect of a final failure of a function beside the graph, where nothing is held.
OnCallError = Literal["fail", "skip", "continue"]


class CallOptions(TypedDict, total=False):
    """Of every function that a worker calls; hooks and compensations have no others."""

    retry: Retry | None
    #: The limit of one attempt; a function of the step's values is called on the worker, before each attempt.
    timeout: Duration | Callable[..., Any] | None
    queue: str


class BesideOptions(CallOptions, total=False):
    """Options of functions called beside the graph."""

    #: How many calls for one run may be under way at the same time, from 1 to 50; without it, one.
    concurrency: int | None


class DueOptions(TypedDict, total=False):
    """The moment by which an end is expected: a missed one is reported, and changes nothing."""

    #: So long after the beginning, or at a moment; or a path to a text with one of these.
    due: Duration | datetime | None


class FunctionOptions(CallOptions, DueOptions, total=False):
    """Options of every function step."""

    #: The limit of the step in all, from when it may begin.
    total: Duration | None
    #: Whether to call the function in a separate process, for CPU-bound work.
    process: bool
    breaker: Breaker | str | None
    #: Passed before each attempt and left with its end.
    gate: Gate | None
    #: In the line before the gate; otherwise that of the run.
    priority: Priority | None
    #: What a call costs of the gate's rate and turns: a number, or a path to one.
    units: int | str | None


class AboutOptions(TypedDict, total=False):
    """Texts for people."""

    description: str


class OrderOptions(AboutOptions, DueOptions, total=False):
    """Options of every step of a graph."""

    after: After


class ErrorOptions(TypedDict, total=False):
    """The effect of a final failure on the run."""

    on_error: OnError


class NodeOptions(OrderOptions, ErrorOptions, total=False):
    """Options of steps without a function."""


class QuestionOptions(DueOptions, total=False):
    """Of a question to people."""

    #: The possible answers; with `several` the answer is a list of some.
    choices: Iterable[str] | None
    several: bool
    #: A type that pydantic reads, or a JSON Schema.
    form: Any
    #: Texts, which may hold paths in braces.
    prompt: str
    role: str
    assignee: str
    #: An object for the display of the question; texts may hold paths too.
    metadata: Mapping[str, Any] | None
    timeout: Duration | None
    #: The output when the time is over; `"fail"`: the step fails.
    on_timeout: object


class AskOptions(NodeOptions, QuestionOptions, total=False):
    """Of a step that asks people."""


class CaseOptions(FunctionOptions, OrderOptions, ErrorOptions, total=False):
    """Options of a step forming a clause of a branch."""

    name: str | None
    #: Steps whose outputs `ctx.output` gives without a parameter.
    reads: Step | str | tuple[Step | str, ...] | list[Step | str]
    #: Steps by parameter, for parameters with another name.
    takes: Mapping[str, Step | str]
    #: The key of the run's context that also gets the output.
    into: str | None


class AddOptions(FunctionOptions, OrderOptions, ErrorOptions, total=False):
    """Options of a step added by a call."""

    reads: Step | str | tuple[Step | str, ...] | list[Step | str]
    #: Steps by parameter, for parameters with another name.
    takes: Mapping[str, Step | str]
    #: The key of the run's context that also gets the output.
    into: str | None
    #: A function of the step's values; a false result skips the step.
    when: Callable[..., Any] | None


class StepOptions(AddOptions, total=False):
    """Options of a step from a decorated function."""

    name: str | None


class TemplateOptions(FunctionOptions, AboutOptions, ErrorOptions, total=False):
    """Options of a template for `Expand`."""

    name: str | None
    when: Callable[..., Any] | None


class EachOptions(FunctionOptions, OrderOptions, total=False):
    """Options of `each`: of the members, and of the group."""

    name: str | None
    reads: Step | str | tuple[Step | str, ...] | list[Step | str]
    #: Steps by parameter, for parameters with another name.
    takes: Mapping[str, Step | str]
    when: Callable[..., Any] | None
    on_error: OnMembers
    #: The number of members under way at once.
    concurrency: int | None
    #: The number of completed members that suffices; the rest is cancelled.
    enough: int | None
