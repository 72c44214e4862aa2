"""Defined elements as written, kept until the names of all steps are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from stream_durable.core.definition.nodes import AnyNode, StepNode
from stream_durable.sdk.options import Options
from stream_durable.sdk.origin import Origin
from stream_durable.sdk.retry import DelayAfter

if TYPE_CHECKING:
    from stream_durable.sdk.workflow import Workflow


class Work(NamedTuple):
    """A function called by a worker, with its companions in the same attempt."""

    function: Callable[..., Any]
    #: Names for annotations of the function beyond its globals.
    local_names: Mapping[str, Any]
    condition: Callable[..., Any] | None = None
    limit: Callable[..., Any] | None = None
    delay_after: DelayAfter | None = None
    in_process: bool = False
    #: The key of the run's context under which the output is put, too.
    into: str | None = None
    #: Steps whose outputs are passed without a parameter.
    reads: tuple[str, ...] = ()
    #: Steps by parameter, for parameters with another name.
    takes: Mapping[str, str] = {}


class ClauseDraft(NamedTuple):
    """A clause of a branch: the JSON of a value, or a condition; without either, for all the rest."""

    case: str | None = None
    condition: Callable[..., Any] | None = None
    local_names: Mapping[str, Any] = {}


@dataclass(slots=True, eq=False)
class Draft:
    """A defined element with the faults so far."""

    node: AnyNode
    origin: Origin
    options: Options
    #: None: no function belongs to it.
    work: Work | None = None
    #: Whether it is in the graph, can be added to it by an answer, or is called when something happens.
    role: Literal["node", "template", "hook", "beside"] = "node"
    #: The name of the signals, or of the events with a path to their key, that a reaction is for.
    signal: str = ""
    event: str = ""
    key: str = ""
    #: How many calls beside the graph may be under way at the same time.
    concurrency: int = 1
    compensation: Draft | None = None
    #: Of a group.
    members: tuple[str, ...] = ()
    holds_members: bool = False
    #: Of a branch.
    clauses: list[ClauseDraft] = field(default_factory=list)
    #: Of a branch that no path decides.
    selector: StepNode | None = None
    #: The workflow that a child is a run of.
    child: Workflow | None = None
