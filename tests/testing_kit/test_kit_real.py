"""The same tests on both engines: what memory promises, Kafka and Postgres keep."""

from __future__ import annotations

import pytest
from kit_shop import Order, books, charge, orders, refund, reserve, undone

from stream_durable.testing import Engine, Stuck

both = pytest.mark.parametrize(
    "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
)


@both
async def test_a_run_to_its_end_on_both(engine: Engine) -> None:
    engine.fail(charge, times=2)
    run = await engine.start(orders, Order(id="42", items=["tea"]), id="order-42")
    assert run.status == "waiting"
    assert run.step("paid").waits_for[0].startswith("event payment.captured with key 42, 1h59m") or (
        run.step("paid").waits_for == ("event payment.captured with key 42, 2h left",)
    )
    await engine.publish("payment.captured", key="42")
    await engine.until_idle()
    assert run.step(charge).attempts == 3
    await engine.signal(run.id, "released")
    await engine.advance("10m")

    assert run.status == "completed"
    assert [event.type.partition(".")[2] for event in run.events] == [
        "started", "completed", "waiting", "completed", "retrying", "retrying", "completed", "completed",
        "waiting", "completed", "waiting", "completed", "completed", "completed",
    ]  # fmt: skip


@both
async def test_time_is_skipped_on_both(engine: Engine) -> None:
    run = await engine.start(orders, Order(id="42"))
    await engine.advance("1h")
    assert run.status == "waiting"
    await engine.advance("1h")
    assert run.failure is not None and run.failure.code == "timeout"


@both
async def test_children_and_queues_on_both(engine: Engine) -> None:
    run = await engine.start(books, {"cursor": 1})
    await engine.until(run, "completed")

    assert run.output == 3
    assert [child.status for child in run.children] == ["completed", "completed"]


@both
async def test_repeats_and_takeovers_on_both(engine: Engine) -> None:
    run = await engine.start(orders, Order(id="42"))
    await engine.advance("1h")
    engine.restart()
    await engine.publish("payment.captured", key="42")
    engine.redeliver()
    await engine.until_idle()

    assert run.step("go").status == "waiting"
    assert {run.step(name).attempts for name in ("reserve", "charge", "ship")} == {1}
    assert engine.calls(charge) == 1
    assert run.context["parcels"] == 1


@both
async def test_orders_on_both(engine: Engine) -> None:
    undone.clear()
    run = await engine.start(orders, Order(id="42"))
    await run.pause()
    await engine.publish("payment.captured", key="42")
    assert run.status == "paused"
    await run.resume()
    await run.cancel("no longer wanted", compensate=True)
    await engine.until(run, "compensated")

    assert undone == ["R-42"]
    assert engine.calls(refund) == 1


@both
async def test_what_cannot_come_about_on_both(engine: Engine) -> None:
    engine.stub(reserve, [])
    run = await engine.start(orders, Order(id="42"))

    with pytest.raises(Stuck, match="is waiting, not completed: 1m have passed"):
        await engine.until(run, "completed", within="1m")
    assert engine.calls(reserve) == 1


@pytest.mark.real
@pytest.mark.parametrize("engine", ["real"], indirect=True)
async def test_a_crash_is_for_memory_alone(engine: Engine) -> None:
    with pytest.raises(pytest.skip.Exception, match="workers crash in memory alone"):
        engine.crash_after(charge)
