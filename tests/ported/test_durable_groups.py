"""What users of a durable engine's guides rely on: parallel blocks, compensations, children.

Left out: a child that is started inside a step, waited for or not, with its `ref` (D7: here a child is a
step, and its name is its reference).
"""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from stream_durable import Context, Fail, Happened, Jump, Results, Retry, Workflow
from stream_durable.testing.engine import Engine

# Parallel blocks


def dashboard(broken: set[str], on_error: Literal["fail_fast", "complete_all"]) -> Workflow:
    flow = Workflow("dashboard")

    @flow.step
    async def init(input: dict[str, str]) -> str:
        return input["user"]

    def fetch(what: str, init: str) -> str:
        if what in broken:
            raise Fail("unavailable", f"no {what}", retryable=False)
        return f"{what} of {init}"

    flow.add("user", lambda init: fetch("user", init))
    flow.add("orders", lambda init: fetch("orders", init))
    flow.add("notes", lambda init: fetch("notes", init))
    flow.parallel("fetched", ["user", "orders", "notes"], on_error=on_error)

    @flow.step
    async def render(fetched: Results[str]) -> dict[str, Any]:
        return {
            "user": fetched["user"],
            "orders": fetched.ok.get("orders", "nothing"),
            "errors": {name: failure.code for name, failure in fetched.failed.items()},
        }

    return flow


async def test_results_of_a_block_are_had_by_name(engine: Engine) -> None:
    run = await engine.start(dashboard(set(), "fail_fast"), {"user": "ann"})
    await engine.until_idle()

    assert run.output == {"user": "user of ann", "orders": "orders of ann", "errors": {}}


async def test_a_block_may_complete_with_some_failures(engine: Engine) -> None:
    run = await engine.start(dashboard({"orders", "notes"}, "complete_all"), {"user": "ann"})
    await engine.until_idle()

    assert run.status == "completed"
    assert run.output == {
        "user": "user of ann",
        "orders": "nothing",
        "errors": {"orders": "unavailable", "notes": "unavailable"},
    }
    assert run.step("fetched").status == "completed"
    assert run.step("orders").status == "failed"


async def test_a_block_fails_with_its_first_failure(engine: Engine) -> None:
    flow = Workflow("fail_fast")

    @flow.step
    async def broken() -> None:
        await asyncio.sleep(1)
        raise Fail("broken", retryable=False)

    @flow.step
    async def slow() -> None:
        await asyncio.sleep(3600)

    flow.parallel("both", [broken, slow])
    flow.add("after", lambda: None, after="both")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert run.step("both").status == "failed"
    assert run.step("slow").status == "cancelled", "the others are cancelled"
    assert run.failure is not None
    assert (run.failure.code, run.failure.step) == ("broken", "broken")


async def test_the_last_step_of_all_may_be_a_block(engine: Engine) -> None:
    flow = Workflow("only_a_block")
    flow.parallel("both", [flow.add("a", lambda: 1), flow.add("b", lambda: 2, when=lambda input: False)])

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.output == {"a": {"output": 1}, "b": {"skipped": True}}


async def test_a_member_is_retried_by_itself(engine: Engine) -> None:
    flow = Workflow("retry_in_block")

    @flow.step(retry=Retry(5, base="1s"))
    async def external(ctx: Context) -> int:
        if ctx.attempt < 4:
            raise ConnectionError("busy")
        return ctx.attempt

    local = flow.add("local", lambda: "local")
    flow.parallel("both", [external, local])
    flow.add("merge", lambda both: both.ok)

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.output == {"external": 4, "local": "local"}
    assert run.step("local").attempts == 1


async def test_members_do_not_see_each_other(engine: Engine) -> None:
    flow = Workflow("isolated")

    @flow.step
    async def a(ctx: Context) -> None:
        ctx.put("value", 42)

    @flow.step
    async def b(ctx: Context) -> Any:
        await asyncio.sleep(5)
        return ctx.get("value")

    flow.parallel("both", [a, b])
    flow.add("then", lambda both: both["b"])

    run = await engine.start(flow)
    await engine.until_idle()

    assert (run.output, run.context) == (None, {"value": 42})


