"""Which options each kind of step has. The types are what an author's editor and type checker show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from stream_durable.core.definition.nodes import OnError, OnMemberError
from stream_durable.sdk.breaker import Breaker
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.steps import After, Step


class CallOptions(TypedDict, total=False):
    """Of every function that a worker calls; hooks and compensations have no others."""

    retry: Retry | None
    #: Of one attempt. A function of the step's values is asked on the worker, before each attempt.
    timeout: Duration | Callable[..., Any] | None
    queue: str


class FunctionOptions(CallOptions, total=False):
    """Of every step that is a function."""

    #: How long the step may take in all, from when it may begin.
    total: Duration | None
    #: Whether it is called in a process of its own: for work that keeps a processor busy.
    process: bool
    breaker: Breaker | str | None


class AboutOptions(TypedDict, total=False):
    """What is said for people."""

    description: str


class OrderOptions(AboutOptions, total=False):
    """What has to have ended before."""

    after: After


class ErrorOptions(TypedDict, total=False):
    """What a failure for good does to the run."""

    on_error: OnError


class NodeOptions(OrderOptions, ErrorOptions, total=False):
    """Of steps that are no function."""


class CaseOptions(FunctionOptions, OrderOptions, ErrorOptions, total=False):
    """Of a step that is a clause of a branch by itself."""

    name: str | None
    #: Steps whose outputs `ctx.output` gives though no parameter is named like them.
    reads: Step | str | tuple[Step | str, ...] | list[Step | str]
    #: Steps by the parameters that get their outputs though they are called otherwise.
    takes: Mapping[str, Step | str]
    #: The key of the run's context under which the output is put, too.
    into: str | None


class AddOptions(FunctionOptions, OrderOptions, ErrorOptions, total=False):
    """Of a step that is added by a call."""

    reads: Step | str | tuple[Step | str, ...] | list[Step | str]
    #: Steps by the parameters that get their outputs though they are called otherwise.
    takes: Mapping[str, Step | str]
    #: The key of the run's context under which the output is put, too.
    into: str | None
    #: A function of the step's values; the step is skipped if it says no.
    when: Callable[..., Any] | None


class StepOptions(AddOptions, total=False):
    """Of a step that is a decorated function."""

    name: str | None


class TemplateOptions(FunctionOptions, AboutOptions, ErrorOptions, total=False):
    """Of a function that an `Expand` makes steps of."""

    name: str | None
    when: Callable[..., Any] | None


class EachOptions(FunctionOptions, OrderOptions, total=False):
    """Of the members of `each`, and of them as a group."""

    name: str | None
    reads: Step | str | tuple[Step | str, ...] | list[Step | str]
    #: Steps by the parameters that get their outputs though they are called otherwise.
    takes: Mapping[str, Step | str]
    when: Callable[..., Any] | None
    on_error: OnMemberError
    #: So many run at once.
    concurrency: int | None
    #: So many completed ones suffice; the rest is cancelled.
    enough: int | None
