"""Triggers: in memory and on Postgres and Kafka."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import App, Context, Workflow
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


class Order(BaseModel):
    id: str


def orders() -> Workflow[Order, Any]:
    flow = Workflow("order", input=Order)

    @flow.step
    def take(order: Order) -> str:
        return order.id

    @flow.step
    def pass_on(ctx: Context[Order], take: str) -> None:
        if len(take) < 3:
            ctx.publish("order.created", data={"id": f"{take}+"})

    return flow


async def test_events_start_runs_once_through_new_owners_repeats_and_pauses(engine: Engine) -> None:
    flow = orders()
    app = App("shop", workflows=[flow])
    app.on("order.created", start=flow, id="data.id")
    await engine.deploy_app(app)
    await engine.publish("order.created", key="c", data={"id": "a"})
    await engine.publish("order.created", key="c", data={"no": "id"})
    engine.restart()
    engine.redeliver()
    await engine.until_idle()
    assert sorted(run.id for run in engine.runs) == ["a", "a+", "a++"]

    await engine.pause_trigger("order.created:order", "enough")
    await engine.publish("order.created", key="c", data={"id": "b+"})
    await engine.until_idle()
    await engine.resume_trigger("order.created:order")
    await engine.publish("order.created", key="c", data={"id": "c++"})
    await engine.until_idle()
    assert sorted(run.id for run in engine.runs) == ["a", "a+", "a++", "c++"]
    assert {run.status for run in engine.runs} == {"completed"}
