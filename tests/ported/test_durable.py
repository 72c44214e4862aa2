"""What users of a durable engine's reference rely on: pipelines, the context, branches, decisions, waits.

Parallel blocks, compensations and children are in `test_durable_groups`. Left out: input by people (D5),
waits inside a step (D6), waiting until a moment and its helpers (D1), schedules (F), the command line and the
dashboard (H4, H5), migrations, queues and clean-up of old runs (H8, E5, H9). A wait for all of several events
is several waits here.
"""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from stream_durable import Context, DefinitionError, Fail, Finish, Jump, Retry, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing.engine import Engine

# A pipeline


async def test_an_order_goes_from_step_to_step(engine: Engine) -> None:
    """There each step hands a whole map to the next; here a step names those whose outputs it takes."""
    flow = Workflow("order_line", timeout="2h")

    @flow.step
    async def validate(input: dict[str, Any]) -> dict[str, Any]:
        return {"order_id": input["id"], "items": input["items"]}

    @flow.step
    async def total(validate: dict[str, Any]) -> int:
        return sum(item["price"] for item in validate["items"])

    @flow.step(retry=Retry(3))
    async def charge(validate: dict[str, Any], total: int, ctx: Context) -> str:
        if ctx.attempt < 3:
            raise ConnectionError("no answer")
        return f"{validate['order_id']}: {total}"

    @flow.step
    async def confirm(charge: str) -> str:
        return f"confirmed {charge}"

    run = await engine.start(flow, {"id": "o-7", "items": [{"price": 3}, {"price": 4}]})
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", "confirmed o-7: 7")
    assert run.step("charge").attempts == 3


async def test_one_step_is_tried_once_unless_it_says_more(engine: Engine) -> None:
    flow = Workflow("once")

    @flow.step
    async def step() -> None:
        raise RuntimeError("no")

    run = await engine.start(flow)
    await engine.until_idle()

    assert (run.status, run.step("step").attempts) == ("failed", 1)


async def test_a_run_of_one_id_is_one_run(engine: Engine) -> None:
    flow = Workflow("started_twice")
    calls: list[int] = []
    flow.add("count", lambda input: calls.append(input["id"]))

    first = await engine.start(flow, {"id": 7}, id="order-7")
    second = await engine.start(flow, {"id": 7}, id="order-7")
    await engine.until_idle()

    assert (first.created, second.created) == (True, False)
    assert calls == [7]
    with pytest.raises(RejectedError, match="another input"):
        await engine.start(flow, {"id": 8}, id="order-7")


async def test_a_step_runs_in_its_queue_and_all_others_in_that_of_the_run(engine: Engine) -> None:
    flow = Workflow("queues")
    flow.add("classify", lambda: "invoice", queue="ai")
    flow.add("store", lambda classify: classify)

    run = await engine.start(flow, queue="priority")
    await engine.until_idle()

    assert run.status == "completed"
    assert run.state.queue == "priority"


async def test_a_campaign_counts_what_was_sent_and_what_was_not(engine: Engine) -> None:
    """There one step runs through all; here each recipient is a step of its own, and is retried alone."""
    flow = Workflow("campaign")

    @flow.step
    async def load(input: int) -> list[str]:
        return [f"user{i}@example.org" for i in range(input)]

    @flow.each(load, concurrency=10, on_error="complete_all")
    async def send(item: str) -> str:
        if item.startswith("user7"):
            raise Fail("bounced", retryable=False)
        return item

    @flow.step
    async def count(send: list[str | None]) -> dict[str, int]:
        sent = [each for each in send if each is not None]
        return {"sent": len(sent), "failed": len(send) - len(sent)}

    run = await engine.start(flow, 20)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", {"sent": 19, "failed": 1})


# The context


