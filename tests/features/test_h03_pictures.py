"""H3: a run as report, as Mermaid, as Graphviz and as text, with where its steps stand coloured in."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from stream_durable import Expand, Retry, Workflow, any_of
from stream_durable.pictures import graphviz, mermaid, report, table, text
from stream_durable.testing import Engine
from stream_durable.testing.handles import TestedRun

Draw = Callable[..., str]


def shop() -> Workflow:
    """One of everything that a picture shows in its own way."""
    small = Workflow("small")
    small.add("only", lambda: 1)
    flow = Workflow("shop")

    @flow.step
    async def reserve() -> str:
        await asyncio.sleep(10)
        return "digital"

    reserve.compensate(lambda: 1)

    @flow.step(retry=Retry(2, base="20s"))
    def charge(reserve: str) -> None:
        raise ValueError("declined")

    kind = flow.branch("kind", on="reserve")
    kind.add("digital", "mail", lambda: 1)
    kind.clause().add("pack", lambda: 1)
    flow.add("member", lambda: 1, after=reserve)
    flow.parallel("group", ["member"], concurrency=1)

    @flow.each("input")
    def each(item: int) -> int:
        return item

    @flow.template
    def scan(item: int) -> int:
        return item

    flow.add("scans", lambda: Expand([scan.of(1), scan.of(2)]))
    flow.child("invoice", small)
    flow.wait_signal("go")
    flow.sleep("nap", "1d")
    flow.add("either", lambda: 1, after=any_of("go", "nap"))
    flow.add("tidy", lambda: 1, after=charge.even_if_failed)
    flow.on_failure(lambda: 1)
    return flow


async def drawn(engine: Engine, flow: Workflow, *, seconds: int) -> tuple[TestedRun, dict[str, Any]]:
    """Start a run, let time pass, and return it with the states that a picture takes."""
    run = await engine.start(flow, [1, 2], id="order-42")
    await engine.advance(f"{seconds}s")
    state = run.state
    return run, {**state.steps, **state.helpers}


@pytest.mark.parametrize("draw", [mermaid, graphviz, text])
async def test_a_workflow_before_it_runs(draw: Draw) -> None:
    flow = shop()
    picture = draw(flow.definition())
    for node in flow.definition().nodes:
        assert node.name in picture
    for words in ("digital", "otherwise", "scan", "on_failure", "charge", "any 1 of"):
        assert words in picture
    assert "completed" not in picture


@pytest.mark.parametrize("draw", [mermaid, graphviz, text])
async def test_a_run_with_where_it_stands(engine: Engine, draw: Draw) -> None:
    flow = shop()
    run, states = await drawn(engine, flow, seconds=5)
    picture = draw(flow.definition(), states)
    for words in ("running", "waiting", "pending", "order-42//invoice", "2 members: 2 completed"):
        assert words in picture, words
    await engine.advance("10s")
    picture = draw(flow.definition(), {**run.state.steps, **run.state.helpers})
    for words in ("completed", "retrying", "skipped"):
        assert words in picture, words


@pytest.mark.parametrize("draw", [mermaid, graphviz, text])
async def test_a_run_that_was_undone(engine: Engine, draw: Draw) -> None:
    flow = shop()
    run, states = await drawn(engine, flow, seconds=60)
    assert run.status == "compensated"
    picture = draw(flow.definition(), states)
    for words in ("compensated", "failed (ValueError), attempt 2", "cancelled"):
        assert words in picture, words


async def test_colours_only_repeat_what_the_words_say(engine: Engine) -> None:
    flow = shop()
    _, states = await drawn(engine, flow, seconds=60)
    picture = mermaid(flow.definition(), states)
    used = {line.split()[1] for line in picture.splitlines() if line.strip().startswith("classDef")}
    assert {"completed", "failed", "cancelled", "compensated", "skipped"} >= used
    assert all(picture.count(status) >= 2 for status in used)


async def test_the_report_has_the_order_and_the_critical_path(engine: Engine) -> None:
    flow = Workflow("timed")

    def taking(seconds: int) -> Any:
        async def step() -> None:
            await asyncio.sleep(seconds)

        return step

    flow.add("first", taking(10))
    flow.add("short", taking(5), after="first")
    flow.add("long", taking(60), after="first")
    flow.add("last", taking(10), after=["short", "long"])
    run, _ = await drawn(engine, flow, seconds=100)
    found = report(flow.definition(), run.state)
    assert [step.name for step in found.steps] == ["first", "short", "long", "last"]
    critical = [step.name for step in found.steps if step.name in found.critical]
    assert critical == ["first", "long", "last"]
    written = table(found)
    for name in ("first", "short", "long", "last"):
        assert name in written


async def test_the_report_of_a_run_that_goes_on(engine: Engine) -> None:
    flow = shop()
    run, _ = await drawn(engine, flow, seconds=15)
    found = report(flow.definition(), run.state)
    assert "reserve" in [step.name for step in found.steps]
    assert "never" not in table(found)


def test_pictures_of_names_that_other_languages_could_read_as_their_own() -> None:
    flow = Workflow("end")
    for name in ("end", "graph", "subgraph", "class", "node:x", "a-b", "a.b"):
        flow.add(name, lambda: 1)
    for draw in (mermaid, graphviz, text):
        picture = draw(flow.definition())
        for name in ("end", "subgraph", "node:x", "a-b"):
            assert name in picture
