"""What a test arranges: failures, answers, deaths, repeats; and what it tells a run."""

from __future__ import annotations

import asyncio

import pytest
from kit_shop import Order, Receipt, charge, looks, orders, refund, reserve, ship, undone

from stream_durable import Fail, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.sdk.errors import DefinitionError
from stream_durable.testing import Engine, TestedRun


async def paid_for(engine: Engine) -> TestedRun:
    run = await engine.start(orders, Order(id="42"), id="order-42", tags=["vip"])
    await engine.publish("payment.captured", key="42")
    return run


async def test_a_run_to_its_end(engine: Engine) -> None:
    run = await paid_for(engine)
    await engine.signal("order-42", "released", {"by": "tom"})
    await engine.advance("10m")

    assert (run.id, run.created, run.status, run.tags) == ("order-42", True, "completed", ("vip",))
    assert run.input == {"id": "42", "items": [], "total": 9.5}
    assert run.output == "42 is closed"
    assert run.context["parcels"] == 1
    assert run.failure is None
    assert list(run.steps) == ["reserve", "paid", "charge", "ship", "go", "cooled", "close"]
    assert run.step("go").output == {"signal": "released", "data": {"by": "tom"}}
    assert {step.status for step in run.steps.values()} == {"completed"}
    ended = run.step(charge)
    assert ended.started is not None and ended.finished is not None and ended.worker is not None
    assert ended.waits_for == ()
    assert engine.run("order-42").status == "completed"
    assert [run.id for run in engine.runs] == ["order-42"]


async def test_what_is_said_publicly(engine: Engine) -> None:
    run = await paid_for(engine)

    assert [f"{event.type} {getattr(event, 'step', '')}".strip() for event in run.events] == [
        "run.started", "step.completed reserve", "step.waiting paid", "step.completed paid",
        "step.completed charge", "step.completed ship", "step.waiting go",
    ]  # fmt: skip


async def test_starting_twice_is_one_run(engine: Engine) -> None:
    await paid_for(engine)

    assert not (await paid_for(engine)).created


async def test_a_failure_of_its_own(engine: Engine) -> None:
    engine.fail(charge, error=Fail("broke", "no money", retryable=False))
    run = await paid_for(engine)

    assert run.status == "failed"
    assert run.failure is not None and (run.failure.code, run.failure.step) == ("broke", "charge")
    assert engine.calls(charge) == 0
    assert engine.calls(reserve) == 1


async def test_compensations_are_steps_too(engine: Engine) -> None:
    undone.clear()
    engine.fail(refund, times=1)
    engine.fail("ship")
    run = await paid_for(engine)

    await engine.until_idle()

    assert run.status == "compensation_failed"
    assert run.step("charge~compensate").failure is not None
    assert not undone and engine.calls(refund) == 0


async def test_a_function_answers_for_a_step(engine: Engine) -> None:
    engine.stub(charge, lambda order, reserve: Receipt(number="first", amount=1.0))

    async def slower(order: Order, reserve: list[str]) -> Receipt:
        await asyncio.sleep(60)
        return Receipt(number="last", amount=order.total)

    engine.stub(charge, slower)
    run = await paid_for(engine)
    await engine.advance("10s")

    assert run.step(charge).status == "running"
    assert engine.calls(charge) == 1


async def test_an_answer_has_to_fit(engine: Engine) -> None:
    engine.stub(charge, "nothing like a receipt")
    run = await paid_for(engine)

    assert run.failure is not None and run.failure.code == "invalid_output"


@pytest.mark.parametrize("step", [charge, ship], ids=["on the loop", "in a thread"])
async def test_a_worker_dies_before_or_after(engine: Engine, step: object) -> None:
    engine.crash_after(step, times=2)  # type: ignore[arg-type]
    engine.crash_before(step)  # type: ignore[arg-type]

    run = await paid_for(engine)
    # The first death is noticed at once; from then on the attempt is under lease.
    await engine.advance("2m")

    assert run.status == "waiting"
    assert engine.calls(step) == 3  # type: ignore[arg-type]
    assert {run.step(name).attempts for name in ("charge", "ship")} == {1}


