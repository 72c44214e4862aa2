"""C06: hooks and compensations of a try of the graph that was followed by another."""

from __future__ import annotations

import asyncio

from stream_durable import Context, Fail, Happened, Retry, Workflow
from stream_durable.testing import Engine


async def test_what_hooks_of_an_earlier_try_came_to_stays(engine: Engine) -> None:
    flow = Workflow("order", restart=Retry(2, base="1s"))
    book = flow.add("book", lambda: 1)
    book.compensate(lambda: "unbooked")

    @flow.step(after=book)
    def pay(ctx: Context) -> None:
        if ctx.attempt == 1:
            raise Fail("no", "not yet", retryable=False)

    flow.on_step_complete(lambda: None)
    flow.on_attempt_fail(lambda: None)
    flow.on_success(lambda: None)
    run = await engine.start(flow)
    await engine.advance("1m")
    ended = {name: (step.status, step.attempt) for name, step in run.state.helpers.items()}
    assert run.status == "completed"
    assert ended == {
        "book~compensate": ("completed", 1),
        "book~on_step_complete": ("completed", 1),
        "book~on_step_complete.2": ("completed", 1),
        "pay~on_attempt_fail.1": ("completed", 1),
        "pay~on_step_complete.2": ("completed", 1),
        "~on_success": ("completed", 1),
    }
    course = engine.ask(lambda: engine._target.history(run.id))
    assert ("completed", "book~compensate") in {(one.what, one.step) for one in course}


async def test_each_try_undoes_and_calls_the_hook_of_the_run(engine: Engine) -> None:
    undone, told = [], []
    flow = Workflow("order", restart=Retry(2, base="1s"))
    book = flow.add("book", lambda: 1)

    @book.compensate
    def unbook(ctx: Context) -> None:
        undone.append(ctx.attempt)
        if len(undone) == 2:
            raise Fail("no", "not undone", retryable=False)

    @flow.step(after=book)
    def pay() -> None:
        raise Fail("no", "never", retryable=False)

    @flow.on_failure
    def tell(happened: Happened) -> None:
        told.append(happened.status)

    run = await engine.start(flow)
    await engine.advance("1m")
    assert (run.status, len(undone), told) == ("compensation_failed", 2, ["compensation_failed"])
    engine.restart()
    await run.retry("book~compensate")
    await engine.until_idle()
    assert (run.status, len(undone)) == ("compensated", 3)
    assert told == ["compensation_failed", "compensated"]
    await run.retry(whole=True)
    await engine.advance("1m")
    assert (run.status, len(undone), len(told)) == ("compensated", 4, 3)


async def test_a_hook_under_way_goes_on_when_its_step_is_begun_again(engine: Engine) -> None:
    told = []
    flow = Workflow("order")
    book = flow.add("book", lambda: 1)
    flow.wait_signal("go", after=book)

    @flow.on_step_complete
    async def tell(happened: Happened) -> None:
        await asyncio.sleep(60)
        told.append((happened.step, happened.attempt))

    run = await engine.start(flow)
    await engine.advance("1s")
    await run.retry("book")
    await engine.advance("2m")
    assert told == [("book", 1), ("book", 2)]
    assert {step.status for step in run.state.helpers.values()} == {"completed"}
    await engine.signal(run, "go")
    await engine.advance("2m")
    assert (run.status, told[-1]) == ("completed", ("go", 2))
