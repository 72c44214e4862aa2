"""A step that ends its worker at once, beside steps that are well."""

import os

from kill.workflows import Output, noted
from stream_durable import App, Context, Retry, Workflow

deadly = Workflow("deadly")
well = Workflow("well")


@deadly.step(retry=Retry(2, backoff="fixed", base="100ms"))
async def dies(ctx: Context[None]) -> None:
    noted(ctx)
    os._exit(139)


@well.step
async def lives(ctx: Context[None]) -> Output:
    return noted(ctx)


app = App("deadly", workflows=[deadly, well])
