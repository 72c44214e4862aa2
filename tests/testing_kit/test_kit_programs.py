"""The programs that users are shown, as they stand."""

from kit_shop import Order, Receipt, charge, orders

from stream_durable.testing import Engine


async def test_a_late_payment_fails_the_order(engine: Engine) -> None:
    run = await engine.start(orders, Order(id="42", items=["tea"], total=9.5))
    await engine.until_waiting(run)
    await engine.advance("2h")
    failure = run.step("paid").failure
    assert run.status == "failed" and failure is not None and failure.code == "timeout"


async def test_a_flaky_bank(engine: Engine) -> None:
    engine.fail(charge, times=2)
    run = await engine.start(orders, Order(id="42", items=["tea"], total=9.5))
    await engine.publish("payment.captured", key="42")
    await engine.until_idle()
    assert run.step("charge").attempts == 3


async def test_a_bank_that_is_not_asked(engine: Engine) -> None:
    engine.stub(charge, Receipt(number="stub", amount=1.0))
    run = await engine.start(orders, Order(id="42"))
    await engine.publish("payment.captured", key="42")
    await engine.until_waiting(run)
    assert run.step(charge).output == {"number": "stub", "amount": 1.0}


async def test_a_worker_that_dies(engine: Engine) -> None:
    engine.crash_after(charge)
    run = await engine.start(orders, Order(id="42"))
    await engine.publish("payment.captured", key="42")
    await engine.until_waiting(run)
    assert engine.calls(charge) == 2 and run.step(charge).attempts == 1


async def test_everything_comes_twice(engine: Engine) -> None:
    run = await engine.start(orders, Order(id="42"))
    await engine.publish("payment.captured", key="42")
    engine.redeliver()
    await engine.until_waiting(run)
    assert engine.calls(charge) == 1 and run.step(charge).attempts == 1
