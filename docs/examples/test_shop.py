import asyncio

import pytest
from shop import Order, orders, reserve, ship

from stream_durable.testing import Engine

ORDER = Order(id="42", items=["tea"], total=9.5)


async def test_a_late_payment_fails_the_order(engine: Engine) -> None:
    run = await engine.start(orders, ORDER)
    await engine.until_waiting(run)
    await engine.advance("2h")
    failure = run.step("paid").failure
    assert run.status == "failed" and failure is not None and failure.code == "timeout"


async def test_a_carrier_that_is_closed_at_first(engine: Engine) -> None:
    engine.fail(ship, times=2)
    run = await engine.start(orders, ORDER)
    await engine.publish("payment.captured", key="42", data={"amount": 9.5})
    await engine.until_idle()
    assert run.step("ship").attempts == 3 and run.output == {"tracking": "T-42"}


async def test_too_little_money(engine: Engine) -> None:
    engine.stub(reserve, ["reserved by hand"])
    run = await engine.start(orders, ORDER)
    await engine.publish("payment.captured", key="42", data={"amount": 1.0})
    assert run.failure is not None and run.failure.code == "short"


async def test_a_worker_that_dies_ships_twice(engine: Engine) -> None:
    engine.crash_after(ship)
    run = await engine.start(orders, ORDER)
    await engine.publish("payment.captured", key="42", data={"amount": 9.5})
    await engine.until(run, "completed")
    assert engine.calls(ship) == 2 and run.step("ship").attempts == 1  # the same idempotency key, twice


@pytest.mark.parametrize("engine", ["memory"], indirect=True)  # and "real"
def test_without_a_loop(engine: Engine) -> None:
    async def story() -> None:
        run = await engine.start(orders, ORDER, id="order-42")
        await run.cancel("changed my mind")
        assert [event.type for event in run.events][-1] == "run.cancelled"

    asyncio.run(story())
