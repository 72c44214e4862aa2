"""B1: a step answers with a value, nothing, or a typed model, which `into=` puts into the context, too."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Context, DefinitionError, Expand, Fail, Jump, Skip, Snooze, Workflow
from stream_durable.sdk.answers import Graft
from stream_durable.testing import Engine


class Receipt(BaseModel):
    number: str
    amount: float


def look(ctx: Context) -> list[Any]:
    return [ctx.get(key) for key in ("number", "amount", "n")]


async def test_an_object_is_the_output_and_nothing_of_it_is_in_the_context(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("charge", lambda: {"number": "R-1", "amount": 9.5})
    flow.add("look", look, after="charge")
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("charge").output == {"number": "R-1", "amount": 9.5}
    assert (run.output, run.context) == ([None, None, None], {})


async def test_outputs_leave_alone_what_functions_put_and_are_not_bounded_by_the_context(
    engine: Engine,
) -> None:
    """A step that only takes the context changes nothing for the others, whatever these answer."""
    flow = Workflow("pages")

    @flow.step
    def first(ctx: Context) -> None:
        ctx.put("total", 100)

    pages = [flow.add(f"page{i}", lambda i=i: {f"page{i}": "x" * 90_000, "total": 7}) for i in range(12)]

    @flow.step(after=[first, *pages])
    def end(ctx: Context) -> Any:
        ctx.log.info("done")
        return ctx.get("total")

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output, run.context) == ("completed", 100, {"total": 100})


async def test_into_puts_the_output_into_the_context_under_a_key(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step(into="receipt")
    def charge() -> Receipt:
        return Receipt(number="R-1", amount=9.5)

    flow.add("nothing", lambda: None, into="none")
    kind = flow.branch("kind", on="charge.number")
    kind.add("R-1", "clause", lambda: [1], into="clause")
    kind.add("R-2", "other", lambda: 1, into="other")
    member = flow.add("member", lambda: "m", into="member")
    flow.parallel("group", [member])

    @flow.step(after=[kind, "nothing", "group"])
    def end(ctx: Context) -> Any:
        return ctx.get("receipt"), ctx.has("none"), ctx.get("clause")

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("charge").output == {"number": "R-1", "amount": 9.5}
    assert run.output == [{"number": "R-1", "amount": 9.5}, True, [1]]
    assert run.context == {
        "receipt": {"number": "R-1", "amount": 9.5}, "none": None, "clause": [1], "member": "m",
    }  # fmt: skip


async def test_into_comes_after_what_the_attempt_puts_itself(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step(into="n")
    def both(ctx: Context) -> int:
        ctx.put("n", 1)
        ctx.put("m", 1)
        return 2

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.output, run.context) == (2, {"n": 2, "m": 1})


async def test_into_puts_nothing_where_there_is_no_output_of_the_function(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("skipped", lambda: Skip("no"), into="skipped")
    flow.add("snoozed", lambda ctx: 1 if ctx.get("again") else _again(ctx), into="snoozed")
    flow.template(name="made")(lambda item: item)
    flow.add("expanded", lambda: Expand([Graft("made", 1)]), into="expanded")
    flow.add("failed", _down, into="failed", on_error="continue")
    flow.add("jumped", lambda: Jump("end", {"x": 1}), into="jumped", after="failed")
    flow.add("end", lambda: None, after="jumped")
    run = await engine.start(flow)
    await engine.advance("1h")
    assert run.status == "completed", run.table
    assert run.context == {"again": True, "snoozed": 1, "jumped": {"x": 1}}


def _again(ctx: Context) -> Snooze:
    ctx.put("again", True)
    return Snooze("1m")


def _down() -> None:
    raise Fail("down", retryable=False)


@pytest.mark.parametrize("key", ["", 7, ["a"]], ids=repr)
def test_into_takes_a_key(key: Any) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: 1, into=key)
    with pytest.raises(DefinitionError, match=r"into= takes a key of the context, a text, not"):
        flow.definition()


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


async def test_what_a_failed_step_would_have_answered_is_nowhere(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step(on_error="continue")
    def a() -> dict[str, int]:
        raise Fail("down", details={"n": 1}, retryable=False)

    flow.add("look", look, after="a")
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.context, run.output) == ({}, [None, None, None])


async def test_a_value_that_the_context_cannot_take_leaves_nothing_behind(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def fills(ctx: Context) -> None:
        ctx.put("large", "x" * 850_000)

    @flow.step(after=fills, into="more")
    def too_much(ctx: Context) -> str:
        ctx.put("n", 1)
        return "x" * 80_000

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
