"""Steps ended by tokens, and inquiries: in memory and on Postgres and Kafka."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from stream_durable import Context, Fail, Workflow
from stream_durable.client import NoAnswer
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


def parcels(tokens: list[str]) -> Workflow:
    flow = Workflow("parcel")

    @flow.step
    def hand_over(ctx: Context) -> None:
        tokens.append(ctx.token("delivered"))
        tokens.append(ctx.token("signed"))

    packed = flow.sleep("packed", "1h", after=hand_over)
    flow.wait_token("delivered", after=packed, heartbeat="6h", timeout="2d")
    flow.wait_token("signed", after=packed, timeout="3d", on_timeout="nobody")
    return flow


async def test_tokens_end_steps_early_once_and_over_a_takeover(engine: Engine) -> None:
    tokens: list[str] = []
    run = await engine.start(parcels(tokens))
    await engine.until_waiting(run)
    await engine.complete(tokens[0], {"at": "10:40 €"}, by="courier")
    engine.restart()
    with pytest.raises(RejectedError) as caught:
        await engine.complete(tokens[0], "twice")
    assert caught.value.code == "used_token"
    await engine.advance("1h")
    assert run.step("delivered").status == "completed"
    assert [wait.kind for wait in engine.ask(engine._target.waits).waits] == ["token"]
    engine.redeliver()
    await engine.fail_token(tokens[1], Fail("refused", "nobody signs"))

    assert run.status == "failed"
    outside = run.step("delivered").state.outside
    assert outside is not None and (outside.by, run.step("delivered").output) == (
        "courier",
        {"at": "10:40 €"},
    )
    failure = run.step("signed").failure
    assert failure is not None and (failure.code, failure.message) == ("refused", "nobody signs")


async def test_silence_and_the_end_of_the_time_are_told_apart(engine: Engine) -> None:
    tokens: list[str] = []
    run = await engine.start(parcels(tokens))
    await engine.until_waiting(run)
    await engine.advance("2h")
    await engine.heartbeat(tokens[0])
    engine.restart()
    await engine.advance("5h")
    assert run.step("delivered").status == "waiting"
    await engine.advance("2h")
    failure = run.step("delivered").failure
    assert failure is not None and failure.message == "no heartbeat came within 21600000 ms"


class Question(BaseModel):
    items: int


def shop() -> Workflow:
    flow = Workflow("shop")
    flow.wait_signal("go")

    @flow.answers("quote")
    async def quote(ctx: Context, request: Question) -> dict[str, int]:
        if request.items > 100:
            raise Fail("too_many", "there are a hundred", retryable=False)
        ctx.increment("quotes")
        return {"total": 5 * request.items, "count": ctx.get("quotes")}

    return flow


async def test_a_run_answers_each_inquiry_once_and_goes_on(engine: Engine) -> None:
    run = await engine.start(shop(), id="shop-1")
    await engine.until_waiting(run)
    assert await engine.inquire(run, "quote", Question(items=2), id="q1") == {"total": 10, "count": 1}
    engine.restart()
    engine.redeliver()
    assert await engine.inquire(run, "quote", Question(items=2), id="q1") == {"total": 10, "count": 1}
    with pytest.raises(NoAnswer, match="there are a hundred"):
        await engine.inquire(run, "quote", {"items": 101})
    with pytest.raises(RejectedError, match="items: "):
        await engine.inquire(run, "quote", {"items": "x"})
    started = await engine.inquire("shop-2", "quote", {"items": 1}, start=(shop(), None))
    assert started == {"total": 5, "count": 1}
    await engine.signal(run, "go", "on")
    assert await run.result() == "on"
    with pytest.raises(RejectedError, match="has ended as completed"):
        await engine.inquire(run, "quote", {"items": 1})
