"""What users of a durable graph layer on a job queue rely on: graphs made by calls, and who waits for whom.

Left out: steps that are completed from outside (D8) and why a step is blocked (H1), with the words that an
operator reads first (H2). What the older layer keeps of signals is about duplicate, late and ambiguous ones
(D3); the two that concern a plain wait are here.
"""

# ruff: noqa: A002 - `input` is what authors write

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from stream_durable import DefinitionError, Fail, Retry, Workflow
from stream_durable.testing.engine import Engine


def sync_customer() -> Workflow:
    """A graph by calls: each step gets what the one before it put out, and the account from the input."""
    flow = Workflow("sync_customer")

    def fetch(input: dict[str, Any]) -> dict[str, int]:
        return {"customer_id": input["account_id"] * 10}

    def bill(input: dict[str, Any], fetch_customer: dict[str, int]) -> dict[str, Any]:
        return {"account": input["account_id"], "billed": fetch_customer["customer_id"]}

    def tell(sync_billing: dict[str, Any]) -> str:
        return f"billed {sync_billing['billed']}"

    flow.add("fetch_customer", fetch)
    flow.add("sync_billing", bill, after=["fetch_customer"])
    flow.add("notify", tell, after=["sync_billing"])
    return flow


async def test_a_graph_made_by_calls_hands_results_on(engine: Engine) -> None:
    run = await engine.start(sync_customer(), {"account_id": 42})
    await engine.until_idle()

    assert run.status == "completed"
    assert run.step("sync_billing").output == {"account": 42, "billed": 420}
    assert run.output == "billed 420"


async def test_a_graph_can_be_made_from_data(engine: Engine) -> None:
    edges = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
    order: list[str] = []
    flow = Workflow("from_data")
    for name, after in edges.items():
        flow.add(name, partial(order.append, name), after=after)

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "completed"
    assert order[0] == "a"
    assert order[-1] == "d"
    assert sorted(order) == ["a", "b", "c", "d"]


# What is refused before anything is stored


def work() -> None: ...


def faults(flow: Workflow) -> list[tuple[str | None, str]]:
    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    return [(fault.step, fault.code) for fault in caught.value.faults]


def test_two_steps_of_one_name_are_refused() -> None:
    flow = Workflow("duplicate")
    flow.add("a", work)
    flow.add("a", work)
    assert faults(flow) == [("a", "duplicate")]


def test_an_edge_to_nowhere_is_refused() -> None:
    flow = Workflow("nowhere")
    flow.add("a", work, after=["b"])
    assert faults(flow) == [("a", "unknown_step")]


def test_an_edge_to_itself_is_refused() -> None:
    flow = Workflow("loop")
    flow.add("a", work, after=["a"])
    assert faults(flow) == [("a", "self_dependency")]


def test_a_cycle_is_refused() -> None:
    flow = Workflow("cycle")
    flow.add("a", work, after=["c"])
    flow.add("b", work, after=["a"])
    flow.add("c", work, after=["b"])
    [(_, code)] = faults(flow)
    assert code == "cycle"


def test_a_payload_that_is_no_json_is_refused_where_it_is_defined() -> None:
    child = Workflow("child")
    child.add("a", work)
    flow = Workflow("payload")
    flow.child("b", child, input={"when": object()})
    assert [step for step, _ in faults(flow)] == ["b"]


async def test_an_input_that_is_no_json_is_refused_when_the_run_is_started(engine: Engine) -> None:
    with pytest.raises(Exception, match=r"JSON|json|serializ"):
        await engine.start(sync_customer(), {"account_id": object()})


async def test_an_output_that_is_no_json_fails_the_step(engine: Engine) -> None:
    flow = Workflow("bad_output")
    flow.add("a", lambda: {"handle": object()})

    run = await engine.start(flow)
    await engine.until_idle()

    failure = run.step("a").failure
    assert run.status == "failed"
    assert failure is not None
    assert "handle" in failure.message
    assert not failure.retryable


# How results release, hold and cancel what comes after


async def test_a_step_that_will_be_tried_again_holds_what_waits_for_it(engine: Engine) -> None:
    flow = Workflow("holding")

    @flow.step(retry=Retry(2, base="1h", cap="1h"))
    async def upstream() -> int:
        if not done:
            done.append("tried")
            raise ConnectionError("try later")
        return 1

    @flow.step
    async def downstream(upstream: int) -> int:
        return upstream + 1

    done: list[str] = []
    run = await engine.start(flow)
    await engine.advance("30m")

    assert run.step("upstream").status == "retrying"
    assert run.step("downstream").status == "pending"

    await engine.advance("31m")
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", 2)


async def test_a_failure_for_good_ends_all_that_waits_for_it(engine: Engine) -> None:
    flow = Workflow("cascading")
    calls: list[str] = []

    @flow.step(retry=Retry(5))
    async def broken() -> None:
        raise Fail("gone", "the account was closed", retryable=False)

    @flow.step(after=broken)
    async def child() -> None:
        calls.append("child")

    @flow.step(after=child)
    async def grandchild() -> None:
        calls.append("grandchild")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert run.failure is not None
    assert (run.failure.code, run.failure.step, run.failure.message) == (
        "gone", "broken", "the account was closed",
    )  # fmt: skip
    assert run.step("broken").attempts == 1
    assert run.step("child").status == run.step("grandchild").status == "cancelled"
    assert calls == []


