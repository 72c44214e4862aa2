"""The same programs in memory and on real services: what memory promises, Kafka and Postgres keep.

Together they touch everything that a workflow can say, what a failure does to it, and how it is run.
"""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from stream_durable import (
    Breaker,
    Context,
    Expand,
    Fail,
    Finish,
    Happened,
    Jump,
    Results,
    Retry,
    Skip,
    Snooze,
    Workflow,
    any_of,
    some_of,
)
from stream_durable.client import RunFilter
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine, TestedRun

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


class Order(BaseModel):
    id: str
    items: list[str] = []
    total: float = 9.5


class Receipt(BaseModel):
    number: str
    amount: float


def statuses(run: TestedRun) -> dict[str, str]:
    return {name: step.status for name, step in run.state.steps.items()}


async def test_typed_steps_by_decorator_and_by_call(engine: Engine) -> None:
    """A1, A2, A3, A6, B1, E2, E3."""
    flow = Workflow("order", input=Order, retry=Retry(3, base="1s"))

    @flow.step
    async def reserve(order: Order) -> list[str]:
        return [f"reserved {item}" for item in order.items]

    @flow.step
    def charge(order: Order, reserve: list[str]) -> Receipt:
        assert isinstance(order, Order)
        return Receipt(number=f"R-{order.id}-{len(reserve)}", amount=order.total)

    flow.add("left", lambda charge: charge.amount + 1)
    flow.add("right", lambda charge: charge.amount + 2)
    flow.add("thread", lambda: threading.get_ident())

    @flow.step(after="thread")
    def end(left: float, right: float, charge: Receipt, ctx: Context[Order]) -> dict[str, Any]:
        return {
            "sum": left + right,
            "number": charge.number,
            "items": ctx.input.items,
            "key": ctx.idempotency_key,
        }

    with pytest.raises(
        RejectedError, match="the input of workflow 'order' does not fit: id: Input should be a valid string"
    ):
        await engine.start(flow, {"id": 7})
    run = await engine.start(flow, Order(id="42", items=["tea", "ä\u0000😀"]), id="order-42")
    again = await engine.start(flow, Order(id="42", items=["tea", "ä\u0000😀"]), id="order-42")
    await engine.until(run, "completed")

    assert (run.created, again.created) == (True, False)
    assert run.output == {
        "sum": 22.0,
        "number": "R-42-2",
        "items": ["tea", "ä\u0000😀"],
        "key": "order-42/end/1",
    }
    assert run.step("charge").output == {"number": "R-42-2", "amount": 9.5}
    assert (run.state.done, run.state.total) == (6, 6)


async def test_races_conditions_and_clean_up(engine: Engine) -> None:
    """A5, A7, B3, C4, C10."""
    flow = Workflow("race")
    flow.add("quick", lambda: "quick")
    flow.add("unmet", lambda: 1, when=lambda input: input > 10)
    flow.wait_signal("slow")
    flow.add("fails", failing("lost"), on_error="skip")
    flow.add("first", lambda quick, slow: [quick, slow], after=any_of("quick", "slow"))
    flow.add("two", lambda: "two", after=some_of(2, "quick", "first", "slow", cancel_rest=True))
    work = flow.add("work", failing("down"), after=["two", "unmet"])
    flow.add("never", lambda: 1, after=work)
    flow.add("clean", lambda two: f"cleaned after {two}", after=work.even_if_failed)

    run = await engine.start(flow, 5)
    await engine.until(run, "failed")

    assert run.failure is not None
    assert (run.failure.step, run.failure.code) == ("work", "down")
    assert run.step("first").output == ["quick", None]
    assert run.step("clean").output == "cleaned after two"
    found = statuses(run)
    assert (found["unmet"], found["fails"], found["slow"]) == ("skipped", "skipped", "cancelled")
    assert engine.calls("never") == 0


def failing(code: str) -> Any:
    def fail() -> None:
        raise Fail(code, "it was to be expected", details={"n": [1]}, retryable=False)

    return fail


