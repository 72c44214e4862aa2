"""Definitions that no author can write, but somebody else may publish."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable.core.definition.cycles import find_cycles
from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    ChildNode,
    Definition,
    EachNode,
    EventNode,
    Join,
    ParallelNode,
    StepNode,
)
from stream_durable.core.definition.validate import validate
from stream_durable.core.policy import RetryPolicy


def said(*nodes: AnyNode, **others: Any) -> list[str]:
    return [fault.message for fault in validate(Definition(name="flow", nodes=nodes, **others))]


def branch(*cases: str | None, on: str | None = "input") -> BranchNode:
    return BranchNode(name="b", on=on, cases=cases)


def step(name: str, group: str | None = None, clause: int = 0, after: tuple[str, ...] = ()) -> StepNode:
    return StepNode(name=name, member_of=group, clause=clause, after=after)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (
            [branch(None, None), step("x", "b"), step("y", "b", 1)],
            ["branch 'b' has two clauses for all the rest"],
        ),
        (
            [branch("1", "1.0", "true"), *(step(f"s{i}", "b", i) for i in range(3))],
            ["branch 'b' has two clauses for 1.0"],
        ),
        ([branch("{"), step("x", "b")], ["branch 'b' has a clause for {, which is not JSON"]),
        (
            [branch("1", on=None), step("x", "b")],
            ["branch 'b' is decided by a path or by a function, by one of the two"],
        ),
        (
            [branch("1"), step("x", "b"), step("y", "b", 1)],
            ["step 'y' is in clause 1 of branch 'b', which has no such"],
        ),
        ([step("x", "y"), step("y")], ["step 'x' is a member of 'y', which is no group and no branch"]),
        ([step("x", "z")], ["step 'x' is a member of 'z', which is no group and no branch"]),
        (
            [ParallelNode(name="g", member_of="h"), ParallelNode(name="h", member_of="g")],
            [
                "group 'g' is inside of itself, or nested deeper than 20",
                "steps wait for one another: g -> h -> g",
            ],
        ),
        (
            [StepNode(name="x", ended=("y",)), step("y")],
            ["step 'x' takes the end of 'y' for enough without waiting for it"],
        ),
        (
            [EachNode(name="e", over="input", step=StepNode(name="e", takes=("y",))), step("y")],
            ["step 'e' takes 'y' without waiting for it"],
        ),
        (
            [EachNode(name="e", over="y.a", step=StepNode(name="e")), step("y")],
            ["step 'e' reads its list at 'y.a', but does not come after 'y'"],
        ),
        (
            [ChildNode(name="c", workflow="a b", fingerprint="", again={"x": "c"}, every_ms=-1)],
            [
                (
                    "child 'c': 'a b' is not a name for a workflow: letters, digits and _ . : - only, "
                    "beginning with a letter or _, at most 128"
                ),
                "child 'c' is to run again, but until= is missing",
            ],
        ),
        (
            [ChildNode(name="c", workflow="a", fingerprint="", until="c.x", every_ms=-1)],
            ["child 'c': the time between two rounds cannot be less than nothing"],
        ),
        (
            [StepNode(name="x", compensation=StepNode(name="x~compensate", takes=("z",)))],
            ["compensation of step 'x' takes 'z', which does not exist"],
        ),
    ],
)
def test_a_definition_that_no_run_could_end_with_is_refused(
    nodes: list[AnyNode], expected: list[str]
) -> None:
    assert said(*nodes) == expected


def test_hooks_templates_and_restarts_are_judged_too() -> None:
    assert said(
        step("x"),
        hooks=(StepNode(name="~on_monday"), StepNode(name="~on_cancel", timeout_ms=0)),
        templates=(StepNode(name="t", takes=("z",)), StepNode(name="a b")),
        restart=RetryPolicy(0),
    ) == [
        "workflow 'flow', restart=: there must be at least one attempt",
        (
            "'a b' is not a name for a step: letters, digits and _ . : - only, beginning with a letter or _, "
            "at most 128"
        ),
        (
            "there is no hook 'on_monday', only on_success, on_failure, on_cancel, on_step_start, "
            "on_step_complete, on_step_fail, on_attempt_fail, on_overdue"
        ),
        "template 't' takes 'z', which does not exist",
        "hook on_cancel: a time-out must be longer than nothing",
    ]


def test_twenty_groups_inside_of_each_other_are_enough() -> None:
    def nested(depth: int) -> list[AnyNode]:
        groups = [ParallelNode(name=f"g{i}", member_of=f"g{i - 1}" if i else None) for i in range(depth)]
        return [*groups, step("x", f"g{depth - 1}")]

    assert said(*nested(20)) == []
    assert said(*nested(21)) == ["step 'x' is inside of itself, or nested deeper than 20"]


def test_a_group_waits_for_its_members_and_these_for_its_beginning() -> None:
    def graph(*after: str) -> Definition:
        nodes = (
            step("a", after=after),
            ParallelNode(name="g", after=("a",)),
            step("x", "g"),
            StepNode(name="z", joins=(Join(of=("g", "x")),)),
        )
        return Definition(name="flow", nodes=nodes)

    assert find_cycles(graph()) == []
    assert find_cycles(graph("x")) == [["a", "g", "x"]]
    assert find_cycles(graph("z")) == [["a", "g", "z"]]


def test_a_path_may_lead_to_a_step_of_a_race() -> None:
    assert said(step("x"), EventNode(name="e", event="paid", key="x.id", joins=(Join(of=("x",)),))) == []
