"""Differences between two versions of a workflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from stream_durable.core.definition.nodes import AnyNode, Definition, Join, StepNode

#: For a step: added, removed, renamed, or with other options or dependencies. For the workflow: its options.
ChangeKind = Literal["added", "removed", "renamed", "options", "order", "workflow"]

#: Beyond so many pairs nobody asks which of them are the same steps under other names.
_PAIRS_MAX = 40_000
#: How alike two steps must be to pass for one that was renamed: the names alone never suffice.
_ALIKE = 1.2
_NAME_ALIKE = 0.4
_ORDER = frozenset({"after", "ended", "joins", "member_of", "clause"})
_NO_OPTION = _ORDER | {"name"}
_OF_WORKFLOW = (
    "timeout_ms", "due_ms", "restart", "keeps_context", "events", "concurrency", "gate", "queues", "starts",
)  # fmt: skip


_OF_BESIDE = ("on", "signal", "event", "key", "concurrency")


class Change(NamedTuple):
    """A difference between two definitions."""

    kind: ChangeKind
    #: The step by its old name, if any; None: the workflow.
    step: str | None
    text: str


def changes(old: Definition, new: Definition) -> list[Change]:
    """Return what has changed, in the order of the definitions; a guess tells new names from new steps."""
    before, after = _steps(old), _steps(new)
    gone = [name for name in before if name not in after]
    come = [name for name in after if name not in before]
    renamed = _renamed([before[n] for n in gone], [after[n] for n in come])
    found = [Change("workflow", None, text) for text in _options_of_workflow(old, new)]
    for name, node in before.items():
        now = after.get(renamed.get(name, name))
        if now is None:
            found.append(Change("removed", name, "is not there any more"))
            continue
        if name in renamed:
            found.append(Change("renamed", name, f"seems to be called {now.name} now"))
        found += [Change("options", name, text) for text in _options(node, now, renamed)]
        found += [Change("order", name, text) for text in _order(node, now, renamed)]
    found += _beside(old, new)
    taken = set(renamed.values())
    found += [Change("added", name, "is new") for name in come if name not in taken]
    return found


def _beside(old: Definition, new: Definition) -> Iterator[Change]:
    """Yield what has changed in when functions beside the graph are called."""
    after = {each.step.name: each for each in new.beside}
    for one in old.beside:
        other = after.get(one.step.name, one)
        for name in _OF_BESIDE:
            for text in _between(name, getattr(one, name), getattr(other, name)):
                yield Change("options", one.step.name, text)


def _steps(definition: Definition) -> dict[str, AnyNode]:
    beside = [each.step for each in definition.beside]
    every = (*definition.nodes, *definition.templates, *definition.hooks, *beside)
    return {node.name: node for node in every}


def _renamed(gone: Sequence[AnyNode], come: Sequence[AnyNode]) -> dict[str, str]:
    """Pair removed steps with added steps, the most similar first."""
    if len(gone) * len(come) > _PAIRS_MAX:
        return {}
    scores = sorted(
        (-score, i, j)
        for i, one in enumerate(gone)
        for j, other in enumerate(come)
        if (score := _likeness(one, other)) >= _ALIKE
    )
    found: dict[str, str] = {}
    taken: set[int] = set()
    for _, i, j in scores:
        if gone[i].name not in found and j not in taken:
            found[gone[i].name] = come[j].name
            taken.add(j)
    return found


def _likeness(one: AnyNode, other: AnyNode) -> float:
    """Return how alike two steps are: 0 to 2."""
    if type(one) is not type(other):
        return 0.0
    names = SequenceMatcher(None, one.name, other.name, autojunk=False).ratio()
    if names < _NAME_ALIKE:
        return 0.0
    has_place = one.after == other.after and one.member_of == other.member_of
    return names + 0.6 * has_place + 0.4 * (not list(_options(one, other, {})))


def _options_of_workflow(old: Definition, new: Definition) -> Iterator[str]:
    for name in _OF_WORKFLOW:
        yield from _between(name, getattr(old, name), getattr(new, name))


def _options(old: AnyNode, new: AnyNode, renamed: Mapping[str, str]) -> Iterator[str]:
    if type(old) is not type(new):
        yield f"is a {_kind(new)} instead of a {_kind(old)}"
        return
    if isinstance(old, StepNode) and renamed:
        old = replace(old, takes=tuple(renamed.get(taken, taken) for taken in old.takes))
    for name in old.__struct_fields__:
        if name not in _NO_OPTION:
            yield from _between(name, getattr(old, name), getattr(new, name))


def _between(name: str, old: Any, new: Any) -> Iterator[str]:
    """Describe the difference in an option, part by part where possible."""
    if old == new:
        return
    if isinstance(old, msgspec.Struct) and type(old) is type(new):
        is_function = isinstance(old, StepNode)
        for part in old.__struct_fields__:
            if not is_function or part not in _NO_OPTION:
                whole = part if is_function and name == "step" else f"{name}.{part}"
                yield from _between(whole, getattr(old, part), getattr(new, part))
    else:
        yield f"{name}: {_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, msgspec.Struct):
        return "some"
    return msgspec.json.encode(value).decode()


def _order(old: AnyNode, new: AnyNode, renamed: Mapping[str, str]) -> Iterator[str]:
    """Say how a step waits in another way; a new name alone is no other way."""
    before, after = _waits(old, renamed), _waits(new, {})
    if before != after:
        gone = [wait for wait in before if wait not in after]
        come = [wait for wait in after if wait not in before]
        parts = [f"no longer waits for {', '.join(gone)}"] if gone else []
        parts += [f"waits for {', '.join(come)} too"] if come else []
        if parts:
            yield "; ".join(parts)
    inside = None if old.member_of is None else renamed.get(old.member_of, old.member_of)
    if (inside, old.clause) != (new.member_of, new.clause):
        yield f"is in {_place(new)} instead of {_place(old)}"


def _waits(node: AnyNode, renamed: Mapping[str, str]) -> list[str]:
    ended = set(node.ended)
    plain = sorted(
        renamed.get(name, name) + (" however it ends" if name in ended else "") for name in node.after
    )
    return plain + sorted(_join(join, renamed) for join in node.joins)


def _join(join: Join, renamed: Mapping[str, str]) -> str:
    rest = " (the rest is cancelled)" if join.cancel_rest else ""
    return f"any {join.enough} of {', '.join(sorted(renamed.get(name, name) for name in join.of))}{rest}"


def _place(node: AnyNode) -> str:
    return "no group" if node.member_of is None else f"{node.member_of}, clause {node.clause + 1}"


def _kind(node: AnyNode) -> str:
    return str(type(node).__struct_config__.tag)