@pytest.mark.parametrize(("sms", "mail", "output"), [(1, 1, "all"), (1, 0, "partial"), (0, 0, None)])
async def test_the_step_after_a_block_decides_what_a_failure_means(
    engine: Engine, sms: int, mail: int, output: str | None
) -> None:
    flow = Workflow("notifications")

    def send(works: int) -> str:
        if not works:
            raise Fail("down", retryable=False)
        return "sent"

    flow.add("sms", lambda input: send(input["sms"]))
    flow.add("mail", lambda input: send(input["mail"]))
    flow.parallel("sent", ["sms", "mail"], on_error="complete_all")

    @flow.step
    async def check(sent: Results[str]) -> str:
        if not sent.ok:
            raise Fail("all_failed", "nobody could be told", retryable=False)
        return "partial" if sent.failed else "all"

    run = await engine.start(flow, {"sms": sms, "mail": mail})
    await engine.until_idle()

    assert run.status == ("completed" if output else "failed")
    assert run.output == output


def order_checks() -> Workflow:
    """What the older block does in its `into:` function, the step after the block does here."""
    flow = Workflow("order_checks")

    def check(name: str, outcome: str) -> dict[str, Any]:
        if outcome != "ok":
            raise Fail(outcome, f"{name}: {outcome}", retryable=False)
        return {"ok": name}

    flow.add("inventory", lambda input: check("inventory", input["inventory"]))
    flow.add("payment", lambda input: check("payment", input["payment"]))
    flow.parallel("checks", ["inventory", "payment"], on_error="complete_all")

    @flow.step
    async def decide(checks: Results) -> Any:
        failed = {name: failure.code for name, failure in checks.failed.items()}
        if not failed:
            return {"ready": list(checks.ok)}
        if failed.get("inventory") == "out_of_stock":
            return Jump("backorder")
        if failed == {"payment": "card_declined"}:
            return Jump("payment_issue")
        raise Fail("not_valid", "the order cannot be checked", details=failed, retryable=False)

    @flow.step(after=decide)
    async def fulfil(decide: dict[str, Any]) -> str:
        return f"fulfilled {decide['ready']}"

    flow.add(
        "payment_issue", lambda: "asked for another card", after=fulfil, when=lambda fulfil: fulfil is None
    )
    flow.add("backorder", lambda: "ordered", after="payment_issue", when=lambda fulfil: fulfil is None)
    return flow


@pytest.mark.parametrize(
    ("inventory", "payment", "status", "done"),
    [
        ("ok", "ok", "completed", ["fulfil"]),
        ("ok", "card_declined", "completed", ["payment_issue", "backorder"]),
        ("out_of_stock", "ok", "completed", ["backorder"]),
        ("ok", "bank_down", "failed", []),
    ],
)
async def test_results_of_a_block_decide_where_to_go_on(
    engine: Engine, inventory: str, payment: str, status: str, done: list[str]
) -> None:
    """A jump leads to one step and all after it, as there; what is not wanted then has a condition."""
    run = await engine.start(order_checks(), {"inventory": inventory, "payment": payment})
    await engine.until_idle()

    assert run.status == status
    steps = ("fulfil", "payment_issue", "backorder")
    assert [name for name in steps if run.step(name).status == "completed"] == done


async def test_a_block_in_which_so_many_run_at_once(engine: Engine) -> None:
    flow = Workflow("limited")
    under_way: list[str] = []
    most: list[int] = []

    async def work(ctx: Context) -> None:
        under_way.append(ctx.step)
        most.append(len(under_way))
        await asyncio.sleep(1)
        under_way.remove(ctx.step)

    flow.parallel("block", [flow.add(f"work_{i}", work) for i in range(7)], concurrency=2)

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "completed"
    assert max(most) == 2


# Compensations


class Booking(BaseModel):
    id: str
    price: int


def trip(log: list[str], *, broken: tuple[str, ...] = ("charge",), again: int = 0) -> Workflow:
    flow = Workflow("trip")

    def do(what: str) -> None:
        log.append(what)
        if what in broken:
            raise Fail("broken", f"{what} failed", retryable=True)

    @flow.step
    async def book_flight(input: dict[str, str]) -> Booking:
        do("book_flight")
        return Booking(id=f"flight {input['flight']}", price=300)

    @book_flight.compensate
    async def cancel_flight(book_flight: Booking) -> str:
        do("cancel_flight")
        return f"cancelled {book_flight.id}"

    @flow.step(after=book_flight)
    async def book_hotel(input: dict[str, str]) -> Booking:
        do("book_hotel")
        return Booking(id=f"hotel {input['hotel']}", price=200)

    @book_hotel.compensate(retry=Retry(3, backoff="exponential", base="1s"))
    async def cancel_hotel(book_hotel: Booking, ctx: Context) -> str:
        if ctx.attempt <= again:
            log.append("cancel_hotel: busy")
            raise ConnectionError("busy")
        do("cancel_hotel")
        return f"cancelled {book_hotel.id}"

    @flow.step
    async def charge(book_flight: Booking, book_hotel: Booking) -> int:
        do("charge")
        return book_flight.price + book_hotel.price

    return flow


