"""What the core itself refuses of a definition, whoever made it."""

from __future__ import annotations

import pytest

from stream_durable.core.definition.cycles import find_cycles
from stream_durable.core.definition.guards import Breaker
from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    Definition,
    EventNode,
    SignalNode,
    SleepNode,
    StepNode,
)
from stream_durable.core.definition.retry_faults import retry_faults
from stream_durable.core.definition.validate import validate
from stream_durable.core.policy import RetryPolicy


def step(name: str, *after: str) -> StepNode:
    return StepNode(name=name, after=after)


def flow(*nodes: AnyNode, timeout_ms: int | None = None) -> Definition:
    return Definition(name="flow", nodes=nodes, timeout_ms=timeout_ms)


def codes(*nodes: AnyNode) -> list[tuple[str | None, str]]:
    return [(fault.node, fault.code) for fault in validate(flow(*nodes))]


def test_a_good_definition_has_no_faults() -> None:
    good = flow(
        step("a"),
        StepNode(name="b", after=("a",), takes=("a",), timeout_ms=1),
        SleepNode(name="c", after=("a", "b"), duration_ms=0),
        SignalNode(name="d", signals=("x", "y"), timeout_ms=1, on_timeout="null"),
        EventNode(name="e", after=("b",), event="paid", key="b.number.0"),
        timeout_ms=1,
    )

    assert validate(good) == []


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (StepNode(name="n", takes=("a",)), "not_after"),
        (StepNode(name="n", takes=("x",)), "unknown_step"),
        (StepNode(name="n", results=("a",)), "not_after"),
        (StepNode(name="n", results=("x",)), "unknown_step"),
        (StepNode(name="n", timeout_ms=0), "timeout"),
        (StepNode(name="n", queue=""), "bad_queue"),
        (StepNode(name="n", retry=RetryPolicy(0)), "attempts"),
        (SleepNode(name="n", duration_ms=-1), "duration"),
        (SignalNode(name="n", signals=()), "no_signal"),
        (SignalNode(name="n", signals=("x y",)), "bad_name"),
        (SignalNode(name="n", signals=("x", "x")), "same_signal"),
        (SignalNode(name="n", signals=("x",), timeout_ms=0), "timeout"),
        (SignalNode(name="n", signals=("x",), on_timeout="1"), "contradiction"),
        (EventNode(name="n", event="x", key="input", on_timeout="1"), "contradiction"),
        (EventNode(name="n", event="x/y", key="input"), "bad_name"),
        (EventNode(name="n", event="x", key=""), "key_path"),
        (EventNode(name="n", event="x", key="input."), "key_path"),
        (EventNode(name="n", event="x", key="x.y"), "key_path"),
        (EventNode(name="n", event="x", key="a.y"), "key_path"),
    ],
)
def test_each_kind_of_node_has_its_own_faults(node: AnyNode, code: str) -> None:
    assert codes(step("a"), node) == [("n", code)]


def test_a_function_that_selects_a_clause_has_no_breaker() -> None:
    selector = StepNode(name="n", breaker=Breaker(name="bank"))
    node = BranchNode(name="n", selector=selector, cases=(None,))

    assert codes(node, StepNode(name="a", member_of="n")) == [("n", "contradiction")]


def test_a_workflow_cannot_be_over_before_it_begins() -> None:
    assert [fault.code for fault in validate(flow(step("a"), timeout_ms=0))] == ["timeout"]


def test_options_of_a_retry_must_go_together() -> None:
    policy = RetryPolicy(0, base_ms=2, cap_ms=1, jitter=-0.1, on=("a", "b"), not_on=("b",))

    assert [code for code, _ in retry_faults(policy)] == ["attempts", "jitter", "cap", "contradiction"]
    assert [code for code, _ in retry_faults(RetryPolicy(base_ms=-1))] == ["delay"]


def test_cycles_are_found_beside_other_faults() -> None:
    assert codes(step("a", "b", "a", "nobody"), step("b", "a")) == [
        ("a", "self_dependency"),
        ("a", "unknown_step"),
        ("a", "cycle"),
    ]


def test_every_cycle_is_found_and_begins_with_what_was_defined_first() -> None:
    graph = flow(step("a", "c"), step("b", "a"), step("c", "b"), step("x", "y"), step("y", "x", "a"))

    assert find_cycles(graph) == [["a", "b", "c"], ["x", "y"]]


def test_mending_one_edge_of_each_cycle_mends_all() -> None:
    names = "abcde"
    graph = flow(*(step(name, *(other for other in names if other != name)) for name in names))

    back = {(cycle[-1], cycle[0]) for cycle in find_cycles(graph)}
    while cycles := find_cycles(graph):
        first, second = cycles[0][0], cycles[0][-1]
        graph = flow(
            *(step(n.name, *(a for a in n.after if (n.name, a) != (first, second))) for n in graph.nodes)
        )
    assert back
    assert validate(graph) == []


def test_a_deep_graph_does_not_exhaust_the_stack() -> None:
    nodes = [step("s0"), *(step(f"s{i}", f"s{i - 1}") for i in range(1, 5_000))]

    assert validate(flow(*reversed(nodes))) == []
    assert len(find_cycles(flow(*reversed([step("s0", "s4999"), *nodes[1:]])))[0]) == 5_000


def test_steps_of_one_name_are_not_searched_for_cycles() -> None:
    assert codes(step("a", "b"), step("b", "a"), step("a")) == [("a", "duplicate")]
