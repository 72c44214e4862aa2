"""B5: `Expand` as an answer; what becomes of the steps it adds is in A11."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Context, Expand, Fail, Retry, Workflow
from stream_durable.testing import Engine


class Page(BaseModel):
    number: int


def scanning() -> tuple[Workflow, Any]:
    flow = Workflow("scanning")

    @flow.template
    def scan(item: Page) -> int:
        assert isinstance(item, Page)
        return item.number * 10

    return flow, scan


async def test_items_are_models_or_what_looks_like_them(engine: Engine) -> None:
    flow, scan = scanning()
    flow.add("more", lambda: Expand([scan.of(Page(number=1)), scan.of({"number": 2})]))
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == [10, 20]


async def test_steps_come_from_any_iterable(engine: Engine) -> None:
    flow, scan = scanning()
    flow.add("more", lambda: Expand(scan.of({"number": n}) for n in range(3)))
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == [0, 10, 20]


async def test_a_step_may_expand_or_answer_a_value(engine: Engine) -> None:
    flow, scan = scanning()

    @flow.step
    def more(input: int) -> list[int] | Expand:  # noqa: A002
        return Expand([scan.of(Page(number=input))]) if input else []

    flow.add("end", lambda more: more)
    none, some = await engine.start(flow, 0), await engine.start(flow, 4)
    await engine.until_idle()
    assert (none.output, some.output) == ([], [40])


async def test_the_context_is_kept_and_seen_by_what_is_added(engine: Engine) -> None:
    flow = Workflow("keeps")

    @flow.template
    def add(item: int, ctx: Context) -> int:
        ctx.increment("sum", item)
        return ctx.get("base") + item

    @flow.step
    def more(ctx: Context) -> Expand:
        ctx.put("base", 100)
        return Expand([add.of(1), add.of(2)])

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == [101, 102]
    assert run.context == {"base": 100, "sum": 3}


async def test_an_attempt_that_failed_added_nothing(engine: Engine) -> None:
    flow, scan = scanning()

    @flow.step(retry=Retry(2))
    def more(ctx: Context) -> Expand:
        added = Expand([scan.of(Page(number=ctx.attempt))])
        if ctx.attempt == 1:
            raise Fail("busy")
        return added

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == [20]
    assert engine.calls("more[0]") == 1


async def test_expansions_are_added_once_however_often_they_are_heard(engine: Engine) -> None:
    flow, scan = scanning()
    flow.add("more", lambda: Expand([scan.of({"number": n}) for n in range(3)]))
    flow.wait_signal("go", after="more")
    run = await engine.start(flow)
    engine.redeliver()
    engine.restart()
    await engine.signal(run.id, "go")
    await engine.until_idle()
    assert run.status == "completed"
    assert [name for name in run.steps if "[" in name] == ["more[0]", "more[1]", "more[2]"]
    assert run.step("more").output == [0, 10, 20]


async def test_an_added_step_has_the_options_of_its_template(engine: Engine) -> None:
    flow = Workflow("options")

    @flow.template(retry=Retry(3, base="1s"), on_error="continue", when=lambda item: item != 2, queue="slow")
    def work(item: int) -> int:
        if item == 3:
            raise Fail("down")
        return item

    flow.add("more", lambda: Expand([work.of(n) for n in (1, 2, 3)]))
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", [1, None, None])
    assert run.step("more[1]").status == "skipped"
    assert (run.step("more[2]").status, run.step("more[2]").attempts) == ("failed", 3)


@pytest.mark.parametrize("limit", [1, 2])
async def test_cancelling_the_expanding_step_ends_what_it_added(engine: Engine, limit: int) -> None:
    flow = Workflow("cancel")

    @flow.template
    async def forever(item: int) -> None:
        import asyncio

        await asyncio.sleep(3_600)

    flow.add("more", lambda: Expand([forever.of(n) for n in range(3)], concurrency=limit))
    run = await engine.start(flow)
    await run.cancel("enough")
    await engine.until_idle()
    assert run.status == "cancelled"
    assert {run.step(f"more[{n}]").status for n in range(3)} <= {"cancelled", "pending"}
    assert engine.calls("more[2]") == 0


async def test_a_thousand_generations_one_after_another(engine: Engine) -> None:
    flow = Workflow("generations")

    def breed(item: int) -> Any:
        return Expand([child.of(item + 1)]) if item < 1_000 else item

    child = flow.template(breed)
    flow.add("first", lambda: Expand([child.of(1)]))
    flow.add("last", lambda ctx: ctx.step, after="first")
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert engine.calls(child) == 1_000
    deepest = list(run.state.steps)[-1]
    assert deepest.startswith("first~")
    assert (run.output, run.step(deepest).output) == ("last", 1_000)
