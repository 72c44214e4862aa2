"""Held steps and decisions about them, by client and by message: on both stores."""

from __future__ import annotations

import pytest

from stream_durable import Fail, Retry, Workflow
from stream_durable.client import RunFilter
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


async def test_a_step_is_held_listed_and_decided_about(engine: Engine) -> None:
    flow = Workflow("order", timeout="1h")
    charge = flow.add("charge", lambda: 7, on_error="hold")
    flow.add("check", lambda: 8, on_error="hold", retry=Retry(1))
    flow.add("ship", lambda: 9, after=charge)
    engine.fail("charge", times=3, error=Fail("declined", "no"))
    engine.fail("check", error=Fail("away", "no"))
    run = await engine.start(flow, id="order-1", tags=["a"])
    await engine.until(run, "waiting")
    assert run.state.needs_review == ("charge", "check") and run.state.due is None

    page = await engine.list(RunFilter(needs_review=True, tag="a"))
    assert [(one.id, one.needs_review) for one in page.runs] == [("order-1", 2)]
    assert (await engine.count(RunFilter(needs_review=True))).found == 1

    # Keys that lists by held steps and missed due times must not take for theirs.
    given = {"n": 2, "held": 1, "overdue": 1}
    await run.change(context={"order.account": "DE1"}, input=given, by="ann", reason="a wrong account")
    await run.change(step="charge", attempts=2, timeout="2m", by="ann")
    await run.complete_step("check", 5, by="tom", reason="looked up")
    engine.restart()
    await run.retry("charge", by="ann")
    await engine.until(run, "waiting")
    assert run.state.needs_review == ("charge",) and run.step("charge").attempts == 3
    engine.restart()
    assert [dict(one.after) for one in run.state.changes] == [
        {"input": given, "context": {"order.account": "DE1"}},
        {"retry": {"attempts": 2}, "timeout_ms": 120_000},
    ]
    assert run.state.changes[0].before == {"input": None, "context": {}}
    assert (run.input, run.context) == (given, {"order": {"account": "DE1"}})
    await run.retry("charge", by="ann", reason="once more")
    assert await run.result() == {"check": 5, "ship": 9}
    assert [(one.decision, one.by, one.reason) for one in run.state.steps["charge"].reviews] == [
        ("retry", "ann", ""), ("retry", "ann", "once more"),
    ]  # fmt: skip
    assert {(one.step, one.decision, one.by, one.reason) for one in run.state.reviews} > {
        ("check", "complete", "tom", "looked up")
    }
    assert (await engine.count(RunFilter(needs_review=True))).found == 0
    assert (await engine.count(RunFilter(overdue=True))).found == 0
    assert [event.type for event in run.events].count("step.held") == 3
