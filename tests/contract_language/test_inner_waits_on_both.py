"""Open signal waits inside steps are in lists, in memory and with real services."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable import Context, Workflow
from stream_durable.client import OpenWait
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


def waiting(name: str) -> Workflow:
    """Return a workflow that waits for signals within and without a step, and within a reaction."""
    flow = Workflow(name)

    @flow.step
    async def follow(ctx: Context) -> Any:
        return await ctx.gather(
            ctx.wait_signal(any_of=["go", "stop"], name="way"),
            ctx.wait_signal(all_of=["stock", "fraud"], name="checks", timeout="1h", on_timeout=None),
        )

    flow.wait_signal("go")

    @flow.on_signal("ping")
    async def ping(ctx: Context) -> None:
        await ctx.wait_signal("pong")

    return flow


def listed(engine: Engine, **conditions: Any) -> list[OpenWait]:
    """Return the open waits, read page by page."""
    found, after = list[OpenWait](), None
    while True:
        page = engine.ask(lambda after=after: engine._target.waits(**conditions, limit=1, after=after))
        found += page.waits
        if page.following is None:
            return found
        after = page.following


async def test_signal_waits_inside_steps_are_listed_until_they_end(engine: Engine) -> None:
    first = await engine.start(waiting("one"), id="a")
    await engine.signal(first, "ping")
    await engine.until_idle()
    second = await engine.start(waiting("two"), id="b")
    await engine.until_waiting(second)

    def names(**conditions: Any) -> list[tuple[str, str, str]]:
        return [(one.run, one.step, one.name) for one in listed(engine, **conditions) if one.behind is None]

    assert names() == [
        ("a", "follow/checks", "stock and fraud"),
        ("a", "follow/way", "go or stop"),
        ("a", "go", "go"),
        ("a", "~ping.0/pong", "pong"),
        ("b", "follow/checks", "stock and fraud"),
        ("b", "follow/way", "go or stop"),
        ("b", "go", "go"),
    ]
    assert names(signal="stop") == [(run, "follow/way", "go or stop") for run in "ab"]
    assert names(signal="fraud", workflow="two") == [("b", "follow/checks", "stock and fraud")]
    [checks] = listed(engine, signal="fraud", workflow="two")
    assert (checks.kind, checks.since is None, checks.until is None) == ("signal", False, False)
    await engine.signal(first, "stop")
    await engine.signal(first, "pong")
    await engine.advance("2h")
    await engine.until_waiting(first)
    assert names() == [("a", "go", "go"), ("b", "follow/way", "go or stop"), ("b", "go", "go")]
    await second.retry("follow")
    await engine.until_waiting(second)
    assert len(names(workflow="two")) == 3
    await second.cancel()
    await engine.until_idle()
    assert names() == [("a", "go", "go")]
