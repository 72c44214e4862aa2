"""D3: a message that names no wait exactly, but fits several, ends none of them and is evidence."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from stream_durable import Context, Workflow
from stream_durable.core.definition.graph import Graph
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import AnswerInput, ClaimInput
from stream_durable.testing import Engine
from stream_durable.wire.answers import judge_for_some
from stream_durable.wire.events import Answer


def reviewed(count: int) -> Workflow:
    flow = Workflow("order")

    @flow.step
    def papers() -> list[int]:
        return list(range(count))

    @flow.each(papers)
    async def review(ctx: Context, item: int) -> str:
        answer: str = await ctx.ask("sure", choices=["yes", "no"])
        return answer

    return flow


async def asked(engine: Engine, count: int) -> Any:
    run = await engine.start(reviewed(count), id="order-1")
    await engine.until_waiting(run)
    return run


async def code_of(engine: Engine, run: Any, wait: str) -> tuple[str, str]:
    with pytest.raises(RejectedError) as refusal:
        await engine.answer(run, wait, "yes")
    return refusal.value.code, str(refusal.value)


@pytest.mark.parametrize("name", ["sure", "review/sure"])
async def test_a_name_that_fits_several_waits_is_refused_with_their_names(engine: Engine, name: str) -> None:
    run = await asked(engine, 2)
    code, text = await code_of(engine, run, name)
    assert code == "ambiguous_wait"
    assert "review[0]/sure, review[1]/sure" in text

    # A message from elsewhere is judged by the run, and is evidence.
    edge = engine._target._edge
    for message in (
        AnswerInput(key=run.id, id="a1", wait=name, format=2, answer=Raw(b'"yes"')),
        ClaimInput(key=run.id, id="c1", wait=name, format=2, by="tom"),
    ):
        engine.tell(lambda: edge.send(message, "answer"))  # noqa: B023 - called at once
    await engine.until_idle()
    assert [run.step(f"review[{i}]/sure").status for i in range(2)] == ["waiting", "waiting"]
    history = engine.ask(lambda: engine._target.history(run.id, evidence=True))
    dead = [one.text for one in history if one.what == "dead"]
    assert [text.split()[:2] for text in dead] == [
        ["input.answer", "ambiguous_wait"], ["input.claim", "ambiguous_wait"],
    ]  # fmt: skip
    assert all("review[0]/sure, review[1]/sure" in text for text in dead)

    for i in range(2):
        await engine.answer(run, f"review[{i}]/sure", "yes")
    await engine.until_idle()
    assert run.output == ["yes", "yes"]


async def test_one_that_fits_a_single_wait_is_still_no_name_and_the_error_has_it(engine: Engine) -> None:
    run = await asked(engine, 1)
    code, text = await code_of(engine, run, "sure")
    assert (code, text.endswith("is 'review[0]/sure' meant?")) == ("unknown_wait", True)
    code, text = await code_of(engine, run, "nonsense")
    assert (code, "meant" in text) == ("unknown_wait", False)


def test_the_ingress_leaves_questions_inside_steps_to_the_run() -> None:
    graph = Graph(reviewed(1).definition())
    about: dict[str, Any] = {"id": "a1", "run": "order-1", "answer": Raw(b'"yes"')}
    judge_for_some(Answer(**about, wait="review[0]/sure"), [graph])
    with pytest.raises(RejectedError, match="no registered workflow asks people"):
        judge_for_some(Answer(**about, wait="sure"), [graph])


async def test_what_has_been_answered_fits_no_more(engine: Engine) -> None:
    run = await asked(engine, 2)
    await engine.answer(run, "review[0]/sure", "yes")
    await engine.until_waiting(run)
    code, text = await code_of(engine, run, "sure")
    assert (code, text.endswith("is 'review[1]/sure' meant?")) == ("unknown_wait", True)
