"""Steps whose process may die, importable by it."""

# ruff: noqa: A002 - `input` is what authors write

from __future__ import annotations

import os

from stream_durable import Context, Retry, Workflow

crashing = Workflow("crashing")


@crashing.step(process=True, retry=Retry(3, base="10ms"))
def work(ctx: Context, input: int) -> dict[str, int]:
    """Let the process die in so many attempts."""
    if ctx.attempt <= input:
        os._exit(3)
    return {"pid": os.getpid(), "attempt": ctx.attempt}
