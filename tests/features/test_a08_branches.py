"""A8: one clause of a branch runs, the others are skipped; steps after the branch run whichever ran."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel
from refusals import refusal

from stream_durable import Context, Fail, Jump, Retry, Skip, Workflow
from stream_durable.testing import Engine


class Order(BaseModel):
    id: str
    total: float = 0


def shipping() -> Workflow:
    flow = Workflow("shipping")
    kind = flow.branch("kind", on="input.kind")

    @kind.case("digital")
    def mail() -> str:
        return "mailed"

    @kind.case("physical")
    def pack() -> str:
        return "packed"

    @kind.case("physical")
    def hand_over(pack: str) -> str:
        return f"{pack} and handed over"

    @kind.otherwise
    def ask() -> str:
        return "asked"

    @flow.step
    def close(kind: str | None) -> str:
        return f"{kind}, closed"

    return flow


@pytest.mark.parametrize(
    ("kind", "ran", "output"),
    [
        ("digital", ["mail"], "mailed, closed"),
        ("physical", ["pack", "hand_over"], "packed and handed over, closed"),
        ("gift", ["ask"], "asked, closed"),
        (None, ["ask"], "asked, closed"),
    ],
)
async def test_one_clause_runs_by_the_value_at_a_path(
    engine: Engine, kind: Any, ran: list[str], output: str
) -> None:
    run = await engine.start(shipping(), {"kind": kind})
    await engine.until_idle()
    assert run.output == output
    clauses = ["mail", "pack", "hand_over", "ask"]
    assert [name for name in clauses if run.step(name).status == "completed"] == ran
    assert [name for name in clauses if run.step(name).status == "skipped"] == [
        n for n in clauses if n not in ran
    ]
    assert sum(engine.calls(name) for name in clauses) == len(ran)


async def test_which_clause_ran_is_told(engine: Engine) -> None:
    run = await engine.start(shipping(), {"kind": "physical"})
    await engine.until_idle()
    assert run.step("kind").state.clause == "physical"
    failure = run.step("mail").failure
    assert failure is not None
    assert (failure.code, failure.message) == ("not_chosen", "another clause of the branch was chosen")


@pytest.mark.parametrize(
    ("value", "output"),
    [
        (1, "one"),
        (1.0, "one"),
        (True, "true"),
        ("1", "text"),
        (None, "null"),
        ([1, {"a": 2}], "list"),
        (2, None),
    ],
    ids=repr,
)
async def test_values_are_compared_as_json(engine: Engine, value: Any, output: str | None) -> None:
    flow = Workflow("values")
    kind = flow.branch("kind", on="input")
    for case, name in ((1, "one"), (True, "true"), ("1", "text"), (None, "null"), ([1, {"a": 2}], "list")):
        kind.add(case, name, lambda name=name: name)
    flow.add("end", lambda kind: kind)
    run = await engine.start(flow, value)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", output)


async def test_without_a_clause_for_the_value_all_is_skipped_and_the_branch_completes_with_null(
    engine: Engine,
) -> None:
    flow = Workflow("none")
    kind = flow.branch("kind", on="input")
    kind.add("a", "x", lambda: "x")
    flow.add("end", lambda kind: [kind])
    run = await engine.start(flow, "b")
    await engine.until_idle()
    assert run.output == [None]
    assert (run.step("kind").status, run.step("x").status) == ("completed", "skipped")


async def test_a_value_that_is_not_there_fails_the_branch(engine: Engine) -> None:
    run = await engine.start(shipping(), {"kidn": "digital"})
    await engine.until_idle()
    failure = run.failure
    assert failure is not None
    assert (failure.step, failure.code, failure.message) == (
        "kind", "path_missing", "nothing is at 'input.kind': 'kind' is not there",
    )  # fmt: skip


async def test_a_function_answers_the_value(engine: Engine) -> None:
    flow = Workflow("decided", input=Order)
    flow.add("price", lambda order: order.total * 2)

    async def size(price: float, order: Order, ctx: Context) -> str:
        return "large" if price > 10 else "small"

    kind = flow.branch("kind", on=size)
    kind.add("large", "freight", lambda: "freight")
    kind.add("small", "letter", lambda: "letter")
    flow.add("end", lambda kind: kind)
    large, small = (
        await engine.start(flow, Order(id="1", total=6)),
        await engine.start(flow, Order(id="2", total=5)),
    )
    await engine.until_idle()
    assert (large.output, small.output) == ("freight", "letter")


async def test_a_function_that_fails_is_tried_again(engine: Engine) -> None:
    flow = Workflow("flaky")

    def size(ctx: Context) -> str:
        if ctx.attempt < 3:
            raise Fail("busy")
        return "large"

    kind = flow.branch("kind", on=size, retry=Retry(3, base="1s"))
    kind.add("large", "freight", lambda: "freight")
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == "freight"


async def test_conditions_are_tried_in_order_and_the_first_that_holds_is_taken(engine: Engine) -> None:
    flow = Workflow("conditions", input=Order)
    asked: list[str] = []

    def over(limit: float) -> Any:
        def condition(order: Order) -> bool:
            asked.append(f"{order.id} {limit}")
            return order.total > limit

        return condition

    kind = flow.branch("kind")
    kind.case(when=over(100))(named("hundred"))
    kind.case(when=over(10))(named("ten"))
    kind.otherwise(named("few"))
    runs = [await engine.start(flow, Order(id=str(i), total=total)) for i, total in enumerate((500, 50, 5))]
    await engine.until_idle()
    assert [run.output for run in runs] == ["hundred", "ten", "few"]
    assert sorted(asked) == ["0 100", "1 10", "1 100", "2 10", "2 100"]


def named(name: str) -> Any:
    def function() -> str:
        return name

    function.__name__ = name
    return function


async def test_conditions_without_an_otherwise(engine: Engine) -> None:
    flow = Workflow("conditions")
    kind = flow.branch("kind")

    @kind.case(when=lambda input: input > 1)
    async def x(input: int) -> str:
        return "x"

    flow.add("end", lambda kind: [kind])
    run = await engine.start(flow, 1)
    await engine.until_idle()
    assert (run.output, run.step("x").status) == ([None], "skipped")


async def test_several_last_steps_are_an_object(engine: Engine) -> None:
    flow = Workflow("several")
    kind = flow.branch("kind", on="input")
    kind.add(1, "first", lambda: 0)
    kind.add(1, "one", lambda first: "one")
    kind.add(1, "two", lambda first: "two")
    kind.add(2, "three", lambda: "three")
    flow.add("end", lambda kind: kind)
    both, single = await engine.start(flow, 1), await engine.start(flow, 2)
    await engine.until_idle()
    assert both.output == {"one": "one", "two": "two"}
    assert single.output == "three"


async def test_clauses_hold_waits_groups_children_each_and_branches(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda input: input * 2)
    flow = Workflow("everything")
    kind = flow.branch("kind", on="input.kind")
    clause = kind.clause("all")
    clause.sleep("nap", "5s")
    clause.wait_signal("go", after="nap")
    clause.child("small", small, input="input.n", after="go")

    @clause.each("input.items", after="small")
    def each(item: int) -> int:
        return item + 1

    clause.add("a", lambda: "a", after="each")
    clause.parallel("group", ["a"])
    inner = clause.branch("inner", on="small", after="group")
    inner.add(6, "six", lambda small, each: [small, each])
    inner.add(7, "seven", lambda: "seven")
    flow.add("end", lambda kind: kind)

    run = await engine.start(flow, {"kind": "all", "n": 3, "items": [1, 2]})
    other = await engine.start(flow, {"kind": "none", "n": 3, "items": [1, 2]})
    await engine.advance("5s")
    await engine.signal(run.id, "go")
    await engine.until_idle()
    assert run.output == [6, [2, 3]]
    assert (other.status, other.output) == ("completed", None)
    assert {
        name: step.status for name, step in other.steps.items() if name not in ("kind", "end")
    } == dict.fromkeys(["nap", "go", "small", "each", "a", "group", "inner", "six", "seven"], "skipped")
    assert other.children == []


async def test_steps_of_a_clause_wait_for_steps_outside(engine: Engine) -> None:
    flow = Workflow("outside")
    order: list[str] = []

    @flow.step
    async def slow() -> str:
        await asyncio.sleep(30)
        order.append("slow")
        return "slow"

    kind = flow.branch("kind", on="input")

    @kind.case("x")
    def inside(slow: str) -> str:
        order.append("inside")
        return slow

    run = await engine.start(flow, "x")
    await engine.until_idle()
    assert order == ["slow", "inside"]
    assert run.output == "slow"


@pytest.mark.parametrize("on_error", ["fail", "skip", "continue"])
async def test_a_failure_in_a_clause_fails_the_branch(engine: Engine, on_error: Any) -> None:
    flow = Workflow("failing")
    kind = flow.branch("kind", on="input", on_error=on_error)

    @kind.case("x")
    def bad() -> None:
        raise Fail("down", "no answer", retryable=False)

    @kind.case("x")
    async def other() -> None:
        await asyncio.sleep(60)

    flow.add("end", lambda kind: ["end", kind])
    run = await engine.start(flow, "x")
    await engine.until_idle()
    assert run.step("bad").status == "failed"
    assert run.step("other").status in ("cancelled", "skipped")
    failure = run.step("kind").failure
    assert failure is not None
    assert (failure.code, failure.message) == ("down", "no answer")
    if on_error == "fail":
        assert run.status == "failed"
        assert run.failure is not None
        assert run.failure.step == "bad"
    else:
        assert (run.status, run.output) == ("completed", ["end", None])
        assert run.step("kind").status == {"skip": "skipped", "continue": "failed"}[on_error]


async def test_a_step_of_a_clause_may_be_skipped_or_be_allowed_to_fail(engine: Engine) -> None:
    flow = Workflow("lenient")
    kind = flow.branch("kind", on="input")
    kind.add("x", "skipped", lambda: Skip("no"))

    @kind.case("x", on_error="continue")
    def fails(skipped: int | None) -> None:
        raise Fail("down", retryable=False)

    @kind.case("x", after=fails)
    def last() -> str:
        return "last"

    run = await engine.start(flow, "x")
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "last")


async def test_a_branch_waits_and_may_be_skipped_over_by_a_jump(engine: Engine) -> None:
    flow = Workflow("jumping")
    flow.add("first", lambda: Jump("end", "jumped"))
    kind = flow.branch("kind", on="first")
    kind.add("x", "x", lambda: 1)
    flow.add("end", lambda first, kind: [first, kind])
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == ["jumped", None]
    assert (run.step("kind").status, run.step("x").status) == ("skipped", "skipped")


def test_what_a_branch_cannot_mean() -> None:
    flow = Workflow("order")
    both = flow.branch("both", on="input")
    both.case(when=lambda input: True)(lambda: None)
    neither = flow.branch("neither")
    neither.add("x", "x", lambda: None)
    same = flow.branch("same", on="input")
    same.add(1, "one", lambda: None)
    same.add(1.0, "two", lambda: None)
    nowhere = flow.branch("nowhere", on="nobody.kind")
    nowhere.add(1, "three", lambda: None)
    faults = refusal(flow)
    assert "branch 'both': on= decides, so none of its clauses can have a condition" in faults
    assert "branch 'neither': it has a clause for \"x\", but no on= to decide by" in faults
    assert "branch 'same' has two clauses for 1.0" in faults
    assert (
        "branch 'nowhere' reads its value at 'nobody.kind', but 'nobody' is neither the input nor a step"
        in faults
    )
