"""The content of a picture, independent of the format: boxes, frames, and arrows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    ChildNode,
    Definition,
    EachNode,
    Join,
    ParallelNode,
    StepNode,
)
from stream_durable.core.names import hook_kind
from stream_durable.core.status import COMPLETED, FAILED, HELD, RUNNING, STEP_ENDED
from stream_durable.pictures.notes import case_of, notes_of
from stream_durable.pictures.standing import Standing, States, counts_of, helped_by, owner_of, words_of

#: The subject of a box; each format has an outline for it.
Kind = Literal["step", "wait", "each", "child", "branch", "fork", "join", "undo", "hook"]
#: The reason for an arrow: a step passed, a step ended in any way, a step is undone.
Why = Literal["passed", "ended", "undo"]


class Box(NamedTuple):
    """An outline with lines of text."""

    #: Letters and digits: a name in every language.
    key: str
    kind: Kind
    lines: tuple[str, ...]
    status: str | None = None


@dataclass(slots=True)
class Frame:
    """A box around others."""

    key: str
    lines: tuple[str, ...] = ()
    status: str | None = None
    boxes: list[Box] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)


class Arrow(NamedTuple):
    """From one box to another; from a frame, beginning at the edge."""

    source: str
    target: str
    why: Why = "passed"
    label: str = ""
    #: The frame ending here; the source is a box inside.
    frame: str | None = None


class Drawing(NamedTuple):
    """A whole picture: everything is in `content`, or in a frame in it."""

    title: str
    content: Frame
    arrows: list[Arrow]
    #: The statuses that occur, in order of occurrence.
    statuses: tuple[str, ...]


class Known(NamedTuple):
    """The states of a run, sorted by subject."""

    steps: States
    #: By the step of the definition.
    members: Mapping[str, list[Standing]]
    #: By that step, and by the kind of helper.
    helpers: Mapping[tuple[str, str], list[Standing]]

    def lines(self, name: str) -> tuple[str, ...]:
        """Return a step's status, member counts and child run as lines."""
        state, members = self.steps.get(name), self.members.get(name)
        found = [] if state is None else [words_of(state)]
        if members:
            found.append(counts_of(members, "member"))
        if state is not None and state.child is not None:
            found.append(state.child)
        return tuple(found)

    def status(self, name: str) -> str | None:
        """Return the status of a step, if anything is known of it."""
        state = self.steps.get(name)
        return None if state is None else state.status

    def called(self, step: str | None, kind: str) -> list[Standing]:
        """Return the helpers of a kind: of a step, or all."""
        if step is not None:
            return self.helpers.get((step, kind), [])
        return [state for (_, what), found in self.helpers.items() if what == kind for state in found]


def known(states: States | None) -> Known:
    """Sort the states of a run."""
    members: dict[str, list[Standing]] = {}
    helpers: dict[tuple[str, str], list[Standing]] = {}
    for name, state in (states or {}).items():
        owner, helped = owner_of(name), helped_by(name)
        if owner is not None:
            members.setdefault(owner, []).append(state)
        elif helped is not None:
            helpers.setdefault(helped, []).append(state)
    return Known(states or {}, members, helpers)


def draw(definition: Definition, states: States | None) -> Drawing:
    """Return the picture of a workflow, or of a run of it."""
    return _Drafting(definition, known(states)).drawing()


