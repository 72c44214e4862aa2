"""Limits of queues as a whole, declared for an app and kept in the definitions of workflows."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from stream_durable.core.definition.gate_faults import queue_faults
from stream_durable.core.definition.guards import QueueRule
from stream_durable.core.definition.nodes import AnyNode, ChildNode, Definition
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import GATES
from stream_durable.core.gate.limits import GateLimits
from stream_durable.sdk.gate import Gate
from stream_durable.sdk.options import Options, name_of


def rule_of(name: str, *, at_once: int | None, rate: str | None, burst: int, lanes: bool) -> QueueRule:
    """Return the rule for a queue, or raise `RejectedError`."""
    options = Options(f"queue {name_of(name)!r}")
    read = options.gate(Gate(name, at_once=at_once, rate=rate, burst=burst))
    limits = GateLimits() if read is None else read.limits
    has_lanes = options.flag("lanes=", lanes)
    is_limited = limits != GateLimits() or not has_lanes
    rule = QueueRule(name=name_of(name), limits=limits if is_limited else None, has_lanes=has_lanes)
    for code, text in (*options.faults, *queue_faults(rule)):
        raise RejectedError(code, text)
    return rule


def with_rule(definition: Definition, rule: QueueRule, children: Mapping[str, str]) -> Definition:
    """Return a definition with a rule, and with the present fingerprints of children by workflow."""
    rules = {**{each.name: each for each in definition.queues}, rule.name: rule}
    return replace(
        definition,
        queues=tuple(rules[name] for name in sorted(rules)),
        nodes=tuple(_present(node, children) for node in definition.nodes),
        format=max(definition.format, GATES),
    )


def _present(node: AnyNode, children: Mapping[str, str]) -> AnyNode:
    if isinstance(node, ChildNode) and node.workflow in children:
        return replace(node, fingerprint=children[node.workflow])
    return node
