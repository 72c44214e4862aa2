"""Steps that are handed all of a large input, and note how they were called."""

import asyncio
from typing import Any

from kill.workflows import noted
from stream_durable import App, Context, Workflow

heavy = Workflow("heavy")


@heavy.step
async def first(ctx: Context[Any], input: Any) -> int:  # noqa: A002 - the name that binds it
    noted(ctx)
    await asyncio.sleep(0.05)
    return len(input["text"])


@heavy.step
async def second(ctx: Context[Any], input: Any, first: int) -> int:  # noqa: A002 - the name that binds it
    noted(ctx)
    await asyncio.sleep(0.05)
    return first - len(input["text"])


app = App("heavy", workflows=[heavy])
