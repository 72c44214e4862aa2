"""B4: a step asks to be called again after a time; no attempt is used up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from stream_durable import Context, Fail, Retry, Snooze, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine


def patient(answers: list[Any], **options: Any) -> tuple[Workflow, list[tuple[int, str, float]]]:
    """Return a workflow whose step gives these answers one by one, and what it saw."""
    flow = Workflow("order")
    seen: list[tuple[int, str, float]] = []

    @flow.step(**options)
    def look(ctx: Context) -> Any:
        seen.append((ctx.attempt, ctx.idempotency_key.partition("/")[2], 0))
        ctx.increment("looks")
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return flow, seen


async def test_it_is_called_again_after_that_time_under_the_same_number(engine: Engine) -> None:
    flow, seen = patient([Snooze("5m", "the shop is closed"), Snooze("1h"), "open"], retry=Retry(1))
    run = await engine.start(flow)
    assert run.status in ("running", "waiting")
    assert len(seen) == 1
    await engine.advance("299s")
    assert len(seen) == 1
    await engine.advance("1s")
    assert len(seen) == 2
    await engine.advance("59m")
    assert len(seen) == 2
    await engine.advance("1m")
    assert (run.output, run.step("look").attempts) == ("open", 1)
    assert [(number, key) for number, key, _ in seen] == [(1, "look/1")] * 3
    assert run.context == {"looks": 3}, "changes of a snoozed attempt are kept"


async def test_why_it_waits_is_told(engine: Engine) -> None:
    flow, _ = patient([Snooze("5m", "the shop is closed"), "open"])
    run = await engine.start(flow)
    (why,) = run.step("look").waits_for
    assert why == "the requested time: the shop is closed, in 5m"
    assert run.step("look").due == engine.now + timedelta(minutes=5)


async def test_failures_between_two_snoozes_use_up_attempts_and_snoozes_do_not(engine: Engine) -> None:
    answers = [Snooze("1m"), Fail("busy"), Snooze("1m"), Snooze("1m"), Fail("busy"), "well"]
    flow, seen = patient(answers, retry=Retry(3, base="1s", backoff="fixed"))
    run = await engine.start(flow)
    await engine.advance("10m")
    assert run.output == "well"
    assert [number for number, _, _ in seen] == [1, 1, 2, 2, 2, 3]


async def test_snoozing_for_ever_ends_with_the_time_of_the_step_in_all(engine: Engine) -> None:
    flow, seen = patient([Snooze("10m")] * 100, total="1h")
    run = await engine.start(flow)
    await engine.advance("2h")
    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure.code == "timeout"
    assert 5 <= len(seen) <= 7


async def test_a_snooze_does_not_count_towards_the_time_of_an_attempt(engine: Engine) -> None:
    flow, _ = patient([Snooze("1h"), "well"], timeout="5s")
    run = await engine.start(flow)
    await engine.advance("1h")
    assert run.output == "well"


async def test_a_run_that_is_cancelled_meanwhile_ends_at_once(engine: Engine) -> None:
    flow, seen = patient([Snooze("1h"), "never"])
    run = await engine.start(flow)
    await run.cancel("enough")
    await engine.advance("2h")
    assert (run.status, len(seen)) == ("cancelled", 1)
    assert run.step("look").status == "cancelled"


async def test_a_cancel_waits_for_no_answer_of_a_step_that_has_snoozed(engine: Engine) -> None:
    flow = Workflow("order")
    undone: list[str] = []
    hold = flow.add("hold", lambda: Snooze("1h"))
    hold.compensate(lambda: undone.append("hold"))
    flow.add("clean", lambda: undone.append("clean"), after=hold.even_if_failed)
    run = await engine.start(flow)
    await engine.advance("1s")
    await run.cancel("enough", compensate=True)
    await engine.advance("1s")
    assert (run.status, undone) == ("cancelled", ["clean"])
    await engine.advance("2h")
    assert run.step("hold").status == "cancelled"


async def test_a_snoozed_step_outlives_a_restart(engine: Engine) -> None:
    flow, seen = patient([Snooze("1h"), "well"])
    run = await engine.start(flow)
    engine.restart()
    await engine.advance("1h")
    assert (run.output, len(seen)) == ("well", 2)


async def test_members_snooze_without_holding_others_up(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.each("input")
    def each(item: int, ctx: Context) -> Any:
        ctx.increment(f"looks{item}")
        return item if item or ctx.get("looks0") > 1 else Snooze("1m")

    run = await engine.start(flow, [0, 1])
    assert run.step("each[1]").status == "completed"
    await engine.advance("1m")
    assert run.output == [0, 1]


@pytest.mark.parametrize("duration", ["soon", -1, "-5s", None, "1000y"], ids=repr)
def test_what_is_no_duration_is_refused_at_once(duration: Any) -> None:
    with pytest.raises((RejectedError, TypeError)):
        Snooze(duration)


async def test_a_snooze_of_no_time_is_asked_again_at_once(engine: Engine) -> None:
    flow, seen = patient([Snooze("0s"), Snooze(timedelta(milliseconds=1)), "well"])
    run = await engine.start(flow)
    await engine.advance("1s")
    assert (run.output, len(seen)) == ("well", 3)
