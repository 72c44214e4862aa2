"""Workflows that share: a context between steps, runs between runs, a dependency between all."""

from __future__ import annotations

import asyncio
from typing import Any

from stream_durable.sdk.breaker import Breaker
from stream_durable.sdk.context import Context
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.steps import some_of
from stream_durable.sdk.workflow import Workflow
from stream_durable.simulation.workload import inside, limiting, meeting, reacting
from stream_durable.simulation.workload.functions import (
    INTO,
    SOON,
    answer,
    chance,
    instant,
    large,
    quick,
    stumble,
    work,
)


async def _tallied(ctx: Context[Any]) -> dict[str, Any]:
    """Change the context in every way, at the same time as others."""
    await asyncio.sleep(0.1 * chance(ctx, "time"))
    ctx.merge({ctx.step: ctx.attempt}, at="seen")
    ctx.put(f"own-{ctx.step}", 1)
    if chance(ctx, "delete") < 0.5:
        ctx.delete(f"own-{ctx.step}")
    ctx.update("last", lambda value: [value] if value is None else [ctx.step], None)
    answer(ctx)
    stumble(ctx)
    return {f"from-{ctx.step}": ctx.attempt}


def _tally() -> Workflow:
    flow = Workflow("tally", retry=SOON)
    parts = [flow.add(f"part_{i}", _tallied, on_error="continue", into=f"{INTO}part_{i}") for i in range(5)]
    flow.add("sum", instant, after=parts)
    return flow


def _bulky() -> Workflow:
    """Outputs that travel by reference, looked into by paths and taken by functions."""
    flow = Workflow("bulky", retry=SOON)

    async def both(ctx: Context[Any], one: Any, two: Any) -> dict[str, Any]:
        return {**answer(ctx), "both": [one["much"], two["much"]]}

    flow.add("one", large, into=f"{INTO}one")
    flow.add("two", large, after="one")
    flow.wait_event("paid", "payment", key="one.number", timeout="2s", on_timeout=None)
    flow.each("two.items", name="many")(large)
    flow.add("three", both, after=["many", "paid"])
    return flow


async def _shaky(ctx: Context[Any]) -> dict[str, Any]:
    await asyncio.sleep(0.02)
    if chance(ctx, "shaky") < 0.6:
        raise ConnectionError("not yet")
    return answer(ctx)


def _guarded() -> Workflow:
    """An often failing dependency behind a breaker shared by runs."""
    flow = Workflow("guarded", retry=Retry(30, base="100ms", cap="300ms"))
    bank = Breaker("bank", failures=2, window="5s", reset="400ms")
    flow.add("one", _shaky, breaker=bank)
    flow.add("two", _shaky, after="one", breaker=bank, total="6s", on_error="skip")
    return flow


async def _quote(ctx: Context[Any], request: Any) -> dict[str, Any]:
    """Answer an inquiry after a while, and refuse some."""
    await asyncio.sleep(0.4 * chance(ctx, "time"))
    stumble(ctx)
    return {**answer(ctx), "asked": request}


def _answering() -> Workflow:
    """A run that is asked things while it works, waits, fails and is tried again."""
    flow = Workflow("answering", restart=Retry(2, base="50ms"))
    flow.answers("quote", retry=SOON, concurrency=2)(_quote)
    flow.answers("state", timeout="300ms")(_quote)
    flow.add("before", work, retry=SOON)
    flow.sleep("nap", "1500ms", after="before")
    flow.add("shaky", _shaky, after="nap")
    flow.wait_signal("word", "go", after="nap", timeout="3s", on_timeout=None)
    flow.add("end", instant, after=["word", "shaky"])
    return flow


def _taking() -> Workflow:
    """Runs that take jobs from one line, in waits that also lose races, time out and restart."""
    flow = Workflow("taking", restart=Retry(3, base="50ms", cap="200ms"))
    flow.wait_event("job", "job", key="input.group", take=True, timeout="4s", on_timeout=None)
    flow.wait_event("beside", "job", key="input.group", timeout="3s", on_timeout=None)
    flow.wait_event("other", "job", key="input.group", take=True, timeout="6s", on_timeout=None)
    flow.sleep("nap", "900ms")
    flow.add("first", instant, after=some_of(1, "other", "nap", cancel_rest=True))
    flow.wait_event(
        "next", "job", key="input.group", take=True, timeout="700ms", on_error="skip", after="job"
    )
    flow.add("shaky", _shaky, after="first")
    flow.add("end", instant, after=["beside", "next", "shaky"])
    return flow


async def _visited(ctx: Context[Any], family: Any) -> None:
    await asyncio.sleep(0.2 * chance(ctx, "time"))
    stumble(ctx)


def _leaf() -> Workflow:
    flow = Workflow("leaf")
    flow.add("does", work)
    flow.sleep("nap", "300ms", after="does")
    return flow


async def _page(ctx: Context[Any]) -> dict[str, Any]:
    """Return whether this was the last page."""
    stumble(ctx)
    page = ctx.input.get("page", 1)
    return {**answer(ctx), "done": page >= ctx.input["rounds"], "next": page + 1}


def _paged() -> Workflow:
    flow = Workflow("paged")
    flow.add("fetched", _page, retry=SOON)
    return flow


def _middle(leaf: Workflow) -> Workflow:
    flow = Workflow("middle")
    flow.add("before", quick)
    flow.child("deeper", leaf, input="input", after="before", retry=Retry(2, base="100ms"))
    flow.add("beside", work, retry=SOON)
    return flow


def families() -> list[Workflow]:
    """Return parent workflows and their children, with clients starting both."""
    leaf, paged = _leaf(), _paged()
    middle = _middle(leaf)
    parent = Workflow("parent")
    parent.add("ready", quick)
    family = parent.child("family", middle, input="input", after="ready", on_error="continue")
    family.compensate(retry=SOON)(_visited)
    parent.child("hurried", leaf, input="input", timeout="900ms", retry=Retry(2, base="100ms"), after="ready")
    parent.add("swept", work, retry=SOON, after=["family"])
    looping = Workflow("looping")
    looping.child("page", paged, input="input", until="page.done", again={"page": "page.next"}, at_most=3,
                  every="200ms", retry=SOON)  # fmt: skip
    looping.each("input.items", name="many", on_error="complete_all")(large)
    others = (*inside.callers(leaf), *reacting.workflows(leaf), *limiting.crowds(), *meeting.meetings())
    return [leaf, paged, middle, parent, looping, *others]


MAKERS = (_tally, _bulky, _guarded, _taking, _answering, *limiting.MAKERS)
