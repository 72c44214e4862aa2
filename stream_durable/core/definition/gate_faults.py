"""Faults of gates: limits of nothing, and keys at no path."""

from __future__ import annotations

from collections.abc import Iterator

from stream_durable.core.definition.guards import QUEUE_GATE, Gate, QueueRule
from stream_durable.core.gate.limits import COUNT_MAX, WEIGHT_MAX, WEIGHTS_MAX, GateLimits
from stream_durable.core.ids import ID_BYTES_MAX, NAME, NAME_RULE, QUEUE, QUEUE_RULE, byte_length


def gate_faults(gate: Gate) -> Iterator[tuple[str, str]]:
    """Return codes, and what follows the name of the step in the sentence."""
    label = f": gate {gate.name!r}"
    if gate.name.startswith(QUEUE_GATE):
        yield "bad_name", f": {gate.name!r} is a name for the gate of a queue: take another one"
    if not NAME.match(gate.name):
        yield "bad_name", f": {gate.name!r} is not a name for a gate: {NAME_RULE}"
    yield from _limits(gate.limits, label)
    if gate.limits.weights is not None:
        yield from _weights(gate, gate.limits.weights, label)
    if gate.per is not None and (not gate.per or not all(gate.per.split("."))):
        yield "gate", f"{label}: per= is {gate.per!r}, which is no path: write one such as input.tenant"


def queue_faults(rule: QueueRule) -> Iterator[tuple[str, str]]:
    """Return codes, and the sentences."""
    label = f"queue {rule.name[:128]!r}"
    if not QUEUE.match(rule.name):
        yield "bad_queue", f"{label} has no name for a queue: {QUEUE_RULE}"
    if rule.limits is not None:
        yield from _limits(rule.limits, label)


def _limits(limits: GateLimits, label: str) -> Iterator[tuple[str, str]]:
    if limits.at_once is None and limits.rate is None:
        yield "gate", f"{label} limits nothing: give at_once=, rate= or both"
    for option, count in (("at_once", limits.at_once), ("rate", limits.rate)):
        if count is not None and not 1 <= count <= COUNT_MAX:
            yield "gate", f"{label}: {option} is {count}, and must be from 1 to {COUNT_MAX}"
    if limits.rate_ms < 1:
        yield "gate", f"{label}: the time of its rate must be longer than nothing"
    if not 0 <= limits.burst <= COUNT_MAX:
        yield "gate", f"{label}: burst is {limits.burst}, and must be from 0 to {COUNT_MAX}"
    if limits.burst and limits.rate is None:
        yield "gate", f"{label}: burst= goes with rate=, which is missing"


def _weights(gate: Gate, weights: dict[str, int], label: str) -> Iterator[tuple[str, str]]:
    if gate.per is None:
        yield "gate", f"{label}: weights= are of keys, and per= is missing: write a path such as input.tenant"
    if len(weights) > WEIGHTS_MAX:
        yield "gate", f"{label} has {len(weights)} weights; {WEIGHTS_MAX} are the most"
    for key, weight in weights.items():
        if not 1 <= weight <= WEIGHT_MAX:
            text = f"the weight of {key[:128]!r} is {weight}, and must be from 1 to {WEIGHT_MAX}"
            yield "gate", f"{label}: {text}"
        if not key or byte_length(key) > ID_BYTES_MAX:
            text = f"a key has 1 to {ID_BYTES_MAX} bytes, and {key[:128]!r} has {byte_length(key)}"
            yield "gate", f"{label}: {text}"
