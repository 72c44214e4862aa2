"""A4: all that is wrong with a definition is said when it is defined, at once, with file and line."""

# ruff: noqa: A002 - `input` is what authors write

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from refusals import refusal

from stream_durable import App, DefinitionError, Retry, Workflow, any_of, some_of

RULE = "letters, digits and _ . : - only, beginning with a letter or _, at most 128"
QUEUE_RULE = "letters, digits and _ . - only, at most 100, and not .first, .high or .low at the end"


def work() -> None: ...


def test_an_empty_graph() -> None:
    assert refusal(Workflow("order")) == ["workflow 'order' has no steps"]


def test_a_workflow_of_which_there_are_only_templates_and_hooks_is_empty() -> None:
    flow = Workflow("order")
    flow.template(work)
    flow.on_success(work)
    assert refusal(flow) == ["workflow 'order' has no steps"]


def test_duplicate_names() -> None:
    flow = Workflow("order")
    flow.add("a", work)
    flow.sleep("a", "5s")
    flow.add("b", work)
    flow.template(name="b")(work)
    assert refusal(flow) == ["two steps are called 'a'", "two steps are called 'b'"]


def test_two_workflows_of_one_name_in_an_app() -> None:
    first, second = Workflow("order"), Workflow("order")
    first.add("a", work)
    second.add("b", work)
    with pytest.raises(
        DefinitionError,
        match=r"app 'shop' has 1 fault:\n.*two workflows are called 'order': .*py:\d+ and .*py:\d+",
    ):
        App("shop", workflows=[first, second])


@pytest.mark.parametrize("after", ["b", ["b"], [any_of("b", "c")], [some_of(1, "b", "c")]], ids=str)
def test_an_unknown_dependency(after: Any) -> None:
    flow = Workflow("order")
    flow.add("a", work, after=after)
    flow.add("c", work)
    assert refusal(flow) == ["step 'a' waits for 'b', which does not exist"]


def test_a_dependency_of_another_workflow() -> None:
    other = Workflow("other")
    flow = Workflow("order")
    flow.add("a", work, after=other.add("x", work))
    assert refusal(flow) == ["step 'a': after= names 'x' of another workflow, 'other'"]


def test_a_self_dependency_by_name_by_parameter_and_by_itself_being_a_member() -> None:
    flow = Workflow("order")
    flow.add("a", work, after="a")

    @flow.step
    def b(b: int) -> int:
        return b

    flow.add("c", work, after=any_of("c", "a"))
    assert refusal(flow) == [
        "step 'a' waits for itself", "step 'b' waits for itself", "step 'c' waits for itself",
    ]  # fmt: skip


def test_a_cycle_is_shown_as_it_would_run() -> None:
    flow = Workflow("order")
    flow.add("reserve", work, after="ship")
    flow.add("charge", work, after="reserve")
    flow.add("ship", work, after="charge")
    flow.add("other", work, after="ship")
    assert refusal(flow) == ["steps wait for one another: reserve -> charge -> ship -> reserve"]


def test_two_cycles_are_two_faults() -> None:
    flow = Workflow("order")
    for one, other in (("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")):
        flow.add(one, work, after=other)
    assert refusal(flow) == [
        "steps wait for one another: a -> b -> a",
        "steps wait for one another: c -> d -> c",
    ]


def test_a_cycle_through_what_a_wait_and_a_child_read() -> None:
    small = Workflow("small")
    small.add("x", lambda: {"id": "1"})
    flow = Workflow("order")
    flow.wait_event("paid", "payment", key="small.id")
    flow.child("small", small, input={"id": "paid.id"})
    assert refusal(flow) == ["steps wait for one another: paid -> small -> paid"]


def test_a_deep_graph_is_judged_without_trouble() -> None:
    flow = Workflow("deep")
    flow.add("s0", work, after="s4999")
    for i in range(1, 5_000):
        flow.add(f"s{i}", work, after=f"s{i - 1}")
    (fault,) = refusal(flow)
    assert fault.startswith("steps wait for one another: s0 -> s1 -> s2")
    assert fault.endswith("s4999 -> s0")


def test_a_step_with_both_a_function_and_a_child() -> None:
    """It cannot be written: a child takes a workflow, a step a function, and each refuses the other."""
    small = Workflow("small")
    small.add("x", work)
    flow = Workflow("order")
    flow.add("a", small)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match=r"child\(\) takes a name and a workflow, not <function work"):
        flow.child("b", work)  # type: ignore[arg-type]
    assert refusal(flow) == ["step 'a': <workflow 'small'> is not a function"]


