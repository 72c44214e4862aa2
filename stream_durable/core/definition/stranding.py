"""Finds runs of an old version that cannot continue with the functions of a new version, with the reason.

A run keeps its original definition, so changes of the graph do not affect it. The risk is in the workers'
functions, made for another definition: a function may be gone, or need a value the old definition does not
pass. Types are not compared: whether an old step's output still fits is known only when decoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    ChildNode,
    Definition,
    EachNode,
    StepNode,
    function_of,
    undo_of,
)
from stream_durable.core.names import results_key
from stream_durable.core.status import CANCELLED, COMPENSATED, FAILED, SKIPPED, STEP_ENDED


class Needs(NamedTuple):
    """The requirements of a function: parameters without a default and without None."""

    outputs: frozenset[str] = frozenset()
    input: bool = False
    item: bool = False

    def with_those_of(self, others: Iterable[Needs]) -> Needs:
        """Return the union of requirements."""
        found = [self, *others]
        outputs = frozenset[str]().union(*(each.outputs for each in found))
        return Needs(outputs, any(each.input for each in found), any(each.item for each in found))


class Carried(NamedTuple):
    """The functions of an app's workers for one workflow."""

    definition: Definition
    #: By the name of the function.
    functions: Mapping[str, Needs]


class Strand(NamedTuple):
    """Why runs of the old version would fail."""

    #: Such as `gone`; for programs.
    code: str
    step: str | None
    text: str
    remedy: str
    #: Statuses of the step in which a run goes on regardless; empty: every live run is concerned.
    safe: frozenset[str]


class Notice(NamedTuple):
    """A difference worth a look, without any failure."""

    step: str | None
    text: str


#: A compensation is not called any more when the step has come to one of these.
_NOT_UNDONE: Final = frozenset({FAILED, SKIPPED, CANCELLED, COMPENSATED})


class _Called(NamedTuple):
    """A function still callable by runs of a definition."""

    node: StepNode
    #: The calling step; None: any, or the run.
    step: str | None
    safe: frozenset[str]
    has_item: bool
    #: The outputs passed besides those in `takes`.
    given: frozenset[str] = frozenset()


def strands(
    old: Definition,
    apps: Mapping[str, Carried],
    definitions: Mapping[str, Definition] | None = None,
    *,
    is_alone: bool = False,
) -> list[Strand]:
    """Return reasons for failures of live runs of `old` under `apps`, by workflow.

    Given the definitions by fingerprint, children still to be started are examined too. A workflow without
    any carried function belongs to another app, unless this app is alone.
    """
    return _Judgement(apps, definitions or {}, is_alone=is_alone).strands(old)


def notices(old: Definition, carried: Carried, queues: frozenset[str]) -> list[Notice]:
    """Return further differences worth a look; `queues` are the queues of the app's steps."""
    found = []
    unserved: dict[str, list[str]] = {}
    for called in _functions(old):
        if called.node.queue not in queues:
            unserved.setdefault(called.node.queue, []).append(called.node.name)
    for queue, names in unserved.items():
        text = f"live runs send {_listed(names)} to queue {queue!r}, which no step of the app names any more"
        found.append(Notice(names[0], f"{text}: keep a worker with --queue {queue}"))
    before = {called.node.name for called in _functions(old)}
    come = [template.name for template in carried.definition.templates if template.name not in before]
    if come:
        text = f"a live run has no template {_listed(come)}: a step that answers it with one would fail"
        found.append(Notice(None, text))
    return found


def queues_of(definition: Definition) -> frozenset[str]:
    """Return the queues of all functions of a definition, and of all children by option."""
    children = {node.queue for node in definition.nodes if isinstance(node, ChildNode) and node.queue}
    return frozenset(children).union(called.node.queue for called in _functions(definition))


