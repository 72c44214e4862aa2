"""B13: what a call returned inside a step is kept, and so is how far the step has come."""

from __future__ import annotations

from typing import Any

import pytest
from outcomes import failure_of
from pydantic import BaseModel

from stream_durable import Context, Fail, Retry, Workflow
from stream_durable.testing import Engine


class Page(BaseModel):
    number: int
    text: str


class Site:
    """Counts the calls of what is to be called once."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def fetch(self, number: int) -> Page:
        self.calls.append(number)
        return Page(number=number, text=f"page {number}")

    def read(self, number: int) -> Page:
        self.calls.append(number)
        return Page(number=number, text=f"page {number}")


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_kept_call_is_made_once_however_often_the_step_runs(
    engine: Engine,
    is_async: bool,  # noqa: FBT001
) -> None:
    site, flow = Site(), Workflow("research", retry=Retry(5, base="1s"))

    @flow.step
    async def research(ctx: Context) -> list[str]:
        function = site.fetch if is_async else site.read
        pages = [await ctx.once(f"page-{n}", function, n) for n in range(3)]
        if ctx.attempt < 3:
            raise ConnectionError("not yet")
        return [page.text for page in pages]

    run = await engine.start(flow)

    assert await run.result() == ["page 0", "page 1", "page 2"]
    assert site.calls == [0, 1, 2]
    assert run.step("research").attempts == 3
    assert run.step("research/page-1").status == "completed"


async def test_what_a_call_returned_is_what_the_first_pass_gets_too(engine: Engine) -> None:
    flow = Workflow("typed", retry=Retry(2, base="1s"))
    seen: list[Any] = []

    def loose() -> dict[str, Any]:
        return {"n": (1, 2)}

    @flow.step
    async def typed(ctx: Context) -> None:
        seen.append(await ctx.once("loose", loose))
        if ctx.attempt == 1:
            raise ConnectionError("again")

    await (await engine.start(flow)).result()

    assert seen == [{"n": [1, 2]}, {"n": [1, 2]}]


async def test_a_call_that_raises_is_made_again_by_the_next_attempt(engine: Engine) -> None:
    flow, calls = Workflow("raising", retry=Retry(3, base="1s")), list[int]()

    async def flaky() -> int:
        calls.append(len(calls))
        if len(calls) < 3:
            raise ConnectionError("down")
        return len(calls)

    @flow.step
    async def raising(ctx: Context) -> int:
        return await ctx.once("flaky", flaky)

    assert await (await engine.start(flow)).result() == 3
    assert calls == [0, 1, 2]


async def test_a_worker_that_dies_after_a_note_leaves_it(engine: Engine) -> None:
    site, flow = Site(), Workflow("dying")

    @flow.step
    async def dying(ctx: Context) -> str:
        page = await ctx.once("page", site.fetch, 1)
        await ctx.once("other", site.fetch, 2)
        return page.text

    engine.crash_after(dying, times=2)
    run = await engine.start(flow)

    assert await run.result() == "page 1"
    assert site.calls == [1, 2], "neither is called by the two repeats"
    assert engine.calls(dying) == 3
    assert run.step("dying").attempts == 1


async def test_the_next_attempt_goes_on_from_the_checkpoint(engine: Engine) -> None:
    site, flow, begun = Site(), Workflow("copying", retry=Retry(4, base="1s")), list[Any]()

    @flow.step
    async def copying(ctx: Context) -> int:
        begun.append(ctx.last)
        for number in range(ctx.last["done"] if ctx.last else 0, 6):
            await ctx.once(f"page-{number}", site.fetch, number)
            await ctx.checkpoint({"done": number + 1})
            if number == 2 * ctx.attempt:
                raise ConnectionError("a while later")
        return 6

    run = await engine.start(flow)

    assert await run.result() == 6
    assert begun == [None, {"done": 3}, {"done": 5}]
    assert site.calls == [0, 1, 2, 3, 4, 5]


async def test_a_checkpoint_outlives_the_worker(engine: Engine) -> None:
    flow, begun = Workflow("outliving"), list[Any]()

    @flow.step
    async def outliving(ctx: Context) -> Any:
        begun.append(ctx.last)
        if ctx.last is None:
            await ctx.checkpoint("half")
        return ctx.last

    engine.crash_after(outliving)
    assert await (await engine.start(flow)).result() == "half"
    assert begun == [None, "half"]


async def test_a_retry_by_hand_drops_what_was_kept(engine: Engine) -> None:
    site, flow = Site(), Workflow("renewed")

    @flow.step
    async def renewed(ctx: Context) -> str:
        page = await ctx.once("page", site.fetch, 1)
        last, _ = ctx.last, await ctx.checkpoint("seen")
        return f"{page.text} {last}"

    run = await engine.start(flow)
    assert await run.result() == "page 1 None"
    await run.retry("renewed")
    await engine.until(run, "completed")

    assert await run.result() == "page 1 None"
    assert site.calls == [1, 1]


async def test_calls_that_are_gathered_are_each_kept(engine: Engine) -> None:
    site, flow = Site(), Workflow("several", retry=Retry(2, base="1s"))

    @flow.step
    async def several(ctx: Context) -> list[int]:
        pages = await ctx.gather(*(ctx.once(f"p{n}", site.fetch, n) for n in range(5)))
        if ctx.attempt == 1:
            raise ConnectionError("again")
        return [page.number for page in pages]

    assert await (await engine.start(flow)).result() == [0, 1, 2, 3, 4]
    assert sorted(site.calls) == [0, 1, 2, 3, 4]


async def test_a_plain_function_keeps_calls_too(engine: Engine) -> None:
    site, flow = Site(), Workflow("plain", retry=Retry(2, base="1s"))

    @flow.step
    def plain(ctx: Context) -> list[str]:
        pages = [ctx.once("a", site.fetch, 1).result(), ctx.once("b", site.read, 2).result()]
        ctx.checkpoint("there").result()
        if ctx.attempt == 1:
            raise ConnectionError("again")
        return [pages[0].text, pages[1].text, ctx.last]

    assert await (await engine.start(flow)).result() == ["page 1", "page 2", "there"]
    assert site.calls == [1, 2]


async def test_a_name_is_used_once(engine: Engine) -> None:
    site, flow = Site(), Workflow("twice")

    @flow.step
    async def twice(ctx: Context) -> None:
        await ctx.once("page", site.fetch, 1)
        await ctx.once("page", site.fetch, 2)

    run = await engine.start(flow)
    await engine.until(run, "failed")
    failure = failure_of(run.step("twice"))
    assert failure.code == "name_used_twice"
    assert "'page'" in failure.message


@pytest.mark.parametrize(
    "value", [object(), {"$blob": [1, 2, 3, "x"]}, float("nan")], ids=["object", "reference", "nan"]
)
async def test_what_is_no_json_fails_the_step_by_the_name(engine: Engine, value: Any) -> None:
    flow = Workflow("unfit")

    @flow.step
    async def unfit(ctx: Context) -> None:
        await ctx.once("odd", lambda: value)

    run = await engine.start(flow)
    await engine.until(run, "failed")
    failure = failure_of(run.step("unfit"))
    assert failure.code == "invalid_note"
    assert "'odd'" in failure.message


async def test_a_large_value_is_kept_beside_the_messages(engine: Engine) -> None:
    flow = Workflow("large", retry=Retry(2, base="1s"))

    def much() -> str:
        return "x" * 2_000_000

    @flow.step
    async def large(ctx: Context) -> int:
        text = await ctx.once("much", much)
        if ctx.attempt == 1:
            raise ConnectionError("again")
        return len(text)

    assert await (await engine.start(flow)).result() == 2_000_000


async def test_a_context_made_by_hand_calls_and_keeps_nothing_elsewhere() -> None:
    ctx = Context({})
    site = Site()

    assert (await ctx.once("a", site.fetch, 3)).number == 3
    await ctx.checkpoint({"n": 1})
    assert ctx.last == {"n": 1}
    with pytest.raises(Fail, match="testing engine"):
        await ctx.sleep("1d")