@pytest.mark.parametrize(("kind", "output"), [("digital", "mailed"), ("heavy", 5), ("gift", None)])
async def test_branches_by_value_and_by_condition(engine: Engine, kind: str, output: Any) -> None:
    """A8."""
    flow = Workflow("shipping")
    branch = flow.branch("kind", on="input.kind")
    branch.add("digital", "mail", lambda: "mailed")
    branch.add("heavy", "pack", lambda input: input["weight"])
    clause = branch.clause("heavy")
    by_weight = clause.branch("by_weight", after="pack")
    by_weight.case(when=lambda pack: pack > 10)(named("freight"))
    by_weight.otherwise(weight)
    flow.add("close", lambda kind: kind)

    run = await engine.start(flow, {"kind": kind, "weight": 5})
    await engine.until(run, "completed")
    assert run.output == output
    assert run.step("kind").state.clause == (kind if kind != "gift" else None)
    assert statuses(run)["freight"] == "skipped"


def named(name: str) -> Any:
    def function() -> str:
        return name

    function.__name__ = name
    return function


def weight(pack: int) -> int:
    return pack


async def test_groups_decide_jump_and_finish(engine: Engine) -> None:
    """A6, A9, A10, B7, B10."""
    flow = Workflow("checks")
    flow.add("stock", lambda: 3)
    flow.add("fraud", failing("suspect"))
    flow.add("vip", lambda: Skip("no vip"))
    flow.parallel("checks", ["stock", "fraud", "vip"], on_error="complete_all", concurrency=1)

    @flow.step
    def decide(checks: Results, input: str) -> Any:
        match input:
            case "jump":
                return Jump("close", {"suspect": list(checks.failed)})
            case "finish":
                return Finish(checks.ok)
        return list(checks.skipped)

    flow.add("review", lambda decide: "reviewed")
    flow.sleep("cool", "1d", after="review")
    flow.add("close", lambda decide, review: [decide, review], after="cool")

    runs = {how: await engine.start(flow, how) for how in ("jump", "finish", "go")}
    await engine.until(runs["jump"], "completed")
    await engine.until(runs["finish"], "completed")
    await engine.advance("1d")
    assert {how: run.output for how, run in runs.items()} == {
        "jump": [{"suspect": ["fraud"]}, None], "finish": {"stock": 3}, "go": [["vip"], "reviewed"],
    }  # fmt: skip
    assert statuses(runs["jump"])["review"] == "skipped"
    assert statuses(runs["finish"])["close"] == "cancelled"


async def test_each_and_grafts(engine: Engine) -> None:
    """A11, B5."""
    flow = Workflow("album")
    flow.add("pages", lambda input: [{"n": n} for n in range(input)])

    @flow.each("pages", concurrency=3, on_error="complete_all", retry=Retry(2, base="1s"))
    def scan(item: dict[str, int], ctx: Context) -> str:
        if item["n"] == 4 and ctx.attempt == 1:
            raise Fail("busy")
        if item["n"] == 5:
            raise Fail("torn", retryable=False)
        return f"scan {item['n']} in {ctx.step}"

    @flow.template
    def copy(item: str) -> str | Expand:
        return Expand([copy.of(f"{item}'")]) if item == "x" else item

    @flow.step
    def more(scan: list[str | None]) -> Expand:
        last = copy.of("x", name="last", after="0")
        return Expand([copy.of(scan[0]), last])

    flow.add("end", lambda scan, more: [scan[3:], more])
    run = await engine.start(flow, 6)
    await engine.until(run, "completed")
    assert run.output == [["scan 3 in scan[3]", "scan 4 in scan[4]", None], ["scan 0 in scan[0]", ["x'"]]]
    assert run.step("more[last][0]").status == "completed"
    assert run.step("scan[5]").failure.code == "torn"  # type: ignore[union-attr]


