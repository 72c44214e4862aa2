"""A6: `concurrency=` counts who has not stopped yet, and groups that are members like any other."""

from __future__ import annotations

import asyncio

import pytest

from stream_durable import DefinitionError, Workflow
from stream_durable.testing import Engine


def stubborn(log: list[str]) -> Workflow:
    """`first` needs five seconds to stop; `second` waits for its place."""
    flow = Workflow("places")

    async def first() -> None:
        log.append("first begins")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(5)
            log.append("first stops")
            raise

    flow.add("first", first)
    flow.add("second", lambda: log.append("second begins"))
    flow.parallel("group", ["first", "second"], concurrency=1, on_error="complete_all")
    return flow


@pytest.mark.parametrize(("order", "status"), [("cancel_step", "cancelled"), ("skip_step", "skipped")])
async def test_a_place_is_free_when_its_holder_has_stopped(engine: Engine, order: str, status: str) -> None:
    log: list[str] = []
    run = await engine.start(stubborn(log))
    await engine.advance("1s")
    await getattr(run, order)("first", "not wanted")
    await engine.advance("1s")
    assert log == ["first begins"]
    await engine.until(run, "completed")
    assert log == ["first begins", "first stops", "second begins"]
    failure = run.step("first").failure
    assert failure is not None
    assert (run.step("first").status, failure.message) == (status, "not wanted")


async def test_a_place_of_a_list_too(engine: Engine) -> None:
    flow = Workflow("places")
    log: list[str] = []

    @flow.each("input", concurrency=1)
    async def send(item: int) -> int:
        log.append(f"{item} begins")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(5)
            log.append(f"{item} stops")
            raise
        return item

    run = await engine.start(flow, [0, 1])
    await engine.advance("10s")
    await run.cancel_step("send[0]")
    await engine.until(run, "completed")
    assert log == ["0 begins", "0 stops", "1 begins"]
    assert run.output == [None, 1]


async def test_groups_in_a_group_run_one_after_another(engine: Engine) -> None:
    flow = Workflow("groups")
    log: list[str] = []

    async def work(name: str) -> None:
        log.append(f"+{name}")
        await asyncio.sleep(1)
        log.append(f"-{name}")

    for name in ("a1", "a2", "b1", "b2"):

        async def one(name: str = name) -> None:
            await work(name)

        flow.add(name, one)
    flow.parallel("a", ["a1", "a2"])
    flow.parallel("b", ["b1", "b2"])
    flow.parallel("both", ["a", "b"], concurrency=1)
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert max(log.index("-a1"), log.index("-a2")) < min(log.index("+b1"), log.index("+b2"))


def test_a_group_that_would_wait_for_its_own_place_is_refused() -> None:
    flow = Workflow("groups")
    flow.add("a1", lambda b1: b1)
    flow.add("b1", lambda: 1)
    flow.parallel("a", ["a1"])
    flow.parallel("b", ["b1"])
    flow.parallel("both", ["a", "b"], concurrency=1)
    with pytest.raises(DefinitionError, match="'a1' waits for 'b1', which may wait in turn for the place"):
        flow.definition()


async def test_a_group_that_comes_after_what_it_needs_is_not(engine: Engine) -> None:
    flow = Workflow("groups")
    flow.add("b1", lambda: 1)
    flow.parallel("b", ["b1"])
    flow.add("a1", lambda b1: b1)
    flow.parallel("a", ["a1"], after="b")
    flow.parallel("both", ["a", "b"], concurrency=1)
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert run.step("a1").output == 1
