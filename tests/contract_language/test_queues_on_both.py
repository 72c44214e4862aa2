"""Paused queues: in memory and on Postgres and Kafka."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable import RejectedError, Retry, Workflow
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


def mails(**options: Any) -> Workflow[Any, Any]:
    flow = Workflow("mails", **options)

    @flow.step
    def write() -> str:
        return "hello"

    @flow.step(after=write, queue="mail")
    def post() -> str:
        return "sent"

    return flow


async def test_nothing_of_a_paused_queue_begins_until_it_is_resumed(engine: Engine) -> None:
    first = await engine.start(mails(), id="first")
    await engine.until_idle()
    assert first.output == "sent"

    await engine.pause_queue("mail", reason="no server", by="ann")
    second = await engine.start("mails", id="second")
    await engine.until(second, "running")
    await engine.until_idle()
    assert (second.step("write").status, second.step("post").status) == ("completed", "ready")
    (state,) = [one for one in await engine.queues() if one.name == "mail"]
    assert state.paused is not None
    assert (state.paused.by, state.paused.reason) == ("ann", "no server")

    assert [(one.act, one.by, one.reason) for one in state.orders] == [("pause", "ann", "no server")]

    await engine.resume_queue("mail", reason="it is back", by="tom")
    await engine.until(second, "completed")
    assert engine.calls("post") == 2
    (state,) = [one for one in await engine.queues() if one.name == "mail"]
    assert state.paused is None
    assert [(one.act, one.by, one.reason) for one in state.orders] == [("resume", "tom", "it is back")]


async def test_time_outs_of_runs_go_on_while_a_queue_is_paused(engine: Engine) -> None:
    warm = await engine.start(mails(timeout="1h"), id="warm")
    await engine.until(warm, "completed")
    await engine.pause_queue("mail")
    run = await engine.start("mails", id="late")
    await engine.until_idle()
    await engine.advance("2h")
    assert (run.status, run.failure.code) == ("failed", "timeout")
    await engine.resume_queue("mail")
    await engine.until_idle()
    assert engine.calls("post") == 1


async def test_a_run_that_owes_a_compensation_ends_at_once_when_cancelled(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    def reserve() -> str:
        return "reserved"

    @reserve.compensate
    def release() -> None: ...

    @flow.step(after=reserve, queue="mail")
    def post() -> str:
        return "sent"

    @post.compensate
    def revoke() -> None: ...

    warm = await engine.start(flow, id="warm")
    await engine.until(warm, "completed")
    await engine.pause_queue("mail")
    run = await engine.start(flow, id="run")
    await engine.until(run, "running")
    await engine.until_idle()
    await run.cancel(compensate=True)
    await engine.until_idle()
    assert (run.status, run.step("post").status) == ("compensated", "cancelled")
    assert (engine.calls(post), engine.calls(release), engine.calls(revoke)) == (1, 1, 0)


async def test_a_retried_attempt_waits_too(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step(queue="mail", retry=Retry(3))
    def post() -> str:
        return "sent"

    warm = await engine.start(flow, id="warm")
    await engine.until(warm, "completed")
    engine.fail(post, times=1)
    await engine.pause_queue("mail")
    run = await engine.start(flow, id="run")
    await engine.advance("1h")
    assert engine.calls(post) == 1
    await engine.resume_queue("mail")
    await engine.until(run, "completed")
    assert run.step("post").attempts == 2


async def test_what_cannot_be_kept_of_a_pause_is_refused(engine: Engine) -> None:
    with pytest.raises(RejectedError, match="reason= has 1001 characters"):
        await engine.pause_queue("default", reason="x" * 1_001)
