"""A10: a group keeps each member's value or failure apart; a step after it merges, fails or jumps."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Fail, Failure, Finish, Jump, Results, Retry, Skip, Workflow
from stream_durable.testing import Engine


class Receipt(BaseModel):
    number: str


def checks(on_error: Any, *, concurrency: int | None = None) -> Workflow:
    flow = Workflow("checks")

    @flow.step
    async def stock() -> int:
        await asyncio.sleep(1)
        return 3

    @flow.step
    async def fraud() -> None:
        await asyncio.sleep(2)
        raise Fail("suspect", "not this one", details={"score": 9}, retryable=False)

    @flow.step
    async def address() -> str:
        await asyncio.sleep(10)
        return "Rome"

    flow.add("vip", lambda: Skip("no vip"))
    flow.parallel("all", [stock, fraud, address, "vip"], on_error=on_error, concurrency=concurrency)
    return flow


async def test_complete_all_lets_all_end_and_completes(engine: Engine) -> None:
    flow = checks("complete_all")

    @flow.step
    def end(all: Results) -> dict[str, Any]:
        assert all["stock"] == 3
        assert isinstance(all["fraud"], Failure)
        assert all["vip"] is None
        assert set(all) == {"stock", "fraud", "address", "vip"}
        fraud = all.failed["fraud"]
        return {"ok": all.ok, "failed": [fraud.code, fraud.message, fraud.details], "skipped": all.skipped}

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == {
        "ok": {"stock": 3, "address": "Rome"},
        "failed": ["suspect", "not this one", {"score": 9}],
        "skipped": ["vip"],
    }
    assert run.step("all").status == "completed"
    assert run.step("fraud").status == "failed"


async def test_the_groups_output_is_on_record(engine: Engine) -> None:
    run = await engine.start(checks("complete_all"))
    await engine.until_idle()
    output = run.output
    assert list(output) == ["stock", "fraud", "address", "vip"], "in the order of the members"
    assert output["stock"] == {"output": 3}
    assert output["fraud"]["failure"]["code"] == "suspect"
    assert output["vip"] == {"skipped": True}


async def test_fail_fast_ends_with_the_first_failure_and_cancels_the_others(engine: Engine) -> None:
    flow = checks("fail_fast")
    flow.add("end", lambda: "never", after="all")
    begun = engine.now
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert (engine.now - begun).total_seconds() < 5
    failure = run.failure
    assert failure is not None
    assert (failure.step, failure.code, failure.details) == ("fraud", "suspect", {"score": 9})
    assert {name: step.status for name, step in run.steps.items() if name != "end"} == {
        "stock": "completed", "fraud": "failed", "address": "cancelled", "vip": "skipped", "all": "failed",
    }  # fmt: skip


async def test_fail_fast_is_the_default(engine: Engine) -> None:
    flow = Workflow("default")
    flow.add("a", lambda: 1 / 0)
    flow.parallel("all", ["a"])
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "failed"


async def test_members_that_have_not_had_their_turn_never_begin_after_a_failure(engine: Engine) -> None:
    run = await engine.start(checks("fail_fast", concurrency=1))
    await engine.until_idle()
    assert run.status == "failed"
    assert engine.calls("address") == 0
    assert run.step("address").status == "cancelled"


async def test_a_member_fails_for_good_only_after_its_attempts(engine: Engine) -> None:
    flow = Workflow("retried", retry=Retry(3, base="1s"))
    engine.fail("flaky", times=2)
    flow.add("flaky", lambda: "well")
    flow.parallel("all", ["flaky"])
    flow.add("end", lambda all: all.ok)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == {"flaky": "well"}


async def test_a_member_that_may_fail_does_not_end_a_group_that_fails_fast(engine: Engine) -> None:
    """`on_error="continue"` says that its failure is no matter, and that holds within a group too."""
    flow = Workflow("lenient")

    @flow.step(on_error="continue")
    def fails() -> None:
        raise Fail("down", retryable=False)

    @flow.step(on_error="skip")
    def skips() -> None:
        raise Fail("down", retryable=False)

    @flow.step
    async def slow() -> str:
        await asyncio.sleep(5)
        return "slow"

    flow.parallel("all", [fails, skips, slow])

    @flow.step
    def end(all: Results) -> Any:
        return [all.ok, sorted(all.failed), all.skipped]

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", [{"slow": "slow"}, ["fails"], ["skips"]])


@pytest.mark.parametrize("how", ["merges", "fails", "jumps", "finishes"])
async def test_what_comes_after_a_group_merges_fails_jumps_or_finishes(engine: Engine, how: str) -> None:
    flow = checks("complete_all")

    @flow.step
    def into(all: Results) -> Any:
        match how:
            case "merges":
                return {**all.ok, "failed": sorted(all.failed)}
            case "fails":
                raise Fail("checks", f"{', '.join(all.failed)} failed", retryable=False)
            case "jumps":
                return Jump("review", "jumped")
            case "finishes":
                return Finish("finished")

    flow.add("go", lambda into: {"gone": into})
    flow.add("review", lambda into, go: [into, go])
    run = await engine.start(flow)
    await engine.until_idle()
    if how == "fails":
        assert run.failure is not None
        assert (run.status, run.failure.message) == ("failed", "fraud failed")
        return
    merged = {"stock": 3, "address": "Rome", "failed": ["fraud"]}
    assert run.output == {
        "merges": [merged, {"gone": merged}],
        "jumps": ["jumped", None],
        "finishes": "finished",
    }[how]  # fmt: skip
    assert run.step("go").status == {"merges": "completed", "jumps": "skipped", "finishes": "cancelled"}[how]


async def test_results_in_their_type(engine: Engine) -> None:
    flow = Workflow("typed")
    flow.add("a", lambda: {"number": "1"})
    flow.add("b", lambda: {"number": "2"})
    flow.parallel("all", ["a", "b"])

    @flow.step
    def end(all: Results[Receipt]) -> list[str]:
        return [receipt.number for receipt in all.ok.values()]

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == ["1", "2"]


async def test_members_of_every_kind(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda input: input * 2)
    bad = Workflow("bad")
    bad.add("only", lambda: 1 / 0)
    flow = Workflow("kinds")
    flow.child("small", small, input="input")
    flow.child("bad", bad)
    flow.sleep("nap", "1h")
    flow.wait_signal("go", timeout="10m")

    @flow.each("numbers")
    def each(item: int) -> int:
        return item

    flow.add("numbers", lambda: [1, 2])
    flow.add("x", lambda: "x")
    flow.parallel("inner", ["x"])
    kind = flow.branch("kind", on="input")
    kind.add(3, "three", lambda: "three")
    flow.parallel("all", ["small", "bad", "nap", "go", "each", "inner", "kind"], on_error="complete_all")

    @flow.step
    def end(all: Results) -> Any:
        return [all.ok, {name: failure.code for name, failure in all.failed.items()}]

    run = await engine.start(flow, 3)
    await engine.advance("1h")
    assert run.output == [
        {"small": 6, "nap": None, "each": [1, 2], "inner": {"x": {"output": "x"}}, "kind": "three"},
        {"bad": "ZeroDivisionError", "go": "timeout"},
    ]


async def test_a_group_of_which_all_fail_completes_all_the_same(engine: Engine) -> None:
    flow = Workflow("none")
    flow.add("a", lambda: 1 / 0)
    flow.add("b", lambda: {}["x"])
    flow.parallel("all", ["a", "b"], on_error="complete_all")

    @flow.step
    def end(all: Results) -> Any:
        return [all.ok, {name: failure.code for name, failure in all.failed.items()}]

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", [{}, {"a": "ZeroDivisionError", "b": "KeyError"}])


async def test_a_group_that_is_skipped_gives_none(engine: Engine) -> None:
    flow = Workflow("skipped")
    flow.add("first", lambda: Jump("end"))
    flow.add("a", lambda: 1, after="first")
    flow.parallel("all", ["a"], after="first")

    @flow.step
    def end(all: Results | None) -> bool:
        return all is None

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output is True


def test_a_test_makes_its_own_results() -> None:
    flow = Workflow("own")

    @flow.step
    def end(all: Results[int]) -> int:
        return sum(all.ok.values())

    assert end(Results({"a": 1, "b": 2}, failed={"c": Failure("down")})) == 3
