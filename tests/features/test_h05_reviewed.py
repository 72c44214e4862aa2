"""H5: a failed run that somebody has looked at needs nobody any more, until it is retried."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable import RejectedError, Workflow
from stream_durable.client import RunFilter
from stream_durable.testing import Engine


def failing(name: str = "shop") -> Workflow[Any, Any]:
    flow = Workflow(name)
    flow.add("charge", lambda: 1)
    return flow


async def failed(engine: Engine, *runs: str) -> None:
    flow = failing()
    for run in runs:
        engine.fail("charge", times=1, error=ValueError("no card"))
        await engine.until(await engine.start(flow, id=run), "failed")


async def found(engine: Engine, **which: Any) -> set[str]:
    return {run.id for run in (await engine.list(RunFilter(**which))).runs}


async def test_a_mark_says_who_and_why_and_takes_the_run_from_what_needs_somebody(engine: Engine) -> None:
    await failed(engine, "a", "b")
    await engine.run("a").mark_reviewed("paid by hand", by="ann")
    run = engine.run("a")
    assert run.status == "failed"
    assert (run.state.reviewed.by, run.state.reviewed.reason) == ("ann", "paid by hand")
    assert await found(engine, reviewed=True) == {"a"}
    assert await found(engine, reviewed=False) == {"b"}
    assert await found(engine, failed=True) == {"a", "b"}
    words = {one.id: one.word for one in (await engine.list()).runs}
    assert words == {"a": "Done", "b": "Needs review"}
    (need,) = engine.ask(lambda: engine._target.attention(since="1d")).needs
    assert (need.code, need.affected, need.evidence["last_run"]) == ("failed", 1, "b")
    history = engine.ask(lambda: engine._target.history("a"))
    assert [(one.by, one.text) for one in history if one.what == "reviewed"] == [("ann", "paid by hand")]


async def test_a_retry_takes_the_mark_away(engine: Engine) -> None:
    await failed(engine, "a")
    await engine.run("a").mark_reviewed(by="ann")
    engine.restart()
    engine.fail("charge", times=1, error=ValueError("no card"))
    await engine.run("a").retry()
    await engine.until_idle()
    run = engine.run("a")
    assert (run.status, run.state.reviewed) == ("failed", None)
    assert await found(engine, reviewed=False) == {"a"}


async def test_all_that_match_are_marked_and_those_that_are_marked_stay(engine: Engine) -> None:
    await failed(engine, "a", "b", "c")
    await engine.run("a").mark_reviewed("first", by="ann")
    assert await engine.mark_all_reviewed(RunFilter(workflow="shop"), "all", by="tom") == 2
    await engine.until_idle()
    by = {name: engine.run(name).state.reviewed.by for name in ("a", "b", "c")}
    assert by == {"a": "ann", "b": "tom", "c": "tom"}


async def test_of_marked_runs_none_is_left_to_mark(engine: Engine) -> None:
    await failed(engine, "a", "b")
    await engine.run("a").mark_reviewed("first", by="ann")
    assert await engine.mark_all_reviewed(RunFilter(reviewed=True), "all") == 0
    await engine.until_idle()
    assert await found(engine, reviewed=False) == {"b"}


async def test_only_a_failed_run_is_marked(engine: Engine) -> None:
    run = await engine.start(failing(), id="fine")
    await engine.until(run, "completed")
    with pytest.raises(RejectedError, match="'fine' has not failed") as refused:
        await run.mark_reviewed()
    assert refused.value.code == "not_failed"