async def test_children_and_repetition(engine: Engine) -> None:
    """A12, A15, E4."""
    page = Workflow("page")
    page.add("fetch", lambda input: {"next": input["cursor"] + 1, "done": input["cursor"] >= 2})
    bad = Workflow("bad")
    bad.add("only", failing("no_paper"))
    flow = Workflow("book")
    flow.child(
        "pages",
        page,
        input={"cursor": "input.from"},
        until="pages.done",
        again={"cursor": "pages.next"},
        every="1h",
    )
    flow.child("bad", bad, on_error="continue")
    flow.add("end", lambda pages, bad: [pages, bad])

    run = await engine.start(flow, {"from": 1}, id="book-1", tags=["t"])
    await engine.until(run, "completed")
    assert run.output == [{"next": 3, "done": True}, None]
    assert {child.id: child.status for child in run.children} == {
        "book-1//pages": "completed", "book-1//pages/2": "completed", "book-1//bad": "failed",
    }  # fmt: skip
    failure = run.step("bad").failure
    assert failure is not None
    assert (failure.code, failure.message) == ("no_paper", "run 'book-1//bad': it was to be expected")
    family = engine.ask(run.children[0]._target.family)
    assert family.first.run.id == "book-1"
    assert len(family.first.children) == 3


async def test_versions(engine: Engine) -> None:
    """A13: a run keeps the definition it began with."""

    def order(*, cool: bool) -> Workflow:
        flow = Workflow("order")
        go = flow.wait_signal("go")
        flow.add("close", lambda go: go, after=flow.sleep("cool", "1h", after=go) if cool else go)
        return flow

    first = await engine.start(order(cool=False))
    engine.ask(lambda: engine.ports.catalogue.register(order(cool=True).definition()))
    engine.restart()
    second = await engine.start("order")
    for run in (first, second):
        await engine.signal(run.id, "go", "now")
    await engine.until(first, "completed")
    assert list(first.steps) == ["go", "close"]
    await engine.until(second, "waiting")
    assert list(second.steps) == ["go", "cool", "close"]


async def test_answers_and_the_context(engine: Engine) -> None:
    """B1, B2, B3, B4, B8, B9."""
    flow = Workflow("answers")

    @flow.step(retry=Retry(2, base="1s"), into="flaky")
    def flaky(ctx: Context) -> dict[str, Any]:
        ctx.append("tries", ctx.attempt)
        if ctx.attempt == 1:
            raise ValueError("not yet")
        ctx.put("kept", {"x": 1})
        ctx.merge({"y": 2}, at="kept")
        ctx.increment("n", 2)
        return {"is": "kept"}

    @flow.step(after=flaky)
    def patient(ctx: Context) -> Any:
        ctx.increment("looks")
        return "open" if ctx.get("looks") == 2 else Snooze("5m", "the shop is closed")

    flow.add("skipped", lambda: Skip("not today"), after="patient")

    @flow.step(reads=[flaky, "patient"], after="skipped")
    def end(ctx: Context, skipped: str = "default") -> Any:
        ctx.delete("kept")
        return [
            ctx.get("kept"),
            ctx.get("flaky"),
            ctx.output("patient"),
            skipped,
            list(ctx.tags),
            ctx.metadata,
        ]

    run = await engine.start(flow, tags=["vip"], metadata={"by": "tom"})
    await engine.advance("10m")
    await engine.until(run, "completed")
    assert run.output == [None, {"is": "kept"}, "open", "default", ["vip"], {"by": "tom"}]
    assert run.context == {"tries": [2], "n": 2, "looks": 2, "flaky": {"is": "kept"}}
    assert (run.step("flaky").attempts, run.step("patient").attempts) == (2, 1)


async def test_bad_and_large_values(engine: Engine) -> None:
    """A3: what cannot be handed over, secrets, and what is too large to travel by itself."""

    class Login(BaseModel):
        user: str
        password: SecretStr

    flow = Workflow("values", input=Login)
    flow.add("large", lambda: {"text": "x" * 1_000_000, "kind": "digital"})
    kind = flow.branch("kind", on="large.kind")
    kind.add("digital", "count", lambda large: len(large["text"]))
    flow.add("nan", lambda: float("nan"), on_error="continue")
    flow.add("too_large", lambda: "x" * 5_000_000, on_error="continue")

    @flow.step(after=["kind", "nan", "too_large"])
    def end(login: Login, ctx: Context, kind: int) -> Login:
        print(login)
        ctx.put("login", login)
        return login

    run = await engine.start(flow, Login(user="tom", password=SecretStr("hunter2-4711")))
    await engine.until(run, "completed")
    assert run.output == {"user": "tom", "password": "**********"}
    assert run.step("kind").output == 1_000_000
    assert [run.step(name).failure.code for name in ("nan", "too_large")] == [
        "invalid_output",
        "output_too_large",
    ]  # type: ignore[union-attr]
    assert "hunter2" not in f"{run.state}{run.events}{run.table}"


