"""Steps that block their worker's loop for longer than it stands that, and one that awaits."""

import asyncio
import time

from kill.workflows import Output, noted
from stream_durable import App, Context, Retry, Workflow

#: Several times what it takes until a worker ends for it.
BLOCKS_SECONDS = 30.0
WAITS_SECONDS = 2.0

blocking = Workflow("blocking")
nested = Workflow("nested")
patient = Workflow("patient")


@blocking.step(retry=Retry(2, backoff="fixed", base="100ms"))
async def blocks(ctx: Context[None]) -> None:
    noted(ctx)
    # Let the others begin: they stand beside it then.
    await asyncio.sleep(0.3)
    time.sleep(BLOCKS_SECONDS)


@nested.step(timeout="1s")
async def blocks_inside(ctx: Context[None]) -> None:
    noted(ctx)

    async def inside() -> None:
        time.sleep(BLOCKS_SECONDS)

    await asyncio.gather(asyncio.sleep(0.1), inside())


@patient.step
async def waits(ctx: Context[None]) -> Output:
    output = noted(ctx)
    await asyncio.sleep(WAITS_SECONDS)
    return output


app = App("blocking", workflows=[blocking, nested, patient])
