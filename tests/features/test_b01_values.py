"""B1: a step answers with a value, nothing, or a typed model; a mapping is merged into the context."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Context, Fail, Workflow
from stream_durable.testing import Engine


class Receipt(BaseModel):
    number: str
    amount: float


def look(ctx: Context) -> list[Any]:
    return [ctx.get(key) for key in ("number", "amount", "n")]


async def test_a_mapping_is_the_output_and_is_merged_into_the_context(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("charge", lambda: {"number": "R-1", "amount": 9.5})
    flow.add("look", look, after="charge")
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("charge").output == {"number": "R-1", "amount": 9.5}
    assert run.output == ["R-1", 9.5, None]
    assert run.context == {"number": "R-1", "amount": 9.5}


async def test_a_model_is_merged_too(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def charge() -> Receipt:
        return Receipt(number="R-1", amount=9.5)

    flow.add("look", look, after="charge")
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == ["R-1", 9.5, None]


async def test_fields_of_later_steps_replace_those_of_earlier_ones_at_the_top(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: {"x": {"deep": 1}, "y": 1})
    flow.add("b", lambda: {"x": {"other": 2}}, after="a")

    @flow.step(after="b")
    def end(ctx: Context) -> Any:
        return ctx.get("x"), ctx.get("y")

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.context == {"x": {"other": 2}, "y": 1}
    assert run.output == [{"other": 2}, 1]


async def test_what_an_attempt_puts_into_the_context_comes_after_what_it_answers(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def both(ctx: Context) -> dict[str, int]:
        ctx.put("n", 2)
        return {"n": 1, "m": 1}

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.context == {"n": 2, "m": 1}
    assert run.output == {"n": 1, "m": 1}


@pytest.mark.parametrize("value", ["text", 7, 1.5, True, [1, {"n": 1}], None], ids=repr)
async def test_any_other_value_is_the_output_and_nothing_else(engine: Engine, value: Any) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: value)
    flow.add("look", look, after="a")
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("a").output == value
    assert (run.step("a").status, run.context) == ("completed", {})


async def test_nothing_is_null_and_an_output_all_the_same(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def nothing() -> None: ...

    @flow.step
    def end(nothing: Any = "the default") -> Any:
        return nothing

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", None), "a step that answered None has an output"


async def test_a_workflow_in_which_nobody_takes_the_context_has_none(engine: Engine) -> None:
    """It costs nothing there."""
    flow = Workflow("order")
    flow.add("a", lambda: {"n": 1})
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.context == {}
    assert not flow.definition().keeps_context


async def test_what_a_failed_step_would_have_answered_is_nowhere(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step(on_error="continue")
    def a() -> dict[str, int]:
        raise Fail("down", details={"n": 1}, retryable=False)

    flow.add("look", look, after="a")
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.context, run.output) == ({}, [None, None, None])


async def test_what_functions_return_is_merged_wherever_they_are_and_nothing_else_is(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda: {"child": 1})
    flow = Workflow("order")
    flow.child("small", small)
    flow.wait_signal("go", timeout="1m", on_timeout={"signal": 1})
    flow.add("a", lambda: {"member": 1})
    flow.parallel("group", ["a"])
    kind = flow.branch("kind", on="input")
    kind.add(1, "clause", lambda: {"clause": 1})

    @flow.each("numbers")
    def each(item: int) -> dict[str, int]:
        return {f"item{item}": item}

    flow.add("numbers", lambda: [1, 2])

    @flow.step(after=["small", "group", "kind", "each", "go"])
    def end(ctx: Context) -> Any:
        return None

    run = await engine.start(flow, 1)
    await engine.advance("1m")
    assert run.context == {"member": 1, "clause": 1, "item1": 1, "item2": 2}


async def test_a_value_that_the_context_cannot_take_leaves_nothing_behind(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def fills(ctx: Context) -> None:
        ctx.put("large", "x" * 850_000)

    @flow.step(after=fills)
    def too_much(ctx: Context) -> dict[str, str]:
        ctx.put("n", 1)
        return {"more": "x" * 80_000}

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.failure is not None
    assert (run.failure.step, run.failure.code) == ("too_much", "context_too_large")
    assert set(run.context) == {"large"}


async def test_a_workflow_that_answers_a_map_of_its_last_steps(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: 1)
    flow.add("b", lambda a: a + 1)
    flow.add("c", lambda a: None)
    flow.add("d", lambda: {"x": [1]})
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == {"b": 2, "c": None, "d": {"x": [1]}}
