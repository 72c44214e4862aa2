"""D6, E7, E11: a call inside a step that would wait for the run that waits for it fails at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stream_durable import App, Context, Gate, Single, Workflow
from stream_durable.testing import Engine

ONE = Gate("one", at_once=1)
RATE = Gate("slow", rate="60/1m")
BY_SHOP = Gate("shops", at_once=1, per="input.shop")

WHOLE = (
    "step 'call' of workflow 'caller' calls workflow 'kid', whose runs wait for a place at gate 'one', of "
    "which this run keeps a place until it has ended: give one of them another gate or another key, or "
    "call with wait=False"
)


def caller(called: Workflow, given: Any = None, **options: Any) -> Workflow:
    flow = Workflow("caller", **options)

    @flow.step
    async def call(ctx: Context[Any]) -> Any:
        return await ctx.call(called, given)

    return flow


def kid(step_gate: Gate | None = None, **options: Any) -> Workflow:
    flow = Workflow("kid", **options)
    flow.add("work", lambda: "done", gate=step_gate)
    return flow


def itself(busy: Any, key: str | None = None, **options: Any) -> Workflow:
    """Return a workflow that calls itself once, for another shop if so told."""
    flow = Workflow("loop", starts=Single(key=key, busy=busy))

    @flow.step
    async def call(ctx: Context[Any]) -> Any:
        if ctx.input.get("is_last"):
            return "last"
        given = {"shop": ctx.input.get("next", "a"), "is_last": True}
        return await ctx.call(flow, given, **options)

    return flow


def section(called: Workflow, gate: Gate) -> Workflow:
    flow = Workflow("caller")

    @flow.step
    def first() -> None: ...

    @flow.each("input.items", name="all", after=first)
    async def call(ctx: Context[Any]) -> Any:
        return await ctx.call(called, {"shop": "b"})

    flow.parallel("visit", ["all"], gate=gate)
    return flow


def gated(called: Workflow) -> Workflow:
    flow = Workflow("caller")

    @flow.step(gate=ONE)
    def call(ctx: Context[Any]) -> Any:
        return ctx.call(called).result()

    return flow


async def ended(engine: Engine, flow: Workflow, given: Any = None) -> Any:
    run = await engine.start(flow, {"shop": "a", "items": [1]} if given is None else given, id="run-1")
    await engine.until(run, "completed", "failed", within="10s")
    return run


@pytest.mark.parametrize("busy", ["skip", "queue", "newest"])
@pytest.mark.parametrize("key", [None, "input.shop"])
async def test_a_workflow_that_calls_itself_and_begins_one_run_at_a_time(
    engine: Engine, busy: str, key: str | None
) -> None:
    run = await ended(engine, itself(busy, key))
    assert (run.status, run.failure.code, run.failure.retryable) == ("failed", "deadlock", False)
    does = "merges into this one" if busy == "skip" else "waits until this one has ended"
    remedy = "call with wait=False" if key is None else "call with another key, or with wait=False"
    assert run.failure.message == (
        f"step 'call' of workflow 'loop' calls its own workflow, of which Single(busy={busy!r}) lets one run "
        f"begin at a time, so that the new one {does}: {remedy}"
    )


async def test_another_key_or_no_wait_is_no_deadlock(engine: Engine) -> None:
    run = await ended(engine, itself("queue", "input.shop"), {"shop": "a", "next": "b"})
    assert run.output == "last"


async def test_a_run_that_is_not_waited_for_is_no_deadlock(engine: Engine) -> None:
    run = await ended(engine, itself("queue", wait=False, leave=True))
    assert run.output == "run-1//call/loop"
    await engine.until_idle()
    assert engine.run("run-1//call/loop").output == "last"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: caller(kid(gate=ONE), gate=ONE),
            WHOLE,
        ),
        (lambda: caller(kid(ONE), gate=ONE), "whose step 'work' waits for a place at gate 'one'"),
        (
            lambda: caller(kid(gate=BY_SHOP), {"shop": "a"}, gate=BY_SHOP),
            "at gate 'shops', of which this run",
        ),
        (
            lambda: section(kid(ONE), ONE),
            "gate 'one', of which group 'visit' around the step keeps a place until it has ended",
        ),
        (lambda: section(kid(gate=ONE), ONE), "whose runs wait for a place at gate 'one', of which group"),
    ],
)
async def test_a_call_that_needs_the_place_that_the_caller_keeps(
    engine: Engine, make: Callable[[], Workflow], text: str
) -> None:
    run = await ended(engine, make())
    assert (run.status, run.failure.code) == ("failed", "deadlock")
    assert text in run.failure.message
    assert engine.calls("work") == 0


@pytest.mark.parametrize(
    ("called", "make"),
    [
        (kid(gate=BY_SHOP), lambda called: caller(called, {"shop": "b"}, gate=BY_SHOP)),
        (kid(BY_SHOP), lambda called: section(called, BY_SHOP)),
        # A rate lets the next one pass without the end of the one before.
        (kid(gate=RATE), lambda called: caller(called, gate=RATE)),
        # The step's own place is free while it waits.
        (kid(ONE), gated),
    ],
)
async def test_a_call_that_finds_a_place(
    engine: Engine, called: Workflow, make: Callable[[Workflow], Workflow]
) -> None:
    await engine.until(await engine.start(called, {"shop": "z"}), "completed")
    run = await ended(engine, make(called))
    assert run.output in ("done", {"all": {"output": ["done"]}})


async def test_rules_of_queues_change_nothing_of_it(engine: Engine) -> None:
    flow, called = caller(child := kid(gate=ONE), gate=ONE), child
    App("shop", workflows=[flow, called]).queue("default", at_once=5)
    run = await ended(engine, flow)
    assert run.failure.code == "deadlock"


async def test_a_run_of_an_earlier_version_without_the_gate_goes_on(engine: Engine) -> None:
    child = kid(gate=ONE)

    def version(**options: Any) -> Workflow:
        flow = Workflow("caller", **options)

        @flow.step
        async def call(ctx: Context[Any]) -> Any:
            await ctx.wait_signal("go")
            return await ctx.call(child)

        return flow

    await engine.until(await engine.start(child), "completed")
    run = await engine.start(version(), {})
    await engine.until_waiting(run)
    engine.deploy(version(gate=ONE))
    await engine.signal(run, "go")
    await engine.until(run, "completed")
    assert run.output == "done"