PARIS = {"flight": "AF1", "hotel": "Ritz"}


async def test_a_trip_is_booked(engine: Engine) -> None:
    log: list[str] = []
    run = await engine.start(trip(log, broken=()), PARIS)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", 500)
    assert log == ["book_flight", "book_hotel", "charge"]


async def test_a_trip_that_cannot_be_paid_is_undone_last_booking_first(engine: Engine) -> None:
    log: list[str] = []
    run = await engine.start(trip(log), PARIS)
    await engine.until_idle()

    assert run.status == "compensated"
    assert log == ["book_flight", "book_hotel", "charge", "cancel_hotel", "cancel_flight"]
    results = {name: run.step(name) for name in ("book_hotel~compensate", "book_flight~compensate")}
    assert [step.status for step in results.values()] == ["completed", "completed"]
    assert [step.output for step in results.values()] == ["cancelled hotel Ritz", "cancelled flight AF1"]


async def test_what_undoes_a_step_has_its_own_retries(engine: Engine) -> None:
    log: list[str] = []
    run = await engine.start(trip(log, again=2), PARIS)
    await engine.until(run, "compensated")

    assert log[3:] == ["cancel_hotel: busy", "cancel_hotel: busy", "cancel_hotel", "cancel_flight"]
    assert run.step("book_hotel~compensate").attempts == 3


async def test_all_is_undone_that_can_be(engine: Engine) -> None:
    log: list[str] = []
    run = await engine.start(trip(log, broken=("charge", "cancel_hotel")), PARIS)
    await engine.until(run, "compensation_failed")

    assert log[-1] == "cancel_flight"
    assert run.step("book_hotel~compensate").status == "failed"
    failure = run.step("book_hotel~compensate").failure
    assert failure is not None
    assert failure.message == "cancel_hotel failed"
    assert run.step("book_flight").status == "compensated"
    assert run.failure is not None
    assert run.failure.step == "charge"


async def test_members_of_blocks_and_clauses_and_items_are_undone_too(engine: Engine) -> None:
    flow = Workflow("deep_saga")
    undone: list[Any] = []
    branch = flow.branch("branch", on="input.kind")

    @branch.case("a")
    async def in_clause() -> str:
        return "clause"

    @in_clause.compensate
    async def undo_clause(in_clause: str) -> None:
        undone.append(in_clause)

    @flow.each("input.items", after=branch, concurrency=1)
    async def item_step(item: int) -> int:
        return item * 10

    @item_step.compensate
    async def undo_item(item_step: int, item: int) -> None:
        undone.append((item, item_step))

    @flow.step(after=item_step)
    async def broken() -> None:
        raise Fail("broken", retryable=False)

    run = await engine.start(flow, {"kind": "a", "items": [1, 2, 3]})
    await engine.until_idle()

    assert run.status == "compensated"
    assert undone == [(3, 30), (2, 20), (1, 10), "clause"]


# Workflows that start others


def payment_workflow() -> Workflow:
    payment = Workflow("payment")

    @payment.step
    async def process(input: dict[str, float]) -> dict[str, Any]:
        if input["amount"] > 100:
            raise Fail("declined", "the card was declined", details={"limit": 100}, retryable=False)
        return {"payment_id": f"pay_{input['amount']:g}"}

    return payment


async def test_a_parent_waits_for_its_child(engine: Engine) -> None:
    """There the parent sees the child's whole context; here it sees what the child puts out."""
    email = Workflow("mailer")

    @email.step
    async def deliver(input: dict[str, str], ctx: Context) -> str:
        ctx.put("delivered", True)
        return f"{input['template']} to {input['to']}"

    flow = Workflow("order_with_children")

    @flow.step
    async def validate(input: dict[str, Any]) -> dict[str, Any]:
        return input

    flow.child("charge", payment_workflow(), input={"amount": "validate.total"}, timeout="1h")
    flow.child("mail", email, input={"to": "validate.email", "template": '="confirmed"'}, after="charge")

    @flow.step
    async def complete(charge: dict[str, str], mail: str) -> list[str]:
        return [charge["payment_id"], mail]

    run = await engine.start(flow, {"id": "o-1", "total": 99.0, "email": "ann@example.org"}, id="o-1")
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", ["pay_99", "confirmed to ann@example.org"])
    assert [child.id for child in run.children] == ["o-1//charge", "o-1//mail"]
    assert {child.state.parent for child in run.children} == {"o-1"}
    assert engine.run("o-1//charge").status == "completed"


