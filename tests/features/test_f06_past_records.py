"""F6: past records of a topic are given to a binding again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from stream_durable import App, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine


def shop(**options: Any) -> App:
    flow = Workflow("order")
    flow.add("same", lambda order: order["id"])
    app = App("shop", workflows=[flow])
    app.on(app.topic("orders"), start=flow, id="id", name="orders", match={"kind": "new"}, **options)
    return app


async def filled(engine: Engine) -> None:
    """Put records on the topic before there is a binding, an hour apart."""
    for number in range(5):
        await engine.deliver("orders", {"kind": "new" if number else "old", "id": f"o{number}"})
        await engine.advance("1h")
    await engine.deliver("orders", b"garbage")
    await engine.deploy_app(shop())


def runs(engine: Engine) -> set[str]:
    return {run.id for run in engine.runs}


async def test_a_preview_counts_and_sends_nothing(engine: Engine) -> None:
    await filled(engine)
    found = await engine.replay_binding("orders", 0, preview=True)

    assert (found.records, found.matched, found.bad, found.is_ordered) == (6, 5, 1, False)
    assert "offset 5: the value is not JSON" in found.reasons[0]
    assert runs(engine) == set()


async def test_records_are_given_by_offset_and_by_time_and_a_repeat_is_harmless(engine: Engine) -> None:
    began = engine.now
    await filled(engine)
    await engine.replay_binding("orders", 1, 3)
    assert runs(engine) == {"o1", "o2"}

    found = await engine.replay_binding("orders", began + timedelta(minutes=150), began + timedelta(hours=4))
    assert found.records == 1 and runs(engine) == {"o1", "o2", "o3"}

    for _ in range(2):
        await engine.replay_binding("orders", 0)
    assert runs(engine) == {"o1", "o2", "o3", "o4"}
    assert all(run.status == "completed" and run.state.attempt == 1 for run in engine.runs)


async def test_what_the_binding_has_read_does_not_happen_again(engine: Engine) -> None:
    flow = Workflow("counter")
    first = flow.wait_signal("first", any_of=["counted"])
    flow.wait_signal("second", any_of=["counted"], after=first)
    app = App("shop", workflows=[flow])
    app.on(app.topic("counts"), signal="counted", run="of", name="counts")
    await engine.deploy_app(app)
    run = await engine.start(flow, id="a")
    await engine.deliver("counts", {"of": "a", "n": 1})
    await engine.replay_binding("counts", 0)
    assert run.status == "waiting"
    await engine.deliver("counts", {"of": "a", "n": 2})
    assert run.step("second").output == {"of": "a", "n": 2}


async def test_the_pace_is_kept(engine: Engine) -> None:
    await filled(engine)
    began = engine.now_ms
    await engine.replay_binding("orders", 0, pace="30s")
    # Four messages: the last is sent after three times thirty seconds.
    assert engine.now_ms - began >= 90_000 and len(runs(engine)) == 4


async def test_strange_wishes_are_refused(engine: Engine) -> None:
    await filled(engine)
    with pytest.raises(RejectedError, match="there is no binding 'other'"):
        await engine.replay_binding("other", 0)
    with pytest.raises(RejectedError, match="has no partition 7"):
        await engine.replay_binding("orders", 0, partition=7)


async def test_past_events_are_given_to_a_trigger(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("same", lambda order: order["id"])
    app = App("shop", workflows=[flow])
    app.on("order.created", start=flow, id="data.id")
    await engine.deploy_app(app)
    await engine.publish("order.created", key="k", data={"id": "o1"})
    await engine.pause_trigger("order.created:order")
    await engine.publish("order.created", key="k", data={"id": "o2"})
    await engine.publish("order.created", key="k", data={"no": "id"})
    await engine.publish("order.changed", key="k", data={"id": "o3"})
    await engine.resume_trigger("order.created:order")
    assert runs(engine) == {"o1"}

    found = await engine.replay_trigger("order.created:order", 0, preview=True)
    assert (found.matched, found.bad) == (3, 1) and "'id' is not there" in found.reasons[0]
    for _ in range(2):
        await engine.replay_trigger("order.created:order", 0)
        assert runs(engine) == {"o1", "o2"}
