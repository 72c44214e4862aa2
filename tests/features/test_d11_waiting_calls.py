"""D11: a reaction, or what answers an inquiry, that waits in the middle of its function."""

from __future__ import annotations

from typing import Any

from stream_durable import Context, Fail, Workflow
from stream_durable.testing import Engine


def patient(**options: Any) -> Workflow:
    """Return a workflow that waits, with a reaction that waits for a signal of its own."""
    flow = Workflow("patient")
    flow.wait_signal("go")

    @flow.on_signal("ping", **options)
    async def ping(ctx: Context) -> None:
        try:
            await ctx.wait_signal("pong", timeout="1h")
        except Fail as failure:
            ctx.put("caught", failure.code)

    return flow


async def pinged(engine: Engine, flow: Workflow) -> Any:
    run = await engine.start(flow)
    await engine.signal(run, "ping")
    await engine.until_idle()
    assert run.step("~ping.0/pong").status == "waiting"
    return run


async def test_a_wait_that_fails_is_the_functions_to_bear(engine: Engine) -> None:
    run = await pinged(engine, patient())
    await engine.advance("1h")
    assert (run.status, run.context) == ("waiting", {"caught": "timeout"})
    await engine.signal(run, "go", 1)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", 1)
