"""A12: a child workflow as a step, with input mapping; its output is the step's output."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel
from refusals import refusal

from stream_durable import Context, Fail, Finish, Retry, Workflow
from stream_durable.testing import Engine


class Bill(BaseModel):
    order: str
    amount: float


def invoices() -> Workflow:
    flow = Workflow("invoice", input=Bill)

    @flow.step
    async def write(bill: Bill) -> dict[str, Any]:
        return {"number": f"I-{bill.order}", "amount": bill.amount}

    return flow


async def test_the_output_of_the_child_is_the_output_of_the_step(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("charge", lambda: {"amount": 9.5})
    flow.child("invoice", invoices(), input={"order": "input.id", "amount": "charge.amount"})
    flow.add("mail", lambda invoice: f"mailed {invoice['number']}")
    run = await engine.start(flow, {"id": "42"}, id="order-42", tags=["vip"])
    await engine.until_idle()
    assert run.output == "mailed I-42"
    assert run.step("invoice").output == {"number": "I-42", "amount": 9.5}
    (child,) = run.children
    assert (child.id, child.status, child.input) == (
        "order-42//invoice",
        "completed",
        {"order": "42", "amount": 9.5},
    )
    assert child.state.parent == "order-42"
    assert child.state.parent_step == "invoice"
    assert child.tags == ("vip",)
    assert run.state.children == 1


async def test_what_is_read_of_a_step_is_waited_for() -> None:
    flow = Workflow("order")
    flow.add("charge", lambda: {"amount": 9.5})
    flow.child("invoice", invoices(), input={"order": "input.id", "amount": "charge.amount"})
    assert [node.after for node in flow.definition().nodes] == [(), ("charge",)]


@pytest.mark.parametrize(
    ("mapping", "given"),
    [
        (None, None),
        ("input", {"a": {"b": [1, 2]}, "n": 3}),
        ("input.a.b", [1, 2]),
        ("input.a.b.1", 2),
        ({"x": "input.n"}, {"x": 3}),
        (
            {"x": "input.a", "y": 7, "z": None, "t": True, "l": [1]},
            {"x": {"b": [1, 2]}, "y": 7, "z": None, "t": True, "l": [1]},
        ),
        ({"x": '="DE"', "y": "=[1, 2]"}, {"x": "DE", "y": [1, 2]}),
        ({}, {}),
    ],
    ids=str,
)
async def test_how_the_input_is_mapped(engine: Engine, mapping: Any, given: Any) -> None:
    small = Workflow("small")
    small.add("only", lambda input: [input])
    flow = Workflow("order")
    flow.child("small", small, input=mapping)
    run = await engine.start(flow, {"a": {"b": [1, 2]}, "n": 3})
    await engine.until_idle()
    assert run.output == [given]


async def test_a_step_as_the_input(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda input: input * 2)
    flow = Workflow("order")
    charge = flow.add("charge", lambda: 4)
    flow.child("small", small, input=charge)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == 8


async def test_a_large_output_of_a_child_comes_whole(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda: "x" * 500_000)
    flow = Workflow("order")
    flow.child("small", small)
    flow.add("count", lambda small: len(small))
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == 500_000


async def test_a_failure_of_the_child_is_the_steps(engine: Engine) -> None:
    small = Workflow("small")

    @small.step
    def only() -> None:
        raise Fail("no_paper", "the printer is empty", details={"tray": 2}, retryable=False)

    flow = Workflow("order")
    flow.child("small", small)
    run = await engine.start(flow, id="order-1")
    await engine.until_idle()
    failure = run.failure
    assert failure is not None
    assert (run.status, failure.step, failure.code, failure.message) == (
        "failed", "small", "no_paper", "run 'order-1//small': the printer is empty",
    )  # fmt: skip
    assert run.children[0].status == "failed"


@pytest.mark.parametrize("on_error", ["skip", "continue"])
async def test_a_child_may_be_allowed_to_fail(engine: Engine, on_error: Any) -> None:
    small = Workflow("small")
    small.add("only", lambda: 1 / 0)
    flow = Workflow("order")
    flow.child("small", small, on_error=on_error)
    flow.add("end", lambda small: [small])
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", [None])
    assert run.step("small").status == {"skip": "skipped", "continue": "failed"}[on_error]


async def test_a_child_is_tried_again_as_a_new_run(engine: Engine) -> None:
    small = Workflow("small")
    engine.fail("only", times=2)
    small.add("only", lambda: "well")
    flow = Workflow("order")
    flow.child("small", small, retry=Retry(3, base="1s"))
    run = await engine.start(flow, id="o")
    await engine.until(run, "completed")
    assert (run.output, run.step("small").attempts) == ("well", 3)
    assert [child.status for child in run.children] == ["failed", "failed", "completed"]


async def test_a_child_that_takes_too_long_is_cancelled(engine: Engine) -> None:
    small = Workflow("small")
    small.sleep("nap", "1h")
    flow = Workflow("order")
    flow.child("small", small, timeout="10m")
    run = await engine.start(flow)
    await engine.advance("10m")
    await engine.until_idle()
    assert run.failure is not None
    assert (run.status, run.failure.code) == ("failed", "timeout")
    assert run.children[0].status == "cancelled"


async def test_cancelling_the_parent_cancels_its_children_and_theirs(engine: Engine) -> None:
    grandchild = Workflow("grandchild")
    grandchild.sleep("nap", "1h")
    child = Workflow("child")
    child.child("down", grandchild)
    flow = Workflow("order")
    flow.child("down", child)
    run = await engine.start(flow)
    await run.cancel("enough")
    await engine.until_idle()
    assert [each.status for each in engine.runs] == ["cancelled", "cancelled", "cancelled"]


async def test_a_failure_beside_it_cancels_the_child(engine: Engine) -> None:
    small = Workflow("small")
    small.sleep("nap", "1h")
    flow = Workflow("order")
    flow.child("small", small)

    @flow.step
    async def fails() -> None:
        await asyncio.sleep(5)
        raise Fail("down", retryable=False)

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.children[0].status) == ("failed", "cancelled")


async def test_a_child_that_somebody_cancels_fails_the_step(engine: Engine) -> None:
    small = Workflow("small")
    small.sleep("nap", "1h")
    flow = Workflow("order")
    flow.child("small", small)
    run = await engine.start(flow)
    await run.children[0].cancel("not this one")
    await engine.until_idle()
    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure.step == "small"
    assert "not this one" in run.failure.message


async def test_children_of_children(engine: Engine) -> None:
    below = Workflow("level:0")
    below.add("only", lambda input: input + 1)
    for level in range(1, 6):
        flow = Workflow(f"level:{level}")
        flow.child("below", below, input="input")
        flow.add("plus", lambda below: below + 1)
        below = flow
    run = await engine.start(below, 0, id="top")
    await engine.until_idle()
    assert run.output == 6
    assert engine.runs[-1].id == "top" + "//below" * 5


async def test_one_workflow_as_several_steps(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda input: input * 2)
    flow = Workflow("order")
    for i in range(3):
        flow.child(f"c{i}", small, input={"a": "input"}["a"])
    flow.add("sum", lambda c0, c1, c2: c0 + c1 + c2)
    run = await engine.start(flow, 2)
    await engine.until_idle()
    assert run.output == 12
    assert flow.children == (small,)


async def test_a_child_that_finishes_early_and_one_of_several_outputs(engine: Engine) -> None:
    early = Workflow("early")
    early.add("a", lambda: Finish("early"))
    early.add("b", lambda: "late", after="a")
    several = Workflow("several")
    several.add("x", lambda: 1)
    several.add("y", lambda: 2)
    flow = Workflow("order")
    flow.child("early", early)
    flow.child("several", several)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == {"early": "early", "several": {"x": 1, "y": 2}}


async def test_a_waiting_child_makes_its_parent_wait(engine: Engine) -> None:
    small = Workflow("small")
    small.wait_signal("go")
    flow = Workflow("order")
    flow.child("small", small)
    run = await engine.start(flow, id="o")
    assert (run.status, run.step("small").status) == ("waiting", "waiting")
    assert run.step("small").state.child == "o//small"
    await engine.signal("o//small", "go", "now")
    assert run.output == "now"


async def test_a_child_has_a_context_of_its_own(engine: Engine) -> None:
    small = Workflow("small")

    @small.step
    def only(ctx: Context) -> list[Any]:
        ctx.put("n", 2)
        return [ctx.get("who")]

    flow = Workflow("order")

    @flow.step
    def first(ctx: Context) -> None:
        ctx.put("who", "parent")

    flow.child("small", small, after=first)
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.output, run.context) == ([None], {"who": "parent"})


def test_what_a_child_cannot_mean() -> None:
    small = Workflow("invoice")
    small.add("write", lambda input: input)
    flow = Workflow("order")
    flow.child("a", small, input={"x": "nobody.id"})
    flow.child("b", small, input="input..x")
    flow.child("c", small, input={"x": "=[1"})
    flow.child("d", small, input=7)
    flow.child("e", small, timeout="0s")
    assert refusal(flow) == [
        "child 'a' reads its input at 'nobody.id', but 'nobody' is neither the input nor a step",
        "child 'b' reads its input at 'input..x', which is no path: write one such as input.id",
        "child 'c' has '=[1' as 'x' of its input: what follows the = is not JSON",
        "child 'd': input= takes a path such as \"input.id\", or an object of paths, not 7",
        "child 'e': a time-out must be longer than nothing",
    ]


@pytest.mark.parametrize(("on_timeout", "ends"), [("fail", "compensated"), (None, "cancelled")])
async def test_a_child_out_of_its_time_is_undone_unless_there_is_an_output_instead(
    engine: Engine, on_timeout: str | None, ends: str
) -> None:
    small = Workflow("small")
    small.add("one", lambda: 1).compensate(lambda: None)
    small.wait_signal("never")
    flow = Workflow("flow")
    flow.add("first", lambda: 1).compensate(lambda: None)
    flow.child("kid", small, timeout="1h", on_timeout=on_timeout, after=["first"])
    run = await engine.start(flow)
    await engine.advance("2h")
    await engine.until(run, "compensated" if on_timeout == "fail" else "completed")
    kid = next(one for one in engine.runs if one.workflow == "small")
    assert kid.status == ends
