"""What a node does beyond waiting for others, in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import msgspec

from stream_durable.core.definition.moments import described
from stream_durable.core.definition.nodes import (
    AnswerKind,
    AnyNode,
    BranchNode,
    ChildNode,
    EachNode,
    EventNode,
    InputNode,
    Node,
    ParallelNode,
    SignalNode,
    SleepNode,
    StepNode,
    TokenNode,
)

_CASE_MAX = 60
_IF_FAILED = {"skip": "skipped if it fails", "continue": "may fail", "hold": "held if it fails"}
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1))


def lasting(ms: int) -> str:
    """Return a duration for people: the two largest units, such as `1 h 30 min`."""
    parts = []
    for i, (unit, size) in enumerate(_UNITS):
        if ms < size:
            continue
        if unit == "s" and ms % 1_000:
            parts.append(f"{ms / 1_000:.1f} s")
        else:
            parts.append(f"{ms // size} {unit}")
            smaller, unit_size = _UNITS[min(i + 1, len(_UNITS) - 1)]
            if unit not in ("s", "ms") and (rest := ms % size // unit_size):
                parts.append(f"{rest} {smaller}")
        break
    return " ".join(parts) or "0 ms"


def notes_of(node: AnyNode) -> list[str]:
    """Return notes on a node: the work, and the effect of a failure on the run unless fatal."""
    notes = _notes(node)
    on_error = node.step.on_error if isinstance(node, EachNode) else node.on_error
    if on_error != "fail":
        notes.append(_IF_FAILED[on_error])
    return [*notes, *_expected(node.step if isinstance(node, EachNode) else node)]


def case_of(node: BranchNode, clause: int) -> str:
    """Return the value of a clause."""
    case = node.cases[clause] if clause < len(node.cases) else None
    if case is None:
        return "otherwise"
    value = msgspec.json.decode(case)
    shown = value if isinstance(value, str) else case
    return shown if len(shown) <= _CASE_MAX else f"{shown[: _CASE_MAX - 1]}…"


def _notes(node: AnyNode) -> list[str]:  # noqa: C901 - one line for each kind of node
    match node:
        case StepNode():
            return _step(node)
        case SleepNode():
            if node.until is not None:
                return [f"sleep until {described(node.until, node.zone)}"]
            return [f"sleep {lasting(node.duration_ms)}"]
        case SignalNode():
            return [f"signal {node.named}", *_limit(node)]
        case EventNode():
            takes = ["taken by this wait alone"] if node.take else []
            return [f"event {node.event} with the key at {node.key}", *takes, *_limit(node)]
        case InputNode():
            return [*_question(node), *_limit(node)]
        case TokenNode():
            return ["ended from outside by its token", *_heartbeat(node), *_limit(node)]
        case ParallelNode():
            passed = [] if node.gate is None else [f"gate {node.gate.name}"]
            return ["parallel", *_members(node), *passed]
        case EachNode():
            enough = [] if node.enough is None else [f"{node.enough} suffice"]
            return [f"for each of {node.over}", *_members(node), *enough, *_step(node.step)]
        case BranchNode():
            return [f"branch by {node.on}" if node.on is not None else "branch by a function"]
        case ChildNode():
            return _child(node)
        case _:
            assert_never(node)


def _step(node: StepNode) -> list[str]:
    notes = [] if node.queue == "default" else [f"queue {node.queue}"]
    if node.retry.attempts > 1:
        notes.append(f"up to {node.retry.attempts} attempts")
    if node.timeout_ms is not None:
        notes.append(f"{lasting(node.timeout_ms)} for an attempt")
    if node.total_ms is not None:
        notes.append(f"{lasting(node.total_ms)} in all")
    if node.breaker is not None:
        notes.append(f"breaker {node.breaker.name}")
    if node.gate is not None:
        notes.append(f"gate {node.gate.name}")
    return notes


def _child(node: ChildNode) -> list[str]:
    notes = [f"run of {node.workflow}"]
    if node.until is not None:
        notes.append(f"again until {node.until}, {node.at_most} times at most")
        if node.every_ms:
            notes.append(f"every {lasting(node.every_ms)}")
    if node.retry.attempts > 1:
        notes.append(f"up to {node.retry.attempts} attempts")
    if node.queue is not None:
        notes.append(f"queue {node.queue}")
    return [*notes, *_limit(node)]


def _members(node: ParallelNode | EachNode) -> list[str]:
    notes = [] if node.on_member_error == "fail_fast" else ["all to their end"]
    if node.concurrency is not None:
        notes.append(f"{node.concurrency} at once")
    return notes


def _question(node: InputNode) -> list[str]:
    role = f" ({node.role})" if node.assignee and node.role else node.role
    whom = f"{node.assignee}{role}" or "anybody"
    notes = [f"asks {whom} for {_ANSWERS[node.answer]}"]
    if node.prompt:
        notes.append(node.prompt if len(node.prompt) <= _CASE_MAX else f"{node.prompt[: _CASE_MAX - 1]}…")
    return notes


def _expected(node: Node) -> list[str]:
    if node.due_ms is not None:
        return [f"expected within {lasting(node.due_ms)}"]
    at = node.due_at
    if at is None:
        return []
    return [f"expected at {at[1:]}" if at.startswith("=") else f"expected as {at} says"]


_ANSWERS: Mapping[AnswerKind, str] = {
    "approval": "an approval",
    "choice": "a choice",
    "choices": "some choices",
    "text": "a text",
    "number": "a number",
    "date": "a date",
    "form": "a form",
}


def _heartbeat(node: TokenNode) -> list[str]:
    return [] if node.heartbeat_ms is None else [f"a heartbeat every {lasting(node.heartbeat_ms)}"]


def _limit(node: SignalNode | EventNode | InputNode | TokenNode | ChildNode) -> list[str]:
    if node.timeout_ms is None:
        return []
    instead = "" if node.on_timeout is None else f", then {node.on_timeout}"
    return [f"{lasting(node.timeout_ms)} at most{instead}"]
