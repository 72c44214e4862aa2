"""Workflows with compensations, restarts and hooks."""

from __future__ import annotations

import asyncio
from typing import Any

from stream_durable.core.failure import Failure
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.context import Context
from stream_durable.sdk.happened import Happened
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.steps import any_of
from stream_durable.sdk.workflow import Workflow
from stream_durable.simulation.workload.functions import (
    SOON,
    answer,
    chance,
    instant,
    item_work,
    quick,
    work,
)


async def _charge(ctx: Context[Any]) -> dict[str, Any]:
    """Be under way during another's failure, often without stopping."""
    asked = asyncio.sleep(0.2 + 0.9 * chance(ctx, "time"))
    if chance(ctx, "stubborn") < 0.5:
        try:
            await asked
        except asyncio.CancelledError:
            # The bank has it already.
            return answer(ctx)
    else:
        await asked
    return answer(ctx)


async def _give_back(ctx: Context[Any]) -> None:
    await asyncio.sleep(0.1 * chance(ctx, "time"))
    if chance(ctx, "back") < 0.3:
        raise ConnectionError("not now")


async def _give_back_in_vain(ctx: Context[Any]) -> None:
    if chance(ctx, "in vain") < 0.5:
        raise Fail("gone", "it cannot be undone", retryable=False)


def _shop() -> Workflow:
    """A trip with parts undone newest first; some are under way at the failure."""
    flow = Workflow("shop")
    hotel = flow.add("hotel", quick)
    car = flow.add("car", work, retry=SOON, after="hotel")
    flight = flow.add("flight", _charge, timeout="3s", after="hotel")
    bill = flow.add("bill", _charge, timeout="3s")
    flow.add("check", work, after="hotel")
    flow.add("sent", work, after=["car", "flight", "check"])
    for booked in (hotel, flight, bill):
        booked.compensate(retry=SOON)(_give_back)
    car.compensate(_give_back_in_vain)
    return flow


def _auction() -> Workflow:
    """Offers race, each at the end of a branch; who loses may go through all the same, and all may fail."""
    flow = Workflow("auction")
    flow.add("look", work, retry=SOON)
    first = flow.add("first", _charge, timeout="3s", after="look")
    flow.add("offer", work, after="first")
    second = flow.add("second", _charge, timeout="3s")
    third = flow.add("third", work)
    flow.sleep("closing", "2s")
    flow.add("sold", quick, after=any_of("offer", "second", "closing", cancel_rest=True))
    flow.add("any", quick, after=any_of("third", "look"))
    for bought in (first, second, third):
        bought.compensate(retry=SOON)(_give_back)
    one = flow.add("one", work, on_error="continue", after="sold")
    two = flow.add("two", _charge, timeout="2s")
    flow.parallel("left", [one])
    flow.parallel("right", [two])
    flow.parallel("packed", ["left", "right"], after="sold", concurrency=1)
    flow.add("shipped", work, after=["packed", "any"])
    return flow


def _market() -> Workflow:
    """The same in groups, and of members that were not known before."""
    flow = Workflow("market")
    paid = flow.each("input.items", name="paid", concurrency=2, timeout="3s")(item_work)
    paid.compensate(retry=SOON)(_give_back)
    one = flow.add("one", _charge, timeout="2s")
    two = flow.add("two", work)
    one.compensate(retry=SOON)(_give_back)
    two.compensate(retry=SOON)(_give_back)
    flow.parallel("inner", [one, two])
    flow.sleep("pause", "300ms")
    flow.parallel("both", ["inner", "pause"])
    flow.add("close", work, after=["both", "paid"])
    return flow


async def _told(ctx: Context[Any], happened: Happened) -> None:
    ctx.append("told", [happened.status, happened.step, happened.attempt])
    if chance(ctx, "told") < 0.2:
        raise ConnectionError("nobody listens")


def _hooked() -> Workflow:
    """Every hook there is."""
    flow = Workflow("hooked")
    flow.add("one", work, retry=SOON)
    flow.add("two", work, after="one", on_error="continue")
    flow.add("three", work, after="two")
    for hook in (flow.on_success, flow.on_failure, flow.on_cancel, flow.on_step_start, flow.on_step_complete,
                 flow.on_step_fail, flow.on_attempt_fail):  # fmt: skip
        hook(retry=SOON)(_told)
    return flow


def _restarted() -> Workflow:
    """The whole graph again, after completed steps were undone."""
    flow = Workflow("restarted", restart=Retry(3, base="200ms"))
    taken = flow.add("taken", quick)
    taken.compensate(retry=SOON)(_give_back)
    flow.each("input.items", name="many")(item_work)
    flow.add("then", work, after=["taken", "many"])
    flow.add("swept", instant, after=flow.add("last", work, after="then").even_if_failed)
    flow.on_failure(_told)
    return flow


def _soon(attempt: int, failure: Failure) -> str:
    return f"{100 * attempt}ms"


def _patient() -> Workflow:
    """Time-outs of all attempts together and of each by a function, and waits between them by another."""
    flow = Workflow("patient")
    flow.add("tried", work, retry=Retry(20, backoff=_soon), total="1200ms", on_error="continue")
    flow.add("timed", work, timeout=lambda given: "100ms" if given["trouble"] > 0.3 else "2s", retry=SOON)
    flow.add("close", instant, after=["tried", "timed"])
    return flow


MAKERS = (_shop, _auction, _market, _hooked, _restarted, _patient)
