"""Branches, groups, items, children and races become the data that was meant, and handlers that fit."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import shapes
import shop
from growth import grows_with

from stream_durable import (
    App,
    Breaker,
    Context,
    DefinitionError,
    Failure,
    Happened,
    Jump,
    Results,
    Retry,
    Skip,
    Workflow,
    any_of,
)
from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    ChildNode,
    Definition,
    EachNode,
    Join,
    ParallelNode,
    StepNode,
    decode_definition,
    encode_definition,
)
from stream_durable.core.definition.nodes import Breaker as BreakerNode
from stream_durable.core.policy import RetryPolicy
from stream_durable.sdk.errors import HandoverError, NotCarriedError
from stream_durable.sdk.handler import Given, Handler


def node_of(flow: Workflow, name: str) -> AnyNode:
    return next(node for node in flow.definition().nodes if node.name == name)


def answer(handler: Handler, input: Any = None, item: Any = None, **outputs: Any) -> Any:
    """Call a handler with plain values, as a worker does with bytes."""
    encode = msgspec.json.encode
    given = Given(
        encode(input), {name: encode(value) for name, value in outputs.items()}, Context,
        None if item is None else encode(item),
    )  # fmt: skip
    result = handler.call(handler.arguments(given))
    return asyncio.run(result) if handler.is_async else result


def work() -> Any:
    return None


# The program of the documentation


def test_the_program_is_this_graph() -> None:
    found = {node.name: node for node in shapes.flow.definition().nodes}

    assert found["kind"] == BranchNode(
        name="kind", after=("classify",), on="classify.kind", cases=('"digital"', '"physical"', None)
    )
    assert found["email_link"] == StepNode(name="email_link", member_of="kind", clause=0)
    assert found["hand_over"] == StepNode(
        name="hand_over", member_of="kind", clause=1, after=("pack",), takes=("pack",), takes_input=False
    )
    assert found["ask_someone"] == StepNode(name="ask_someone", member_of="kind", clause=2)
    assert found["close"] == StepNode(name="close", after=("kind",))
    assert found["stock"] == StepNode(name="stock", member_of="checks")
    assert found["checks"] == ParallelNode(name="checks", on_member_error="complete_all", concurrency=2)
    assert found["decide"] == StepNode(name="decide", after=("checks",), takes=("checks",), takes_input=False)
    assert found["resize"] == EachNode(
        name="resize",
        after=("list_urls",),
        over="list_urls",
        concurrency=10,
        step=StepNode(
            name="resize",
            takes_input=False,
            compensation=StepNode(
                name="resize~compensate", retry=RetryPolicy(2), takes=("resize",), takes_input=False
            ),
        ),
    )
    assert found["album"].after == ("resize",)
    assert found["scans"] == StepNode(
        name="scans", after=("album",), ended=("album",), takes=("album",), takes_context=True
    )
    assert found["page"] == ChildNode(
        name="page",
        workflow="fetch_page",
        fingerprint=shapes.fetch_page.fingerprint,
        input={"cursor": "input.id"},
        until="page.done",
        again={"cursor": "page.next"},
        every_ms=5_000,
    )
    assert found["first"] == StepNode(
        name="first",
        joins=(Join(of=("fraud", "stock")), Join(of=("close", "album", "page"), enough=2, cancel_rest=True)),
        takes=("fraud", "stock"),
        takes_input=False,
    )


def test_templates_hooks_and_restarts_are_part_of_it() -> None:
    definition = shapes.flow.definition()

    assert definition.templates == (StepNode(name="scan", timeout_ms=5_000),)
    assert definition.hooks == (
        StepNode(name="~on_failure"),
        StepNode(name="~on_step_fail", retry=RetryPolicy(2), queue="mail", takes_context=True),
    )
    assert definition.restart == RetryPolicy(2)
    assert decode_definition(encode_definition(definition)) == definition


def test_an_app_carries_children_without_being_told() -> None:
    assert list(shapes.app.workflows) == ["fetch_page", "flow"]
    assert [d.name for d in shapes.app.definitions()] == ["fetch_page", "flow"]
    assert shapes.app.handler("fetch_page", "fetch").function is shapes.fetch.function
    assert shapes.app.handler("flow", "resize~compensate").function is shapes.enlarge
    assert shapes.app.handler("flow", "~on_failure").function is shapes.tell
    with pytest.raises(NotCarriedError):
        shapes.app.handler("flow", "kind")


def test_a_fault_of_a_child_is_told_once_and_where_it_is() -> None:
    child, flow, same = Workflow("child"), Workflow("flow"), Workflow("same")
    child.add("a", work, after="b")
    flow.child("one", child)
    same.child("two", child)
    namesake = Workflow("child")
    namesake.add("a", work)

    with pytest.raises(DefinitionError) as caught:
        App("app", workflows=[flow, same, namesake])
    assert [(fault.owner, fault.step, fault.code) for fault in caught.value.faults] == [
        ("app 'app'", None, "duplicate"),
        ("workflow 'child'", "a", "unknown_step"),
    ]
    with pytest.raises(DefinitionError, match="step 'a' waits for 'b', which does not exist"):
        flow.definition()


# Binding


def test_functions_get_what_their_parameters_are_named_after() -> None:
    handlers = shapes.flow.handlers()
    results = {
        "fraud": {"failure": {"code": "suspect"}},
        "stock": {"output": "enough"},
        "address": {"skipped": True},
    }

    assert answer(handlers["decide"], checks=results) == Jump("close")
    assert answer(handlers["decide"], checks={"stock": {"output": None}}) == "go"
    assert answer(handlers["resize"], item="a") == "A"
    assert answer(handlers["scan"], {"id": "42"}, item="x") == "42: x"
    assert answer(handlers["first"], stock="enough") == "enough"
    assert answer(handlers["first"]) == "unknown"


def test_results_have_values_in_their_type_and_every_member_by_name() -> None:
    flow = Workflow("flow")
    flow.parallel("checks", [flow.add(name, work) for name in "abc"])

    @flow.step
    def decide(checks: Results[shop.Receipt]) -> None: ...

    @flow.step
    def perhaps(checks: Results | None) -> None: ...

    flow.add("plain", lambda checks: checks.ok)
    receipt = {"number": "R-1", "amount": 1.5}
    late = {"failure": {"code": "late", "message": "too"}}
    data = msgspec.json.encode({"a": {"output": receipt}, "b": late, "c": {"skipped": True}})
    handlers = flow.handlers()
    given = Given(b"null", {"checks": data}, Context)

    [checks] = handlers["decide"].arguments(given)

    assert (checks.ok, checks.failed, checks.skipped) == (
        {"a": shop.Receipt(number="R-1", amount=1.5)},
        {"b": Failure("late", "too")},
        ("c",),
    )
    assert (checks["a"].amount, checks["b"].code, checks["c"], len(checks)) == (1.5, "late", None, 3)
    assert list(checks) == ["a", "b", "c"]
    with pytest.raises(KeyError):
        checks["d"]
    assert handlers["plain"].call(handlers["plain"].arguments(given)) == {"a": receipt}
    assert handlers["perhaps"].arguments(msgspec.structs.replace(given, outputs={})) == [None]
    wrong = msgspec.structs.replace(given, outputs={"checks": b'{"a":{"output":{"number":7}}}'})
    with pytest.raises(HandoverError, match=r"parameter 'checks' does not fit: number: "):
        handlers["decide"].arguments(wrong)


def test_a_condition_and_a_limit_take_values_like_the_function() -> None:
    flow = Workflow("flow", input=shop.Order)
    flow.add("a", work)
    flow.add("b", work)

    def limit(ctx: Context[shop.Order], b: int) -> str:
        return f"{b}s"

    flow.add("c", lambda: 1, when=lambda order, a: order > a, after="a", timeout=limit)
    flow.add("order", work)
    handler = flow.handlers()["c"]

    assert node_of(flow, "c") == StepNode(
        name="c", after=("a", "order", "b"), takes=("order", "a", "b"), takes_context=True
    )
    assert handler.condition is not None
    assert handler.limit is not None
    assert answer(handler.condition, a=1, order=2) is True
    order = {"id": "1", "items": [], "total": 1}
    assert answer(handler.limit, order, b=5) == "5s"


def test_a_context_gives_the_outputs_of_what_the_step_waits_for() -> None:
    flow = Workflow("flow")
    for name in "abcd":
        flow.add(name, work)

    def take(ctx: Context, d: int) -> None: ...

    flow.add("e", take, after=["a", any_of("b", "c")], reads="c")

    found = node_of(flow, "e")
    assert isinstance(found, StepNode)
    assert (found.after, found.takes) == (("a", "d"), ("d", "c", "a", "b"))


def test_a_parameter_named_like_a_step_whose_end_is_enough_adds_no_other_edge() -> None:
    flow = Workflow("flow")
    a = flow.add("a", work)
    flow.add("b", lambda a: a, after=[a.even_if_failed, "c"])
    flow.add("c", work)

    found = node_of(flow, "b")
    assert isinstance(found, StepNode)
    assert (found.after, found.ended, found.takes) == (("a", "c"), ("a",), ("a",))


def test_what_is_read_is_waited_for() -> None:
    flow = Workflow("flow")
    flow.add("b", work, reads=[flow.add("a", work)])

    assert node_of(flow, "b") == StepNode(name="b", after=("a",), takes=("a",), takes_input=False)


def test_a_compensation_gets_its_own_steps_output_and_that_of_others() -> None:
    compensation = shop.app.handler("order", "charge~compensate")
    assert compensation.takes == ("charge",)
    assert (compensation.step, compensation.workflow) == ("charge~compensate", "order")

    flow = Workflow("flow")
    flow.add("a", work)
    flow.add("b", work).compensate(lambda a, b: a + b)
    scan = flow.template(name="scan")(lambda item: item)
    scan.compensate(lambda scan, item: [scan, item])
    handlers = flow.handlers()

    assert answer(handlers["b~compensate"], a=1, b=2) == 3
    assert answer(handlers["scan~compensate"], item="x", scan="y") == ["y", "x"]
    assert node_of(flow, "b").after == ()


def test_a_hook_is_told_what_happened() -> None:
    flow = Workflow("flow", input=int)
    flow.add("a", work)

    @flow.on_attempt_fail(timeout="5s")
    def told(what: Happened, number: int) -> tuple[Happened, int]:
        return what, number

    happened = Happened(
        run="r", workflow="flow", step="a", status="retrying", attempt=2, failure=Failure("busy")
    )
    handler = flow.handlers()["~on_attempt_fail"]
    given = Given(b"7", {}, Context, happened=msgspec.json.encode(happened))
    assert handler.call(handler.arguments(given)) == (happened, 7)
    assert told(happened, 1) == (happened, 1)


def test_an_item_reaches_a_step_that_may_be_expanded_into() -> None:
    flow = Workflow("flow")

    @flow.step
    def a(item: int = 0) -> int:
        return item

    assert (answer(flow.handlers()["a"]), answer(flow.handlers()["a"], item=5)) == (0, 5)
    assert (a.of(5).of, a.of(5).item) == ("a", 5)


def test_an_answer_that_is_no_value_is_no_part_of_the_type() -> None:
    flow = Workflow("flow")

    @flow.step
    def a() -> int | Skip: ...

    @flow.step
    def b() -> Jump | Skip: ...

    assert flow.handlers()["a"].encode(1) == b"1"
    with pytest.raises(HandoverError):
        flow.handlers()["a"].encode("1")
    assert flow.handlers()["b"].encode({"any": 1}) == b'{"any":1}'


# Branches


def test_a_function_can_decide() -> None:
    flow = Workflow("flow")
    flow.add("a", work)
    kind = flow.branch("kind", on=lambda a, input: a * input, retry=Retry(2), queue="quick")
    kind.add(1, "one", work)
    kind.clause().add("rest", work)
    kind.add(True, "yes", work)

    found = node_of(flow, "kind")
    handler = flow.handlers()["kind"]
    assert found == BranchNode(
        name="kind",
        after=("a",),
        cases=("1", None, "true"),
        selector=StepNode(name="kind", takes=("a",), retry=RetryPolicy(2), queue="quick"),
    )
    assert [answer(handler, 1, a=a) for a in (1, 1.0, 2)] == [0, 0, 1]
    assert handler.encode(answer(handler, 1, a=1)) == b"0"


def test_a_function_that_decides_can_be_async_and_find_no_clause() -> None:
    flow = Workflow("flow")

    async def decide(input: Any) -> Any:
        return input

    flow.branch("kind", on=decide).add(True, "yes", work)
    handler = flow.handlers()["kind"]

    assert handler.is_async
    assert [answer(handler, value) for value in (True, 1, None)] == [0, None, None]
    assert handler.encode(None) == b"null"


@pytest.mark.parametrize("is_async", [False, True])
def test_conditions_are_asked_in_order_until_one_says_yes(is_async: bool) -> None:
    flow = Workflow("flow", input=int)
    flow.add("a", work)
    asked: list[str] = []

    def big(number: int) -> bool:
        asked.append("big")
        return number > 10

    def odd(a: int) -> int:
        asked.append("odd")
        return a % 2

    async def odd_later(a: int) -> int:
        return odd(a)

    size = flow.branch("size")
    size.case(when=big, name="x")(work)
    size.clause(when=odd_later if is_async else odd).sleep("nap", "5s")
    size.case(when=big, name="y")(work)
    size.otherwise(work)

    handler = flow.handlers()["size"]
    found = node_of(flow, "size")
    assert isinstance(found, BranchNode)
    assert found.cases == ('"condition 1"', '"condition 2"', None)
    assert found.selector == StepNode(name="size", takes=("a",))
    assert [node_of(flow, name).clause for name in ("x", "nap", "y", "work")] == [0, 1, 0, 2]
    assert answer(handler, 11, a=1) == 0
    assert asked == ["big"]
    assert (answer(handler, 1, a=1), answer(handler, 1, a=2)) == (1, 2)
    assert handler.is_async is is_async


def test_a_clause_takes_every_kind_of_step() -> None:
    flow, child = Workflow("flow"), Workflow("child")
    child.add("x", work)
    kind = flow.branch("kind", on="input.kind")
    kind.add("a", "other", work)
    clause = kind.clause("b")
    clause.step(name="made")(work)
    clause.add("added", work)
    clause.sleep("nap", "5s")
    clause.wait_signal("go")
    clause.wait_event("paid", "payment", key="input.id")
    clause.each("input.items", name="one")(lambda item: item)
    clause.child("run", child)
    clause.parallel("group", ["made", "added"])
    size = clause.branch("size", on="input.size")
    size.clause(1).parallel("inner", [size.add(1, "deep", work)])
    clause.add("end", work, after=["group", size])

    places = {node.name: (node.member_of, node.clause) for node in flow.definition().nodes}
    assert places == {
        "kind": (None, 0), "other": ("kind", 0), "made": ("group", 0), "added": ("group", 0),
        "nap": ("kind", 1), "go": ("kind", 1), "paid": ("kind", 1), "one": ("kind", 1), "run": ("kind", 1),
        "group": ("kind", 1), "size": ("kind", 1), "deep": ("inner", 0), "inner": ("size", 0),
        "end": ("kind", 1),
    }  # fmt: skip
    assert repr(clause) == "<clause 1 of branch 'kind'>"


def test_what_is_given_for_one_value_belongs_to_one_clause() -> None:
    flow = Workflow("flow")
    kind = flow.branch("kind", on=flow.add("a", work), on_error="skip")
    kind.case(None, name="none", retry=Retry(2))(work)
    kind.add(None, "none_too", work, after="none")
    kind.otherwise(name="rest")(work)
    kind.clause().add("rest_too", work)

    found = node_of(flow, "kind")
    assert found == BranchNode(name="kind", after=("a",), on="a", cases=("null", None), on_error="skip")
    assert [node_of(flow, name).clause for name in ("none", "none_too", "rest", "rest_too")] == [0, 0, 1, 1]


def test_a_group_in_a_group_and_steps_that_wait_for_members() -> None:
    flow = Workflow("flow")
    flow.parallel("inner", [flow.add("a", work), flow.sleep("nap", "1s")])
    flow.parallel("outer", ["inner", flow.add("b", work, after="a")])
    flow.add("c", work, after=["a", "outer"])

    places = {node.name: node.member_of for node in flow.definition().nodes}
    assert places == {"a": "inner", "nap": "inner", "inner": "outer", "b": "outer", "outer": None, "c": None}


# Options


def test_every_option_of_a_step_is_in_its_node_or_with_its_handler() -> None:
    flow = Workflow("flow", retry=Retry(4, backoff=lambda attempt, failure: f"{attempt}m"))

    @flow.step(
        name="charge", timeout="2s", total="1m", on_error="continue", process=True, queue="slow",
        breaker=Breaker("bank", failures=2, window="2m", reset="3s"),
    )  # fmt: skip
    def pay() -> int:
        return 1

    flow.add("b", work, breaker="mail", retry=Retry(2))
    handlers = flow.handlers()

    assert node_of(flow, "charge") == StepNode(
        name="charge", timeout_ms=2_000, total_ms=60_000, on_error="continue", queue="slow",
        retry=RetryPolicy(4), takes_input=False,
        breaker=BreakerNode(name="bank", failures=2, window_ms=120_000, reset_ms=3_000),
    )  # fmt: skip
    assert handlers["charge"].in_process
    assert handlers["charge"].backoff is not None
    assert handlers["charge"].backoff(3, Failure("x")) == "3m"
    assert (handlers["b"].in_process, handlers["b"].backoff) == (False, None)
    assert node_of(flow, "b") == StepNode(
        name="b", breaker=BreakerNode(name="mail"), retry=RetryPolicy(2), takes_input=False
    )


def test_on_error_of_waits_and_children() -> None:
    flow, child = Workflow("flow"), Workflow("child")
    child.add("x", work)
    flow.wait_signal("go", on_error="skip", timeout="5s")
    flow.wait_event("paid", "payment", key="input", on_error="continue")
    flow.child("run", child, on_error="skip", input="go.data", retry=Retry(2), timeout="5m")

    assert [node.on_error for node in flow.definition().nodes] == ["skip", "continue", "skip"]
    assert node_of(flow, "run") == ChildNode(
        name="run", workflow="child", fingerprint=child.fingerprint, after=("go",), input="go.data",
        retry=RetryPolicy(2), timeout_ms=300_000, on_error="skip",
    )  # fmt: skip


def test_values_of_a_childs_input_are_paths_steps_or_json() -> None:
    flow, child = Workflow("flow"), Workflow("child")
    child.add("x", work)
    a = flow.add("a", work)
    flow.child("run", child, input={"path": "a.b", "step": a, "number": 1, "text": '="EU"', "list": ["x"]})
    flow.child("whole", child, input=a)

    run, whole = node_of(flow, "run"), node_of(flow, "whole")
    assert isinstance(run, ChildNode)
    assert isinstance(whole, ChildNode)
    assert run.input == {"path": "a.b", "step": "a", "number": "=1", "text": '="EU"', "list": '=["x"]'}
    assert (run.after, whole.input, whole.after) == (("a",), "a", ("a",))


def test_the_definition_of_a_child_is_part_of_its_parents_identity() -> None:
    def parent(step: str) -> Workflow:
        flow, child = Workflow("flow"), Workflow("child")
        child.add(step, work)
        flow.child("run", child)
        return flow

    assert parent("x").fingerprint == parent("x").fingerprint != parent("y").fingerprint


def test_what_comes_after_the_definition_was_taken_is_refused() -> None:
    flow = Workflow("flow")
    a = flow.add("a", work)
    kind = flow.branch("kind", on="input")
    kind.add(1, "b", work)
    flow.definition()

    late: list[Callable[[], object]] = [
        lambda: a.compensate(work), lambda: flow.on_failure(work), lambda: kind.clause(2),
        lambda: flow.template(work), lambda: kind.add(1, "c", work),
        lambda: flow.wait_signal("go").compensate(work),
    ]  # fmt: skip
    for call in late:
        with pytest.raises(DefinitionError, match="comes too late"):
            call()


def test_what_cannot_be_understood_at_all_is_refused_on_the_spot() -> None:
    flow: Any = Workflow("flow")
    kind = flow.branch("kind", on="input")
    clause = kind.clause(1)

    takes = "takes the function it decorates"
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: flow.template("x"), f"template() {takes}; a name is given as template(name='x')"),
        (lambda: flow.each("input")("x"), f"each() {takes}; a name is given as each(name='x')"),
        (lambda: flow.on_failure(7), f"on_failure() {takes}, not 7"),
        (kind.case, "case() takes a value, or a function as when=, not None"),
        (lambda: kind.clause(when=True), "clause() takes a value, or a function as when=, not True"),
        (lambda: flow.child("run", 7), "child() takes a name and a workflow, not 7"),
        (lambda: flow.child("run", clause), f"child() takes a name and a workflow, not {clause}"),
    ]
    for call, text in calls:
        with pytest.raises(DefinitionError) as caught:
            call()
        assert caught.value.faults[0].message == text
        assert caught.value.faults[0].origin.file == __file__


# Size


def chain(flow: Workflow, count: int) -> None:
    flow.add("s0", work)
    for i in range(1, count):
        flow.add(f"s{i}", work, after=f"s{i - 1}")


def fan(flow: Workflow, count: int) -> None:
    flow.add("a", work)
    for i in range(count - 2):
        flow.add(f"s{i}", work, after="a")
    flow.add("z", work, after=[f"s{i}" for i in range(count - 2)])


def races(flow: Workflow, count: int) -> None:
    for i in range(count // 2):
        flow.add(f"s{i}", work)
    for i in range(count // 2 - 1):
        flow.add(f"r{i}", work, after=any_of(f"s{i}", f"s{i + 1}"))
    flow.add("z", work, after=any_of(*(f"s{i}" for i in range(count // 2))))


def groups_and_branches(flow: Workflow, count: int) -> None:
    for i in range(count // 10):
        flow.parallel(
            f"g{i}", [flow.add(f"s{i}.{k}", work) for k in range(4)], after=[f"g{i - 1}"] if i else []
        )
        branch = flow.branch(f"b{i}", on="input.x", after=f"g{i}")
        for k in range(4):
            branch.add(k, f"c{i}.{k}", work)


def compensated(flow: Workflow, count: int) -> None:
    for i in range(count // 2):
        flow.add(f"s{i}", work, after=f"s{i - 1}" if i else ()).compensate(work)


@pytest.mark.parametrize("build", [chain, fan, races, groups_and_branches, compensated])
def test_steps_are_checked_at_a_cost_in_proportion_to_their_number(
    build: Callable[[Workflow, int], None],
) -> None:
    def checking(count: int) -> Callable[[], object]:
        flow = Workflow("flow")
        build(flow, count)
        return flow.definition

    definition: Definition = checking(10_000)()

    assert len(definition.nodes) + sum(1 for node in definition.nodes if _is_undone(node)) >= 10_000
    assert grows_with(checking, 10_000)


def _is_undone(node: AnyNode) -> bool:
    return isinstance(node, StepNode) and node.compensation is not None