class _Judgement:
    """Examines one definition and all children, each once."""

    def __init__(
        self, apps: Mapping[str, Carried], definitions: Mapping[str, Definition], *, is_alone: bool
    ) -> None:
        self._apps = apps
        self._definitions = definitions
        self._is_alone = is_alone
        #: By fingerprint.
        self._children: dict[str, list[Strand]] = {}

    def strands(self, old: Definition) -> list[Strand]:
        found = list(self._own(old))
        for node in old.nodes:
            if isinstance(node, ChildNode):
                found += self._of_child(node, _safe(old, STEP_ENDED))
        return found

    def _own(self, old: Definition) -> Iterator[Strand]:
        carried = self._apps.get(old.name)
        if carried is not None:
            for called in _functions(old):
                yield from _unfit(called, carried.functions)
            yield from _other_clauses(old, carried)
        elif self._is_alone:
            text = f"the app has no workflow {old.name!r}"
            yield Strand("no_workflow", None, text, f"keep workflow {old.name!r} {_UNTIL}", frozenset())

    def _of_child(self, node: ChildNode, safe: frozenset[str]) -> Iterator[Strand]:
        version = node.fingerprint
        if version not in self._children:
            child = self._definitions.get(version)
            self._children[version] = [] if child is None else self.strands(child)
        for inner in self._children[version]:
            at = "" if inner.step is None else f"step {inner.step!r}: "
            text = f"in the run of {node.workflow!r} that it starts, {at}{inner.text}"
            yield Strand("child", node.name, text, inner.remedy, safe)


def _functions(old: Definition) -> Iterator[_Called]:
    """Return all functions called by a definition, with the end of the need."""
    done = _safe(old, STEP_ENDED)
    for node in old.nodes:
        if (called := function_of(node)) is not None:
            yield _Called(called, node.name, done, has_item=isinstance(node, EachNode))
        yield from _compensation(node, node.name, _safe(old, _NOT_UNDONE))
    for template in old.templates:
        yield _Called(template, None, frozenset(), has_item=True)
        yield from _compensation(template, None, frozenset())
    for hook in old.hooks:
        yield _Called(hook, None, frozenset(), has_item=False)
    for beside in old.beside:
        yield _Called(beside.step, None, frozenset(), has_item=True)


def _compensation(node: AnyNode, step: str | None, safe: frozenset[str]) -> Iterator[_Called]:
    is_each = isinstance(node, EachNode)
    made = node.step if isinstance(node, EachNode) else node
    if (undo := undo_of(made)) is not None:
        # Of what is made for items, some may have completed although the whole has not.
        safe = safe & {SKIPPED} if is_each else safe
        yield _Called(undo, step, safe, is_each or step is None, frozenset({made.name}))


def _unfit(called: _Called, functions: Mapping[str, Needs]) -> Iterator[Strand]:
    """Return the reason for an unfit replacement of a function."""
    node, step, safe = called.node, called.step, called.safe
    needs = functions.get(node.name)
    if needs is None:
        yield Strand(
            "gone", step, f"no function {node.name!r} is carried any more",
            f"keep a function named {node.name!r} {_UNTIL}", safe,
        )  # fmt: skip
        return
    handed = (*node.takes, *map(results_key, node.results))
    missing = sorted(needs.outputs.difference(handed, called.given))
    if missing:
        text = f"{node.name!r} now takes the output of {_listed(missing)}, {_NOT_GIVEN}"
        yield Strand("takes", step, text, f"give the parameter a default {_OR_NAME}", safe)
    if needs.input and not node.takes_input:
        text = f"{node.name!r} now takes the run's input, {_NOT_GIVEN}"
        yield Strand("takes_input", step, text, f"let it do without {_OR_NAME}", safe)
    if needs.item and not called.has_item:
        text = f"{node.name!r} is now called for an item, and in their definition there is none"
        yield Strand("takes_item", step, text, f"give the parameter a default {_OR_NAME}", safe)


def _other_clauses(old: Definition, carried: Carried) -> Iterator[Strand]:
    """Say where a function picks a clause by its number, and the numbers mean other clauses now."""
    now = {node.name: node for node in carried.definition.nodes if isinstance(node, BranchNode)}
    for node in old.nodes:
        new = now.get(node.name)
        if not isinstance(node, BranchNode) or node.selector is None or new is None or new.selector is None:
            continue
        # A clause more at the end takes nothing from the others, unless one of them was for all the rest.
        is_longer = new.cases[: len(node.cases)] == node.cases and None not in node.cases
        if new.cases != node.cases and not is_longer:
            text = (
                "its function picks among the clauses of the new version: another one than is meant may run"
            )
            remedy = f"give the new branch another name, and keep this one {_UNTIL}"
            yield Strand("clauses", node.name, text, remedy, _safe(old, STEP_ENDED))


def _safe(old: Definition, statuses: frozenset[str]) -> frozenset[str]:
    """Return the statuses of a step without need for the function; none if the graph may restart."""
    return statuses if old.restart.attempts == 1 else frozenset()


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)


_NOT_GIVEN = "which their definition does not hand over"
_UNTIL = "until these runs have ended; or cancel them"
_OR_NAME = f"or a new name to the step, and keep the old function {_UNTIL}"
