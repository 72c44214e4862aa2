"""Steps that block their worker's loop for longer than it stands that, and one that awaits."""

import asyncio
import json
import os
import time
from pathlib import Path

from kill.workflows import JOURNALS, Output, noted
from stream_durable import App, Context, Retry, Workflow

#: Several times what it takes until a worker ends for it.
BLOCKS_SECONDS = 30.0
WAITS_SECONDS = 2.0
#: The runs beside the one that blocks.
NEIGHBOURS = 3

blocking = Workflow("blocking")
nested = Workflow("nested")
patient = Workflow("patient", input=int)


async def begun(count: int) -> None:
    """Wait until so many runs of `patient` have begun."""
    journals = Path(os.environ[JOURNALS])
    while True:
        texts = [file.read_text() for file in journals.glob("*.jsonl")]
        calls = [json.loads(line) for text in texts for line in text.splitlines()]
        if len({call["run"] for call in calls if call["step"] == "waits"}) >= count:
            return
        await asyncio.sleep(0.05)


@blocking.step(retry=Retry(2, backoff="fixed", base="100ms"))
async def blocks(ctx: Context[None]) -> None:
    noted(ctx)
    await begun(NEIGHBOURS)
    # Longer than `worker.started_after_ms`: the attempts are announced.
    await asyncio.sleep(0.3)
    time.sleep(BLOCKS_SECONDS)


@nested.step(timeout="1s")
async def blocks_inside(ctx: Context[None]) -> None:
    noted(ctx)

    async def inside() -> None:
        time.sleep(BLOCKS_SECONDS)

    await asyncio.gather(asyncio.sleep(0.1), inside())


@patient.step
async def waits(ctx: Context[int]) -> Output:
    output = noted(ctx)
    await begun(ctx.input)
    await asyncio.sleep(WAITS_SECONDS)
    return output


app = App("blocking", workflows=[blocking, nested, patient])
