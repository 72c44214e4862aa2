"""Turns steps as written into a definition, or into the list of all faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args

from msgspec.structs import replace

from stream_durable.core.definition.about import About, schema_within_bounds
from stream_durable.core.definition.formats import format_of
from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    ChildNode,
    Definition,
    EachNode,
    Node,
    ParallelNode,
    StepNode,
    may_hold,
)
from stream_durable.core.definition.paths import root_of
from stream_durable.core.definition.reads import reads_of
from stream_durable.core.definition.type_misfit import type_misfit
from stream_durable.core.definition.validate import validate
from stream_durable.sdk.answers import Expand
from stream_durable.sdk.beside import argument_of, beside_nodes, schemas_of
from stream_durable.sdk.binding import Binder, Offer, says_why, value_of, with_takes
from stream_durable.sdk.choice import Selector, by_condition, by_value
from stream_durable.sdk.draft import Draft, Work
from stream_durable.sdk.errors import DefinitionError, DefinitionFault
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.known import Known, KnownValues, output_of
from stream_durable.sdk.lineage import prepared_child
from stream_durable.sdk.options import Options
from stream_durable.sdk.outline import Outline
from stream_durable.sdk.placing import Noted, placed
from stream_durable.sdk.signature import shown
from stream_durable.sdk.type_faults import judge_child, judge_key, judge_paths
from stream_durable.sdk.wait_nodes import give_tokens

if TYPE_CHECKING:
    from stream_durable.sdk.workflow import Workflow


_AnyNode = TypeVar("_AnyNode", bound=Node)


class Prepared(NamedTuple):
    """The result for a workflow without faults."""

    definition: Definition
    fingerprint: str
    handlers: Mapping[str, Handler]
    #: What a run comes to; None: anything.
    output: Known | None
    about: About


def prepare(workflow: Workflow, outline: Outline, drafts: Sequence[Draft]) -> Prepared:
    """Bind and check everything; raise one `DefinitionError` with all faults, each with the place."""
    own = outline.options.copy()
    preparation = _Preparation(workflow, outline, drafts, own)
    made = [(draft.role, preparation.finished(draft)) for draft in drafts]
    nodes = tuple(node for role, node in made if role == "node")
    templates = tuple(node for role, node in made if role == "template" and isinstance(node, StepNode))
    asked = beside_nodes(zip(drafts, (node for _, node in made), strict=True))
    definition = Definition(
        name=outline.name,
        nodes=nodes,
        timeout_ms=outline.timeout_ms,
        templates=templates,
        hooks=tuple(node for role, node in made if role == "hook" and isinstance(node, StepNode)),
        restart=outline.restart,
        events=outline.events,
        beside=asked,
        due_ms=outline.due_ms,
        format=format_of(
            (*nodes, *templates),
            outline.concurrency,
            asked,
            outline.gate,
            outline.due_ms,
            starts=outline.starts,
        ),
        concurrency=outline.concurrency,
        gate=outline.gate,
        starts=outline.starts,
    )
    if outline.gate is not None and outline.gate.per is not None:
        judge_key(preparation.values, outline.gate.per, own)
    if outline.starts is not None and outline.starts.key is not None:
        judge_key(preparation.values, outline.starts.key, own)
    output = preparation.output(definition, outline, own)
    give_tokens(nodes, preparation.handlers.values())
    faults = placed(outline, own, preparation.noted, validate(definition))
    faults += preparation.faults_of_children
    if faults:
        raise DefinitionError(dict.fromkeys(faults))
    fingerprint = definition.fingerprint()
    for handler in preparation.handlers.values():
        handler.belong(definition, fingerprint)
    said = {draft.node.name: text for draft in drafts if (text := draft.options.description)}
    about = replace(
        outline.about,
        steps=said,
        outputs=_schemas_of_held(zip(drafts, (node for _, node in made), strict=True), preparation.values),
        inquiries=schemas_of(drafts, preparation.values.schemas),
        input=None if outline.input_type is None else _schema_of(preparation.values.of("input")),
        output=_schema_of(output),
    )
    return Prepared(definition, fingerprint, preparation.handlers, output, about)


def _schema_of(known: Known | None) -> Any:
    return None if known is None else schema_within_bounds(known.schema.whole())


def _schemas_of_held(made: Iterable[tuple[Draft, AnyNode]], values: KnownValues) -> dict[str, Any]:
    """Return the JSON Schemas of what a person may complete held steps with, where it is known."""
    found = {}
    for draft, node in made:
        if may_hold(node) and (schema := _schema_of(values.own_of(draft))) is not None:
            found[node.name] = schema
    return found


class _Preparation:
    """Completes the nodes of one workflow, once the names of all are known."""

    def __init__(self, workflow: Workflow, outline: Outline, drafts: Sequence[Draft], own: Options) -> None:
        self.handlers: dict[str, Handler] = {}
        self.noted: list[Noted] = []
        self.faults_of_children: list[DefinitionFault] = []
        self._workflow = workflow
        self._drafts = {draft.node.name: draft for draft in drafts if draft.role == "node"}
        self._all_drafts = drafts
        self.values = KnownValues(workflow, outline.origin, self._drafts)
        self._binder = Binder(outline.name, outline.input_type, self.values.schemas, own)
        templates = frozenset(draft.node.name for draft in drafts if draft.role == "template")
        groups = frozenset(name for name, d in self._drafts.items() if isinstance(d.node, ParallelNode))
        self._offer = Offer(
            self._drafts.keys(),
            groups,
            self._is_list,
            templates=templates,
            type_of=self._type_of,
            known=self.values.of,
        )
        #: The groups that name each step as a member.
        self._groups: dict[str, list[str]] = {}
        for draft in drafts:
            for member in dict.fromkeys(draft.members):
                self._groups.setdefault(member, []).append(draft.node.name)

    def finished(self, draft: Draft) -> AnyNode:
        """Return the node completed from the other names and from the node's functions."""
        options = draft.options.copy()
        self.noted.append(Noted(draft.node.name, draft.origin, options))
        node = self._node(draft, options)
        judge_paths(self.values, node, options)
        if draft.event:
            judge_key(self.values, draft.key, options)
        groups = self._groups.get(node.name) if draft.role == "node" else None
        if groups:
            if len(groups) > 1:
                text = f"it is a member of two groups, {groups[0]!r} and {groups[1]!r}"
                options.fault("two_groups", text)
            node = replace(node, member_of=groups[0], clause=0)
            if self._drafts[groups[0]].holds_members and node.on_error == "fail":
                node = replace(node, on_error="hold")
        return node

    def _node(self, draft: Draft, options: Options) -> AnyNode:
        node = draft.node
        match node:
            case StepNode():
                return self._step(draft, node, options)
            case EachNode():
                return self._each(draft, node, options)
            case BranchNode():
                return self._branch(draft, node, options)
            case ChildNode():
                return self._child(draft, node, options)
            case ParallelNode():
                self._judge_members(draft, options)
                return self._waiting(node, map(root_of, reads_of(node).paths))
            case _:
                return self._waiting(node, map(root_of, reads_of(node).paths))

    def _step(self, draft: Draft, node: StepNode, options: Options) -> StepNode:
        if draft.role == "hook":
            offer = Offer(is_told=True, is_hook=True)
        elif draft.role == "beside":
            offer = Offer(has_item=True, item_name=argument_of(draft))
        elif draft.role == "template":
            offer = self._offer._replace(has_item=True)
        else:
            offer = self._offer
        if draft.work is None:
            return node
        handler, taken = self._bound(node.name, draft.work, offer, options)
        if draft.role == "node":
            node = self._waiting(node, [*map(root_of, reads_of(node).paths), *taken, *_results(handler)])
        return replace(
            _told(node, handler, taken, self._upstream(node, handler)),
            compensation=self._compensation(draft, offer),
        )

    def _each(self, draft: Draft, node: EachNode, options: Options) -> EachNode:
        if draft.work is None:
            return node
        item = self.values.item_of(root_of(node.over), node.over)
        offer = self._offer._replace(has_item=True, item=item)
        handler, taken = self._bound(node.name, draft.work, offer, options)
        node = self._waiting(node, [*map(root_of, reads_of(node).paths), *taken, *_results(handler)])
        step = _told(node.step, handler, taken, self._upstream(node, handler))
        return replace(node, step=replace(step, compensation=self._compensation(draft, offer)))

    def _branch(self, draft: Draft, node: BranchNode, options: Options) -> BranchNode:
        cases: list[str | None] = [clause.case for clause in draft.clauses]
        conditions = [i for i, clause in enumerate(draft.clauses) if clause.condition is not None]
        is_decided = node.on is not None or draft.work is not None
        if is_decided and conditions:
            options.fault("contradiction", "on= decides, so none of its clauses can have a condition")
        elif not is_decided:
            for i, case in enumerate(cases):
                if case is not None:
                    options.fault("contradiction", f"it has a clause for {case}, but no on= to decide by")
                elif i in conditions:
                    # A text in place of a value is for people.
                    cases[i] = f'"condition {i + 1}"'
        node = replace(node, cases=tuple(cases))
        if node.on is not None:
            return self._waiting(node, map(root_of, reads_of(node).paths))
        selector = self._selector(draft, node, options)
        assert draft.selector is not None
        node = self._waiting(node, [*selector.takes, *selector.results])
        self.handlers[node.name] = selector
        told = _told(draft.selector, selector, selector.takes, self._upstream(node, selector))
        return replace(node, selector=told)

    def _selector(self, draft: Draft, node: BranchNode, options: Options) -> Selector:
        work, name = draft.work, node.name
        if work is not None:
            decide, _ = self._bound(name, work, self._offer, options)
            selector = by_value(self._workflow.name, node, decide)
            selector.backoff = work.delay_after
            return selector
        asked = []
        for i, clause in enumerate(draft.clauses):
            if clause.condition is not None:
                called = Work(clause.condition, clause.local_names)
                asked.append((i, self._bound(name, called, self._offer, options.part("when="))[0]))
        otherwise = node.cases.index(None) if None in node.cases else None
        return by_condition(self._workflow.name, name, asked, otherwise)

    def _child(self, draft: Draft, node: ChildNode, options: Options) -> ChildNode:
        assert draft.child is not None
        try:
            child = prepared_child(self._workflow, draft.child, options, is_awaited=node.wait)
        except DefinitionError as error:
            self.faults_of_children += error.faults
            child = None
        if child is not None and draft.child.input_type is not None and not options.faults:
            judge_child(self.values, node, self.values.of_child(draft.child), options)
        node = self._waiting(node, map(root_of, reads_of(node).paths))
        undo = self._compensation(draft, self._offer)
        return replace(node, fingerprint="" if child is None else child, compensation=undo)

    def _compensation(self, draft: Draft, offer: Offer) -> StepNode | None:
        undo = draft.compensation
        if undo is None or undo.work is None or not isinstance(undo.node, StepNode):
            return None
        options = undo.options.copy()
        name = draft.node.name
        self.noted.append(Noted(undo.node.name, undo.origin, options))
        handler, taken = self._bound(
            undo.node.name,
            undo.work,
            offer._replace(own=name, is_told=True, undone=self.values.own_of(draft)),
            options,
        )
        return _told(undo.node, handler, taken, [name])

    def output(self, definition: Definition, outline: Outline, own: Options) -> Known | None:
        """Return the type of a run's output: declared, or the last step's return type."""
        known = output_of(self.values, definition, self._all_drafts)
        hint = outline.output_type
        if hint is None:
            return known
        schema = self.values.schemas.of(hint, "read")
        found = None if known is None else type_misfit(known.schema, schema)
        if known is not None and found is not None:
            own.fault("unfit_output", f"output= is {shown(hint)}, and {known.said}: {says_why(found)}")
        return Known(schema, f"workflow {outline.name!r} comes to {shown(hint)}", outline.origin)

    def _type_of(self, step: str) -> Any:
        """Return the declared return type of a step's function."""
        draft = self._drafts.get(step)
        if draft is None or draft.work is None or not isinstance(draft.node, StepNode):
            return Any
        return value_of(self.values.answered(draft))

    def _is_list(self, step: str) -> bool:
        """Return whether a step lists members' outputs, or may add members."""
        draft = self._drafts.get(step)
        if draft is None or isinstance(draft.node, EachNode):
            return draft is not None
        if draft.work is None or not isinstance(draft.node, StepNode):
            return False
        hint = self.values.answered(draft)
        return hint is Any or Expand in (hint, *get_args(hint))

    def _judge_members(self, draft: Draft, options: Options) -> None:
        group = draft.node
        for name, times in Counter(draft.members).items():
            if times > 1:
                options.fault("same_member", f"it has member {name!r} twice")
            if name not in self._drafts:
                options.fault("unknown_step", f"it has member {name!r}, which does not exist")
                continue
            member = self._drafts[name].node
            if (member.member_of, member.clause) != (group.member_of, group.clause):
                options.fault("other_clause", f"its member {name!r} is not in the clause that it is in")

    def _bound(
        self, name: str, work: Work, offer: Offer, options: Options
    ) -> tuple[Handler, tuple[str, ...]]:
        """Return the handler, and the steps whose outputs are taken by the handler and by companions."""
        if work.takes:
            offer = with_takes(work, offer, options)
        handler = self._binder.bind(name, work.function, work.local_names, offer, options)
        handler.backoff = work.delay_after
        handler.in_process = work.in_process
        if work.in_process and handler.is_async:
            options.fault("contradiction", "process=True is for plain functions; this one is async")
        handler.into = work.into
        along = []
        if work.condition is not None:
            part = options.part("when=")
            handler.condition = self._binder.bind(name, work.condition, work.local_names, offer, part)
            along.append(handler.condition)
        if work.limit is not None:
            part = options.part("timeout=")
            handler.limit = self._binder.bind(name, work.limit, work.local_names, offer, part)
            along.append(handler.limit)
        self.handlers[name] = handler
        taken = chain(handler.takes, *(other.takes for other in along), work.reads)
        return handler, tuple(dict.fromkeys(taken))

    def _waiting(self, node: _AnyNode, upstream: Iterable[str]) -> _AnyNode:
        """Return the node with dependencies for all outputs taken."""
        joined = {name for join in node.joins for name in join.of}
        more = [name for name in upstream if name in self._drafts and name not in joined]
        after = tuple(dict.fromkeys((*node.after, *more)))
        return node if after == node.after else replace(node, after=after)

    def _upstream(self, node: Node, handler: Handler) -> Iterable[str]:
        """Return the steps whose outputs a context gives."""
        if not handler.takes_context:
            return ()
        joined = [name for join in node.joins for name in join.of]
        return [name for name in (*node.after, *joined) if name in self._drafts]


def _along(handler: Handler) -> list[Handler]:
    """Return a handler with companions."""
    return [each for each in (handler, handler.condition, handler.limit) if each is not None]


def _results(handler: Handler) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for each in _along(handler) for name in each.results))


def _told(node: StepNode, handler: Handler, taken: Iterable[str], upstream: Iterable[str]) -> StepNode:
    """Return the node with the list of values for a worker."""
    along = _along(handler)
    takes_context = any(each.takes_context for each in along)
    return replace(
        node,
        takes_input=any(each.takes_input for each in along),
        takes=tuple(dict.fromkeys((*taken, *upstream) if takes_context else taken)),
        results=_results(handler),
        takes_context=takes_context,
    )
