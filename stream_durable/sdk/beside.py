"""Functions called beside the graph for inquiries, signals and events: nodes and schemas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from stream_durable.core.definition.about import schema_within_bounds
from stream_durable.core.definition.nodes import AnyNode, BesideNode, StepNode
from stream_durable.core.names import hook_kind
from stream_durable.sdk.draft import Draft
from stream_durable.sdk.options import Options
from stream_durable.sdk.schemas import Schemas
from stream_durable.sdk.signature import NOWHERE, Hints

#: The parameter that takes what an inquiry carries.
REQUEST: Final = "request"


#: The parameter that takes what a signal carries.
SIGNAL: Final = "signal"

#: The parameter that takes what an event carries.
EVENT: Final = "event"


def argument_of(draft: Draft) -> str:
    """Return the parameter for what a function beside the graph is called about."""
    if draft.signal:
        return SIGNAL
    return EVENT if draft.event else REQUEST


def beside_nodes(made: Iterable[tuple[Draft, AnyNode]]) -> tuple[BesideNode, ...]:
    """Return the functions beside the graph among finished nodes."""
    return tuple(
        BesideNode(
            name=hook_kind(node.name),
            on="signal" if draft.signal else "event" if draft.event else "inquiry",
            signal=draft.signal,
            event=draft.event,
            key=draft.key,
            concurrency=draft.concurrency,
            step=node,
        )
        for draft, node in made
        if draft.role == "beside" and isinstance(node, StepNode)
    )


def schemas_of(drafts: Iterable[Draft], schemas: Schemas) -> dict[str, Any]:
    """Return the JSON Schemas of what inquiries carry, where the functions say it."""
    found = {}
    for draft in drafts:
        if draft.role == "beside" and argument_of(draft) == REQUEST and draft.work is not None:
            hint = Hints(draft.work.function, draft.work.local_names).of(REQUEST, "", Options(""))
            schema = None if hint is NOWHERE else schema_within_bounds(schemas.of(hint, "read").whole())
            if schema:
                found[hook_kind(draft.node.name)] = schema
    return found