def test_a_child_that_is_the_workflow_itself() -> None:
    flow = Workflow("order")
    flow.child("again", flow)
    assert refusal(flow) == ["child 'again': workflow 'order' cannot be a child of itself"]


def test_a_child_that_has_the_workflow_among_its_own() -> None:
    first, second = Workflow("first"), Workflow("second")
    first.child("down", second)
    second.child("up", first)
    with pytest.raises(DefinitionError) as caught:
        first.definition()
    assert "workflow 'second' has 'first' among its own children: that never ends" in str(caught.value)


def nested(depth: int) -> Workflow:
    flow = Workflow("level:0")
    flow.add("x", work)
    for level in range(1, depth + 1):
        flow, below = Workflow(f"level:{level}"), flow
        flow.child("below", below)
    return flow


def test_children_are_nested_twenty_deep_at_most() -> None:
    assert nested(20).definition().name == "level:20"
    with pytest.raises(DefinitionError, match="child 'below': children are nested deeper than 20"):
        nested(21).definition()


def test_groups_and_branches_are_nested_twenty_deep_at_most() -> None:
    def groups(depth: int) -> Workflow:
        flow = Workflow("order")
        step = flow.add("x", work)
        for level in range(depth):
            step = flow.parallel(f"g{level}", [step])
        return flow

    assert groups(20).definition()
    assert refusal(groups(21)) == ["step 'x' is inside of itself, or nested deeper than 20"]


@pytest.mark.parametrize(
    "value", [{1, 2}, math.nan, b"x", object(), {1: 2}], ids=["set", "nan", "bytes", "object", "key"]
)
def test_payloads_that_are_not_json(value: Any) -> None:
    flow = Workflow("order")
    flow.wait_signal("go", timeout="5s", on_timeout=value)
    kind = flow.branch("kind", on="input")
    kind.add(value, "x", work)
    first, second = refusal(flow)
    assert first.startswith("wait 'go': on_timeout= takes a JSON value: ")
    assert second.startswith("branch 'kind': add() takes a JSON value: ")


CONTRADICTIONS: list[tuple[Callable[[Workflow], object], str]] = [
    (
        lambda w: w.wait_signal("a", "x", any_of=["y"]),
        "wait 'a': a wait takes one signal, or several as any_of= or all_of=, one of the three",
    ),
    (lambda w: w.wait_signal("a", on_timeout=1), "wait 'a': on_timeout= has no effect without timeout="),
    (
        lambda w: w.add("a", work, timeout="2s", total="1s"),
        "step 'a': it may take 1000 ms in all, but 2000 ms for one attempt",
    ),
    (lambda w: w.add("a", work, retry=Retry(3, base="2m", cap="1m")), "step 'a': "),
    (lambda w: w.add("a", work, retry=Retry(3, on="x", not_on="x")), "step 'a': "),
    (
        lambda w: w.add("a", work, retry=Retry(3, backoff=lambda n, f: "1s", base="5s")),
        "step 'a': Retry: base=, cap= and jitter= have no effect if backoff= is a function",
    ),
    (lambda w: w.parallel("a", []), "group 'a' has no members"),
    (lambda w: w.branch("a", on="input"), "branch 'a' has no clauses"),
    (lambda w: w.each("input", enough=0)(work), "step 'work': enough is 0, and must be 1 or more"),
    (lambda w: w.each("input", concurrency=0)(work), "step 'work': concurrency is 0, and must be 1 or more"),
    (lambda w: w.add("a", work, retry=Retry(0)), "step 'a': "),
    (lambda w: w.add("a", work, timeout="0s"), "step 'a': a time-out must be longer than nothing"),
    (lambda w: w.add("a", work, timeout=timedelta(seconds=-1)), "step 'a': "),
    (lambda w: w.add("a", work, timeout="soon"), "step 'a': timeout= takes a duration: "),
    (lambda w: w.sleep("a", "-1s"), "step 'a': a sleep takes a duration: "),
    (lambda w: w.add("a", work, queue="a b"), f"step 'a': 'a b' is not a name for a queue: {QUEUE_RULE}"),
    (
        lambda w: w.add("a", work, on_error="never"),
        "step 'a': on_error= takes one of fail, skip, continue, hold, not 'never'",
    ),
    (lambda w: w.add("a", work, wen=work), "step 'a': there is no option wen= here; is when= meant?"),
    (lambda w: w.add("a", work, after=some_of(3, "b", "c")), "step 'a' waits for 3 of 2 steps"),
]


