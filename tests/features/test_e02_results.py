"""E2: a result is waited for without asking again and again; one last step's value, or a map of them."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from instances import running
from refusals import refusal

from stream_durable import App, Fail, Finish, RunCancelled, RunFailed, Skip, Workflow
from stream_durable.settings import Settings
from stream_durable.testing import Engine


async def output(engine: Engine, flow: Workflow, input: Any = None) -> Any:
    run = await engine.start(flow, input)
    await engine.until(run, "completed")
    return run.output


async def test_of_one_last_step_it_is_the_value(engine: Engine) -> None:
    flow = Workflow("one")
    flow.add("a", lambda: 1)
    flow.add("b", lambda a: {"b": a})
    assert await output(engine, flow) == {"b": 1}


async def test_of_several_it_is_a_map_by_name_in_the_order_of_the_definition(engine: Engine) -> None:
    flow = Workflow("several")
    flow.add("z", lambda: 1)
    flow.add("y", lambda z: [z])
    flow.sleep("x", "1s", after="z")
    flow.add("w", lambda: Skip("no"))
    found = await output(engine, flow)
    assert found == {"y": [1], "x": None, "w": None}
    assert list(found) == ["y", "x", "w"]


async def test_a_group_or_a_branch_at_the_end(engine: Engine) -> None:
    group = Workflow("group")
    group.add("a", lambda: 1)
    group.add("b", lambda: 2)
    group.parallel("both", ["a", "b"])
    assert await output(engine, group) == {"a": {"output": 1}, "b": {"output": 2}}
    branch = Workflow("branch")
    branch.branch("kind", on="input").clause("x").add("in_x", lambda: "x")
    assert await output(engine, branch, "x") == "x"
    assert await output(engine, branch, "y") is None


async def test_a_clean_up_step_is_no_last_step_of_a_run_that_went_well_unless_it_is(engine: Engine) -> None:
    flow = Workflow("finished")
    flow.add("a", lambda: Finish({"done": True}))
    flow.sleep("nap", "1h")
    assert await output(engine, flow) == {"done": True}


slow = Workflow("slow")
go = slow.wait_signal("go")


@slow.step
async def answer(go: Any) -> Any:
    if go == "fail":
        raise Fail("broken", "as asked", details={"n": 1}, retryable=False)
    return {"got": go}


@pytest.mark.real
async def test_waiting_for_it(settings: Settings) -> None:
    async with running(settings, App("results", workflows=[slow])) as instance:
        client = instance.client
        run = await client.start(slow, id="r")
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match="'r' has not ended"):
            await run.result(timeout="300ms")
        assert time.monotonic() - begun > 0.2

        asked = 0
        views: Any = instance.ports.views
        look = views.run_get

        async def counted(id: str) -> Any:
            nonlocal asked
            asked += 1
            return await look(id)

        views.run_get = counted
        waiting = [asyncio.create_task(client.run("r").result(timeout="60s")) for _ in range(5)]
        await asyncio.sleep(1)
        await client.signal("r", "go", 7)
        assert await asyncio.gather(*waiting) == [{"got": 7}] * 5
        assert asked <= 10, "nobody asks the database in a loop"
        views.run_get = look
        late = client.run("r").result(timeout="60s")
        assert await late == {"got": 7}, "it is there for whoever comes later"

        failing = await client.start(slow)
        await client.signal(failing.id, "go", "fail")
        with pytest.raises(RunFailed, match="as asked") as failed:
            await failing.result(timeout="30s")
        failure = failed.value.failure
        assert failure is not None
        assert (failed.value.status, failure.code, failure.step, failure.details) == (
            "failed", "broken", "answer", {"n": 1},
        )  # fmt: skip
        cancelled = await client.start(slow)
        await cancelled.cancel("not wanted")
        with pytest.raises(RunCancelled, match="not wanted"):
            await cancelled.result(timeout="30s")


def test_no_step_is_called_like_the_input() -> None:
    flow = Workflow("names")
    flow.add("input", lambda: 1)
    assert refusal(flow)
