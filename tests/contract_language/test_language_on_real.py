"""What only real services can show: in memory no function is in a thread of its own."""

from __future__ import annotations

import threading

import pytest

from stream_durable import Context, Workflow
from stream_durable.testing import Engine

pytestmark = [pytest.mark.real, pytest.mark.parametrize("engine", ["real"], indirect=True)]


async def test_plain_functions_are_called_in_threads(engine: Engine) -> None:
    """A1: and async ones on one loop."""
    flow = Workflow("threads")
    flow.add("plain", lambda: threading.get_ident())  # noqa: PLW0108 - a builtin has no parameters to read

    @flow.step
    async def loop() -> int:
        return threading.get_ident()

    flow.add("end", lambda plain, loop: plain != loop)
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert run.output is True


async def test_a_function_in_a_thread_sees_that_it_is_cancelled(engine: Engine) -> None:
    """B8, E6."""
    flow = Workflow("threads")
    begun, left, pause = threading.Event(), threading.Event(), threading.Event()

    @flow.step
    def work(ctx: Context) -> None:
        begun.set()
        while not ctx.cancelled:
            pause.wait(0.01)
        left.set()

    run = await engine.start(flow)
    assert begun.wait(10)
    await run.cancel("enough")
    await engine.until(run, "cancelled")
    assert left.wait(10)
