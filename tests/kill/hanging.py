"""Plain steps that hang, beside steps that are well and one that waits to be let go."""

import asyncio
import os
import time
from pathlib import Path

from kill.workflows import JOURNALS, Output, noted
from stream_durable import App, Context, Workflow

RELEASE = "release"

hanging = Workflow("hanging")
patient = Workflow("patient")
plain = Workflow("plain")


@hanging.step(timeout="300ms")
def hangs(ctx: Context[None]) -> None:
    noted(ctx)
    while True:
        time.sleep(1)


@patient.step
async def waits(ctx: Context[None]) -> Output:
    output = noted(ctx)
    while not (Path(os.environ[JOURNALS]) / RELEASE).exists():
        await asyncio.sleep(0.05)
    return output


@plain.step
def ends(ctx: Context[None]) -> Output:
    return noted(ctx)


app = App("hanging", workflows=[hanging, patient, plain])
