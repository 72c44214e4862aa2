"""The measured workflows: steps doing nothing and returning about 100 bytes."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from stream_durable import App, Context, Workflow

#: What the prototype's steps return too.
OUTPUT = {"x": "a" * 90}
FAN_WIDTH = 50
LARGE_BYTES, LARGE_STEPS = 1_000_000, 20
KEPT_CALLS = 10
#: An entry of the output of `heavy`, at most, with the number and the comma.
HEAVY_ENTRY_BYTES = 120
#: What wakes the runs that wait.
SIGNAL, EVENT = "go", "bench.go"
#: What the run of `hotrun` reacts to, some at a time, and one by one.
HIT, HIT_IN_ORDER = "hit", "hit-in-order"
HITS_UNDER_WAY = 16


def _step(*parameters: str) -> Callable[..., Coroutine[Any, Any, dict[str, str]]]:
    """Return a function with these parameters: outputs of steps, or the input."""

    async def step(*_: object) -> dict[str, str]:
        return OUTPUT

    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, positional) for name in parameters])
    step.__signature__ = signature  # type: ignore[attr-defined]  # what the binding of parameters reads
    return step


def _chain(name: str, length: int, breaker: str | None = None) -> Workflow:
    """Return a workflow of steps, each taking the output of the previous, and passing the breaker if any."""
    workflow = Workflow(name)
    before = "input"
    for i in range(length):
        workflow.add(f"step_{i:02}", _step(before), breaker=breaker)
        before = f"step_{i:02}"
    return workflow


def _fan(name: str, width: int) -> Workflow:
    """Return a workflow of one step, many steps taking its output, and one step taking all of theirs."""
    workflow = Workflow(name)
    workflow.add("first", _step("input"))
    middle = [f"middle_{i:02}" for i in range(width)]
    for step in middle:
        workflow.add(step, _step("first"))
    workflow.add("last", _step(*middle))
    return workflow


def _waiting(name: str, timeout: str | None = None) -> Workflow:
    """Return a workflow of a step, a wait for the signal `go`, and a step taking the signal's data."""
    workflow = Workflow(name)
    workflow.add("before", _step("input"))
    workflow.wait_signal(SIGNAL, after=["before"], timeout=timeout)
    workflow.add("behind", _step(SIGNAL))
    return workflow


def _bound(name: str) -> Workflow:
    """Return a workflow of a wait alone: beginning costs no worker anything."""
    workflow = Workflow(name)
    workflow.wait_signal(SIGNAL)
    return workflow


def _timed(name: str) -> Workflow:
    """Return a workflow that sleeps until the input's moment."""
    workflow = Workflow(name)
    workflow.sleep("asleep", until="input.at")
    return workflow


def _event(name: str) -> Workflow:
    """Return a workflow of a step, a wait for an event with the input's key, and a step with the time."""
    workflow = Workflow(name)

    async def behind(woken: object) -> int:
        return time.monotonic_ns()

    workflow.add("before", _step("input"))
    workflow.wait_event("woken", EVENT, key="input.key", after=["before"])
    workflow.add("behind", behind)
    return workflow


def _kept(name: str) -> Workflow:
    """Return a workflow of one step with kept calls."""
    workflow = Workflow(name)

    async def call() -> dict[str, str]:
        return OUTPUT

    async def step(ctx: Context) -> dict[str, str]:
        for number in range(KEPT_CALLS):
            await ctx.once(f"call_{number}", call)
        return OUTPUT

    workflow.add("step", step)
    return workflow


def _hot(name: str) -> Workflow:
    """Return a workflow with a wait for a signal, and reactions to two others meanwhile."""
    workflow = Workflow(name)
    workflow.wait_signal(SIGNAL)

    @workflow.on_signal(HIT, concurrency=HITS_UNDER_WAY)
    async def hit(signal: object) -> None:
        pass

    @workflow.on_signal(HIT_IN_ORDER)
    async def hit_in_order(signal: object) -> None:
        pass

    return workflow


def _each(name: str) -> Workflow:
    """Return a workflow of a step listing items, one step per item, and one counting their outputs."""
    workflow = Workflow(name)

    async def items(input: dict[str, int]) -> list[int]:  # noqa: A002 - the word for it everywhere
        return list(range(input["items"]))

    async def member(item: int) -> dict[str, str]:
        return OUTPUT

    async def count(member: list[dict[str, str]]) -> int:
        return len(member)

    workflow.add("items", items)
    workflow.each("items", name="member")(member)
    workflow.add("count", count)
    return workflow


def _large(name: str, length: int) -> Workflow:
    """Return a workflow of steps of which each hands a megabyte on to the next."""
    workflow = Workflow(name)

    async def first() -> str:
        return "a" * LARGE_BYTES

    workflow.add("step_00", first)
    for i in range(1, length):
        workflow.add(f"step_{i:02}", _passing_on(f"step_{i - 1:02}"))

    async def last(ctx: Context) -> int:
        return len(ctx.output(f"step_{length - 1:02}"))

    workflow.add("last", last, after=f"step_{length - 1:02}")
    return workflow


def _watched(name: str) -> Workflow:
    """Return a workflow of a step listing items, one step per item writing lines, and a wait."""
    workflow = Workflow(name)

    async def items(input: dict[str, int]) -> list[int]:  # noqa: A002 - the word for it everywhere
        return list(range(input["items"]))

    async def member(ctx: Context, item: int) -> dict[str, str]:
        for line in range(ctx.input["lines"]):
            ctx.log.info("item %d has come to line %d", item, line)
            # Hundreds of attempts begin at once: none of them holds the others up.
            await asyncio.sleep(0)
        return OUTPUT

    workflow.add("items", items)
    workflow.each("items", name="member")(member)
    workflow.wait_signal(SIGNAL, after=["member"])
    return workflow


def _heavy(name: str) -> Workflow:
    """Return a workflow of one step with an output of so many bytes, in entries as data has."""
    workflow = Workflow(name)

    async def step(input: dict[str, int]) -> list[dict[str, object]]:  # noqa: A002 - the word for it everywhere
        return [{"number": i, **OUTPUT} for i in range(input["bytes"] // HEAVY_ENTRY_BYTES)]

    workflow.add("step", step)
    return workflow


def _passing_on(before: str) -> Callable[..., Coroutine[Any, Any, str]]:
    async def step(*values: str) -> str:
        return values[0]

    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    step.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what the binding reads
        [inspect.Parameter(before, positional)]
    )
    return step


def _carried() -> Sequence[Workflow]:
    return (
        _chain("chain", 10),
        _chain("gated", 10, breaker="bench"),
        _chain("single", 1),
        _chain("latency", 3),
        _fan("fan", FAN_WIDTH),
        _waiting("waiting"),
        _waiting("patient", timeout="30d"),
        _event("event"),
        _bound("bound"),
        _timed("timed"),
        _kept("kept"),
        _hot("hot"),
        _each("each"),
        _large("large", LARGE_STEPS),
        _watched("watched"),
        _heavy("heavy"),
    )


app = App("bench", workflows=_carried())
