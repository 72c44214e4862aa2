"""D12: a start, a signal or an event for a later moment, listed and cancelled until then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from stream_durable import Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine


def waiting() -> Workflow:
    flow = Workflow("order")
    flow.wait_event("paid", "payment.captured", key="input.id")
    flow.wait_signal("go", after="paid")
    return flow


def planned(engine: Engine, **options: Any) -> Any:
    return engine.ask(lambda: engine._target.later(**options))


async def test_an_event_and_a_signal_come_when_they_are_meant_to(engine: Engine) -> None:
    run = await engine.start(waiting(), {"id": "42"}, id="order-42")
    await engine.publish("payment.captured", key="42", data=1, after="2h", id="e1")
    await engine.signal(run, "go", 2, at=engine.now + timedelta(hours=3), id="s1")
    listed = planned(engine).messages
    assert [(one.id, one.kind, one.name, one.key, one.run, one.data) for one in listed] == [
        ("event:payment.captured/42#e1", "event", "payment.captured", "42", None, 1),
        ("signal:order-42/go#s1", "signal", "go", None, "order-42", 2),
    ]

    await engine.advance("1h59m")
    assert run.step("paid").status == "waiting"
    await engine.advance("1m")
    assert (run.step("paid").output, run.status) == (1, "waiting")
    await engine.advance("1h")
    assert run.output == 2
    assert planned(engine).messages == []


async def test_a_repeat_of_the_id_does_nothing_even_afterwards(engine: Engine) -> None:
    flow = Workflow("twice")
    flow.wait_signal("one", "go")
    flow.wait_signal("two", "go", after="one")
    run = await engine.start(flow)
    for _ in range(2):
        await engine.signal(run, "go", after="1h", id="s1")
    assert len(planned(engine).messages) == 1
    await engine.advance("1h")
    await engine.signal(run, "go", after="1h", id="s1")
    engine.restart()
    engine.redeliver()
    await engine.advance("2h")

    assert (run.step("one").status, run.step("two").status) == ("completed", "waiting")


async def test_what_was_cancelled_does_not_come(engine: Engine) -> None:
    flow = waiting()
    run = await engine.start(flow, {"id": "42"}, id="order-42")
    later = await engine.start(flow, {"id": "43"}, id="order-43", after="1h")
    await engine.publish("payment.captured", key="42", after="1h")
    page = planned(engine, limit=1)
    assert page.following is not None
    listed = [*page.messages, *planned(engine, after=page.following).messages]
    assert sorted(one.kind for one in listed) == ["event", "start"]
    for one in listed:
        await engine.cancel_later(one.id)
    await engine.advance("2h")

    assert (run.step("paid").status, later.status) == ("waiting", "cancelled")
    assert planned(engine).messages == []


async def test_a_moment_in_the_past_is_now(engine: Engine) -> None:
    run = await engine.start(waiting(), {"id": "42"})
    await engine.publish("payment.captured", key="42", data=1, at=engine.now - timedelta(days=1))
    await engine.until_idle()
    assert run.step("paid").output == 1


async def test_across_a_new_start(engine: Engine) -> None:
    run = await engine.start(waiting(), {"id": "42"})
    await engine.publish("payment.captured", key="42", data=1, after="1h", ttl="0s")
    engine.restart()
    await engine.advance("1h")
    engine.restart()
    engine.redeliver()
    await engine.until_idle()
    assert run.step("paid").output == 1


async def test_one_of_at_and_after_is_given(engine: Engine) -> None:
    with pytest.raises(RejectedError, match="at= a moment or after= a time, not both"):
        await engine.publish("payment.captured", key="42", after="1h", at=engine.now)