async def test_a_child_may_have_children(engine: Engine) -> None:
    c, b, a = Workflow("lowest"), Workflow("middle"), Workflow("highest")
    c.add("work", lambda: {"found": "done"})
    b.child("call_c", c)
    b.add("hand_on", lambda call_c: {"handed_on": call_c["found"]})
    a.child("call_b", b)

    run = await engine.start(a, id="a")
    await engine.until_idle()

    assert run.output == {"handed_on": "done"}
    assert [each.id for each in engine.runs] == ["a", "a//call_b", "a//call_b//call_c"]


async def test_a_child_that_fails_fails_its_parent(engine: Engine) -> None:
    flow = Workflow("not_resilient")
    flow.child("pay", payment_workflow(), input={"amount": "input"})
    flow.add("after", lambda pay: pay)

    run = await engine.start(flow, 500)
    await engine.until_idle()

    assert run.status == "failed"
    assert run.failure is not None
    assert (run.failure.code, run.failure.step) == ("declined", "pay")
    failure = run.step("pay").failure
    assert failure is not None
    assert "the card was declined" in failure.message


async def test_a_parent_can_go_on_when_its_child_has_failed(engine: Engine) -> None:
    flow = Workflow("tolerant_order")
    flow.child("pay", payment_workflow(), input={"amount": "input"}, on_error="continue")
    paid = flow.branch("paid", on=lambda pay: pay is not None)
    paid.add(True, "fulfil", lambda: {"fulfilled": True})
    paid.add(False, "tell", lambda: {"fulfilled": False})

    small = await engine.start(flow, 50)
    large = await engine.start(flow, 500)
    await engine.until_idle()

    assert (small.status, small.output) == ("completed", {"fulfilled": True})
    assert (large.status, large.output) == ("completed", {"fulfilled": False})
    assert large.step("pay").status == "failed"


async def test_a_child_that_takes_too_long_is_given_up(engine: Engine) -> None:
    """There a value of the author's stands in for it; here the step fails, and `on_error=` says what then."""
    slow = Workflow("slow_child")
    slow.wait_signal("never")
    flow = Workflow("impatient")
    flow.child("wait", slow, timeout="2h", on_error="continue")
    flow.add("then", lambda wait: "gave up" if wait is None else wait)

    run = await engine.start(flow, id="p")
    await engine.advance("2h")
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", "gave up")
    failure = run.step("wait").failure
    assert failure is not None
    assert failure.code == "timeout"
    assert engine.run("p//wait").status == "cancelled"


async def test_children_in_a_block_may_wait(engine: Engine) -> None:
    """There a child in a block must not wait; here it may."""
    lookup, stock = Workflow("customer_lookup"), Workflow("inventory_check")
    lookup.sleep("nap", "1h")
    lookup.add("answer", lambda input: f"customer {input}", after="nap")
    stock.add("answer", lambda: (_ for _ in ()).throw(Fail("unknown_item", retryable=False)))
    flow = Workflow("enriched_order")
    flow.parallel(
        "enriched",
        [flow.child("customer", lookup, input="input"), flow.child("stock", stock)],
        on_error="complete_all",
    )
    flow.add("process", lambda enriched: [enriched.ok, sorted(enriched.failed)])

    run = await engine.start(flow, 7)
    await engine.until_waiting(run)
    await engine.advance("1h")

    assert (run.status, run.output) == ("completed", [{"customer": "customer 7"}, ["stock"]])


async def test_cancelling_a_parent_cancels_its_children_and_theirs(engine: Engine) -> None:
    quick, grandchild, child = Workflow("quick"), Workflow("grandchild"), Workflow("child")
    quick.add("done", lambda: 1)
    grandchild.wait_signal("never")
    child.child("below", grandchild)
    told: list[str] = []

    @child.on_cancel
    async def tell(happened: Happened) -> None:
        told.append(f"{happened.run}: {happened.reason}")

    flow = Workflow("parent")
    flow.child("quick", quick)
    flow.child("slow", child)

    run = await engine.start(flow, id="p")
    await engine.until_idle()
    await run.cancel("nobody wants it")
    await engine.until_idle()

    assert {each.id: each.status for each in engine.runs} == {
        "p": "cancelled", "p//quick": "completed", "p//slow": "cancelled", "p//slow//below": "cancelled",
    }  # fmt: skip
    assert len(told) == 1
    assert told[0].startswith("p//slow: ")


async def test_a_child_that_somebody_cancels_fails_the_step_of_its_parent(engine: Engine) -> None:
    child = Workflow("cancelled_child")
    child.wait_signal("never")
    flow = Workflow("parent_of_cancelled")
    flow.child("wait", child)

    run = await engine.start(flow, id="p")
    await engine.until_waiting(run)
    await engine.run("p//wait").cancel("not needed")
    await engine.until_idle()

    assert run.status == "failed"
    failure = run.step("wait").failure
    assert failure is not None
    assert failure.code == "cancelled"
    assert "not needed" in failure.message


