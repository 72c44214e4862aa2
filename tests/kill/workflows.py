"""What the runs do: every call of a handler leaves a line in its worker's journal.

A line is one write to a file opened for appending, so it is whole however the worker ends. The token
in it is drawn anew at each call and is the step's output as well: it tells which call a row is from.
"""

import asyncio
import json
import os
import secrets
import time
from functools import cache
from pathlib import Path

from stream_durable import App, Context, Retry, Workflow

JOURNALS = "KILL_TEST_JOURNALS"

Output = dict[str, str]

chain = Workflow("chain")
diamond = Workflow("diamond")
flaky = Workflow("flaky", retry=Retry(5, backoff="fixed", base="100ms"))
approval = Workflow("approval")
slow = Workflow("slow")


@cache
def _journal() -> int:
    file = Path(os.environ[JOURNALS]) / f"{os.getpid()}.jsonl"
    return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def noted(ctx: Context[None]) -> Output:
    """Write down that this attempt is made; answer with what is found nowhere else."""
    token = secrets.token_hex(8)
    call = {
        "run": ctx.run_id,
        "step": ctx.step,
        "attempt": ctx.attempt,
        "pid": os.getpid(),
        "token": token,
        "at": time.time(),
    }
    os.write(_journal(), json.dumps(call).encode() + b"\n")
    return {"token": token}


async def plain(ctx: Context[None]) -> Output:
    return noted(ctx)


_links = [chain.add("link_1", plain)]
for _n in range(2, 6):
    _links.append(chain.add(f"link_{_n}", plain, after=_links[-1]))

diamond.add("top", plain)


@diamond.step
async def left(ctx: Context[None], top: Output) -> Output:
    return {**noted(ctx), "top": top["token"]}


@diamond.step
async def right(ctx: Context[None], top: Output) -> Output:
    return {**noted(ctx), "top": top["token"]}


@diamond.step
async def bottom(ctx: Context[None], left: Output, right: Output) -> Output:
    return {**noted(ctx), "left": left["token"], "right": right["token"], "top": left["top"]}


@flaky.step
async def unsteady(ctx: Context[None]) -> Output:
    output = noted(ctx)
    if ctx.attempt == 1:
        raise ConnectionError("not at the first attempt")
    return output


flaky.add("steady", plain, after=unsteady)

approval.add("ask", plain)
approval.wait_signal("answer", after="ask")


@approval.step
def act(ctx: Context[None], answer: Output) -> Output:
    """In a thread, since it is not async."""
    return {**noted(ctx), "answer": answer["token"]}


@slow.step
async def take_long(ctx: Context[None]) -> Output:
    output = noted(ctx)
    await asyncio.sleep(1.5)
    return output


slow.add("after_long", plain, after=take_long)

app = App("kill", workflows=[chain, diamond, flaky, approval, slow])
