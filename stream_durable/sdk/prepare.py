"""From steps as they were written to a definition, or to the list of all that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from msgspec.structs import replace

from stream_durable.core.definition.nodes import AnyNode, Definition, EventNode, StepNode
from stream_durable.core.definition.paths import root_of
from stream_durable.core.definition.validate import Fault, validate
from stream_durable.sdk.binding import Binder
from stream_durable.sdk.errors import DefinitionError, DefinitionFault
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.options import Options
from stream_durable.sdk.origin import Origin


class Draft(NamedTuple):
    """A step as it was written, before the names of all steps are known."""

    node: AnyNode
    origin: Origin
    options: Options
    #: None: a wait.
    function: Callable[..., Any] | None = None
    #: What annotations of the function may name beyond its globals.
    local_names: Mapping[str, Any] = {}


class Outline(NamedTuple):
    """A workflow as it was written, its steps aside."""

    name: str
    input_type: Any
    timeout_ms: int | None
    options: Options
    origin: Origin

    def fault(self, step: str | None, code: str, message: str, origin: Origin) -> DefinitionFault:
        """Say that something is wrong with this workflow."""
        return DefinitionFault(self.options.label, step, code, message, origin)


class Prepared(NamedTuple):
    """What a workflow without faults becomes."""

    definition: Definition
    fingerprint: str
    handlers: Mapping[str, Handler]


def prepare(outline: Outline, drafts: Sequence[Draft]) -> Prepared:
    """Bind and check everything; raise one `DefinitionError` with all faults, each where it was written."""
    own = outline.options.copy()
    drafts = [draft._replace(options=draft.options.copy()) for draft in drafts]
    names = {draft.node.name for draft in drafts}
    binder = Binder(outline.name, outline.input_type, names, own)
    handlers: dict[str, Handler] = {}
    nodes = tuple(_finished(draft, names, binder, handlers) for draft in drafts)
    definition = Definition(name=outline.name, nodes=nodes, timeout_ms=outline.timeout_ms)
    faults = _placed(outline, own, drafts, validate(definition))
    if faults:
        raise DefinitionError(faults)
    return Prepared(definition, definition.fingerprint(), handlers)


def _finished(draft: Draft, names: set[str], binder: Binder, handlers: dict[str, Handler]) -> AnyNode:
    """Return the node with what its parameters, or the path of its key, make it wait for."""
    node = draft.node
    if isinstance(node, EventNode):
        root = root_of(node.key)
        return replace(node, after=_with(node.after, [root])) if root in names else node
    if not isinstance(node, StepNode) or draft.function is None:
        return node
    handler = binder.bind(node.name, draft.function, draft.local_names, draft.options)
    handlers[node.name] = handler
    after = _with(node.after, handler.takes)
    return replace(node, after=after, takes=handler.takes, takes_input=handler.takes_input)


def _with(after: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*after, *more)))


def _placed(
    outline: Outline, own: Options, drafts: Sequence[Draft], found: Sequence[Fault]
) -> list[DefinitionFault]:
    """Return all faults in the order of the file: the workflow's own first, then step by step."""
    of_workflow = [outline.fault(None, code, text, outline.origin) for code, text in own.faults]
    of_steps: list[list[DefinitionFault]] = []
    places: dict[str, list[int]] = {}
    for i, draft in enumerate(drafts):
        name = draft.node.name
        places.setdefault(name, []).append(i)
        of_steps.append([outline.fault(name, *fault, draft.origin) for fault in draft.options.faults])
    for node, code, message in found:
        if node is None:
            of_workflow.append(outline.fault(None, code, message, outline.origin))
            continue
        # Of two steps with one name, the second is the one too many.
        i = places[node].pop(1) if code == "duplicate" else places[node][0]
        of_steps[i].append(outline.fault(node, code, message, drafts[i].origin))
    return [*of_workflow, *chain.from_iterable(of_steps)]
