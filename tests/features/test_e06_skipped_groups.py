"""E6: a group that is skipped by hand is skipped with all its members, and hands on what had completed."""

from __future__ import annotations

import asyncio

from stream_durable import Results, Workflow
from stream_durable.testing import Engine


async def test_a_skipped_group_skips_all_its_members(engine: Engine) -> None:
    flow = Workflow("flow")

    async def long() -> None:
        await asyncio.sleep(3600)

    flow.add("quick", lambda: "done")
    flow.add("long", long)
    flow.add("last", lambda: "last", after="long")
    flow.parallel("group", ["quick", "long", "last"])
    flow.add("outside", lambda long=None: "went on", after="long")
    flow.add("end", lambda group: list(group.skipped))
    run = await engine.start(flow)
    await engine.advance("1s")
    await run.skip_step("group", "enough")
    await engine.until(run, "completed")
    assert run.step("quick").status == "completed"
    assert {run.step(name).status for name in ("group", "long", "last")} == {"skipped"}
    assert run.output == {"outside": "went on", "end": ["long", "last"]}


async def test_what_had_completed_of_a_list_is_handed_on(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.each("input", concurrency=1)
    async def send(item: int) -> int:
        await asyncio.sleep(3600 if item else 0)
        return item + 10

    flow.add("end", lambda send: send)
    run = await engine.start(flow, [0, 1, 2])
    await engine.advance("1s")
    await run.skip_step("send")
    await engine.until(run, "completed")
    assert run.output == [10, None, None]
    assert [run.step(f"send[{i}]").status for i in range(3)] == ["completed", "skipped", "skipped"]


async def test_what_had_completed_of_a_group_is_handed_on(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1)
    flow.wait_signal("b")
    flow.parallel("group", ["a", "b"])

    @flow.step
    def end(group: Results[int]) -> dict[str, int]:
        return {**group.ok, "skipped": len(group.skipped)}

    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.skip_step("group")
    await engine.until(run, "completed")
    assert run.output == {"a": 1, "skipped": 1}


async def test_a_group_that_had_not_begun_hands_on_nothing(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("go")

    @flow.each("input", after="go")
    def send(item: int) -> int:
        return item

    @flow.step
    def end(send: list[int] | None = None) -> str:
        return "nothing" if send is None else "something"

    run = await engine.start(flow, [1])
    await run.skip_step("send")
    await engine.signal(run.id, "go")
    await engine.until(run, "completed")
    assert run.output == "nothing"
