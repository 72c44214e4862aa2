"""Workflows of every kind, and what clients do with them: the work under which a world is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

import msgspec
from msgspec import Raw

from stream_durable.core.ids import channel_id, fraction
from stream_durable.core.messages import (
    AttemptCompleted,
    CancelRun,
    EventPublished,
    Message,
    SignalRun,
    StartRun,
)
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.app import App
from stream_durable.sdk.context import Context
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.workflow import Workflow
from stream_durable.wire.inbox import encode

_serial = count()
_SOON = Retry(4, base="100ms", cap="800ms", jitter=0.5)


def restart_serial() -> None:
    """Number answers from the beginning, so that a seed gives the same bytes every time."""
    global _serial  # noqa: PLW0603 - one world at a time
    _serial = count()


def _answer(ctx: Context[Any]) -> dict[str, Any]:
    """Every call answers something else, so that whose answer was taken can be told."""
    return {"of": ctx.idempotency_key, "call": next(_serial)}


async def _quick(ctx: Context[Any]) -> dict[str, Any]:
    await asyncio.sleep(0.002 + 0.05 * fraction(ctx.idempotency_key))
    return _answer(ctx)


async def _instant(ctx: Context[Any]) -> dict[str, Any]:
    return _answer(ctx)


def _threaded(ctx: Context[Any]) -> dict[str, Any]:
    return _answer(ctx)


async def _long(ctx: Context[Any]) -> dict[str, Any]:
    for part in range(4):
        ctx.progress(part * 25, "at it")
        await asyncio.sleep(0.4 + 0.4 * fraction(ctx.idempotency_key))
    return _answer(ctx)


async def _flaky(ctx: Context[Any]) -> dict[str, Any]:
    await asyncio.sleep(0.01)
    if ctx.attempt < 3:
        raise ConnectionError("not yet")
    return _answer(ctx)


async def _doomed(ctx: Context[Any]) -> dict[str, Any]:
    await asyncio.sleep(0.3)
    raise Fail("no_way", "this never works", retryable=False)


async def _dawdling(ctx: Context[Any]) -> dict[str, Any]:
    await asyncio.sleep(2.0 if ctx.attempt == 1 else 0.01)
    return _answer(ctx)


async def _always_late(ctx: Context[Any]) -> dict[str, Any]:
    await asyncio.sleep(30.0)
    return _answer(ctx)


async def _number(ctx: Context[Any]) -> dict[str, Any]:
    return {**_answer(ctx), "number": ctx.run_id}


def _chain() -> Workflow:
    flow = Workflow("chain")
    flow.add("one", _quick)
    flow.add("two", _threaded, after="one")
    flow.add("three", _instant, after="two")
    return flow


def _diamond() -> Workflow:
    flow = Workflow("diamond")
    flow.add("top", _instant)
    flow.add("left", _threaded, after="top")
    flow.add("right", _quick, after="top")
    flow.add("bottom", _quick, after=("left", "right"))
    return flow


def _fan() -> Workflow:
    flow = Workflow("fan")
    flow.add("split", _instant)
    parts = [flow.add(f"part_{i}", _quick if i % 2 else _instant, after="split") for i in range(6)]
    flow.add("join", _threaded, after=parts)
    return flow


def _retried() -> Workflow:
    flow = Workflow("retried", retry=_SOON)
    flow.add("flaky", _flaky)
    flow.add("then", _instant, after="flaky")
    return flow


def _failing() -> Workflow:
    flow = Workflow("failing")
    flow.add("doomed", _doomed)
    flow.add("beside", _long)
    flow.sleep("rest", "20s")
    flow.wait_signal("never", timeout="30s")
    flow.add("after", _instant, after=("doomed", "beside"))
    return flow


def _impatient() -> Workflow:
    flow = Workflow("impatient", retry=Retry(3, base="50ms", cap="100ms"))
    flow.add("dawdling", _dawdling, timeout="400ms")
    flow.add("threaded", _threaded, timeout="250ms")
    flow.add("then", _instant, after=("dawdling", "threaded"))
    return flow


def _long_steps() -> Workflow:
    flow = Workflow("long_steps")
    flow.add("long", _long)
    flow.add("bounded", _always_late, timeout="2500ms", retry=Retry(2, base="100ms"))
    return flow


def _signals() -> Workflow:
    flow = Workflow("signals")
    flow.wait_signal("go")
    flow.add("then", _quick, after="go")
    flow.wait_signal("choice", any_of=["yes", "no"], after="go", timeout="4s", on_timeout={"signal": None})
    flow.add("end", _instant, after=("then", "choice"))
    return flow


def _events() -> Workflow:
    flow = Workflow("events")
    flow.add("number", _number)
    flow.wait_event("paid", "payment", key="number.number", timeout="15s", on_timeout=None)
    flow.wait_event("seen", "sight", key="input.id", timeout="3s", on_timeout="nothing")
    flow.add("end", _instant, after=("paid", "seen"))
    return flow


def _expecting() -> Workflow:
    flow = Workflow("expecting")
    flow.wait_event("paid", "payment", key="input.id", timeout="2s")
    flow.wait_event("shared", "shared", key="input.group", timeout="9s", on_timeout=None)
    return flow


def _sleepy() -> Workflow:
    flow = Workflow("sleepy")
    flow.sleep("nap", "700ms")
    flow.add("work", _quick, after="nap")
    flow.sleep("night", "5500ms", after="work")
    flow.sleep("nothing", "0s", after="work")
    return flow


def _bounded() -> Workflow:
    flow = Workflow("bounded", timeout="2500ms")
    flow.add("work", _long)
    flow.sleep("night", "9s")
    flow.wait_event("paid", "payment", key="input.id")
    return flow


def _misdirected() -> Workflow:
    """Both waits have a key that is none: the run must fail, once."""
    flow = Workflow("misdirected")
    flow.add("first", _instant)
    flow.wait_event("one", "payment", key="input.nothing", after="first")
    flow.wait_event("two", "payment", key="input.nothing", after="first")
    return flow


def application() -> App:
    """Return one app with all of them."""
    makers = (
        _chain, _diamond, _fan, _retried, _failing, _impatient, _long_steps, _signals, _events, _expecting,
        _sleepy, _bounded, _misdirected,
    )  # fmt: skip
    return App("simulated", workflows=[make() for make in makers])


@dataclass(frozen=True, slots=True)
class Sent:
    """One record that a client, or a stranger, puts on a topic at a moment."""

    at: float
    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    #: Whether it makes no sense: it belongs among the dead letters and nowhere else.
    is_garbage: bool = False


@dataclass(slots=True)
class Plan:
    """What clients do in one world. Each script is sent in order, one by one."""

    scripts: list[list[Sent]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    #: Until when somebody begins something.
    seconds: float = 0.0


def drawn(rng: Random, app: App, *, runs: int, seconds: float, partitions: int) -> Plan:
    """Draw what clients do: so many runs of all kinds of workflows, begun within so many seconds."""
    plan = Plan(seconds=seconds)
    names = list(app.workflows)
    order = [names[i % len(names)] for i in range(runs)]
    rng.shuffle(order)
    for number, name in enumerate(order):
        run = f"{name}-{number}"
        plan.runs.append(run)
        plan.scripts.append(list(_script(rng, app, name, run, rng.uniform(0.0, seconds))))
    for _ in range(rng.choice((0, 0, 1, 3))):
        at = rng.uniform(0.0, seconds)
        plan.scripts.append([_message(at, _published("shared", f"g{rng.randrange(2)}", rng, ttl_ms=4_000))])
    for number in range(rng.choice((0, 0, 3, 8))):
        plan.scripts.append([_garbage(rng, plan, number, rng.uniform(0.0, seconds), partitions)])
    return plan


def _script(rng: Random, app: App, name: str, run: str, at: float) -> Iterator[Sent]:
    """Say what is sent about one run, in order."""
    payload = msgspec.json.encode({"id": run, "group": f"g{rng.randrange(2)}"})
    start = StartRun(
        key=run, id=f"start {run}", workflow=name, fingerprint=app.workflows[name].fingerprint,
        input=Raw(payload), tags=("simulated",) if rng.random() < 0.3 else (),
    )  # fmt: skip
    early = rng.random() < 0.4
    if early and name in ("events", "expecting", "bounded"):
        yield _message(at, _published("payment", run, rng))
    yield _message(at, start)
    if rng.random() < 0.2:
        yield _message(at + rng.uniform(0.0, 2.0), start)
    if name == "signals":
        yield from _signalled(rng, run, at)
    if name in ("events", "expecting", "bounded") and not early and rng.random() < 0.7:
        yield _message(at + rng.uniform(0.0, 3.0), _published("payment", run, rng))
    if name == "events" and rng.random() < 0.6:
        yield _message(at + rng.uniform(0.0, 4.0), _published("sight", run, rng))
    if rng.random() < 0.12:
        yield _message(at + rng.uniform(0.0, 4.0), CancelRun(key=run, id=f"cancel {run}", reason="enough"))


def _signalled(rng: Random, run: str, at: float) -> Iterator[Sent]:
    kinds = [("go", 1.0), ("yes", 0.4), ("no", 0.3), ("other", 0.2)]
    rng.shuffle(kinds)
    for name, chance in kinds:
        if rng.random() < chance:
            at += rng.uniform(0.0, 1.0)
            yield _message(at, SignalRun(key=run, id=f"{name} {run}", signal=name, data=Raw(b'{"n":1}')))


def _published(event: str, key: str, rng: Random, ttl_ms: int = 6_000) -> EventPublished:
    number = rng.randrange(1 << 30)
    data = Raw(msgspec.json.encode({"event": number}))
    return EventPublished(key=channel_id(event, key), id=f"{event}-{number}", data=data, ttl_ms=ttl_ms)


def _message(at: float, message: Message) -> Sent:
    return Sent(at, "inbox", None, message.key.encode(), encode(message))


def _garbage(rng: Random, plan: Plan, number: int, at: float, partitions: int) -> Sent:
    """Return a record that cannot be applied, whenever it comes."""
    run = rng.choice(plan.runs)
    # Where there is one partition, no record is in the wrong one.
    kind = rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7)) if partitions > 1 else rng.randrange(7)
    stranger = f"stranger-{number}"
    if kind == 0:
        return Sent(at, "inbox", rng.randrange(partitions), b"x", b"no JSON at all", is_garbage=True)
    if kind == 1:
        return Sent(at, "inbox", rng.randrange(partitions), run.encode(), None, is_garbage=True)
    if kind == 2:
        signal = SignalRun(key=stranger, id="s", signal="go")
        return Sent(at, "inbox", None, stranger.encode(), encode(signal), is_garbage=True)
    if kind == 3:
        start = StartRun(key=stranger, id="s", workflow="nothing", fingerprint="0" * 16)
        return Sent(at, "inbox", None, stranger.encode(), encode(start), is_garbage=True)
    if kind == 4:
        other = CancelRun(key=run, id="c")
        return Sent(at, "inbox", None, stranger.encode(), encode(other), is_garbage=True)
    if kind == 5:
        result = AttemptCompleted(key=run, step="no_such_step", attempt=1)
        return Sent(at, "inbox", None, run.encode(), encode(result), is_garbage=True)
    if kind == 6:
        return Sent(at, "commands.default", rng.randrange(partitions), b"x", b'{"type":"?"}', is_garbage=True)
    lost = SignalRun(key=run, id="lost", signal="go")
    # To a partition in which the run does not live, as a producer with another partitioner would do it.
    return Sent(at, "inbox", -1, run.encode(), encode(lost), is_garbage=True)
