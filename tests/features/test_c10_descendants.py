"""C10: what comes after a failure is pending while that is tried again, and cancelled when it is for good.

An edge that says so goes on.
"""

from __future__ import annotations

from typing import Any

import pytest
from outcomes import failure_of

from stream_durable import Fail, Retry, Workflow, any_of
from stream_durable.testing import Engine


def statuses(run: Any) -> dict[str, str]:
    return {name: step.status for name, step in run.steps.items()}


async def test_while_it_is_tried_again_all_after_it_is_pending(engine: Engine) -> None:
    flow = Workflow("flow", retry=Retry(3, base="1h", cap="1h"))
    engine.fail("a", times=2)
    flow.add("a", lambda: "a")
    flow.add("b", lambda a: a)
    flow.add("c", lambda b: b)
    flow.add("tidy", lambda: 1, after="c")
    run = await engine.start(flow)
    for _ in range(2):
        await engine.advance("1m")
        assert statuses(run) == {"a": "retrying", "b": "pending", "c": "pending", "tidy": "pending"}
        assert (run.failure, run.step("b").failure) == (None, None)
        await engine.advance("59m")
    await engine.until(run, "completed")
    assert set(statuses(run).values()) == {"completed"}


@pytest.mark.parametrize("retry", [Retry(1), Retry(3)], ids=str)
async def test_a_failure_for_good_cancels_all_after_it(engine: Engine, retry: Retry) -> None:
    flow = Workflow("flow", retry=retry)

    @flow.step
    def a() -> None:
        raise Fail("broken", retryable=retry.attempts == 1)

    flow.add("b", lambda a: a)
    flow.add("c", lambda b: b)
    small = Workflow("small")
    small.add("only", lambda: 1)
    flow.child("kid", small, after="c")
    flow.sleep("nap", "1s", after="kid")
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert statuses(run) == {"a": "failed", **dict.fromkeys(["b", "c", "kid", "nap"], "cancelled")}
    assert {run.step(name).attempts for name in ("b", "c", "kid", "nap")} == {0}, "they never began"
    assert run.children == []
    assert engine.calls("b") == 0
    assert failure_of(run).step == "a"


async def test_an_edge_that_goes_on_lets_clean_up_and_what_follows_it_run(engine: Engine) -> None:
    flow = Workflow("flow")
    a = flow.add("a", lambda: 1 / 0)
    flow.add("b", lambda: 1, after=a)
    flow.add("tidy", lambda: "tidied", after=a.even_if_failed)
    flow.add("tell", lambda tidy: f"{tidy}, told")
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert statuses(run) == {"a": "failed", "b": "cancelled", "tidy": "completed", "tell": "completed"}
    assert run.step("tell").output == "tidied, told"


async def test_the_edge_goes_on_after_any_end(engine: Engine) -> None:
    flow = Workflow("flow")
    well = flow.add("well", lambda: "well")
    never = flow.wait_signal("never")
    flow.add("after_well", lambda well=None: well, after=well.even_if_failed)
    flow.add("after_never", lambda never="nothing": never, after=never.even_if_failed)
    run = await engine.start(flow)
    await engine.until_waiting(run)
    assert run.step("after_well").output == "well"
    assert run.step("after_never").status == "pending"
    await run.cancel("enough")
    await engine.until(run, "cancelled")
    assert run.step("after_never").output == "nothing"


async def test_while_it_is_tried_again_clean_up_waits_too(engine: Engine) -> None:
    flow = Workflow("flow")
    engine.fail("a")
    a = flow.add("a", lambda: 1, retry=Retry(2, base="1h", cap="1h"))
    flow.add("tidy", lambda: 1, after=a.even_if_failed)
    run = await engine.start(flow)
    await engine.advance("30m")
    assert run.step("tidy").status == "pending"
    await engine.until(run, "completed")


async def test_what_stands_beside_is_cancelled_as_the_run_fails(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1 / 0, retry=Retry(2, base="10s"))
    flow.sleep("beside", "1h")
    flow.add("after_beside", lambda: 1, after="beside")
    run = await engine.start(flow)
    await engine.advance("5s")
    assert run.step("beside").status == "waiting"
    await engine.until(run, "failed")
    assert statuses(run) == {"a": "failed", "beside": "cancelled", "after_beside": "cancelled"}
    assert run.step("beside").failure is not None, "why it was cancelled is said"


async def test_a_race_is_kept_pending_while_it_can_be_won(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1 / 0)
    flow.sleep("b", "1h")
    flow.add("end", lambda: "won", after=any_of("a", "b"))
    run = await engine.start(flow)
    await engine.advance("1m")
    assert statuses(run) == {"a": "failed", "b": "waiting", "end": "pending"}
    await engine.until(run, "completed")
    assert run.output == "won"


async def test_each_step_that_ends_badly_is_said_publicly_once(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1 / 0)
    flow.wait_signal("beside")
    flow.add("b", lambda a: a)
    run = await engine.start(flow)
    await engine.until(run, "failed")
    types = [event.type for event in run.events]
    assert types.count("step.failed") == 1
    assert types[-1] == "run.failed"
