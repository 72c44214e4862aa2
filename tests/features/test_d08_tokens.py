"""D8, end to end: a step is ended from outside, by its token or by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stream_durable import Context, Fail, Retry, Workflow, any_of
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine


def delivery(tokens: list[str], **options: Any) -> Workflow[Any, Any]:
    flow = Workflow("delivery")

    @flow.step
    async def ship(ctx: Context) -> None:
        tokens.append(ctx.token("delivered"))

    delivered = flow.wait_token("delivered", after=ship, **options)

    @flow.step(after=delivered)
    def close(delivered: Any) -> Any:
        return delivered

    return flow


async def test_whoever_has_the_token_completes_the_step(engine: Engine) -> None:
    tokens: list[str] = []
    run = await engine.start(delivery(tokens), id="order-42")
    await engine.until_waiting(run)
    assert run.step("delivered").waits_for == ("its end from outside",)

    await engine.complete(tokens[0], {"at": "10:40"}, by="courier")

    assert await run.result() == {"at": "10:40"}
    outside = run.step("delivered").state.outside
    assert outside is not None and outside.by == "courier" and outside.at == engine.now


async def test_a_failure_from_outside_is_the_failure_of_the_step(engine: Engine) -> None:
    tokens: list[str] = []
    run = await engine.start(delivery(tokens))
    await engine.until_waiting(run)
    await engine.fail_token(tokens[0], Fail("lost", "on the way", details={"parcel": 7}))

    assert run.status == "failed"
    failure = run.step("delivered").failure
    assert failure is not None
    assert (failure.code, failure.message, failure.details) == ("lost", "on the way", {"parcel": 7})


async def test_a_text_is_enough_for_a_failure(engine: Engine) -> None:
    tokens: list[str] = []
    run = await engine.start(delivery(tokens))
    await engine.until_waiting(run)
    await engine.fail_token(tokens[0], "nobody was at home")

    failure = run.step("delivered").failure
    assert failure is not None
    assert (failure.code, failure.message) == ("failed", "nobody was at home")
    with pytest.raises(RejectedError) as caught:
        await engine.fail_token(tokens[0], 7)  # type: ignore[arg-type]  # refused for that
    assert caught.value.code in ("bad_error", "used_token")


async def test_heartbeats_keep_the_wait_alive(engine: Engine) -> None:
    tokens: list[str] = []
    run = await engine.start(delivery(tokens, heartbeat="10m", timeout="1h", on_timeout="nobody"))
    await engine.until_waiting(run)
    for _ in range(3):
        await engine.advance("9m")
        await engine.heartbeat(tokens[0])
    assert run.status == "waiting"
    await engine.advance("10m")
    assert await run.result() == "nobody"


async def test_an_end_before_the_wait_is_kept(engine: Engine) -> None:
    flow = Workflow("hasty")
    tokens: list[str] = []

    @flow.step
    def ship(ctx: Context) -> None:
        tokens.append(ctx.token(delivered))

    paused = flow.sleep("packed", "1h", after=ship)
    delivered = flow.wait_token("delivered", after=paused)
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await engine.complete(tokens[0], "early")
    engine.restart()

    assert run.step("delivered").status == "pending"
    assert await run.result() == "early"


async def test_every_attempt_gets_the_same_token_until_the_wait_begins_again(engine: Engine) -> None:
    flow = Workflow("again")
    tokens: list[str] = []

    @flow.step(retry=Retry(3))
    def ship(ctx: Context) -> None:
        tokens.append(ctx.token("delivered"))
        if ctx.attempt == 1:
            raise ConnectionError

    flow.wait_token("delivered", after=ship)
    run = await engine.start(flow)
    await engine.until_waiting(run)
    assert tokens[0] == tokens[1]
    await run.retry("ship")
    await engine.until_waiting(run)
    assert tokens[2] != tokens[0]

    with pytest.raises(RejectedError) as caught:
        await engine.complete(tokens[0])
    assert caught.value.code == "expired_token"
    await engine.complete(tokens[2], 2)
    assert await run.result() == 2


def twice(tokens: list[str]) -> Workflow[Any, Any]:
    """Return a workflow that is tried again as long as the signal says so, with a wait that comes late."""
    flow = Workflow("twice", restart=Retry(3, base="50s"))

    @flow.step
    def ship(ctx: Context) -> None:
        tokens.append(ctx.token("delivered"))

    flow.wait_signal("go", after=ship)

    @flow.step(after="go")
    def check(go: bool) -> None:  # noqa: FBT001 - what the signal says
        if not go:
            raise Fail("no", "as it was told", retryable=False)

    flow.wait_token("delivered", after=check)
    flow.wait_token("paid")
    return flow


async def failed_once(engine: Engine, tokens: list[str], *, early: bool = False) -> Any:
    run = await engine.start(twice(tokens))
    await engine.until_waiting(run)
    if early:
        await engine.complete(tokens[0], "of the first try")
    await engine.signal(run, "go", data=False)
    await engine.advance("10s")
    assert run.status == "pending"
    return run


async def test_between_two_tries_the_token_of_a_wait_that_had_not_begun_is_good(engine: Engine) -> None:
    tokens: list[str] = []
    run = await failed_once(engine, tokens)
    await engine.complete(tokens[0], "early")
    await engine.advance("1m")
    assert tokens == [tokens[0]] * 2
    await engine.signal(run, "go", data=True)
    await engine.until_waiting(run)
    assert (run.step("delivered").status, run.step("delivered").output) == ("completed", "early")


async def test_between_two_tries_that_of_a_wait_that_had_begun_is_not(engine: Engine) -> None:
    run = await failed_once(engine, [])
    with pytest.raises(RejectedError) as caught:
        await engine.complete(engine.ports.tokens.sign(run.id, "paid", 1))
    assert caught.value.code == "expired_token"
    await engine.complete(engine.ports.tokens.sign(run.id, "paid", 2), "early")
    await engine.advance("1m")
    assert run.step("paid").output == "early"


async def test_a_token_that_was_used_early_ends_nothing_in_the_next_try(engine: Engine) -> None:
    tokens: list[str] = []
    run = await failed_once(engine, tokens, early=True)
    with pytest.raises(RejectedError) as caught:
        await engine.complete(tokens[0], "again")
    assert caught.value.code == "expired_token"
    await engine.advance("1m")
    assert tokens[1] != tokens[0]
    await engine.complete(tokens[1], "of the second try")
    await engine.signal(run, "go", data=True)
    await engine.until_waiting(run)
    assert run.step("delivered").output == "of the second try"


async def test_used_late_and_strange_tokens_are_refused(engine: Engine) -> None:
    tokens: list[str] = []
    flow = delivery(tokens, timeout="1h", on_timeout=None)
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await engine.complete(tokens[0], 1, by="courier")
    late = await engine.start(flow)
    await engine.until_waiting(late)
    await engine.advance("1h")

    async def code_of(token: Any) -> str:
        with pytest.raises(RejectedError) as caught:
            await engine.complete(token, 2)
        assert str(token) not in str(caught.value)
        return caught.value.code

    assert await code_of(tokens[0]) == "used_token"
    assert await code_of(tokens[1]) == "expired_token"
    assert await code_of(tokens[0][:-9] + "AAAAAAAAA") == "forged_token"
    assert await code_of("order-42/delivered/1") == "bad_token"
    assert await code_of(engine.ports.tokens.sign("nobody", "delivered", 1)) == "unknown_run"
    assert await code_of(engine.ports.tokens.sign(run.id, "close", 1)) == "unknown_wait"
    assert await run.result() == 1


async def test_a_step_is_ended_by_name_by_those_with_rights(engine: Engine) -> None:
    run = await engine.start(delivery([], heartbeat="10m"))
    await engine.until_waiting(run)
    await run.heartbeat_step("delivered")
    await engine.complete(run=run, step="delivered", value=3)
    assert await run.result() == 3
    with pytest.raises(RejectedError, match="give a token, or run= and step="):
        await engine.complete("sdt_x", run=run, step="delivered")


async def test_the_token_that_is_shown_is_the_one_of_the_functions(engine: Engine) -> None:
    tokens: list[str] = []
    run = await engine.start(delivery(tokens))
    await engine.until_waiting(run)
    assert await run.token("delivered") == tokens[0]


async def test_a_step_without_a_token_has_none(engine: Engine) -> None:
    flow = Workflow("wrong")

    @flow.step
    def ship(ctx: Context) -> str:
        return ctx.token("close")

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.failure is not None and run.failure.code == "unknown_wait"
    assert "it has no step added by wait_token()" in run.failure.message


async def test_no_token_is_in_what_others_read(engine: Engine) -> None:
    tokens: list[str] = []
    run = await engine.start(delivery(tokens), id="order-42")
    await engine.until_waiting(run)
    await engine.complete(tokens[0])
    signature = tokens[0].rpartition(".")[2]
    assert signature not in repr(run.state)
    assert all(signature not in repr(event) for event in run.events)


async def test_it_races_with_a_sleep(engine: Engine) -> None:
    flow = Workflow("race")
    flow.wait_token("delivered")
    flow.sleep("late", "1h")

    @flow.step(after=any_of("delivered", "late", cancel_rest=True))
    def close(ctx: Context) -> Any:
        return ctx.output("delivered", "late")

    run = await engine.start(flow)
    await engine.until_waiting(run)
    await engine.complete(run=run, step="delivered", value="there")
    assert await run.result() == "there"


async def test_a_child_is_ended_by_its_own_token(engine: Engine) -> None:
    tokens: list[str] = []
    parent = Workflow("parent")
    parent.child("delivery", delivery(tokens))
    run = await engine.start(parent)
    await engine.until_waiting(run)
    await engine.complete(tokens[0], "there")
    assert await run.result() == "there"


def test_without_an_engine_a_context_gives_a_text_of_no_use() -> None:
    assert Context(None, run_id="order-42").token("delivered") == "token of order-42/delivered"


def test_options_that_make_no_sense_are_refused() -> None:
    flow = Workflow("odd")
    flow.wait_token("w", heartbeat="0s")
    flow.wait_token("v", on_timeout=1)
    with pytest.raises(Exception, match="time between two heartbeats") as caught:
        flow.definition()
    assert "on_timeout= has no effect without timeout=" in str(caught.value)


def test_its_definition_needs_the_second_format() -> None:
    assert json.loads(json.dumps(delivery([]).definition().format)) == 2
