"""D9: one message starts a run and brings it a signal, or brings the signal alone."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable import Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine


def cart(name: str = "cart") -> Workflow:
    flow = Workflow(name)
    first = flow.wait_signal("first", "add")
    second = flow.wait_signal("second", "add", after=first)
    flow.add("both", lambda first, second: [first, second], after=second)
    return flow


async def test_the_first_starts_the_run_and_the_next_finds_it(engine: Engine) -> None:
    flow = cart()
    run = await engine.start(flow, {"by": "ann"}, id="cart-1", signal=("add", "tea"))
    again = await engine.start(flow, {"by": "bob"}, id="cart-1", signal=("add", "milk"))
    await engine.until_idle()

    assert (run.created, again.created) == (True, False)
    assert (run.output, run.input) == (["tea", "milk"], {"by": "ann"})


async def test_an_id_of_the_signal_counts_once(engine: Engine) -> None:
    flow = cart()
    run = await engine.start(flow, id="cart-1", signal=("add", "tea"), signal_id="web-1")
    for _ in range(3):
        await engine.start(flow, id="cart-1", signal=("add", "tea"), signal_id="web-1")
    engine.redeliver()
    await engine.until_idle()
    assert (run.status, run.step("second").status) == ("waiting", "waiting")

    await engine.start(flow, id="cart-1", signal="add", signal_id="web-2")
    await engine.until_idle()
    assert run.output == ["tea", None]


async def test_without_an_id_it_is_a_new_run_each_time(engine: Engine) -> None:
    flow = cart()
    one, other = [await engine.start(flow, signal=("add", n)) for n in (1, 2)]

    assert one.id != other.id
    assert (one.step("first").output, other.step("first").output) == (1, 2)


async def test_a_run_that_has_ended_is_not_started_again(engine: Engine) -> None:
    flow = cart()
    run = await engine.start(flow, id="cart-1", signal="add")
    await run.cancel()
    again = await engine.start(flow, id="cart-1", signal="add")
    await engine.until_idle()

    assert (again.created, run.status) == (False, "cancelled")


async def test_across_a_new_start_and_for_a_run_that_begins_later(engine: Engine) -> None:
    run = await engine.start(cart(), id="later", after="1h", signal=("add", 1))
    assert run.status == "pending"
    engine.restart()
    await engine.start("cart", id="later", signal=("add", 2))
    await engine.advance("1h")

    assert run.output == [1, 2]


async def test_a_run_of_another_workflow_is_refused(engine: Engine) -> None:
    await engine.start(cart(), id="cart-1")

    with pytest.raises(RejectedError, match="is one of workflow 'cart', not of 'basket'"):
        await engine.start(cart("basket"), id="cart-1", signal="add")


@pytest.mark.parametrize("given", [("add",), ("add", 1, 2), ["add", 1], 7, ("a b", 1), ("add", object())])
async def test_what_is_no_signal_is_refused(engine: Engine, given: Any) -> None:
    with pytest.raises((RejectedError, TypeError)):
        await engine.start(cart(), signal=given)
    assert not engine.runs
