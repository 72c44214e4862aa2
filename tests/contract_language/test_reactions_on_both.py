"""What reactions read and how far behind they are: in memory and on Postgres."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable import Context, Workflow
from stream_durable.client.reactions import ReactionState
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


def shop() -> Workflow:
    flow = Workflow("shop")
    flow.wait_signal("go")

    @flow.on_event("order.changed", key="input.id")
    def changed(ctx: Context, event: Any) -> None: ...

    @flow.on_signal("hurry")
    def hurried(ctx: Context, signal: Any) -> None: ...

    return flow


def reactions(run: Any) -> dict[str, ReactionState]:
    return dict(run.state.reactions)


async def test_of_each_reaction_it_is_known_what_it_reads_and_how_far_behind_it_is(engine: Engine) -> None:
    run = await engine.start(shop(), {"id": "42"}, id="shop-1")
    await engine.until_waiting(run)
    changed, hurried = reactions(run)["changed"], reactions(run)["hurried"]
    assert changed[:5] == ("changed", "event", "order.changed", "42", 0)
    assert [(wait.kind, wait.text) for wait in changed.waits_for] == [
        ("event", "event order.changed with key 42")
    ]
    assert hurried[:5] == ("hurried", "signal", "hurry", None, 0)
    assert [wait.text for wait in hurried.waits_for] == ["signal hurry"]

    await run.pause()
    for _ in range(3):
        await engine.publish("order.changed", key="42")
        await engine.signal(run, "hurry")
    await engine.publish("order.changed", key="43")
    await engine.until_idle()
    assert [one.behind for one in reactions(run).values()] == [3, 3]
    assert {wait.kind for one in reactions(run).values() for wait in one.waits_for} == {"paused"}

    await run.resume()
    await engine.until_idle()
    assert [one.behind for one in reactions(run).values()] == [0, 0]
    await engine.signal(run, "go")
    await engine.until_idle()
    assert (run.status, reactions(run)) == ("completed", {})


async def test_reactions_are_listed_among_the_waits_of_all_runs(engine: Engine) -> None:
    flow = shop()
    for i in (1, 2):
        await engine.until_waiting(await engine.start(flow, {"id": f"k{i}"}, id=f"shop-{i}"))
        await engine.advance("1s")
    await engine.run("shop-2").pause()
    for _ in range(2):
        await engine.publish("order.changed", key="k2")
        await engine.signal("shop-2", "hurry")
    await engine.until_idle()
    waits = engine._target.waits

    def found(**options: Any) -> list[tuple[Any, ...]]:
        page = engine.ask(lambda: waits(**options))
        return [(w.run, w.step, w.kind, w.name, w.key, w.behind) for w in page.waits]

    everything = [
        ("shop-1", "changed", "event reaction", "order.changed", "k1", 0),
        ("shop-2", "changed", "event reaction", "order.changed", "k2", 2),
        ("shop-1", "go", "signal", "go", None, None),
        ("shop-1", "hurried", "signal reaction", "hurry", None, 0),
        ("shop-2", "go", "signal", "go", None, None),
        ("shop-2", "hurried", "signal reaction", "hurry", None, 2),
    ]
    assert found() == everything
    assert found(event="order.changed", key="k2") == everything[1:2]
    assert found(signal="hurry") == [everything[3], everything[5]]
    for limit in (1, 2, 3, 5):
        paged: list[Any] = []
        after: str | None = None
        while True:
            page = engine.ask(lambda: waits(limit=limit, after=after))  # noqa: B023 - called at once
            paged += [(w.run, w.step, w.kind, w.name, w.key, w.behind) for w in page.waits]
            after = page.following
            if after is None:
                break
        assert paged == everything, limit
    for i in (1, 2):
        await engine.run(f"shop-{i}").cancel()
    await engine.until_idle()
    assert found() == []
