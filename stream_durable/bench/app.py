"""The workflows that are measured: steps that do nothing and return about 100 bytes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from stream_durable import App, Workflow

#: What the prototype's steps return too.
OUTPUT = {"x": "a" * 90}
FAN_WIDTH = 50


def _step(*parameters: str) -> Callable[..., Coroutine[Any, Any, dict[str, str]]]:
    """Return a function that takes these: the outputs of the steps of that name, or the input."""

    async def step(*_: object) -> dict[str, str]:
        return OUTPUT

    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, positional) for name in parameters])
    step.__signature__ = signature  # type: ignore[attr-defined]  # what the binding of parameters reads
    return step


def _chain(name: str, length: int) -> Workflow:
    """Return a workflow of steps of which each takes the output of the one before."""
    workflow = Workflow(name)
    before = "input"
    for i in range(length):
        workflow.add(f"step_{i:02}", _step(before))
        before = f"step_{i:02}"
    return workflow


def _fan(name: str, width: int) -> Workflow:
    """Return a workflow of one step, many that take its output, and one that takes all of theirs."""
    workflow = Workflow(name)
    workflow.add("first", _step("input"))
    middle = [f"middle_{i:02}" for i in range(width)]
    for step in middle:
        workflow.add(step, _step("first"))
    workflow.add("last", _step(*middle))
    return workflow


def _waiting(name: str) -> Workflow:
    """Return a workflow of a step, a wait for the signal `go`, and a step that takes what it carries."""
    workflow = Workflow(name)
    workflow.add("before", _step("input"))
    workflow.wait_signal("go", after=["before"])
    workflow.add("behind", _step("go"))
    return workflow


def _carried() -> Sequence[Workflow]:
    return (
        _chain("chain", 10),
        _chain("single", 1),
        _chain("latency", 3),
        _fan("fan", FAN_WIDTH),
        _waiting("waiting"),
    )


app = App("bench", workflows=_carried())
