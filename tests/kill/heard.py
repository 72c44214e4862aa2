"""Runs that wait for events and answers, and say what woke them, in their output and to the world."""

from typing import Any

from kill.workflows import Output, noted
from stream_durable import App, Context, Workflow

NEWS, JOB = "kill.news", "kill.job"

listener = Workflow("listener")
listener.wait_event("news", NEWS, key="input.key")

picker = Workflow("picker")
picker.wait_event("job", JOB, key="input.key", take=True)

asked = Workflow("asked")
asked.ask("word", form=str)


def _said(ctx: Context[Any], woken_by: str) -> Output:
    output = {**noted(ctx), "woken_by": woken_by}
    ctx.emit(ctx.input["out"], key=ctx.run_id, value=output)
    return output


@listener.step
async def hear(ctx: Context[Any], news: str) -> Output:
    return _said(ctx, news)


@picker.step
async def work(ctx: Context[Any], job: str) -> Output:
    return _said(ctx, job)


@asked.step
async def take(ctx: Context[Any], word: str) -> Output:
    return _said(ctx, word)


app = App("heard", workflows=[listener, picker, asked])