async def test_what_steps_put_into_the_context_stays(engine: Engine) -> None:
    """There and here a merge goes into objects within objects; here `at=` names another one to begin at."""
    flow = Workflow("context")
    seen: dict[str, Any] = {}

    @flow.step
    async def init(ctx: Context[dict[str, Any]]) -> None:
        ctx.put("order_id", ctx.input["id"])
        ctx.put("settings", {"mail": True})
        ctx.merge({"settings": {"sms": True}, "total": 3})
        ctx.merge({"push": False}, at="settings")
        ctx.append("events", {"type": "begun"})
        ctx.increment("tries")
        ctx.increment("total", 4)
        ctx.put("temporary", 1)
        seen["own"] = ctx.get("total"), ctx.has("temporary"), ctx.get("missing"), ctx.get("missing", 5)

    @flow.step(after=init)
    async def change(ctx: Context) -> None:
        ctx.delete("temporary")
        ctx.append("events", {"type": "changed"})
        ctx.update("tries", lambda tries: tries + 10)
        ctx.update("fresh", lambda before: before + 1, default=1)

    @flow.step(after=change)
    async def finalize(ctx: Context) -> dict[str, Any]:
        return {key: ctx.get(key) for key in ("order_id", "total", "tries", "fresh", "temporary")}

    run = await engine.start(flow, {"id": 7})
    await engine.until_idle()

    assert seen["own"] == (7, True, None, 5)
    assert run.output == {"order_id": 7, "total": 7, "tries": 11, "fresh": 2, "temporary": None}
    assert run.context["events"] == [{"type": "begun"}, {"type": "changed"}]
    assert run.context["settings"] == {"mail": True, "sms": True, "push": False}


async def test_a_failed_attempt_leaves_nothing_in_the_context(engine: Engine) -> None:
    flow = Workflow("clean_context")

    @flow.step(retry=Retry(3, base="1s"))
    async def step(ctx: Context) -> int:
        ctx.increment("count")
        if ctx.attempt < 3:
            raise Fail("busy")
        return int(ctx.get("count"))

    run = await engine.start(flow)
    await engine.until_idle()

    assert (run.output, run.context) == (1, {"count": 1})


async def test_steps_side_by_side_see_the_context_as_it_was_and_all_count(engine: Engine) -> None:
    flow = Workflow("side_by_side")
    seen: list[int] = []

    def counts(name: str) -> Callable[[Context], Any]:
        async def count(ctx: Context) -> None:
            ctx.increment("count")
            ctx.append("names", name)
            await asyncio.sleep(1)
            seen.append(ctx.get("count"))

        return count

    names = ["a", "b", "c"]
    for name in names:
        flow.add(name, counts(name))

    @flow.step(after=names)
    async def last(ctx: Context) -> list[Any]:
        return [ctx.get("count"), sorted(ctx.get("names"))]

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.output == [3, names]
    assert seen == [1, 1, 1], "none sees what the others do"


# Branches


def by_kind(*, on: Any, cases: dict[Any, str], default: str | None = None) -> Workflow:
    flow = Workflow("patterns")
    flow.add("classify", lambda input: {"kind": input})
    branch = flow.branch("branch", on=on)
    for value, name in cases.items():
        branch.add(value, name, lambda: "handled")
    if default is not None:
        branch.otherwise(name=default)(lambda: "handled")
    flow.add("save", lambda branch: branch)
    return flow


@pytest.mark.parametrize(
    ("cases", "value", "chosen"),
    [
        ({"pdf": "pdf", "docx": "docx"}, "docx", "docx"),
        ({"pdf": "pdf", "docx": "docx"}, "odt", "rest"),
        ({True: "premium", False: "standard"}, True, "premium"),
        ({True: "premium", False: "standard"}, False, "standard"),
        ({1: "one", 2: "two", 100: "hundred"}, 100, "hundred"),
        ({1: "one", 2: "two"}, "1", "rest"),
        ({1: "one", 2: "two"}, True, "rest"),
        ({"a": "a"}, None, "rest"),
    ],
)
async def test_a_branch_picks_the_clause_for_a_value(
    engine: Engine, cases: dict[Any, str], value: Any, chosen: str
) -> None:
    flow = by_kind(on="classify.kind", cases=cases, default="rest")
    run = await engine.start(flow, value)
    await engine.until_idle()

    assert run.status == "completed"
    statuses = {name: run.step(name).status for name in (*cases.values(), "rest")}
    assert statuses.pop(chosen) == "completed"
    assert set(statuses.values()) == {"skipped"}
    assert run.output == "handled", "the step after it runs whichever ran"


