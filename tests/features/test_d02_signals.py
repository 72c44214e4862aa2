"""D2: a wait for all of several signals, with a time-out as a value or as a failure."""

from __future__ import annotations

from typing import Any

import pytest
from outcomes import failure_of
from refusals import refusal

from stream_durable import Workflow
from stream_durable.testing import Engine


def checked(name: str = "order", **options: Any) -> Workflow:
    flow = Workflow(name)
    flow.wait_signal("checks", all_of=["stock", "fraud"], **options)
    flow.add("end", lambda checks: checks)
    return flow


async def test_all_of_several_signals(engine: Engine) -> None:
    run = await engine.start(checked())
    await engine.until_waiting(run)
    await engine.signal(run, "fraud", {"score": 1})
    await engine.until_idle()
    assert run.status == "waiting"
    [wait] = run.step("checks").state.waits_for
    assert "stock and fraud" in str(wait)

    await engine.signal(run, "stock")
    await engine.until_idle()
    assert run.output == {"stock": None, "fraud": {"score": 1}}


async def test_those_that_came_early_are_kept(engine: Engine) -> None:
    flow = Workflow("order")
    flow.sleep("first", "1h")
    flow.wait_signal("checks", all_of=["stock", "fraud"], after="first")
    run = await engine.start(flow)
    await engine.signal(run, "stock", 1)
    await engine.signal(run, "stock", 2)
    await engine.signal(run, "fraud", 3)
    await engine.advance("1h")

    assert run.output == {"stock": 1, "fraud": 3}


@pytest.mark.parametrize("missing", ["fraud", "stock"])
async def test_without_one_of_them_the_time_is_over_with_a_value_or_a_failure(
    engine: Engine, missing: str
) -> None:
    [there] = {"fraud", "stock"} - {missing}
    valued = await engine.start(checked(timeout="1h", on_timeout={"by": "nobody"}), id="valued")
    failed = await engine.start(checked("failing", timeout="1h"), id="failed")
    for run in (valued, failed):
        await engine.signal(run, there)
    await engine.advance("1h")

    assert valued.output == {"by": "nobody"}
    assert (failed.status, failure_of(failed.step("checks")).code) == ("failed", "timeout")


async def test_across_a_new_start_and_records_delivered_twice(engine: Engine) -> None:
    run = await engine.start(checked())
    await engine.signal(run, "stock", 1)
    engine.restart()
    engine.redeliver()
    await engine.signal(run, "fraud", 2)
    await engine.until_idle()

    assert run.output == {"stock": 1, "fraud": 2}
    assert run.step("checks").attempts == 1


async def test_a_paused_run_takes_them_and_goes_on_when_it_is_resumed(engine: Engine) -> None:
    run = await engine.start(checked())
    await engine.until_waiting(run)
    await run.pause()
    await engine.signal(run, "stock", 1)
    await engine.signal(run, "fraud", 2)
    await engine.until_idle()
    assert (run.status, run.step("checks").status, run.step("end").status) == (
        "paused",
        "completed",
        "pending",
    )
    await run.resume()
    await engine.until_idle()
    assert run.output == {"stock": 1, "fraud": 2}


@pytest.mark.parametrize(
    "options",
    [
        {"signal": "a", "all_of": ["b"]},
        {"any_of": ["a"], "all_of": ["b"]},
        {"signal": "a", "any_of": ["b"], "all_of": ["c"]},
    ],
)
def test_only_one_way_to_name_them(options: dict[str, Any]) -> None:
    flow = Workflow("order")
    flow.wait_signal("checks", **options)

    assert (
        "wait 'checks': a wait takes one signal, or several as any_of= or all_of=, one of the three"
        in refusal(flow)
    )


def test_all_of_takes_several_names() -> None:
    flow = Workflow("order")
    flow.wait_signal("one", all_of="stock")
    flow.wait_signal("none", all_of=[])
    flow.wait_signal("twice", all_of=["a", "a"])

    assert refusal(flow) == [
        "wait 'one': all_of= takes several names, not 'stock'",
        "wait 'none' names no signal",
        "wait 'twice' names signal 'a' twice",
    ]


async def test_waits_for_all_are_listed_by_each_of_their_signals(engine: Engine) -> None:
    run = await engine.start(checked())
    await engine.until_waiting(run)

    for signal in ("stock", "fraud"):
        [wait] = engine.ask(lambda signal=signal: engine._target.waits(signal=signal)).waits
        assert (wait.run, wait.step, wait.name) == (run.id, "checks", "stock and fraud")
