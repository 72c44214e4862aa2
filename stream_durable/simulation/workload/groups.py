"""Workflows of steps with members: groups, a step for each item, steps added at run time."""

from __future__ import annotations

from typing import Any

from stream_durable.sdk.answers import Expand, Graft, Jump
from stream_durable.sdk.context import Context
from stream_durable.sdk.results import Results
from stream_durable.sdk.workflow import Workflow
from stream_durable.simulation.workload.functions import (
    SOON,
    answer,
    chance,
    instant,
    item_work,
    large,
    quick,
    stumble,
    threaded,
    work,
)


async def _decide(ctx: Context[Any], checks: Results) -> Any:
    if checks.failed and chance(ctx, "jump") < 0.5:
        return Jump("close", answer(ctx))
    return {**answer(ctx), "failed": sorted(checks.failed)}


async def _collected(ctx: Context[Any], resize: list[Any]) -> dict[str, Any]:
    return {**answer(ctx), "resized": len(resize)}


def _checked() -> Workflow:
    """A fail-fast group containing a group with one member at a time."""
    flow = Workflow("checked")
    flow.add("fraud", work)
    flow.add("stock", work, retry=SOON)
    flow.add("address", work, on_error="continue")
    flow.sleep("pause", "600ms")
    flow.parallel("inner", ["fraud", "stock", "address"], concurrency=2)
    flow.parallel("checks", ["inner", "pause"])
    flow.add("close", instant, after="checks")
    return flow


def _tolerant() -> Workflow:
    """A group ending with all members, two steps of the run at a time, and steps to jump over."""
    flow = Workflow("tolerant", concurrency=2)
    names = [f"check_{i}" for i in range(5)]
    for i, name in enumerate(names):
        flow.add(name, work if i else threaded, retry=SOON if i % 2 else None)
    flow.parallel("checks", names, on_error="complete_all", concurrency=3)
    flow.add("decide", _decide)
    flow.add("between", quick, after="decide")
    flow.add("close", instant, after="between")
    return flow


def _each_item() -> Workflow:
    flow = Workflow("each_item")
    flow.add("listed", large, retry=SOON)
    flow.each("listed.items", name="resize", concurrency=2, retry=SOON)(item_work)
    flow.add("album", _collected)
    return flow


def _enough() -> Workflow:
    """A few completed items suffice, whatever happens to the others."""
    flow = Workflow("enough")
    flow.each("input.items", name="resize", enough=2, on_error="complete_all")(item_work)
    flow.each(
        "input.items", name="careful", on_error="complete_all", concurrency=1,
        when=lambda item: item["n"] % 3 != 1,
    )(item_work)  # fmt: skip
    flow.add("album", _collected, after="careful")
    return flow


def _expanding() -> Workflow:
    """Steps adding steps, some adding more, some with dependencies among them."""
    flow = Workflow("expanding")

    @flow.template(retry=SOON)
    async def leaf(ctx: Context[Any], item: Any) -> dict[str, Any]:
        return await item_work(ctx, item)

    @flow.template(on_error="continue")
    async def folder(ctx: Context[Any], item: Any) -> Any:
        stumble(ctx)
        answer(ctx)
        return Expand([leaf.of(each, name=f"in-{each}") for each in range(item)], on_error="complete_all")

    @flow.step
    async def walk(ctx: Context[Any]) -> Any:
        answer(ctx)
        made: list[Graft] = []
        for i, each in enumerate(ctx.input["items"]):
            after = made[-1:] if chance(ctx, f"after {i}") < 0.3 else []
            if each["n"] % 2:
                made.append(folder.of(each["n"], name=f"folder-{i}", after=after))
            else:
                made.append(leaf.of(each["n"], after=after))
        is_tolerant = chance(ctx, "tolerant") < 0.5
        return Expand(
            made, concurrency=2 if chance(ctx, "two") < 0.5 else None,
            on_error="complete_all" if is_tolerant else "fail_fast",
        )  # fmt: skip

    @flow.step
    async def gather(ctx: Context[Any], walk: list[Any]) -> dict[str, Any]:
        return {**answer(ctx), "found": len(walk)}

    return flow


MAKERS = (_checked, _tolerant, _each_item, _enough, _expanding)