async def test_a_branch_by_a_function(engine: Engine) -> None:
    def tier(classify: dict[str, Any]) -> str:
        return "executive" if classify["kind"] > 10_000 else "manager" if classify["kind"] > 1_000 else "auto"

    flow = by_kind(on=tier, cases={"executive": "cfo", "manager": "boss", "auto": "nobody"})
    chosen = []
    for amount in (20_000, 5_000, 50):
        run = await engine.start(flow, amount)
        await engine.until_idle()
        assert run.status == "completed"
        chosen += [name for name in ("cfo", "boss", "nobody") if run.step(name).status == "completed"]

    assert chosen == ["cfo", "boss", "nobody"]


async def test_a_value_that_no_clause_is_for_skips_them_all(engine: Engine) -> None:
    flow = by_kind(on="classify.kind", cases={"a": "a", "b": "b"})
    run = await engine.start(flow, "z")
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", None)
    assert run.step("branch").status == "completed"
    assert run.step("a").status == run.step("b").status == "skipped"


def documents(kind: str) -> Workflow:
    """A clause of several steps, and a step after the branch that reads what they left in the context."""
    flow = Workflow("documents")

    @flow.step
    async def fetch(input: str) -> dict[str, str]:
        return {"doc": f"document {input}"}

    @flow.step(retry=Retry(3, base="1s"), into="kind")
    async def classify(fetch: dict[str, str], ctx: Context) -> str:
        if ctx.attempt == 1:
            raise ConnectionError("the model is busy")
        return kind

    branch = flow.branch("branch", on=classify)

    @branch.case("invoice", into="extracted")
    async def extract_invoice(fetch: dict[str, str]) -> dict[str, Any]:
        return {"lines": [3, 4], "total": 7}

    @branch.case("invoice", into="valid")
    async def validate_invoice(extract_invoice: dict[str, Any]) -> bool:
        return bool(sum(extract_invoice["lines"]) == extract_invoice["total"])

    @branch.case("contract", into="extracted")
    async def extract_contract(fetch: dict[str, str]) -> dict[str, Any]:
        return {"parties": ["a", "b"]}

    @branch.otherwise
    async def flag(ctx: Context) -> None:
        ctx.put("needs_review", True)

    @flow.step(after=branch)
    async def store(ctx: Context) -> dict[str, Any]:
        keys = ("kind", "extracted", "valid", "needs_review")
        return {key: ctx.get(key) for key in keys if ctx.has(key)}

    return flow


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("invoice", {"extracted": {"lines": [3, 4], "total": 7}, "valid": True}),
        ("contract", {"extracted": {"parties": ["a", "b"]}}),
        ("poem", {"needs_review": True}),
    ],
)
async def test_a_document_is_treated_as_what_it_is(engine: Engine, kind: str, stored: dict[str, Any]) -> None:
    run = await engine.start(documents(kind), "d-5")
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", {"kind": kind, **stored})
    assert run.step("classify").attempts == 2


def test_a_step_after_a_branch_takes_the_branch_and_not_what_is_inside() -> None:
    """There all is in one map; here a step says that it takes the branch, or reads the context."""
    flow = documents("invoice")
    flow.add("publish", lambda extract_contract: extract_contract)
    with pytest.raises(DefinitionError, match=r"'extract_contract', which is inside of branch 'branch'"):
        flow.definition()


# Several steps in a clause


def order_by_type() -> Workflow:
    flow = Workflow("delivery_kinds")

    @flow.step
    async def load(input: str) -> dict[str, str]:
        return {"type": input}

    delivery = flow.branch("delivery", on="load.type")

    @delivery.case("digital")
    async def link() -> str:
        return "download"

    @delivery.case("physical")
    async def shipment(ctx: Context) -> str:
        ctx.put("tracking", "T-1")
        return "shipping"

    @delivery.case("physical")
    async def warehouse(shipment: str, ctx: Context) -> str:
        return f"{shipment} {ctx.get('tracking')}"

    @delivery.case("service")
    async def appointment() -> str:
        return "appointment"

    @delivery.case("service")
    async def invoice() -> str:
        return "invoice"

    @flow.step
    async def confirm(delivery: Any) -> Any:
        return delivery

    return flow


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        ("digital", "download"),
        ("physical", "shipping T-1"),
        ("service", {"appointment": "appointment", "invoice": "invoice"}),
        ("gift", None),
    ],
)
async def test_the_output_of_a_branch_is_that_of_its_last_steps(
    engine: Engine, kind: str, output: Any
) -> None:
    run = await engine.start(order_by_type(), kind)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", output)


