"""A3: values that cannot be handed over, at every place where a value changes hands."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Context, Expand, Fail, Failure, Finish, Jump, Results, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine, TestedRun


def cycle() -> list[Any]:
    around: list[Any] = [1]
    around.append(around)
    return around


NO_TYPE = ": annotate what the function returns to have it converted"
#: What cannot be handed over, and what is said of it.
BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "nan": (lambda: {"x": math.nan}, "x: nan is not a number in JSON"),
    "infinity": (lambda: [1.0, -math.inf], "1: -inf is not a number in JSON"),
    "object": (lambda: {"x": object()}, "an object of type object is not JSON"),
    "bytes": (lambda: {"x": b"abc"}, "an object of type bytes is not JSON"),
    "set": (lambda: {"x": {1}}, "an object of type set is not JSON"),
    "key": (lambda: {"x": {1: 2}}, "x: a key of type int is not JSON: keys are texts"),
    "cycle": (cycle, "it contains itself, or is nested"),
    "surrogate": (lambda: "\ud800", "a text in it is not valid Unicode"),
    "digits": (lambda: 10**5_000, "Exceeds the limit (4300 digits)"),
}
bad = pytest.mark.parametrize("kind", BAD)
#: Annotated or written by what they are, these are JSON: pydantic writes them.
WRITTEN = {"bytes", "set"}

TOO_LARGE = 5_000_000


def large() -> str:
    return "x" * TOO_LARGE


def failed(run: TestedRun, step: str | None = None) -> Failure:
    """Return the failure of a run, after a look at its step."""
    assert run.status == "failed", run.table
    failure = run.failure
    assert failure is not None
    assert step is None or failure.step == step
    return failure


def untouched(engine: Engine) -> None:
    assert engine.runs == []


# At the input


@bad
async def test_as_an_input(engine: Engine, kind: str) -> None:
    make, says = BAD[kind]
    flow = Workflow("order")
    flow.add("a", lambda input: input)
    with pytest.raises(RejectedError) as caught:
        await engine.start(flow, make())
    assert caught.value.code == "invalid_input"
    assert str(caught.value).startswith("the input of workflow 'order' does not fit: ")
    assert says in str(caught.value)
    untouched(engine)


async def test_an_input_that_is_too_large(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda input: len(input))
    with pytest.raises(RejectedError) as caught:
        await engine.start(flow, large())
    assert caught.value.code == "too_large"
    assert str(caught.value) == (
        "the input of workflow 'order' is 5000002 bytes of JSON, and 900000 are the most: "
        "keep it elsewhere, and pass on where it is"
    )
    untouched(engine)


LIKE_A_REFERENCE = {"$blob": [0, 0, 10, "aa"]}


@pytest.mark.parametrize("value", [LIKE_A_REFERENCE, [LIKE_A_REFERENCE], {"v": LIKE_A_REFERENCE}], ids=str)
async def test_a_value_that_looks_like_a_reference_cannot_come_from_outside(
    engine: Engine, value: Any
) -> None:
    flow = Workflow("order")
    flow.wait_signal("go", timeout="1h")
    flow.add("a", lambda input, go: input)
    with pytest.raises(RejectedError, match=r"\$blob"):
        await engine.start(flow, value)
    untouched(engine)
    run = await engine.start(flow)
    with pytest.raises(RejectedError, match=r"\$blob"):
        await engine.signal(run.id, "go", value)
    with pytest.raises(RejectedError, match=r"\$blob"):
        await engine.publish("go", key="1", data=value)
    assert run.status == "waiting"


@pytest.mark.parametrize("value", [{"$blob": 1}, {"x": 1, "$blobs": [1]}, ["$blob"], "$blob"], ids=str)
async def test_what_only_mentions_the_key_is_a_value_like_any_other(engine: Engine, value: Any) -> None:
    flow = Workflow("order")
    flow.add("a", lambda input: input)
    run = await engine.start(flow, value)
    await engine.until_idle()
    assert run.output == value


# Between steps, and at the end of the run


@bad
async def test_as_an_output(engine: Engine, kind: str) -> None:
    make, says = BAD[kind]
    flow = Workflow("order")
    flow.add("make", make)
    flow.add("take", lambda make: make)
    run = await engine.start(flow)
    await engine.until_idle()
    failure = failed(run, "make")
    assert (failure.code, failure.retryable) == ("invalid_output", False)
    assert failure.message.startswith("workflow 'order', step 'make': the output does not fit: ")
    assert says in failure.message
    assert run.step("take").attempts == 0


@bad
async def test_as_the_last_output(engine: Engine, kind: str) -> None:
    make, says = BAD[kind]
    flow = Workflow("order")
    flow.add("end", make)
    run = await engine.start(flow)
    await engine.until_idle()
    assert says in failed(run, "end").message
    assert run.output is None


async def test_an_output_that_is_too_large(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("make", large)
    run = await engine.start(flow)
    await engine.until_idle()
    failure = failed(run, "make")
    assert (failure.code, failure.retryable) == ("output_too_large", False)
    assert "the step returned 5000002 bytes of JSON; 4000000 are the most" in failure.message


async def test_large_outputs_up_to_the_most_are_handed_on_whole(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("make", lambda: "x" * 3_900_000)
    flow.add("count", lambda make: len(make))
    flow.add("same", lambda make: make)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("count").output == 3_900_000
    assert run.output["same"] == "x" * 3_900_000


@pytest.mark.parametrize("value", [LIKE_A_REFERENCE, [LIKE_A_REFERENCE], {"v": LIKE_A_REFERENCE}], ids=str)
async def test_a_value_that_looks_like_a_reference_cannot_be_an_output(engine: Engine, value: Any) -> None:
    flow = Workflow("order")
    flow.add("make", lambda: value)
    flow.add("take", lambda make: make)
    run = await engine.start(flow)
    await engine.until_idle()
    failure = failed(run, "make")
    assert failure.code == "invalid_output"
    assert "this key stands for a value that is kept elsewhere: take another" in failure.message


async def test_a_coroutine_that_nobody_awaited(engine: Engine) -> None:
    async def later() -> int:
        return 1

    flow = Workflow("order")
    made: list[Any] = []

    @flow.step
    def forgot() -> Any:
        made.append(later())
        return made[0]

    run = await engine.start(flow)
    await engine.until_idle()
    made[0].close()
    assert "a coroutine is not JSON: define the function with `async def`" in failed(run, "forgot").message


# As an item


@pytest.mark.parametrize("kind", sorted(BAD.keys() - WRITTEN))
async def test_as_an_item_of_an_expansion(engine: Engine, kind: str) -> None:
    make, says = BAD[kind]
    flow = Workflow("order")

    @flow.template
    def scan(item: Any) -> Any:
        return item

    flow.add("more", lambda: Expand([scan.of(1), scan.of(make())]))
    run = await engine.start(flow)
    await engine.until_idle()
    failure = failed(run, "more")
    assert (failure.code, failure.retryable) == ("invalid_output", False)
    assert failure.message.startswith("workflow 'order', step 'more': the item 1 of Expand does not fit: ")
    assert says in failure.message


async def test_an_item_that_does_not_fit_names_the_member(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.each("input")
    def double(item: int) -> int:
        return item * 2

    run = await engine.start(flow, [1, "two", 3])
    await engine.until_idle()
    failure = failed(run)
    assert failure.code == "invalid_input"
    assert failure.message == (
        "workflow 'order', step 'double': the parameter 'item' does not fit: Expected `int`, got `str`"
    )
    assert run.step("double[1]").status == "failed"


async def test_items_that_are_too_large_together(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.template
    def scan(item: Any) -> int:
        return len(item)

    flow.add("more", lambda: Expand([scan.of(large()), scan.of("x")]))
    run = await engine.start(flow)
    await engine.until_idle()
    failure = failed(run, "more")
    assert failure.code == "output_too_large"
    assert "900000 are the most" in failure.message


@bad
async def test_as_the_output_of_a_member(engine: Engine, kind: str) -> None:
    make, says = BAD[kind]
    flow = Workflow("order")

    @flow.each("input", on_error="complete_all")
    def each(item: int) -> Any:
        return make() if item else "well"

    run = await engine.start(flow, [0, 1])
    await engine.until_idle()
    assert run.output == ["well", None]
    failure = run.step("each[1]").failure
    assert failure is not None
    assert failure.code == "invalid_output"
    assert says in failure.message


# As a child's input


async def test_a_childs_input_that_is_not_there(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda input: input)
    flow = Workflow("order")
    flow.child("small", small, input={"x": "input.there", "y": "input.not.there"})
    run = await engine.start(flow, {"there": 1})
    await engine.until_idle()
    failure = failed(run, "small")
    assert failure.code == "path_missing"
    assert failure.message == "nothing is at 'input.not.there': 'not' is not there"
    assert run.children == []


async def test_a_childs_input_that_is_too_large(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda input: len(input["x"]))
    flow = Workflow("order")
    flow.add("make", lambda: "x" * 2_000_000)
    flow.child("small", small, input={"x": "make"})
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed" or failed(run, "small").code == "input_too_large"


async def test_a_childs_input_that_does_not_fit_fails_the_child_which_says_so(engine: Engine) -> None:
    class Size(BaseModel):
        n: int

    small = Workflow("small", input=Size)
    small.add("only", lambda size: size.n)
    flow = Workflow("order")
    flow.child("small", small, input={"n": "input"})
    run = await engine.start(flow, "many")
    await engine.until_idle()
    failure = failed(run, "small")
    assert failure.code == "invalid_input"
    assert (
        "workflow 'small', step 'only': the parameter 'size' does not fit: n: Input should be a valid integer"
        in failure.message
    )


def test_a_childs_input_that_is_no_json_is_refused_when_defined() -> None:
    from refusals import refusal

    small = Workflow("small")
    small.add("only", lambda input: input)
    flow = Workflow("order")
    flow.child("small", small, input={"x": {1, 2}, "y": math.nan})
    assert refusal(flow) == [
        f"child 'small': input= takes a JSON value: an object of type set is not JSON{NO_TYPE}",
        "child 'small': input= takes a JSON value: nan is not a number in JSON",
    ]


# As a member of a group


@bad
async def test_as_a_member_of_a_group(engine: Engine, kind: str) -> None:
    make, says = BAD[kind]
    flow = Workflow("order")
    flow.add("good", lambda: 1)
    flow.add("bad", make)
    flow.parallel("both", ["good", "bad"], on_error="complete_all")

    @flow.step
    def end(both: Results) -> list[Any]:
        return [both.ok, both.failed["bad"].code, both.failed["bad"].message]

    run = await engine.start(flow)
    await engine.until_idle()
    ok, code, message = run.output
    assert (ok, code) == ({"good": 1}, "invalid_output")
    assert says in message


async def test_results_that_do_not_fit_name_the_parameter(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: "one")
    flow.parallel("both", ["a"])

    @flow.step
    def end(both: Results[int]) -> None: ...

    run = await engine.start(flow)
    await engine.until_idle()
    failure = failed(run, "end")
    assert failure.code == "invalid_input"
    assert failure.message.startswith("workflow 'order', step 'end': the parameter 'both' does not fit: ")


# In the context


@pytest.mark.parametrize("kind", sorted(BAD.keys() - WRITTEN))
@pytest.mark.parametrize("how", ["put", "append", "merge", "update"])
async def test_in_the_context(engine: Engine, kind: str, how: str) -> None:
    make, says = BAD[kind]
    flow = Workflow("order")

    @flow.step
    def keep(ctx: Context) -> None:
        match how:
            case "put":
                ctx.put("k", make())
            case "append":
                ctx.append("k", make())
            case "merge":
                ctx.merge({"a": make()}, at="k")
            case "update":
                ctx.update("k", lambda _: make())

    run = await engine.start(flow)
    await engine.until_idle()
    failure = failed(run, "keep")
    assert (failure.code, failure.retryable) == ("bad_change", False)
    assert failure.message.startswith("what is kept in the context at 'k' does not fit: ")
    assert says.partition(": ")[2] in failure.message
    assert run.context == {}


async def test_too_much_in_the_context(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def keep(ctx: Context) -> None:
        ctx.put("k", large())

    run = await engine.start(flow)
    await engine.until_idle()
    failure = failed(run, "keep")
    assert (failure.code, failure.retryable) == ("context_too_large", False)
    assert "900000 are the most: return large values as a step's output instead" in failure.message


async def test_an_increment_by_what_is_no_number(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def keep(ctx: Context) -> None:
        ctx.increment("k", "one")  # type: ignore[arg-type]

    run = await engine.start(flow)
    await engine.until_idle()
    assert failed(run).message == "increment at 'k' adds a number, not an object of type str"


# In what is answered instead of a value


@pytest.mark.parametrize("kind", sorted(BAD.keys() - WRITTEN))
@pytest.mark.parametrize("answer", [Finish, lambda value: Jump("end", value)], ids=["Finish", "Jump"])
async def test_in_the_output_of_an_answer(engine: Engine, kind: str, answer: Callable[[Any], Any]) -> None:
    make, says = BAD[kind]
    flow = Workflow("order")
    flow.add("say", lambda: answer(make()))
    flow.add("end", lambda: "end", after="say")
    run = await engine.start(flow)
    await engine.until_idle()
    failure = failed(run, "say")
    assert (failure.code, failure.retryable) == ("invalid_output", False)
    assert failure.message.startswith("workflow 'order', step 'say': the output of ")
    assert says in failure.message


@pytest.mark.parametrize("answer", [Finish, lambda value: Jump("end", value)], ids=["Finish", "Jump"])
async def test_an_answer_that_is_too_large(engine: Engine, answer: Callable[[Any], Any]) -> None:
    flow = Workflow("order")
    flow.add("say", lambda: answer(large()))
    flow.add("end", lambda: "end", after="say")
    run = await engine.start(flow)
    await engine.until_idle()
    assert failed(run, "say").code == "output_too_large"


@pytest.mark.parametrize("answer", [Finish, lambda value: Jump("end", value)], ids=["Finish", "Jump"])
async def test_a_large_answer_is_handed_on_whole(engine: Engine, answer: Callable[[Any], Any]) -> None:
    flow = Workflow("order")
    flow.add("say", lambda: answer("x" * 3_000_000))
    flow.add("end", lambda say: say)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == "x" * 3_000_000


# Details of a failure, data of signals and events, metadata


@bad
async def test_in_the_details_of_a_failure(engine: Engine, kind: str) -> None:
    """They must not hide what went wrong."""
    make, says = BAD[kind]
    flow = Workflow("order")

    @flow.step
    def a() -> None:
        raise Fail("down", "the bank is closed", details=make())

    run = await engine.start(flow)
    await engine.until_idle()
    failure = failed(run, "a")
    assert (failure.code, failure.details) == ("down", None)
    assert failure.message.startswith("the bank is closed (its details were left out: ")
    assert says in failure.message


@bad
async def test_in_what_a_run_is_told(engine: Engine, kind: str) -> None:
    make, says = BAD[kind]
    flow = Workflow("order")
    flow.wait_signal("go", timeout="1h")
    run = await engine.start(flow)
    with pytest.raises(RejectedError, match="the data of signal 'go' does not fit"):
        await engine.signal(run.id, "go", make())
    with pytest.raises(RejectedError, match="the data of event 'go' does not fit"):
        await engine.publish("go", key="1", data=make())
    with pytest.raises(RejectedError, match="the metadata of a run of workflow 'order' does not fit"):
        await engine.start(flow, metadata=make())
    assert run.status == "waiting"


# In values of which the type is known


class Reading(BaseModel):
    value: float
    others: dict[str, list[float]] = {}


@pytest.mark.parametrize(
    ("reading", "says"),
    [
        (Reading(value=math.nan), "value: nan is not a number in JSON"),
        (Reading(value=math.inf), "value: inf is not a number in JSON"),
        (Reading(value=1, others={"a": [1.0, -math.inf]}), "others.a.1: -inf is not a number in JSON"),
    ],
    ids=str,
)
async def test_in_the_field_of_a_model(engine: Engine, reading: Reading, says: str) -> None:
    """Pydantic would write `null`, and the next step would get something else than was returned."""
    flow = Workflow("order", input=Reading)
    flow.add("never", lambda input: None)
    with pytest.raises(RejectedError, match=f"the input of workflow 'order' does not fit: {says}"):
        await engine.start(flow, reading)
    untouched(engine)

    other = Workflow("other")

    @other.step
    def make() -> Reading:
        return reading

    run = await engine.start(other)
    await engine.until_idle()
    assert failed(run, "make").message == f"workflow 'other', step 'make': the output does not fit: {says}"
