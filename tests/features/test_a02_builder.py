"""A2: the same graph built by calls, for graphs made from data."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel
from refusals import refusal

from stream_durable import Context, Retry, Workflow, any_of
from stream_durable.testing import Engine


class Order(BaseModel):
    id: str


def reserve(order: Order) -> list[str]:
    return [order.id]


def charge(order: Order, reserve: list[str]) -> str:
    return f"R-{order.id}-{len(reserve)}"


def decorated() -> Workflow:
    flow = Workflow("order", input=Order, retry=Retry(2), timeout="1d")
    flow.step(reserve)
    flow.step(timeout="5s", queue="bank", on_error="continue")(charge)
    kind = flow.branch("kind", on="charge")

    @kind.case("R-1")
    def one() -> None: ...

    @kind.otherwise
    def other() -> None: ...

    return flow


def called() -> Workflow:
    flow = Workflow("order", input=Order, retry=Retry(2), timeout="1d")
    flow.add("reserve", reserve)
    flow.add("charge", charge, after=["reserve"], timeout="5s", queue="bank", on_error="continue")
    kind = flow.branch("kind", on="charge")
    kind.add("R-1", "one", lambda: None)
    kind.clause().add("other", lambda: None)
    return flow


def test_both_ways_make_the_same_definition() -> None:
    assert called().definition() == decorated().definition()
    assert called().fingerprint == decorated().fingerprint


@pytest.mark.parametrize("make", [decorated, called])
async def test_both_ways_run_alike(engine: Engine, make: Callable[[], Workflow]) -> None:
    run = await engine.start(make(), {"id": "1"})
    await engine.until_idle()
    assert {name: (step.status, step.output) for name, step in run.steps.items()} == {
        "reserve": ("completed", ["1"]), "charge": ("completed", "R-1-1"), "kind": ("completed", None),
        "one": ("skipped", None), "other": ("completed", None),
    }  # fmt: skip


async def test_a_graph_made_from_data(engine: Engine) -> None:
    edges = {
        "fetch": [],
        "clean": ["fetch"],
        "count": ["clean"],
        "sum": ["clean"],
        "report": ["count", "sum"],
    }
    order: list[str] = []

    def work(ctx: Context, name: str) -> str:
        order.append(ctx.step)
        return name.upper()

    flow = Workflow("pipeline")
    for name, after in edges.items():
        flow.add(name, partial(work, name=name), after=after)

    run = await engine.start(flow)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", "REPORT")
    assert [order.index(name) for name in ("fetch", "clean")] == [0, 1]
    assert order[-1] == "report"


async def test_steps_of_a_loop_have_each_their_own_by_a_default(engine: Engine) -> None:
    flow = Workflow("loop")
    for name in ("a", "b", "c"):
        flow.add(name, lambda name=name: name * 2)
    run = await engine.start(flow, "the input")
    await engine.until_idle()
    assert run.output == {"a": "aa", "b": "bb", "c": "cc"}


async def test_one_function_may_be_many_steps_and_a_step_may_be_the_function_of_another(
    engine: Engine,
) -> None:
    flow = Workflow("often")

    def count(ctx: Context) -> str:
        return ctx.step

    first = flow.add("first", count)
    flow.add("second", first, after=first)
    flow.add("third", count, after="second")
    run = await engine.start(flow)
    await engine.until_idle()
    assert [step.output for step in run.steps.values()] == ["first", "second", "third"]
    assert engine.calls(first) == 1


async def test_waits_groups_children_and_races_are_made_by_calls_too(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda input: input)

    flow = Workflow("everything")
    data: list[dict[str, Any]] = [
        {"make": flow.sleep, "name": "nap", "duration": "5s"},
        {"make": flow.wait_signal, "name": "go", "timeout": "1m", "on_timeout": "late"},
        {
            "make": flow.child,
            "name": "small",
            "workflow": small,
            "input": "input.x",
            "after": any_of("nap", "go"),
        },
        {"make": flow.parallel, "name": "all", "members": ["nap", "small"]},
    ]
    for options in data:
        options.pop("make")(options.pop("name"), **options)
    flow.add("end", lambda all, go: [all.ok, go])

    run = await engine.start(flow, {"x": 3})
    await engine.advance("1m")
    assert run.output == [{"nap": None, "small": 3}, "late"]


def test_all_that_is_wrong_with_a_graph_from_data_is_said_at_once_each_where_it_was_added() -> None:
    flow = Workflow("data")
    for name, after in {"a": ["b"], "b": ["a"], "c c": ["d"]}.items():
        flow.add(name, lambda: None, after=after)
    assert refusal(flow) == [
        "steps wait for one another: a -> b -> a",
        (
            "'c c' is not a name for a step: "
            "letters, digits and _ . : - only, beginning with a letter or _, at most 128"
        ),
        "step 'c c' waits for 'd', which does not exist",
    ]
