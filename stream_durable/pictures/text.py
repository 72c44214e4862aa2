"""A picture in plain text: steps in dependency order, members indented below their group."""

from __future__ import annotations

from collections.abc import Iterator

from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import AnyNode, BranchNode, Definition, EachNode, Join, StepNode
from stream_durable.core.names import hook_kind
from stream_durable.pictures.columns import Line, laid_out
from stream_durable.pictures.drawing import Known, known
from stream_durable.pictures.notes import case_of, notes_of
from stream_durable.pictures.order import in_order
from stream_durable.pictures.standing import States, counts_of, words_of

_INDENT = "  "


def text(definition: Definition, states: States | None = None, *, is_coloured: bool = False) -> str:
    """Return one row per step: name, status, reason for waiting, and kind.

    Colours are for terminals only.
    """
    graph = Graph(definition)
    run = known(states)
    rows = list(_steps(graph, run))
    rows += _aside(definition, run)
    return "\n".join([definition.name, *laid_out(rows, is_coloured=is_coloured)]) + "\n"


def _steps(graph: Graph, run: Known) -> Iterator[Line]:
    inside: dict[int, list[int]] = {}
    for i in in_order(graph):
        inside.setdefault(graph.owner(i), []).append(i)
    pending = [(i, 1) for i in reversed(inside.get(-1, ()))]
    clauses: dict[int, int] = {}
    while pending:
        i, depth = pending.pop()
        node, owner = graph.nodes[i], graph.owner(i)
        branch = graph.nodes[owner] if owner >= 0 else None
        if isinstance(branch, BranchNode):
            if clauses.get(owner) != node.clause:
                clauses[owner] = node.clause
                yield Line((f"{_INDENT * depth}{case_of(branch, node.clause)}:",))
            depth += 1
        name = f"{_INDENT * depth}{node.name}"
        stands = "; ".join(run.lines(node.name))
        yield Line((name, stands, _after(node), ", ".join(notes_of(node))), run.status(node.name), 1)
        yield from _undoing(node, run, depth)
        members = inside.get(i, [])
        if isinstance(node, BranchNode):
            members = sorted(members, key=lambda m: graph.nodes[m].clause)
        pending += [(m, depth + 1) for m in reversed(members)]


def _after(node: AnyNode) -> str:
    ended = set(node.ended)
    waits = [f"{name} however it ends" if name in ended else name for name in node.after]
    waits += [_join(join) for join in node.joins]
    return f"after {', '.join(waits)}" if waits else ""


def _join(join: Join) -> str:
    rest = ", the rest is cancelled" if join.cancel_rest else ""
    return f"any {join.enough} of ({', '.join(join.of)}{rest})"


def _undoing(node: AnyNode, run: Known, depth: int) -> Iterator[Line]:
    step = node.step if isinstance(node, EachNode) else node
    if isinstance(step, StepNode) and step.compensation is not None:
        yield _call(f"{_INDENT * (depth + 1)}{step.compensation.name}", f"undoes {node.name}",
                    step.compensation, run, (node.name, "compensate"))  # fmt: skip


def _aside(definition: Definition, run: Known) -> Iterator[Line]:
    if definition.templates:
        yield Line(("templates",))
    for template in definition.templates:
        yield Line((f"{_INDENT}{template.name}", "", "", ", ".join(notes_of(template))))
    if definition.hooks:
        yield Line(("hooks",))
    for hook in definition.hooks:
        kind = hook_kind(hook.name)
        yield _call(f"{_INDENT}{kind}", "", hook, run, (None, kind))
    for title, on in (("answers", ("inquiry",)), ("reactions", ("signal", "event"))):
        beside = [each for each in definition.beside if each.on in on]
        if beside:
            yield Line((title,))
        for each in beside:
            yield _call(f"{_INDENT}{each.name}", each.signal or each.event, each.step, run, (None, each.name))


def _call(name: str, what: str, node: StepNode, run: Known, which: tuple[str | None, str]) -> Line:
    states = run.called(*which)
    notes = ", ".join([what, *notes_of(node)] if what else notes_of(node))
    if not states:
        return Line((name, "", "", notes))
    stands = words_of(states[0]) if len(states) == 1 else counts_of(states, "call")
    return Line((name, stands, "", notes), states[0].status if len(states) == 1 else None, 1)
