"""A step behind a gate with a rate and a burst."""

import asyncio

from kill.workflows import Output, noted
from stream_durable import App, Context, Gate, Workflow

RATE, WINDOW_MS, BURST = 10, 2_000, 5

limited = Workflow("limited")


@limited.step(gate=Gate("narrow", rate=f"{RATE}/{WINDOW_MS}ms", burst=BURST))
async def called(ctx: Context[None]) -> Output:
    made = noted(ctx)
    await asyncio.sleep(0.3)
    return made


app = App("limited", workflows=[limited])