async def test_steps_of_a_clause_come_in_the_order_of_their_dependencies(engine: Engine) -> None:
    """There the steps of a clause come one after the other; here those that wait for none begin at once."""
    run = await engine.start(order_by_type(), "service")
    await engine.until_idle()

    assert run.step("appointment").started == run.step("invoice").started


async def test_a_branch_in_a_branch(engine: Engine) -> None:
    flow = Workflow("verification")

    @flow.step
    async def look(input: dict[str, Any]) -> dict[str, Any]:
        return input

    verified = flow.branch("verified", on="look.verified")

    @verified.case(value=True)
    async def already() -> str:
        return "already"

    method = verified.clause(False).branch("method", on="look.method")

    @method.case("email")
    async def mail_code() -> str:
        return "by email"

    @method.case("sms")
    async def sms_code() -> str:
        return "by sms"

    @method.otherwise
    async def ticket() -> str:
        return "by hand"

    flow.add("finish", lambda verified: verified)

    outcomes = []
    for user in (
        {"verified": True, "method": "sms"},
        {"verified": False, "method": "sms"},
        {"verified": False, "method": "pigeon"},
    ):
        run = await engine.start(flow, user)
        await engine.until_idle()
        assert run.status == "completed"
        outcomes.append(run.output)

    assert outcomes == ["already", "by sms", "by hand"]


async def test_a_failure_in_a_clause_fails_the_branch_and_the_run(engine: Engine) -> None:
    flow = Workflow("failing_clause")
    branch = flow.branch("branch", on="input")

    @branch.case("a")
    async def broken() -> None:
        raise Fail("broken", retryable=False)

    flow.add("after", lambda: None, after=branch)

    run = await engine.start(flow, "a")
    await engine.until_idle()

    assert run.status == "failed"
    assert run.step("branch").status == "failed"
    assert run.failure is not None
    assert (run.failure.code, run.failure.step) == ("broken", "broken")


# Decisions


def with_decision() -> Workflow:
    flow = Workflow("decision")

    @flow.step
    async def check(input: int) -> dict[str, Any] | Jump:
        return Jump("review", {"total": input}) if input > 1_000 else {"total": input}

    flow.add("optional", lambda: "optional", after=check)
    flow.add("also_optional", lambda: "optional", after="optional")

    @flow.step(after="also_optional")
    async def review(check: dict[str, Any], optional: str | None) -> list[Any]:
        return [check["total"], optional]

    return flow


async def test_a_decision_goes_on_step_by_step(engine: Engine) -> None:
    run = await engine.start(with_decision(), 10)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", [10, "optional"])


async def test_a_decision_jumps_and_what_is_between_is_skipped(engine: Engine) -> None:
    run = await engine.start(with_decision(), 5_000)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", [5_000, None])
    assert run.step("optional").status == run.step("also_optional").status == "skipped"
    assert run.step("check").status == "completed"


async def test_a_decision_cannot_jump_back(engine: Engine) -> None:
    flow = Workflow("backwards")
    flow.add("first", lambda: 1)
    flow.add("second", lambda first: Jump("first"))

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure.code == "bad_jump"
    assert "'first'" in run.failure.message


async def test_a_step_may_end_the_run(engine: Engine) -> None:
    flow = Workflow("early_end")

    @flow.step
    async def look(input: str) -> str | Finish:
        return Finish({"cached": input}) if input == "known" else input

    @flow.step
    async def work(look: str) -> str:
        return f"worked on {look}"

    known = await engine.start(flow, "known")
    fresh = await engine.start(flow, "fresh")
    await engine.until_idle()

    assert (known.status, known.output) == ("completed", {"cached": "known"})
    assert known.step("work").attempts == 0
    assert fresh.output == "worked on fresh"


# Waits as steps


