"""The format that a definition needs: releases without it leave its runs to newer ones."""

from __future__ import annotations

from collections.abc import Iterable, Sized

from stream_durable.core.admission.rule import Starts
from stream_durable.core.definition.guards import Gate
from stream_durable.core.definition.nodes import (
    AnyNode,
    EventNode,
    InputNode,
    SignalNode,
    SleepNode,
    TokenNode,
    function_of,
    gate_of,
    may_hold,
)
from stream_durable.core.format import (
    ADMISSIONS,
    ALL_OF,
    ASKS,
    BESIDE,
    CALENDAR,
    CONCURRENCY,
    DUE,
    GATES,
    HOLD,
    TAKE,
    TOKENS,
)


def format_of(
    nodes: Iterable[AnyNode],
    concurrency: int | None = None,
    beside: Sized = (),
    gate: Gate | None = None,
    due_ms: int | None = None,
    queues: Sized = (),
    starts: Starts | None = None,
) -> int:
    """Return the format needed to fold a definition: 1 without later kinds and options."""
    of_workflow = (
        1 if concurrency is None else CONCURRENCY,
        BESIDE if beside else 1,
        1 if gate is None else GATES,
        1 if due_ms is None else DUE,
        GATES if queues else 1,
        1 if starts is None else ADMISSIONS,
    )
    return max(*of_workflow, *map(_format_of, nodes))


def _format_of(node: AnyNode) -> int:
    if gate_of(node) is not None:
        return GATES
    if may_hold(node):
        return HOLD
    function = function_of(node)
    if node.is_expected or (function is not None and function.is_expected):
        return DUE
    if isinstance(node, InputNode):
        return ASKS
    if isinstance(node, TokenNode):
        return TOKENS
    if isinstance(node, SignalNode) and node.all_of:
        return ALL_OF
    if isinstance(node, EventNode) and node.take:
        return TAKE
    return CALENDAR if isinstance(node, SleepNode) and node.until is not None else 1
