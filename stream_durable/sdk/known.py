"""Types known before a workflow runs: of the input, and of each step's output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import msgspec

from stream_durable.core.definition.answer_misfit import answer_misfit
from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    ChildNode,
    Definition,
    EachNode,
    EventNode,
    InputNode,
    ParallelNode,
    SignalNode,
    SleepNode,
    StepNode,
    TokenNode,
)
from stream_durable.core.definition.schema import ANYTHING, Schema, step_into
from stream_durable.sdk.answers import Expand, Finish, Jump
from stream_durable.sdk.binding import value_of
from stream_durable.sdk.draft import Draft
from stream_durable.sdk.errors import DefinitionError
from stream_durable.sdk.lineage import prepared_child
from stream_durable.sdk.options import Options
from stream_durable.sdk.origin import Origin
from stream_durable.sdk.schemas import Schemas
from stream_durable.sdk.signature import NOWHERE, Hints, shown

if TYPE_CHECKING:
    from stream_durable.sdk.workflow import Workflow

#: Answers with which a step comes to something else than its function's values are.
_OTHERWISE = (Expand, Jump, Finish)


class Known(NamedTuple):
    """A known type, with the declaration and the place."""

    schema: Schema
    #: Such as `step 'charge' returns Receipt`.
    text: str
    origin: Origin

    @property
    def said(self) -> str:
        """The declaration with the place."""
        return f"{self.text} ({self.origin})"


class KnownValues:
    """The values of one workflow, by the names used in paths and parameters."""

    def __init__(self, workflow: Workflow, origin: Origin, drafts: Mapping[str, Draft]) -> None:
        self.schemas = Schemas()
        self._workflow = workflow
        self._origin = origin
        self._drafts = drafts
        self._known: dict[str, Known | None] = {}
        self._answers: dict[Draft, Any] = {}

    def of(self, root: str) -> Known | None:
        """Return the known type of the input or of a step's output, or None."""
        if root not in self._known:
            self._known[root] = self._found(root)
        return self._known[root]

    def answered(self, draft: Draft) -> Any:
        """Return the declared return type of a step's function; Any without annotation."""
        found = self._answers.get(draft)
        if found is None:
            found = self._answers[draft] = _answered(draft)
        return found

    def item_of(self, root: str, path: str) -> Known | None:
        """Return what is known of the items of the list at a path."""
        known = self.of(root)
        schema = None if known is None else known.schema
        for part in path.split(".")[1:]:
            schema = None if schema is None else step_into(schema, part)
        kinds = [] if schema is None else [kind for kind in schema.kinds() if kind.name != "null"]
        if known is None or len(kinds) != 1 or kinds[0].name != "array":
            return None
        text = f"it is of the list at {path!r}, for {known.text}"
        return known._replace(schema=kinds[0].item(None) or ANYTHING, text=text)

    def own_of(self, draft: Draft) -> Known | None:
        """Return the type passed to the compensation of a step or of one member."""
        if isinstance(draft.node, EachNode):
            return self._function(draft, draft.node.step)
        return self._step(draft, draft.node)

    def of_child(self, child: Workflow) -> Known:
        """Return the known input type of a child."""
        schema = self.schemas.of(child.input_type, "read")
        text = f"the input of workflow {child.name!r} is {shown(child.input_type)}"
        return Known(schema, text, child.origin)

    def _found(self, root: str) -> Known | None:
        if root == "input":
            hint = self._workflow.input_type
            schema = ANYTHING if hint is None else self.schemas.of(hint, "read")
            return _unless_anything(schema, f"the input is {shown(hint)}", self._origin)
        draft = self._drafts.get(root)
        return None if draft is None else self._step(draft, draft.node)

    def _step(self, draft: Draft, node: AnyNode) -> Known | None:
        match node:
            case StepNode():
                return self._function(draft, node)
            case SleepNode():
                return Known(Schema({"type": "null"}), f"sleep {node.name!r} comes to null", draft.origin)
            case EachNode():
                return self._list(draft, node)
            case ChildNode():
                return self._child(draft, node)
            case InputNode():
                return _answer(draft, node)
            case BranchNode() | ParallelNode() | SignalNode() | EventNode() | TokenNode():
                return None

    def _function(self, draft: Draft, node: StepNode) -> Known | None:
        hint = self.answered(draft)
        if hint is Any or hint in _OTHERWISE or any(each in _OTHERWISE for each in get_args(hint)):
            return None
        value = value_of(hint)
        text = f"step {node.name!r} returns {shown(value)}"
        return _unless_anything(self.schemas.of(value, "written"), text, draft.origin)

    def _list(self, draft: Draft, node: EachNode) -> Known | None:
        one = self._function(draft, node.step)
        if one is None:
            return None
        # Of what did not complete there is null.
        item = one.schema.or_null().node
        text = f"{one.text} for each item, as a list"
        return one._replace(schema=one.schema.at({"type": "array", "items": item}), text=text)

    def _child(self, draft: Draft, node: ChildNode) -> Known | None:
        assert draft.child is not None
        try:
            if prepared_child(self._workflow, draft.child, Options("")) is None:
                return None
        except DefinitionError:
            return None
        text = f"workflow {node.workflow!r} comes to {shown(draft.child.output_type)}"
        known = draft.child._prepare().output
        return known if draft.child.output_type is None or known is None else known._replace(text=text)


def _answer(draft: Draft, node: InputNode) -> Known | None:
    """Return what an answer is; None where the answer for the end of the time may be anything else."""
    schema = Schema(msgspec.json.decode(node.schema))
    if node.on_timeout is not None and answer_misfit(node.schema, msgspec.json.decode(node.on_timeout)):
        return None
    return _unless_anything(schema, f"wait {node.name!r} is answered with {node.answer}", draft.origin)


def output_of(values: KnownValues, definition: Definition, drafts: Iterable[Draft]) -> Known | None:
    """Return the type of a run's output: the only last step's, if no function can finish earlier."""
    waited = {name for node in definition.nodes for name in node.after}
    waited |= {name for node in definition.nodes for join in node.joins for name in join.of}
    last = [n for n in definition.nodes if n.member_of is None and n.name not in waited]
    if len(last) != 1 or any(_can_finish(values, draft) for draft in drafts):
        return None
    known = values.of(last[0].name)
    # Of a step that was skipped there is none.
    return None if known is None else known._replace(schema=known.schema.or_null())


def _can_finish(values: KnownValues, draft: Draft) -> bool:
    if draft.work is None or draft.role == "hook" or isinstance(draft.node, BranchNode):
        return False
    hint = values.answered(draft)
    return hint is Any or hint is Finish or Finish in get_args(hint)


def _answered(draft: Draft) -> Any:
    """Return the declared return type of a step's function; Any without annotation."""
    if draft.work is None:
        return Any
    hint = Hints(draft.work.function, draft.work.local_names).of("return", "", Options(""))
    return Any if hint is NOWHERE else hint


def _unless_anything(schema: Schema, text: str, origin: Origin) -> Known | None:
    return None if any(kind.name is None for kind in schema.kinds()) else Known(schema, text, origin)
