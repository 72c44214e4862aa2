"""B7: `Jump` as an answer; which steps it passes over is in A9."""

# ruff: noqa: A002 - `input` is what authors write

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from stream_durable import Context, Fail, Jump, Retry, Workflow
from stream_durable.testing import Engine


class Decision(BaseModel):
    amount: float


async def test_its_output_is_that_of_the_step_and_may_be_a_model(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("check", lambda: Jump("close", Decision(amount=9.5)))
    flow.add("review", lambda check: 1)

    @flow.step(after="review")
    def close(check: Decision) -> float:
        assert isinstance(check, Decision)
        return check.amount

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("check").output == {"amount": 9.5}
    assert run.output == 9.5


async def test_without_an_output_it_is_null(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("check", lambda: Jump("close"))
    flow.add("close", lambda check: [check])
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == [None]


async def test_two_steps_may_jump_to_the_same_one(engine: Engine) -> None:
    flow = Workflow("order")
    for side in ("left", "right"):
        flow.add(side, lambda: Jump("close"))
        flow.add(f"{side}_more", lambda: 1, after=side)
    flow.add("close", lambda: "closed", after=["left_more", "right_more"])
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == "closed"
    assert engine.calls("close") == 1


async def test_jumps_follow_each_other(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: Jump("c"))
    flow.add("b", lambda a: 1)
    flow.add("c", lambda: Jump("e"), after="b")
    flow.add("d", lambda c: 1)
    flow.add("e", lambda: "end", after="d")
    run = await engine.start(flow)
    await engine.until_idle()
    assert [step.status for step in run.steps.values()] == [
        "completed",
        "skipped",
        "completed",
        "skipped",
        "completed",
    ]


async def test_a_jump_comes_after_failed_attempts_as_any_answer_does(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step(retry=Retry(2))
    def check(ctx: Context) -> Jump:
        if ctx.attempt == 1:
            raise Fail("busy")
        return Jump("close")

    flow.add("review", lambda check: 1)
    flow.add("close", lambda: "closed", after="review")
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.output, run.step("review").status) == ("closed", "skipped")


async def test_a_jump_is_made_once_however_often_it_is_heard(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("check", lambda: Jump("close"))
    flow.add("review", lambda check: 1)
    flow.wait_signal("go", after="check")
    flow.add("close", lambda: "closed", after=["review", "go"])
    flow.wait_signal("last", after="close")
    run = await engine.start(flow)
    engine.redeliver()
    engine.restart()
    assert run.step("close").output == "closed"
    await engine.signal(run.id, "last", "end")
    assert run.output == "end"
    assert [event.type for event in run.events].count("step.skipped") == 2


async def test_a_bad_jump_may_be_allowed_to_fail(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("check", lambda: Jump("nobody"), on_error="continue")
    flow.add("close", lambda check: [check])
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", [None])


async def test_a_helper_cannot_jump(engine: Engine) -> None:
    flow = Workflow("order")
    told: list[Any] = []

    @flow.step
    def work() -> int:
        return 1

    @work.compensate
    def undo() -> Any:
        told.append("undone")
        return Jump("end")

    @flow.step(after=work)
    def end() -> None:
        raise Fail("down", retryable=False)

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "compensation_failed"
    assert told == ["undone"]
    failure = run.step("work~compensate").failure
    assert failure is not None
    assert failure.code == "bad_jump"