async def test_a_saga_is_undone_and_everybody_is_told(engine: Engine) -> None:
    """C1, C5, C6."""
    flow = Workflow("saga", retry=Retry(2, base="1s"))
    told: list[str] = []
    for name in ("reserve", "charge", "ship"):
        step = flow.add(name, lambda name=name: f"{name} done", after=told_before(name))
        step.compensate(undoing(name, told))
    flow.add("end", failing("down"), after="ship")

    @flow.on_failure
    def failed(happened: Happened) -> None:
        assert happened.failure is not None
        told.append(f"{happened.step} {happened.failure.code}")

    @flow.on_attempt_fail
    def attempt(happened: Happened) -> None:
        told.append(f"attempt {happened.attempt} of {happened.step}")

    engine.fail("charge", times=1)
    run = await engine.start(flow)
    await engine.until(run, "compensated", "compensation_failed", "failed")
    assert run.status == "compensation_failed"
    assert [text for text in told if text.startswith("undo")] == ["undo ship", "undo charge", "undo reserve"]
    assert "attempt 1 of charge" in told
    assert "end down" in told
    assert [run.step(name).status for name in ("reserve", "charge", "ship")] == [
        "compensated",
        "completed",
        "compensated",
    ]


def told_before(name: str) -> Any:
    return {"reserve": (), "charge": "reserve", "ship": "charge"}[name]


def undoing(name: str, told: list[str]) -> Any:
    def undo() -> None:
        told.append(f"undo {name}")
        if name == "charge":
            raise Fail("no_refund", retryable=False)

    return undo


async def test_restarts_time_outs_and_breakers(engine: Engine) -> None:
    """C2, C3, C7."""
    again = Workflow("again", restart=Retry(2, base="1s"))
    times: list[int] = []
    again.add("one", lambda: times.append(1))

    @again.step(after="one")
    def fails_once() -> str:
        if len(times) == 1:
            raise Fail("down", retryable=False)
        return "well"

    limits = Workflow("limits", timeout="1h")
    limits.wait_signal("soon", timeout="1m", on_timeout="late")
    limits.add(
        "in_total",
        failing_again,
        retry=Retry(100, backoff="fixed", base="1m"),
        total="5m",
        on_error="continue",
    )
    limits.wait_signal("never", after=["soon", "in_total"])

    bank = Breaker("bank", failures=2, window="1h", reset="10m")
    broken = Workflow("broken")
    broken.add("pay", failing_again, retry=Retry(4, backoff="fixed", base="1s"), breaker=bank)

    first = await engine.start(again)
    second = await engine.start(limits)
    third = await engine.start(broken)
    await engine.until(first, "completed")
    assert (first.output, first.state.attempt, len(times)) == ("well", 2, 2)
    await engine.advance("2m")
    assert third.step("pay").state.held == "gate", "the bank is left alone"
    await engine.advance("1h")
    assert (second.status, second.failure and second.failure.code) == ("failed", "timeout")
    assert second.step("soon").output == "late"
    failure = second.step("in_total").failure
    assert failure is not None
    assert failure.code == "timeout"
    assert third.status == "failed"


def failing_again() -> None:
    raise Fail("busy")


async def test_waits_signals_and_events_make_a_run_go_on(engine: Engine) -> None:
    """D1 to D4 as far as the language needs them, E3."""
    flow = Workflow("waiting")
    flow.wait_event("paid", "payment.captured", key="input.id", timeout="2h")
    flow.wait_signal("go", any_of=["released", "forced"])
    flow.sleep("cool", "10m", after=["paid", "go"])
    flow.add("end", lambda paid, go: [paid, go], after="cool")

    await engine.publish("payment.captured", key="42", data={"amount": 9.5})
    run = await engine.start(flow, {"id": "42"})
    await engine.until_waiting(run)
    await engine.signal(run.id, "forced", {"by": "tom"})
    await engine.advance("10m")
    await engine.until(run, "completed")
    assert run.output == [{"amount": 9.5}, {"signal": "forced", "data": {"by": "tom"}}]


