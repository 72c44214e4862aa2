"""Runs that do what their input says, and write down every call of a function and every end of one.

A line of a journal is one write to a file that is opened for appending, so it is whole however the process
ends. The token in it is drawn anew for each call and is part of the output: it says which call was heard.
"""

import asyncio
import json
import os
import secrets
import time
from functools import cache
from pathlib import Path
from typing import Any

from kill.workflows import JOURNALS

from stream_durable import App, Breaker, Context, Retry, Workflow

#: With this a step ends its worker, as a segmentation fault would.
POISON_CODE = 77

Output = dict[str, Any]
Ctx = Context[Any]

SOON = Retry(12, base="200ms", cap="1s")
#: Three lost workers fail an attempt, and here workers are lost all the time; nothing else is tried again.
LOST = Retry(12, base="200ms", cap="1s", on=["worker_lost"])


@cache
def _journal() -> int:
    file = Path(os.environ[JOURNALS]) / f"{os.getpid()}.jsonl"
    return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _note(kind: str, ctx: Ctx, token: str) -> None:
    line = {"kind": kind, "run": ctx.run_id, "step": ctx.step, "attempt": ctx.attempt, "token": token}
    os.write(_journal(), json.dumps({**line, "pid": os.getpid(), "at": time.time()}).encode() + b"\n")


def called(ctx: Ctx) -> Output:
    """Write down that this attempt is made; what it answers with is found nowhere else."""
    token = secrets.token_hex(6)
    _note("call", ctx, token)
    return {"token": token}


async def quick(ctx: Ctx) -> Output:
    return called(ctx)


async def brief(ctx: Ctx) -> Output:
    answer = called(ctx)
    await asyncio.sleep(0.05)
    return answer


def threaded(ctx: Ctx) -> Output:
    answer = called(ctx)
    time.sleep(0.02)
    return answer


async def unsteady(ctx: Ctx) -> Output:
    """Fail in as many attempts as the input says."""
    answer = called(ctx)
    if ctx.attempt <= ctx.input["fails"]:
        raise ConnectionError("not yet")
    return answer


async def long(ctx: Ctx) -> Output:
    answer = called(ctx)
    await asyncio.sleep(ctx.input["seconds"])
    return answer


def _calls_so_far(ctx: Ctx) -> int:
    """How often this attempt was called before, by whichever process."""
    name = f"{ctx.run_id}-{ctx.step}-{ctx.attempt}.calls"
    file = os.open(Path(os.environ[JOURNALS]).parent / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, b"x")
        return os.fstat(file).st_size - 1
    finally:
        os.close(file)


async def deadly(ctx: Ctx) -> Output:
    """End the process in the first calls of each attempt, as many as the input says."""
    answer = called(ctx)
    if _calls_so_far(ctx) < ctx.input["deaths"]:
        os._exit(POISON_CODE)
    return answer


async def blocking(ctx: Ctx) -> Output:
    """Keep the loop from turning."""
    answer = called(ctx)
    time.sleep(ctx.input["seconds"])  # noqa: ASYNC251 - that is the point
    return answer


def huge(ctx: Ctx) -> Output:
    return {**called(ctx), "text": secrets.token_hex(ctx.input["bytes"] // 2)}


async def undone(ctx: Ctx) -> None:
    called(ctx)


async def shaky(ctx: Ctx) -> Output:
    answer = called(ctx)
    if int(answer["token"], 16) % 3 == 0:
        raise ConnectionError("the bank is away")
    return answer


chain = Workflow("chain", retry=LOST)
for _n, _function in enumerate((quick, brief, threaded, quick)):
    chain.add(f"link_{_n}", _function, **({"after": f"link_{_n - 1}"} if _n else {}))

fan = Workflow("fan", retry=LOST)
fan.add("top", quick)


@fan.each("input.items", name="part", concurrency=3)
async def part(ctx: Ctx, item: int) -> Output:
    return {**called(ctx), "item": item}


@fan.step(after="top")
async def bottom(ctx: Ctx, part: list[Output]) -> Output:
    return {**called(ctx), "items": [one["item"] for one in part]}


flaky = Workflow("flaky", retry=SOON)
flaky.add("unsteady", unsteady)
flaky.add("steady", brief, after="unsteady")

#: Fails for good, until somebody has it tried again.
doomed = Workflow("doomed", retry=LOST)
doomed.add("before", quick)
doomed.add("fails", unsteady, after="before")
doomed.add("after", quick, after="fails")

#: Begins the whole graph again, and so waits again.
restarted = Workflow("restarted", retry=LOST, restart=Retry(12, base="200ms"))
restarted.wait_event("paid", "chaos.paid", key="input.key")
restarted.add("unsteady", unsteady, after="paid")
restarted.wait_event("seen", "chaos.seen", key="input.key", after="unsteady")

approval = Workflow("approval", retry=LOST)
approval.add("ask", quick)
approval.wait_signal("answer", after="ask")
approval.add("act", threaded, after="answer")

paid = Workflow("paid", retry=LOST)
paid.add("order", quick)
paid.wait_event("paid", "chaos.paid", key="input.key", after="order")
paid.add("ship", brief, after="paid")

#: Two waits, of which one is closed when the other wins.
bounded = Workflow("bounded", retry=LOST)
bounded.wait_event("never", "chaos.never", key="input.key", timeout="2s", on_timeout="nothing")
bounded.add("goes_on", quick, after="never")

sleepy = Workflow("sleepy", retry=LOST)
sleepy.sleep("nap", "1500ms")
sleepy.add("awake", quick, after="nap")
sleepy.sleep("night", "4s", after="awake")

saga = Workflow("saga", retry=LOST)
hotel = saga.add("hotel", quick)
car = saga.add("car", brief, after="hotel")
flight = saga.add("flight", unsteady, after="car")
hotel.compensate(retry=SOON)(undone)
car.compensate(retry=SOON)(undone)

poison = Workflow("poison", retry=LOST)
poison.add("deadly", deadly)
poison.add("after", quick, after="deadly")

#: Whoever calls it dies: after three workers its attempt has to fail.
fatal = Workflow("fatal")
fatal.add("deadly", deadly)

blocked = Workflow("blocked", retry=LOST)
blocked.add("blocking", blocking)

#: For longer than a worker may be without a sign of life.
stuck = Workflow("stuck")
stuck.add("blocking", blocking)

large = Workflow("large", retry=LOST)
large.add("huge", huge)


@large.step
async def weighed(ctx: Ctx, huge: Output) -> Output:
    return {**called(ctx), "of": huge["token"], "bytes": len(huge["text"])}


lengthy = Workflow("lengthy", retry=LOST)
lengthy.add("long", long)
lengthy.add("after", quick, after="long")

family = Workflow("family", retry=LOST)
family.add("first", quick)
family.child("child", chain, input="input", after="first")
family.add("last", quick, after="child")

bank = Breaker("chaos-bank", failures=3, window="5s", reset="500ms")
guarded = Workflow("guarded", retry=Retry(60, base="200ms", cap="500ms"))
guarded.add("asks", shaky, breaker=bank)

app = App(
    "chaos",
    workflows=[
        chain, fan, flaky, doomed, restarted, approval, paid, bounded, sleepy, saga, poison, fatal, blocked,
        stuck, large,
        lengthy, family, guarded,
    ],
)  # fmt: skip
