"""What a node reads at paths when it begins: a key, a list, a value, an input, texts, a moment."""

from __future__ import annotations

from typing import Any, NamedTuple, assert_never

import msgspec

from stream_durable.core.definition.moments import paths_of
from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    ChildNode,
    EachNode,
    EventNode,
    InputNode,
    ParallelNode,
    SignalNode,
    SleepNode,
    StepNode,
    TokenNode,
)
from stream_durable.core.definition.templates import holes


class Reads(NamedTuple):
    """The paths read by a node at the beginning."""

    #: What is there, in a word.
    what: str = ""
    paths: tuple[str, ...] = ()


def reads_of(node: AnyNode) -> Reads:
    """Return the paths read by a node at the beginning."""
    found, due = own_reads(node), due_paths(node)
    return Reads(found.what or "due", (*found.paths, *due)) if due else found


def due_paths(node: AnyNode) -> tuple[str, ...]:
    """Return the path to the moment by which the end of a node, or of a member, is expected."""
    given = (node.step if isinstance(node, EachNode) else node).due_at
    return () if given is None or given.startswith("=") else (given,)


def own_reads(node: AnyNode) -> Reads:
    """Return the paths read by a node for its kind."""
    match node:
        case EventNode():
            return Reads("key", (node.key,))
        case InputNode():
            return Reads("text", holes_of(node))
        case EachNode():
            return Reads("list", (node.over, *passage_paths(node.step)))
        case BranchNode():
            return Reads() if node.on is None else Reads("value", (node.on,))
        case ChildNode():
            return _input_of(node)
        case SleepNode():
            return Reads("moment", paths_of(node.until, node.zone))
        case StepNode():
            return Reads("gate", passage_paths(node))
        case ParallelNode():
            return Reads() if node.gate is None or node.gate.per is None else Reads("gate", (node.gate.per,))
        case SignalNode() | TokenNode():
            return Reads()
        case _:
            assert_never(node)


def passage_paths(node: StepNode) -> tuple[str, ...]:
    """Return the paths read before a gate is passed: to the key, and to the cost."""
    if node.gate is None:
        return ()
    paths = (node.gate.per, node.units)
    return tuple(path for path in paths if path is not None and not path.startswith("="))


def holes_of(node: InputNode) -> tuple[str, ...]:
    """Return the paths that the texts of a question are filled from."""
    texts = [node.prompt, node.role, node.assignee, *metadata_texts(node)]
    return tuple(dict.fromkeys(path for text in texts for path in holes(text)))


def metadata_texts(node: InputNode) -> list[str]:
    """Return the texts in the metadata of a question; what is no JSON object has none."""
    try:
        fields = {} if node.metadata is None else msgspec.json.decode(node.metadata, type=dict[str, Any])
    except msgspec.DecodeError:
        return []
    return [value for value in fields.values() if isinstance(value, str)]


def _input_of(node: ChildNode) -> Reads:
    if node.input is None:
        return Reads()
    if isinstance(node.input, str):
        return Reads("input", (node.input,))
    return Reads("input", tuple(path for path in node.input.values() if not path.startswith("=")))