@pytest.mark.parametrize(("build", "says"), CONTRADICTIONS, ids=[says[:60] for _, says in CONTRADICTIONS])
def test_options_that_contradict_or_mean_nothing(build: Callable[[Workflow], object], says: str) -> None:
    flow = Workflow("order")
    flow.add("b", work)
    flow.add("c", work)
    build(flow)
    (fault,) = refusal(flow)
    assert fault.startswith(says)


@pytest.mark.parametrize("name", ["", "a b", "1st", "-a", "a~b", "a[0]", "a/b", "ä", "x" * 129, "a\n"])
def test_names_of_steps(name: str) -> None:
    flow = Workflow("order")
    flow.add(name, work)
    assert refusal(flow) == [f"{name!r} is not a name for a step: {RULE}"]


@pytest.mark.parametrize("name", ["a", "_", "A.b:c-d_9", "x" * 128])
def test_names_that_are_good(name: str) -> None:
    flow = Workflow(name)
    flow.add(name, work)
    assert flow.definition().name == name


@pytest.mark.parametrize("name", ["input", "item"])
def test_reserved_names(name: str) -> None:
    flow = Workflow("order")
    flow.add(name, work)
    assert refusal(flow) == [f"a step cannot be called {name!r}"]


def test_the_name_of_a_workflow() -> None:
    flow = Workflow("my order")
    flow.add("a", work)
    assert refusal(flow) == [f"'my order' is not a name for a workflow: {RULE}"]


def test_all_at_once_in_the_order_of_the_file_and_each_with_its_place() -> None:
    flow = Workflow("order", timeout="0s", retry=Retry(0))
    flow.add("a", work, after="nobody", timeout="never")
    flow.add("b", lambda x, y: None)
    flow.sleep("a", "5s")
    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    faults = caught.value.faults
    assert len(faults) == 7
    lines = [fault.origin.line for fault in faults if fault.step is not None]
    assert lines == sorted(lines)
    assert {fault.code for fault in faults} >= {
        "unknown_step",
        "bad_duration",
        "unbound_parameter",
        "duplicate",
        "timeout",
    }
    assert all(__file__ in str(fault.origin) for fault in faults)


def test_all_faults_of_all_workflows_of_an_app_at_once() -> None:
    first, second = Workflow("first"), Workflow("second")
    second.add("a", work, after="b")
    with pytest.raises(DefinitionError) as caught:
        App("shop", workflows=[first, second])
    text = str(caught.value)
    assert "workflow 'first' has 1 fault:" in text
    assert "workflow 'second' has 1 fault:" in text


def test_a_fault_is_mended_and_asked_for_again() -> None:
    """What is wrong is judged anew each time, so a workflow that was refused can still be completed."""
    flow = Workflow("order")
    flow.add("a", work, after="b")
    assert refusal(flow) == ["step 'a' waits for 'b', which does not exist"]
    flow.add("b", work)
    assert [node.name for node in flow.definition().nodes] == ["a", "b"]


def test_nothing_is_judged_before_it_is_asked_for() -> None:
    flow = Workflow("order")
    flow.add("a", work, after="later", timeout="nonsense")
    assert repr(flow) == "<workflow 'order'>"


def test_members_that_are_none() -> None:
    flow = Workflow("order")
    flow.add("a", work)
    flow.parallel("one", ["a", "nobody"])
    flow.parallel("two", ["a", "a"])
    assert refusal(flow) == [
        "step 'a': it is a member of two groups, 'one' and 'two'",
        "group 'one': it has member 'nobody', which does not exist",
        "group 'two': it has member 'a' twice",
        "group 'two' has no members",
    ]


def test_steps_outside_of_a_branch_wait_for_the_branch() -> None:
    flow = Workflow("order")
    kind = flow.branch("kind", on="input")
    kind.add("a", "x", work)
    kind.add("b", "y", work, after="x")
    flow.add("z", work, after="x")
    assert refusal(flow) == [
        "step 'y' waits for 'x', which is in another clause of branch 'kind': only one of the two runs",
        "step 'z' waits for 'x', which is inside of branch 'kind': wait for 'kind' instead",
    ]


def test_an_unknown_option_of_a_workflow_names_the_one_that_is_meant() -> None:
    with pytest.raises(TypeError, match=r"there is no option timout= here; is timeout= meant\?"):
        Workflow("order", timout="3d")  # type: ignore[call-overload, call-arg, unused-ignore]
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        Workflow("order", colour="red")  # type: ignore[call-overload, call-arg, unused-ignore]
