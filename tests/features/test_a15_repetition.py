"""A15: a child runs again, with its output as its next input, until a value at a path says so."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

from typing import Any

import pytest
from refusals import refusal

from stream_durable import Fail, Retry, Workflow
from stream_durable.testing import Engine


def pages(last: int) -> Workflow:
    flow = Workflow("page")

    @flow.step
    def fetch(input: dict[str, int]) -> dict[str, Any]:
        cursor = input["cursor"]
        return {"next": cursor + 1, "done": cursor >= last, "kept": input.get("kept")}

    return flow


async def test_a_child_runs_until_it_says_that_it_is_done(engine: Engine) -> None:
    flow = Workflow("book")
    flow.child(
        "page",
        pages(3),
        input={"cursor": "input.from", "kept": 7},
        until="page.done",
        again={"cursor": "page.next"},
    )
    flow.add("end", lambda page: page)
    run = await engine.start(flow, {"from": 1}, id="b")
    await engine.until_idle()
    assert run.output == {"next": 4, "done": True, "kept": 7}
    assert [child.id for child in run.children] == ["b//page", "b//page/2", "b//page/3"]
    assert [child.input for child in run.children] == [{"cursor": i, "kept": 7} for i in (1, 2, 3)]
    assert run.step("page").attempts == 1


async def test_without_again_the_output_is_the_next_input(engine: Engine) -> None:
    small = Workflow("count")
    small.add("plus", lambda input: {"n": input["n"] + 1, "done": input["n"] >= 4})
    flow = Workflow("loop")
    flow.child("count", small, input={"n": 1}, until="count.done")
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == {"n": 5, "done": True}
    assert len(run.children) == 4


async def test_the_first_round_may_be_the_last(engine: Engine) -> None:
    flow = Workflow("book")
    flow.child("page", pages(0), input={"cursor": "input"}, until="page.done")
    run = await engine.start(flow, 5)
    await engine.until_idle()
    assert (run.status, len(run.children)) == ("completed", 1)


async def test_a_delay_between_the_rounds(engine: Engine) -> None:
    flow = Workflow("poll")
    flow.child(
        "page", pages(2), input={"cursor": 1}, until="page.done", again={"cursor": "page.next"}, every="10m"
    )
    run = await engine.start(flow)
    assert run.status == "waiting"
    assert run.step("page").waits_for == ("the time of the next run of page, in 10m",)
    await engine.advance("9m")
    assert len(run.children) == 1
    await engine.advance("1m")
    assert (run.status, len(run.children)) == ("completed", 2)


async def test_only_so_many_rounds(engine: Engine) -> None:
    flow = Workflow("book")
    flow.child(
        "page", pages(100), input={"cursor": 1}, until="page.done", again={"cursor": "page.next"}, at_most=3
    )
    run = await engine.start(flow)
    await engine.until_idle()
    failure = run.failure
    assert failure is not None
    assert (failure.step, failure.code, failure.message) == (
        "page", "too_many_rounds", "the child has run 3 times, and 'page.done' is still not so",
    )  # fmt: skip
    assert len(run.children) == 3


async def test_a_thousand_rounds_are_the_most_unless_more_are_asked_for() -> None:
    flow = Workflow("book")
    flow.child("page", pages(1), input={"cursor": 1}, until="page.done")
    (node,) = flow.definition().nodes
    assert node.at_most == 1_000  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "is_done"),
    [
        (True, True),
        (False, False),
        (None, False),
        (0, False),
        (1, True),
        ("", False),
        ("x", True),
        ([], False),
    ],
)
async def test_what_ends_it(engine: Engine, value: Any, is_done: bool) -> None:
    small = Workflow("small")
    small.add("only", lambda: {"deep": [{"done": value}]})
    flow = Workflow("loop")
    flow.child("small", small, until="small.deep.0.done", at_most=2)
    run = await engine.start(flow)
    await engine.until_idle()
    assert len(run.children) == (1 if is_done else 2)
    assert run.status == ("completed" if is_done else "failed")


async def test_an_output_without_that_value_fails_the_step(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda: {"finished": True})
    flow = Workflow("loop")
    flow.child("small", small, until="small.done")
    run = await engine.start(flow)
    await engine.until_idle()
    failure = run.failure
    assert failure is not None
    assert (failure.step, failure.code, failure.message) == (
        "small", "path_missing", "nothing is at 'small.done': 'done' is not there",
    )  # fmt: skip


async def test_a_round_that_fails_fails_the_step_or_is_tried_again(engine: Engine) -> None:
    small = Workflow("small")
    times: list[int] = []

    @small.step
    def only(input: dict[str, Any]) -> dict[str, Any]:
        times.append(input["n"])
        if len(times) == 2:
            raise Fail("down")
        return {"n": input["n"] + 1, "done": input["n"] == 3}

    flow = Workflow("loop")
    flow.child("small", small, input={"n": 1}, until="small.done", retry=Retry(2, base="1s"))
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert times == [1, 2, 2, 3], "the round that failed is made again, and not the whole loop"
    assert run.output == {"n": 4, "done": True}


async def test_cancelling_ends_the_loop_and_the_round_that_is_under_way(engine: Engine) -> None:
    small = Workflow("small")
    small.wait_signal("nap", timeout="1h")
    flow = Workflow("loop")
    flow.child("small", small, until="small.done")
    run = await engine.start(flow)
    await run.cancel("enough")
    await engine.until_idle()
    assert (run.status, [child.status for child in run.children]) == ("cancelled", ["cancelled"])


async def test_cancelling_between_two_rounds(engine: Engine) -> None:
    flow = Workflow("loop")
    flow.child(
        "page", pages(9), input={"cursor": 1}, until="page.done", again={"cursor": "page.next"}, every="1h"
    )
    run = await engine.start(flow)
    await run.cancel("enough")
    await engine.advance("2h")
    assert (run.status, len(run.children)) == ("cancelled", 1)


async def test_an_endless_run_keeps_no_endless_history(engine: Engine) -> None:
    """Each round is a run of its own; the one that repeats it has one step, however often."""
    flow = Workflow("endless")
    flow.child(
        "page", pages(10_000), input={"cursor": 1}, until="page.done", again={"cursor": "page.next"},
        at_most=1_000_000, every="1h",
    )  # fmt: skip
    run = await engine.start(flow)
    await engine.advance("100h")
    assert list(run.steps) == ["page"]
    assert len(run.children) == 101
    assert len(run.events) < 10


async def test_a_loop_survives_a_restart_and_repeats(engine: Engine) -> None:
    flow = Workflow("loop")
    flow.child(
        "page", pages(3), input={"cursor": 1}, until="page.done", again={"cursor": "page.next"}, every="1h"
    )
    run = await engine.start(flow)
    await engine.advance("1h")
    engine.restart()
    engine.redeliver()
    await engine.advance("1h")
    assert (run.status, len(run.children)) == ("completed", 3)


def test_what_repetition_cannot_mean() -> None:
    small = pages(1)
    flow = Workflow("loop")
    flow.child("a", small, again={"x": "a.y"})
    flow.child("b", small, every="5s")
    flow.child("c", small, at_most=3)
    flow.child("d", small, until="input.done")
    flow.child("e", small, until="e.done", again={"x": "other.y"})
    flow.child("f", small, until="f.done", at_most=0)
    flow.child("g", small, until="g.done", again="g.next")  # type: ignore[arg-type]
    assert refusal(flow) == [
        "child 'a': again= has no effect without until=",
        "child 'b': every= has no effect without until=",
        "child 'c': at_most= has no effect without until=",
        "child 'd': 'input.done' is no path into its own output: write one such as d.done",
        "child 'e': 'other.y' is no path into its own output: write one such as e.done",
        "child 'f': at_most is 0, and must be 1 or more",
        "child 'g': again= takes paths by field, such as {\"page\": \"g.next\"}, not 'g.next'",
    ]