async def test_everything_again_changes_nothing(engine: Engine) -> None:
    run = await paid_for(engine)
    before, events = run.state, run.events

    engine.redeliver()
    await engine.until_idle()

    assert run.state == before
    assert run.events == events
    assert engine.calls(charge) == 1, "a worker that has answered calls nothing again"


async def test_another_reconciler_takes_over(engine: Engine) -> None:
    run = await paid_for(engine)
    engine.restart()
    await engine.signal("order-42", "forced")
    engine.restart()
    await engine.advance("10m")

    assert run.status == "completed"
    assert engine.calls(charge) == 1


async def test_orders_to_a_run(engine: Engine) -> None:
    run = await paid_for(engine)

    await run.pause("lunch")
    await engine.signal("order-42", "released")
    assert run.status == "paused"
    assert run.step("cooled").waits_for == ("the run to be resumed",)

    await run.resume()
    await run.skip_step("cooled")
    assert run.status == "completed"

    await run.retry("close")
    assert run.status == "completed" and engine.calls("close") == 2


async def test_an_end_by_order(engine: Engine) -> None:
    undone.clear()
    run = await paid_for(engine)

    await run.cancel("changed my mind", compensate=True)

    assert run.status == "compensated"
    assert undone == ["R-42"]


async def test_a_step_ends_by_order(engine: Engine) -> None:
    run = await paid_for(engine)

    await run.cancel_step("go", "too late")

    assert run.step("go").status == "cancelled"


async def test_queues_are_served(engine: Engine) -> None:
    run = await engine.start(looks, queue="elsewhere")
    await engine.advance("10m")

    assert run.output == "yes"


async def test_two_workflows_of_one_name_are_refused(engine: Engine) -> None:
    await engine.start(looks)
    other = Workflow("look")
    other.sleep("a while", "1s")

    with pytest.raises(DefinitionError, match="two workflows are called 'look'"):
        await engine.start(other)


async def test_a_step_that_there_is_not_is_refused(engine: Engine) -> None:
    run = await paid_for(engine)

    with pytest.raises(RejectedError, match="has no step 'chrage'; is 'charge' meant?"):
        run.step("chrage")


async def test_nothing_can_be_arranged_for_a_step_that_there_is_not(engine: Engine) -> None:
    engine.fail("chrage")
    with pytest.raises(RejectedError, match="no step 'chrage' .*; is 'charge' meant?"):
        await paid_for(engine)

    with pytest.raises(RejectedError, match="no step 'shp' .*; is 'ship' meant?"):
        engine.stub("shp", None)
    with pytest.raises(RejectedError, match="no step 'paid' that calls a function"):
        engine.fail("paid")
    engine.fail("ship", times=0)
    engine.fail("charge~compensate", times=0)
    assert (await paid_for(engine)).status == "waiting"


async def test_steps_of_a_workflow_that_is_started_later_can_be_arranged_for(engine: Engine) -> None:
    await engine.start(looks)
    engine.fail(charge, error=Fail("broke", "no money", retryable=False))

    assert (await paid_for(engine)).status == "failed"


async def test_a_step_cannot_ask_the_engine(engine: Engine) -> None:
    run = await paid_for(engine)
    other = Workflow("curious")

    @other.step
    async def ask(input: None) -> str:  # noqa: A002 - its name
        return run.status

    asking = await engine.start(other)

    assert asking.failure is not None and "ask from the test" in asking.failure.message


async def test_large_values_travel(engine: Engine) -> None:
    flow = Workflow("large")

    @flow.step
    async def much(input: int) -> str:  # noqa: A002 - its name
        return "x" * input

    @flow.step
    async def length(much: str) -> int:
        return len(much)

    run = await engine.start(flow, 2_000_000)

    assert run.output == 2_000_000
    assert len(run.step(much).output) == 2_000_000