class _Drafting:
    """Puts a picture together, without repeats."""

    def __init__(self, definition: Definition, run: Known) -> None:
        self._graph = Graph(definition)
        self._run = run
        self._content = Frame("all")
        #: Of groups and branches.
        self._frames: dict[int, Frame] = {}
        self._arrows: list[Arrow] = []
        self._statuses: dict[str, None] = {}

    def drawing(self) -> Drawing:
        nodes = self._graph.nodes
        for i, node in enumerate(nodes):
            if isinstance(node, ParallelNode | BranchNode):
                lines = (node.name, *notes_of(node), *self._run.lines(node.name))
                self._frames[i] = Frame(f"g{i}", lines, self._status(self._run.status(node.name)))
        for i, node in enumerate(nodes):
            self._place(i, node)
        for i, node in enumerate(nodes):
            self._connect(i, node)
        definition = self._graph.definition
        self._aside("templates", (self._function(f"t{k}", t) for k, t in enumerate(definition.templates)))
        self._aside("hooks", (self._hook(f"h{k}", hook) for k, hook in enumerate(definition.hooks)))
        for title, on in (("answers", ("inquiry",)), ("reactions", ("signal", "event"))):
            beside = [(k, each.step) for k, each in enumerate(definition.beside) if each.on in on]
            self._aside(title, (self._hook(f"b{k}", each) for k, each in beside))
        return Drawing(definition.name, self._content, self._arrows, tuple(self._statuses))

    def _place(self, i: int, node: AnyNode) -> None:
        """Place a node, with a compensation beside."""
        around = self._around(i)
        key = f"s{i}"
        frame = self._frames.get(i)
        if frame is not None:
            around.frames.append(frame)
            label = (node.on or node.name) if isinstance(node, BranchNode) else ""
            frame.boxes.append(Box(key, "branch" if label else "fork", (f"{label}?",) if label else ()))
            return
        lines = (node.name, *notes_of(node), *self._run.lines(node.name))
        around.boxes.append(Box(key, _outline(node), lines, self._status(self._run.status(node.name))))
        step = node.step if isinstance(node, EachNode) else node
        if isinstance(step, StepNode) and step.compensation is not None:
            self._undo(around, key, node.name, step.compensation)

    def _undo(self, around: Frame, key: str, name: str, compensation: StepNode) -> None:
        states = self._run.called(name, "compensate")
        around.boxes.append(self._call(f"{key}u", "undo", compensation, compensation.name, states))
        self._arrows.append(Arrow(key, f"{key}u", "undo", "undone by"))

    def _connect(self, i: int, node: AnyNode) -> None:
        """Draw the arrows to a node."""
        key, index = f"s{i}", self._graph.index
        for name in node.after:
            why: Why = "ended" if name in node.ended else "passed"
            self._arrow(index[name], key, why, "however it ends" if why == "ended" else "")
        for k, join in enumerate(node.joins):
            self._join(i, k, join)
        owner = self._graph.owner(i)
        if owner >= 0 and self._comes_first(node):
            group = self._graph.nodes[owner]
            label = case_of(group, node.clause) if isinstance(group, BranchNode) else ""
            self._arrows.append(Arrow(f"s{owner}", key, label=label))

    def _join(self, i: int, k: int, join: Join) -> None:
        key = f"s{i}j{k}"
        lines: tuple[str, ...] = (f"any {join.enough} of {len(join.of)}",)
        if join.cancel_rest:
            lines = (*lines, "the rest is cancelled")
        self._around(i).boxes.append(Box(key, "join", lines))
        for name in join.of:
            self._arrow(self._graph.index[name], key)
        self._arrows.append(Arrow(key, f"s{i}"))

    def _arrow(self, source: int, target: str, why: Why = "passed", label: str = "") -> None:
        frame = self._frames.get(source)
        self._arrows.append(Arrow(f"s{source}", target, why, label, None if frame is None else frame.key))

    def _comes_first(self, node: AnyNode) -> bool:
        """Return whether a member waits for no other member of the group."""
        nodes, index = self._graph.nodes, self._graph.index
        upstream = [*node.after, *(name for join in node.joins for name in join.of)]
        return all(nodes[index[name]].member_of != node.member_of for name in upstream)

    def _around(self, i: int) -> Frame:
        owner = self._graph.owner(i)
        return self._content if owner < 0 else self._frames[owner]

    def _aside(self, title: str, boxes: Iterable[Box]) -> None:
        found = list(boxes)
        if found:
            self._content.frames.append(Frame(title, (title,), None, found))

    def _function(self, key: str, template: StepNode) -> Box:
        return Box(key, "each", (template.name, *notes_of(template)))

    def _hook(self, key: str, hook: StepNode) -> Box:
        kind = hook_kind(hook.name)
        return self._call(key, "hook", hook, kind, self._run.called(None, kind))

    def _call(self, key: str, kind: Kind, node: StepNode, name: str, states: list[Standing]) -> Box:
        if not states:
            return Box(key, kind, (name, *notes_of(node)))
        lines = words_of(states[0]) if len(states) == 1 else counts_of(states, "call")
        return Box(key, kind, (name, *notes_of(node), lines), self._status(_worst(states)))

    def _status(self, status: str | None) -> str | None:
        if status is not None:
            self._statuses[status] = None
        return status


def _outline(node: AnyNode) -> Kind:
    """Return the outline of a node other than a frame."""
    match node:
        case StepNode():
            return "step"
        case EachNode():
            return "each"
        case ChildNode():
            return "child"
        case _:
            return "wait"


def _worst(states: list[Standing]) -> str:
    """Return one status for several: failed or held if any, otherwise an unfinished status."""
    statuses = {state.status for state in states}
    if FAILED in statuses:
        return FAILED
    if HELD in statuses:
        return HELD
    if len(statuses) == 1:
        return statuses.pop()
    return COMPLETED if statuses <= STEP_ENDED else RUNNING
