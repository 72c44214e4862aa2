"""E14: a step's output, or a value of the run, as soon as there is one; the run goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from instances import running
from waiting import eventually

from stream_durable import App, Client, Context, Fail, NoOutput, RejectedError, Skip, Workflow
from stream_durable.client import RunHandle
from stream_durable.settings import Settings
from stream_durable.testing import Engine


def quoting() -> Workflow:
    flow = Workflow("quoting")
    flow.wait_signal("go")

    @flow.step
    def quote(ctx: Context, go: Any) -> dict[str, Any]:
        ctx.put("order", {"total": 7})
        return {"amount": go, "lines": [{"n": 1}]}

    @flow.step(after=quote, on_error="continue")
    def broken() -> None:
        raise Fail("no_stock", "none is left", retryable=False)

    @flow.step(after=quote)
    def left_out() -> Skip:
        return Skip("not today")

    flow.wait_signal("end", after=[quote, "left_out"])
    flow.add("last", lambda end: end)
    return flow


def handle(engine: Engine, run: Any) -> RunHandle[Any]:
    """Return the run in the hands of a client."""
    return engine._target.run(run.id)  # type: ignore[no-any-return]


async def test_what_is_there_is_returned_and_the_run_goes_on(engine: Engine) -> None:
    run = await engine.start(quoting(), {"id": "42"})
    await engine.signal(run, "go", 5)
    await engine.until_idle()
    client = handle(engine, run)

    assert engine.ask(lambda: client.output("quote")) == {"amount": 5, "lines": [{"n": 1}]}
    assert engine.ask(lambda: client.value("quote.lines.0.n")) == 1
    assert engine.ask(lambda: client.value("context.order.total")) == 7
    assert engine.ask(lambda: client.value("input.id")) == "42"
    assert run.status == "waiting"


async def test_who_asks_early_is_answered_when_the_step_completes(engine: Engine) -> None:
    run = await engine.start(quoting())
    client = handle(engine, run)

    async def story() -> list[Any]:
        asked = [client.output("quote"), client.value("quote.amount"), client.value("context.order.total")]
        waiting = [asyncio.ensure_future(each) for each in asked]
        await client.signal("go", 5)
        return await asyncio.gather(*waiting)

    assert engine.tell(story) == [{"amount": 5, "lines": [{"n": 1}]}, 5, 7]
    assert run.status == "waiting"


async def test_a_step_that_ends_otherwise_has_no_output(engine: Engine) -> None:
    run = await engine.start(quoting())
    await engine.signal(run, "go", 5)
    await engine.until_idle()
    client = handle(engine, run)

    with pytest.raises(NoOutput, match="step 'broken' of run .* is failed: no_stock: none is left") as failed:
        engine.ask(lambda: client.output("broken"))
    assert (failed.value.status, failed.value.step) == ("failed", "broken")
    with pytest.raises(NoOutput, match="is skipped"):
        engine.ask(lambda: client.value("left_out.n"))
    await run.cancel()
    await engine.until_idle()
    with pytest.raises(NoOutput) as never:
        engine.ask(lambda: client.output("last"))
    assert never.value.status in ("pending", "cancelled")


async def test_whoever_waits_learns_that_the_run_was_cancelled(engine: Engine) -> None:
    run = await engine.start(quoting())
    client = handle(engine, run)

    async def story() -> list[Any]:
        asked = [client.output("last"), client.value("context.order.total")]
        waiting = [asyncio.ensure_future(each) for each in asked]
        await client.cancel("enough")
        return await asyncio.gather(*waiting, return_exceptions=True)

    output, value = engine.tell(story)
    assert isinstance(output, NoOutput)
    assert isinstance(value, RejectedError) and value.code == "path_missing"


@pytest.mark.parametrize(
    ("path", "code"),
    [("quot.amount", "unknown_step"), ("quote.amont", "path_missing"), ("input.x", "path_missing"),
     ("", "bad_path"), ("quote..n", "bad_path")],
)  # fmt: skip
async def test_paths_that_lead_nowhere(engine: Engine, path: str, code: str) -> None:
    run = await engine.start(quoting(), {})
    await engine.signal(run, "go", 5)
    await engine.until_idle()
    client = handle(engine, run)

    with pytest.raises(RejectedError) as error:
        engine.ask(lambda: client.value(path))
    assert error.value.code == code


async def test_steps_made_at_run_time_are_waited_for_by_name(engine: Engine) -> None:
    flow = Workflow("listed")
    flow.wait_signal("items")

    @flow.each("items")
    def doubled(item: int) -> int:
        return 2 * item

    run = await engine.start(flow)
    client = handle(engine, run)

    async def story() -> list[Any]:
        waiting = [asyncio.ensure_future(client.output(name)) for name in ("doubled[1]", "doubled")]
        await client.signal("items", [1, 2])
        return await asyncio.gather(*waiting)

    assert engine.tell(story) == [4, [2, 4]]


@pytest.mark.real
async def test_on_real_services_nobody_asks_the_database_in_a_loop(settings: Settings) -> None:
    flow = quoting()
    async with running(settings, App("early", workflows=[flow])) as instance:
        client = instance.client
        run = await client.start(flow, {"id": "1"}, id="r")
        with pytest.raises(TimeoutError, match="step 'quote' has not ended within 300ms in run 'r'"):
            await run.output("quote", timeout="300ms")
        with pytest.raises(TimeoutError, match="nothing is at 'context.order' within 100ms"):
            await run.value("context.order", timeout="100ms")

        asked = 0
        views: Any = instance.ports.views
        look = views.run_with_steps

        async def counted(id: str) -> Any:  # noqa: A002 - as the port says it
            nonlocal asked
            asked += 1
            return await look(id)

        views.run_with_steps = counted
        waiting = [
            asyncio.create_task(run.output("quote", timeout="60s")),
            asyncio.create_task(run.value("context.order.total", timeout="60s")),
        ]

        async def followed() -> bool:
            return asked >= 4

        await eventually(followed, "both look again once they follow the run", seconds=30)
        await client.signal("r", "go", 5)
        assert await asyncio.gather(*waiting) == [{"amount": 5, "lines": [{"n": 1}]}, 7]
        assert asked <= 16
        views.run_with_steps = look

        def blocking() -> Any:
            with Client.sync(settings) as other:
                return other.run("r").output("quote", timeout="10s")["amount"], other.run("r").value(
                    "input.id"
                )

        assert await asyncio.to_thread(blocking) == (5, "1")
