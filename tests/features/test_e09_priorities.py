"""E9: priorities by lane, with a share for the low ones, and no pre-emption.

The share of each lane is proven in `tests/worker/test_lanes.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_durable import App, Context, DefinitionError, Workflow
from stream_durable.testing import Engine


def mails(seconds: float = 1, **options: Any) -> tuple[Workflow, list[Any]]:
    flow, order = Workflow("mails"), list[Any]()

    @flow.step(queue="mail", **options)
    async def send(ctx: Context[Any]) -> None:
        order.append(ctx.input)
        await asyncio.sleep(seconds)

    return flow, order


def lanes_used(engine: Engine) -> set[str]:
    broker = engine._backend._deployment.broker  # type: ignore[attr-defined]
    topics = (name for name in broker.names() if name.startswith("commands.mail"))
    return {name.removeprefix("commands.") for name in topics if broker.topic(name).records()}


async def test_a_high_priority_goes_first_and_nobody_is_stopped_for_it(engine: Engine) -> None:
    flow, order = mails()
    App("shop", workflows=[flow]).queue("mail", lanes=True)
    await engine.start(flow, "warm")
    await engine.until_idle()
    await engine.pause_queue("mail")
    for n, priority in enumerate((-50, -50, 0, 0, 50, 50)):
        await engine.start(flow, (priority, n), priority=priority)
    await engine.until_idle()
    await engine.resume_queue("mail")
    await engine.until_idle()
    assert [priority for priority, _ in order[1:]] == [50, 50, 0, 0, -50, -50]
    assert lanes_used(engine) == {"mail.first", "mail.high.first", "mail.low.first"}


async def test_a_step_has_a_priority_of_its_own(engine: Engine) -> None:
    flow, order = mails(priority="low")
    App("shop", workflows=[flow]).queue("mail", lanes=True)
    run = await engine.start(flow, 1, priority=90)
    await engine.until(run, "completed")
    assert lanes_used(engine) == {"mail.low.first"}
    assert order == [1]


async def test_an_attempt_of_every_lane_is_cancelled(engine: Engine) -> None:
    flow, order = mails(1_000)
    App("shop", workflows=[flow]).queue("mail", lanes=True)
    runs = [await engine.start(flow, priority, priority=priority) for priority in (-1, 0, 1)]
    await engine.advance("5s")
    assert len(order) == 3
    for run in runs:
        await run.cancel()
    await engine.until_idle()
    assert [run.status for run in runs] == ["cancelled"] * 3


async def test_a_queue_that_is_served_already_gets_its_lanes(engine: Engine) -> None:
    plain = Workflow("plain")
    plain.add("send", lambda: None, queue="mail")
    run = await engine.start(plain)
    await engine.until(run, "completed")
    flow, _ = mails()
    App("shop", workflows=[flow]).queue("mail", lanes=True)
    run = await engine.start(flow, 1, priority=5)
    await engine.until(run, "completed")
    other = await engine.start(plain, priority=5)
    await engine.until(other, "completed")
    assert lanes_used(engine) == {"mail.first", "mail.high.first"}


async def test_a_priority_without_lanes_orders_what_a_worker_has_read(engine: Engine) -> None:
    flow, order = mails(priority="high")
    other = Workflow("other")

    @other.step(queue="mail")
    async def send(ctx: Context[Any]) -> None:
        order.append(ctx.input)

    warm = await engine.start(flow, "warm")
    await engine.until(warm, "completed")
    await engine.pause_queue("mail")
    for each, about in ((other, 1), (other, 2), (flow, 3)):
        await engine.start(each, about)
    await engine.until_idle()
    await engine.resume_queue("mail")
    await engine.until_idle()
    assert order == ["warm", 3, 1, 2]


@pytest.mark.parametrize("name", ["mail.high", "mail.low", "mail.first"])
def test_names_of_lanes_are_no_queues(name: str) -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1, queue=name)
    with pytest.raises(DefinitionError, match="is not a name for a queue"):
        flow.definition()