async def test_a_failure_of_a_parent_cancels_its_children(engine: Engine) -> None:
    child = Workflow("waiting_child")
    child.wait_signal("never")
    flow = Workflow("failing_parent")
    flow.child("wait", child)

    @flow.step
    async def broken() -> None:
        raise Fail("broken", retryable=False)

    run = await engine.start(flow, id="p")
    await engine.until_idle()

    assert run.status == "failed"
    assert engine.run("p//wait").status == "cancelled"


async def test_a_child_is_started_once_whatever_crashes(engine: Engine) -> None:
    calls: list[str] = []
    child = Workflow("counted")
    work = child.add("work", lambda: calls.append("work"))
    flow = Workflow("crashing")
    before = flow.add("before", lambda: None)
    flow.child("counted", child, after=before)

    engine.crash_after(before)
    engine.crash_after(work)
    run = await engine.start(flow, id="p")
    engine.restart()
    engine.redeliver()
    await engine.until(run, "completed")

    assert [each.id for each in engine.runs] == ["p", "p//counted"]
    assert engine.run("p//counted").step("work").attempts == 1, "a crash repeats an attempt, and uses up none"
    assert len(calls) >= 2


async def test_two_children_of_one_workflow_have_a_name_each(engine: Engine) -> None:
    email = Workflow("email")
    email.add("send", lambda input: input)
    flow = Workflow("onboarding")
    flow.child("welcome", email, input={"template": '="welcome"'})
    flow.child("getting_started", email, input={"template": '="getting_started"'})

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.output == {
        "welcome": {"template": "welcome"}, "getting_started": {"template": "getting_started"},
    }  # fmt: skip


async def test_what_a_child_under_way_has_done_is_undone_with_its_parent(engine: Engine) -> None:
    done: list[str] = []
    child = Workflow("paying_child")
    pay = child.add("pay", lambda: done.append("paid"))
    pay.compensate(lambda: done.append("refunded"))
    child.wait_signal("delivered", after=pay)
    flow = Workflow("parent_of_payment")
    flow.child("order", child)

    run = await engine.start(flow, id="p")
    await engine.until_waiting(run)
    await run.cancel("changed my mind", compensate=True)
    await engine.until_idle()

    assert done == ["paid", "refunded"]
    assert engine.run("p//order").status == "compensated"


async def test_a_child_that_completed_is_undone_by_a_function_of_its_parent(engine: Engine) -> None:
    undone: list[str] = []
    flow = Workflow("undoing_a_child")
    paid = flow.child("pay", payment_workflow(), input={"amount": "input"})

    @paid.compensate
    async def refund(pay: dict[str, str]) -> None:
        undone.append(pay["payment_id"])

    @flow.step(after=paid)
    async def ship() -> None:
        raise Fail("no_stock", retryable=False)

    run = await engine.start(flow, 50)
    await engine.until_idle()

    assert run.status == "compensated"
    assert run.step("pay").status == "compensated"
    assert undone == ["pay_50"]


# A child that runs again and again


async def test_pages_are_fetched_until_there_are_no_more(engine: Engine) -> None:
    """The older guide has the loop inside a step; here each round is a run of its own."""
    page = Workflow("fetch_page")

    @page.step
    async def fetch(input: dict[str, int]) -> dict[str, Any]:
        return {"done": input["cursor"] == 3, "next": input["cursor"] + 1}

    flow = Workflow("paging")
    flow.child(
        "page", page, input={"cursor": "input.from"}, until="page.done", again={"cursor": "page.next"},
        at_most=10, every="5s",
    )  # fmt: skip

    run = await engine.start(flow, {"from": 1}, id="p")
    await engine.until_waiting(run)
    await engine.advance("10s")

    assert (run.status, run.output) == ("completed", {"done": True, "next": 4})
    assert [child.id for child in run.children] == ["p//page", "p//page/2", "p//page/3"]


async def test_a_child_that_is_never_done_fails_after_so_many_rounds(engine: Engine) -> None:
    page = Workflow("endless_page")
    page.add("fetch", lambda: {"done": False})
    flow = Workflow("endless")
    flow.child("page", page, until="page.done", at_most=3)

    run = await engine.start(flow, id="p")
    await engine.until_idle()

    assert run.status == "failed"
    assert run.failure is not None
    assert "3" in run.failure.message
    assert len(run.children) == 3