async def test_orders_to_runs_and_steps(engine: Engine) -> None:
    """E5, E6, C9: pause, resume with more context, skip and cancel a step, cancel a run, retry it."""
    flow = Workflow("orders")
    flow.wait_signal("approval")
    flow.wait_signal("review", after="approval")

    @flow.step(after="review")
    def close(ctx: Context, approval: str = "nobody's") -> Any:
        return [approval, ctx.get("by")]

    run = await engine.start(flow)
    await run.pause("for lunch")
    assert run.status == "paused"
    await run.resume(context={"by": "ann"})
    await run.skip_step("approval", "not needed")
    await engine.signal(run.id, "review")
    await engine.until(run, "completed")
    assert run.output == ["nobody's", "ann"]
    assert run.state.requests.resume is not None

    other = await engine.start(flow)
    await other.cancel("no longer wanted")
    await engine.until(other, "cancelled")
    assert other.state.requests.cancel is not None
    assert other.state.requests.cancel.reason == "no longer wanted"

    fixed: list[bool] = []
    broken = Workflow("broken")
    broken.add("once", lambda: "once")

    @broken.step
    def work(once: str) -> str:
        if not fixed:
            raise Fail("down", retryable=False)
        return f"{once} more"

    third = await engine.start(broken)
    await engine.until(third, "failed")
    fixed.append(True)
    await third.retry()
    await engine.until(third, "completed")
    assert (third.output, engine.calls("once")) == ("once more", 1)


async def test_starts_later_on_other_queues_and_lists(engine: Engine) -> None:
    """E1, E4, E10."""
    flow = Workflow("later")

    @flow.step(queue="slow")
    def work(ctx: Context) -> str:
        ctx.log.warning("working on %s", ctx.run_id)
        print("printed")
        return "done"

    begun = engine.now
    run = await engine.start(flow, id="later-1", after="1h", tags=["night"], priority=5)
    assert run.status == "pending"
    await engine.advance("1h")
    await engine.until(run, "completed")
    started = run.step("work").started
    assert started is not None
    assert started - begun >= timedelta(minutes=59)
    lines = engine.ask(run._target.logs)
    assert [line.text for line in lines] == ["working on later-1", "printed"]
    listed = engine.ask(lambda: engine._target.list(RunFilter(workflow="later", tag="night")))
    assert [each.id for each in listed.runs] == ["later-1"]


async def test_nothing_happens_twice(engine: Engine) -> None:
    """Everything is delivered again and the reconciler is lost: the record of the run does not change."""
    flow = Workflow("twice")

    @flow.step(into="seen")
    def count(ctx: Context) -> int:
        ctx.increment("n")
        return 1

    flow.wait_signal("go", after=count)

    @flow.each("input", after="go")
    async def each(item: int, ctx: Context) -> int:
        ctx.increment("sum", item)
        await asyncio.sleep(0)
        return item

    flow.add("end", lambda each: sum(each))
    run = await engine.start(flow, [1, 2, 3], id="twice")
    await engine.until_waiting(run)
    engine.redeliver()
    engine.restart()
    await engine.signal(run.id, "go", id="once")
    await engine.signal(run.id, "go", id="once")
    await engine.until(run, "completed")
    engine.redeliver()
    engine.restart()
    await engine.until_idle()
    assert run.output == 6
    assert run.context == {"n": 1, "seen": 1, "sum": 6}
    assert [event.type for event in run.events].count("run.completed") == 1


async def test_plain_functions_are_called_in_threads_and_may_run_loops_of_their_own(engine: Engine) -> None:
    """A1: what a library does within a plain function is its own affair."""
    flow = Workflow("threads")

    async def fetch() -> str:
        await asyncio.sleep(0)
        return "fetched"

    flow.add("work", lambda: asyncio.run(fetch()))
    run = await engine.start(flow)
    await engine.until(run, "completed", "failed")
    assert (run.failure, run.output) == (None, "fetched")
