"""Due times of runs, steps and questions, in events, hooks and lists: on both stores."""

from __future__ import annotations

import pytest

from stream_durable import Happened, Workflow
from stream_durable.client import InputFilter, RunFilter
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


async def test_what_is_late_is_told_and_listed(engine: Engine) -> None:
    flow = Workflow("order", due="4h")
    flow.ask("stars", due="3h")
    flow.add("charge", lambda: 7, on_error="hold", due="input.by")
    told: list[str | None] = []

    @flow.on_overdue
    def remind(happened: Happened) -> None:
        told.append(happened.step)

    engine.fail("charge")
    run = await engine.start(flow, {"by": "5h"}, id="order-1", tags=["a"])
    await engine.start(flow, {"by": "1d"}, id="order-2", due="1d")
    await engine.advance("6h")
    assert set(run.state.overdue) == {"stars", "charge"} and run.state.overdue_since is not None
    assert {"run.overdue", "step.overdue"} <= {event.type for event in run.events}
    page = await engine.list(RunFilter(overdue=True, needs_review=True, tag="a"))
    assert [(one.id, one.overdue, one.needs_review) for one in page.runs] == [("order-1", 3, 1)]
    assert (await engine.count(RunFilter(overdue=True, fingerprint="none"))).found == 0
    asked = engine.ask(lambda: engine._target.inputs(InputFilter(due_within="6h"))).inputs
    assert "order-1" in {one.run for one in asked}

    engine.restart()
    assert set(run.state.overdue) == {"stars", "charge"}
    await run.complete_step("charge", 5)
    await engine.answer(run, "stars", True)
    assert await run.result() == {"stars": True, "charge": 5}
    assert set(told) >= {None, "stars", "charge"}
    assert "order-1" not in {one.id for one in (await engine.list(RunFilter(overdue=True))).runs}
