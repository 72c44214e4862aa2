"""Runs that are there when the garbage comes, and those that show that it did no harm."""

from typing import Any

from stream_durable import App, Workflow

#: A queue that no worker serves.
NOBODY = "nobody"

echo = Workflow("echo", input=Any)
gated = Workflow("gated")
stranded = Workflow("stranded")


@echo.step
async def answer(given: Any) -> str:
    return f"a {type(given).__name__}"


@gated.step
async def before() -> int:
    return 1


gated.wait_signal("gate", after=before)


@gated.step
async def behind(gate: Any) -> int:
    return 2


@stranded.step(queue=NOBODY)
async def unserved() -> Any:
    """Its results are made up by the tests."""


@stranded.step
async def unbegun(unserved: Any) -> str:
    return f"a {type(unserved).__name__}"


app = App("garbage", workflows=[echo, gated, stranded])