async def test_a_trial_reminds_after_days(engine: Engine) -> None:
    flow = Workflow("trial")
    sent: list[str] = []
    flow.add("welcome", lambda: sent.append("welcome"))
    flow.sleep("three_days", "3d", after="welcome")
    flow.add("tips", lambda: sent.append("tips"), after="three_days")
    flow.sleep("rest_of_trial", "11d", after="tips")
    flow.add("convert", lambda input: input["active"], after="rest_of_trial")

    run = await engine.start(flow, {"active": True})
    await engine.until_waiting(run)
    assert sent == ["welcome"]

    await engine.advance("3d")
    assert sent == ["welcome", "tips"]
    assert run.status == "waiting"

    await engine.advance("11d")
    assert (run.status, run.output) == ("completed", True)


def payment_flow() -> Workflow:
    flow = Workflow("invoice_payment")
    flow.add("invoice", lambda input: {"invoice": f"i-{input['order']}"})
    expired = {"signal": "payment.expired", "data": None}
    flow.wait_signal(
        "payment",
        any_of=["payment.success", "payment.failed"],
        timeout="7d",
        on_timeout=expired,
        after="invoice",
    )
    result = flow.branch("result", on="payment.signal")

    @result.case("payment.success")
    async def fulfil(payment: dict[str, Any]) -> str:
        return f"fulfilled {payment['data']['transaction']}"

    @result.otherwise
    async def cancel(payment: dict[str, Any]) -> str:
        return f"cancelled after {payment['signal']}"

    return flow


async def test_the_first_of_several_signals_wins(engine: Engine) -> None:
    run = await engine.start(payment_flow(), {"order": "7"}, id="pay-7")
    await engine.until_waiting(run)
    await engine.advance("2d")
    await engine.signal("pay-7", "payment.success", {"transaction": "t-9"})
    await engine.signal("pay-7", "payment.failed", {"transaction": "t-9"})
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", "fulfilled t-9")


async def test_a_wait_that_is_over_has_the_value_that_was_named(engine: Engine) -> None:
    run = await engine.start(payment_flow(), {"order": "7"})
    await engine.until_waiting(run)
    await engine.advance("7d")

    assert (run.status, run.output) == ("completed", "cancelled after payment.expired")


async def test_an_event_wakes_the_run_that_it_is_about(engine: Engine) -> None:
    """There an event is sent to a run; here to whoever waits for its key, also if it comes first."""
    flow = Workflow("shipment")
    flow.add("ship", lambda input: {"tracking": input})
    flow.wait_event("delivered", "shipment.delivered", key="ship.tracking", timeout="14d", on_timeout="lost")
    flow.add("close", lambda delivered: delivered)

    await engine.publish("shipment.delivered", key="T-1", data={"at": "noon"})
    early = await engine.start(flow, "T-1")
    late = await engine.start(flow, "T-2")
    lost = await engine.start(flow, "T-3")
    await engine.until_idle()
    assert (early.output, late.status) == ({"at": "noon"}, "waiting")

    await engine.publish("shipment.delivered", key="T-2", data={"at": "dusk"})
    assert late.output == {"at": "dusk"}
    await engine.advance("14d")
    assert (lost.status, lost.output) == ("completed", "lost")


async def test_a_contract_needs_all_approvals(engine: Engine) -> None:
    flow = Workflow("contract")
    departments = ["legal", "finance", "management"]
    flow.parallel(
        "approvals", [flow.wait_signal(each, timeout="5d") for each in departments], on_error="complete_all"
    )
    flow.add(
        "finalize",
        lambda approvals: "timed out" if approvals.failed
        else "approved" if all(each["approved"] for each in approvals.ok.values()) else "rejected",
    )  # fmt: skip

    approved = await engine.start(flow, id="c-1")
    rejected = await engine.start(flow, id="c-2")
    ignored = await engine.start(flow, id="c-3")
    for each in departments:
        await engine.signal("c-1", each, {"approved": True})
        await engine.signal("c-2", each, {"approved": each != "legal"})
    await engine.signal("c-3", "legal", {"approved": True})
    await engine.until_idle()
    assert (approved.output, rejected.output, ignored.status) == ("approved", "rejected", "waiting")

    await engine.advance("5d")
    assert ignored.output == "timed out"
