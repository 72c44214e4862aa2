"""H10: who changed a schedule, a gate, a queue or a rule, when and why; the latest for each act is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from stream_durable import App, Breaker, Context, Gate, RejectedError, Retry, Workflow
from stream_durable.client import OrderState, ScheduleState
from stream_durable.testing import Engine


def said(orders: Iterable[OrderState]) -> list[tuple[str, str, str]]:
    """Return what was ordered, by whom and why, newest first."""
    return [(one.act, one.by, one.reason) for one in orders]


def nightly(engine: Engine) -> ScheduleState:
    return engine.ask(lambda: engine._target.schedule("nightly"))


def shop(**options: Any) -> App:
    flow = Workflow("order")
    flow.add("same", lambda order: order["id"])
    app = App("shop", workflows=[flow])
    app.on("order.created", start=flow, id="data.id")
    app.on(app.topic("orders"), start=flow, id="id", name="orders")
    return app


async def test_a_schedule_says_who_did_each_thing_last_and_keeps_it_through_a_new_owner(
    engine: Engine,
) -> None:
    flow = Workflow("report")
    flow.add("write", lambda: None)
    await engine.create_schedule("nightly", flow, cron="0 2 * * *", by="ann", reason="for the books")
    began = engine.now
    await engine.advance("1m")
    await engine.pause_schedule("nightly", "holidays", by="tom")
    await engine.advance("1m")
    await engine.resume_schedule("nightly", "back at work", by="eve")
    await engine.advance("1m")
    await engine.change_schedule("nightly", cron="0 3 * * *", by="ann", reason="later")
    await engine.advance("1m")
    await engine.trigger_schedule("nightly", by="tom", reason="at once")
    await engine.advance("1m")
    since = began - timedelta(days=1)
    await engine.backfill_schedule("nightly", since, began, by="eve", reason="the lost day")
    engine.restart()
    await engine.until_idle()

    state = nightly(engine)
    assert said(state.orders) == [
        ("backfill", "eve", "the lost day"),
        ("trigger", "tom", "at once"),
        ("change", "ann", "later"),
        ("resume", "eve", "back at work"),
        ("pause", "tom", "holidays"),
        ("create", "ann", "for the books"),
    ]
    assert [one.at for one in state.orders] == sorted((one.at for one in state.orders), reverse=True)

    await engine.pause_schedule("nightly", by="eve")
    assert said(nightly(engine).orders)[0] == ("pause", "eve", ""), "the latest alone is kept for each act"
    await engine.delete_schedule("nightly", "no more", by="eve")
    with pytest.raises(RejectedError, match="there is no schedule"):
        nightly(engine)


async def test_a_pause_that_changes_nothing_is_nobodys(engine: Engine) -> None:
    flow = Workflow("report")
    flow.add("write", lambda: None)
    await engine.create_schedule("nightly", flow, cron="0 2 * * *")
    await engine.advance("1m")
    await engine.pause_schedule("nightly", "holidays", by="tom")
    await engine.pause_schedule("nightly", "too late", by="eve")
    assert said(nightly(engine).orders)[:1] == [("pause", "tom", "holidays")]


async def test_a_gate_says_who_set_and_reset_it(engine: Engine) -> None:
    flow = Workflow("shop")

    @flow.step(gate=Gate("bank", at_once=1))
    async def charge() -> None:
        await asyncio.sleep(100)

    await engine.start(flow)
    await engine.set_gate("bank", at_once=3, by="ann", reason="the bank is fast")
    engine.restart()
    await engine.until_idle()
    [gate] = await engine.gates()
    assert [(act, one.by, one.reason) for act, one in gate.orders.items()] == [
        ("set", "ann", "the bank is fast")
    ]
    await engine.reset_gate("bank", by="tom", reason="no longer")
    [gate] = await engine.gates()
    assert {act: (one.by, one.reason) for act, one in gate.orders.items()} == {
        "set": ("ann", "the bank is fast"), "reset": ("tom", "no longer"),
    }  # fmt: skip


async def test_a_breaker_says_who_had_it_probed(engine: Engine) -> None:
    flow = Workflow("shop")

    @flow.step(breaker=Breaker("bank", failures=1, reset="1h"), retry=Retry(9, base="1s"))
    async def charge() -> None:
        raise ConnectionError("no answer")

    await engine.start(flow)
    await engine.advance("1m")
    await engine.probe_breaker("bank", by="ann", reason="the bank called")
    await engine.advance("1m")
    engine.restart()
    await engine.until_idle()
    [breaker] = await engine.gates()
    assert (breaker.orders["probe"].by, breaker.orders["probe"].reason) == ("ann", "the bank called")


@pytest.mark.parametrize("kind", ["trigger", "binding"])
async def test_a_rule_says_who_paused_resumed_and_replayed_it(engine: Engine, kind: str) -> None:
    await engine.deploy_app(shop())
    client: Any = engine
    name = {"trigger": "order.created:order", "binding": "orders"}[kind]
    await engine.deliver("orders", {"id": "o1"})

    async def orders() -> list[tuple[str, str, str]]:
        return said((await getattr(client, kind)(name)).orders)

    assert await orders() == []
    await getattr(client, f"pause_{kind}")(name, "stock is counted", by="ann")
    await engine.advance("1m")
    await getattr(client, f"resume_{kind}")(name, "counted", by="tom")
    await engine.advance("1m")
    await getattr(client, f"replay_{kind}")(name, 0, preview=True, by="eve", reason="a look")
    assert await orders() == [("resume", "tom", "counted"), ("pause", "ann", "stock is counted")]
    await getattr(client, f"replay_{kind}")(name, 0, by="eve", reason="the lost ones")
    assert (await orders())[0] == ("replay", "eve", "the lost ones")

    await engine.deploy_app(shop())
    assert len(await orders()) == 3, "a deployment keeps them"
    await getattr(client, f"delete_{kind}")(name)
    await engine.deploy_app(shop())
    assert await orders() == [], "a deletion forgets them"


async def test_the_history_of_a_run_says_who_asked_and_who_decided_and_when(engine: Engine) -> None:
    flow = Workflow("order")
    book = flow.add("book", lambda: 1)

    @book.compensate
    async def unbook(ctx: Context) -> None:
        await ctx.sleep("1h")

    flow.wait_signal("go", after=book, timeout="1h", on_error="hold")
    run = await engine.start(flow)
    await engine.advance("2h")
    await run.complete_step("go", 1, by="ann", reason="by phone")
    assert run.status == "completed"
    await engine.advance("1m")
    await run.retry("go", by="tom", reason="a mistake")
    await engine.advance("1m")
    await run.cancel("called off", by="eve", compensate=True)
    await engine.advance("1h")
    begun = run.state.created
    course = engine.ask(lambda: engine._target.history(run.id))
    found = [
        ((one.time - begun) // timedelta(hours=1), one.what, one.step, one.by, one.text) for one in course
    ]
    assert [one for one in found if one[1] not in ("created", "started", "waiting")] == [
        (0, "completed", "book", "", ""),
        (1, "held", "go", "", "timeout: nothing came within 3600000 ms"),
        (2, "complete decided", "go", "ann", "by phone"),
        (2, "retry requested", "", "tom", "a mistake"),
        (2, "cancel requested", "", "eve", "called off"),
        (2, "cancelled", "go", "", "cancelled: the run is on its way to its end"),
        (3, "compensated", "book", "", ""),
        (3, "completed", "book~compensate/1", "", ""),
        (3, "completed", "book~compensate", "", ""),
        (3, "compensated", "", "", "cancelled: called off"),
    ]