async def test_what_is_under_way_elsewhere_is_cancelled_too(engine: Engine) -> None:
    flow = Workflow("elsewhere")

    @flow.step
    async def broken() -> None:
        await asyncio.sleep(5)
        raise Fail("gone", retryable=False)

    @flow.step
    async def long() -> None:
        await asyncio.sleep(3600)

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert run.step("long").status == "cancelled"


async def test_an_edge_that_says_so_lets_clean_up_run(engine: Engine) -> None:
    flow = Workflow("continuing")
    calls: list[str] = []

    @flow.step
    async def lock() -> str:
        return "lock-1"

    @flow.step
    async def migrate(lock: str) -> None:
        raise Fail("broken", "no such table", retryable=False)

    @flow.step(after=migrate)
    async def report() -> None:
        calls.append("report")

    @flow.step(after=migrate.even_if_failed)
    async def unlock(lock: str) -> str:
        calls.append(f"unlock {lock}")
        return "unlocked"

    @flow.step
    async def tell(unlock: str) -> None:
        calls.append(f"tell {unlock}")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure.step == "migrate"
    assert calls == ["unlock lock-1", "tell unlocked"], "what follows the clean-up belongs to it"
    assert run.step("unlock").status == run.step("tell").status == "completed"


async def test_clean_up_runs_after_a_success_too(engine: Engine) -> None:
    flow = Workflow("continuing_well")
    calls: list[str] = []

    @flow.step
    async def migrate() -> None: ...

    @flow.step(after=migrate.even_if_failed)
    async def unlock() -> None:
        calls.append("unlock")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "completed"
    assert calls == ["unlock"]


async def test_clean_up_that_waits_for_two_waits_for_the_end_of_both(engine: Engine) -> None:
    flow = Workflow("two_ends")
    ended: list[str] = []

    @flow.step
    async def broken() -> None:
        await asyncio.sleep(1)
        raise Fail("broken", retryable=False)

    @flow.step
    async def long() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("long")

    @flow.step(after=[broken.even_if_failed, long.even_if_failed])
    async def clean() -> None:
        ended.append("clean")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert ended == ["long", "clean"]


async def test_a_failed_step_leaves_no_output_to_the_clean_up(engine: Engine) -> None:
    flow = Workflow("no_output")

    @flow.step
    async def pay() -> str:
        raise Fail("declined", retryable=False)

    @flow.step(after=pay.even_if_failed)
    async def clean(pay: str | None = "nothing was paid") -> str:
        return str(pay)

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert run.step("clean").output == "nothing was paid"


async def test_saying_it_all_twice_changes_nothing(engine: Engine) -> None:
    calls: list[str] = []
    flow = Workflow("twice")

    @flow.step
    async def a() -> int:
        calls.append("a")
        return len(calls)

    @flow.step
    async def b(a: int) -> int:
        calls.append("b")
        return a

    @flow.step
    async def c(b: int) -> int:
        calls.append("c")
        return b

    run = await engine.start(flow)
    await engine.until_idle()
    engine.redeliver()
    await engine.until_idle()

    assert run.status == "completed"
    assert run.output == 1
    assert {name: run.step(name).attempts for name in ("a", "b", "c")} == {"a": 1, "b": 1, "c": 1}


# What was asked is kept apart from what came of it


async def test_a_request_to_cancel_is_kept_whatever_comes_of_it(engine: Engine) -> None:
    flow = Workflow("asked")

    @flow.step
    async def charge() -> str:
        return "charged"

    @charge.compensate
    async def refund(charge: str) -> None: ...

    flow.wait_signal("go", after=charge)

    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.cancel("the customer left", compensate=True)
    await engine.until_idle()

    assert run.status == "compensated", "the outcome"
    request = run.state.requests.cancel
    assert request is not None
    assert (request.reason, request.compensate) == ("the customer left", True)


async def test_a_request_that_comes_too_late_changes_nothing(engine: Engine) -> None:
    flow = Workflow("too_late")
    flow.add("a", lambda: 1)

    run = await engine.start(flow)
    await engine.until_idle()
    await run.cancel("too late")
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", 1)


async def test_a_signal_before_its_wait_is_kept_and_a_second_one_changes_nothing(engine: Engine) -> None:
    flow = Workflow("signals")
    flow.sleep("pause", "1h")
    flow.wait_signal("released", after="pause")

    run = await engine.start(flow)
    await engine.signal(run.id, "released", {"by": "ann"})
    await engine.signal(run.id, "released", {"by": "tom"})
    await engine.advance("1h")
    await engine.until_idle()
    await engine.signal(run.id, "released", {"by": "late"})
    await engine.until_idle()

    assert run.status == "completed"
    assert run.output == {"by": "ann"}
