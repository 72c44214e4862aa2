"""Questions to people: in memory and on Postgres and Kafka."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, Field

from stream_durable import Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


class Rating(BaseModel):
    stars: int = Field(ge=1, le=5)


def shop() -> Workflow:
    flow = Workflow("shop")
    asked = flow.ask("approved", prompt="Ship {input.id}?", role="warehouse", assignee="{input.owner}")
    flow.ask("rating", form=Rating, after=asked, timeout="7d", on_timeout=None)
    return flow


async def test_a_question_is_claimed_handed_over_answered_and_what_was_done_is_kept(engine: Engine) -> None:
    run = await engine.start(shop(), {"id": "42", "owner": ""}, tags=["vip"])
    assert await engine.until_asked(run) == "approved"
    await engine.claim(run, "approved", by="ann")
    await engine.comment(run, "approved", "is it paid? €", by="ann")
    with pytest.raises(RejectedError, match="it is not of type"):
        await engine.answer(run, "approved", "yes")
    await engine.assign(run, "approved", "bob", role="office", by="ann")
    await engine.answer(run, "approved", True, by="bob", comment="it is")

    asked = run.step("approved").state.asked
    assert asked is not None and asked.answered is not None
    assert (asked.prompt, asked.role, asked.assignee) == ("Ship 42?", "office", "bob")
    assert [change.kind for change in asked.changes] == ["claimed", "commented", "assigned", "answered"]
    assert (asked.answered.by, asked.answered.comment) == ("bob", "it is")

    assert await engine.until_asked(run, "rating") == "rating"
    await engine.answer(run, "rating", {"stars": 4})
    assert await run.result() == {"stars": 4}


async def test_a_takeover_and_repeats_change_nothing(engine: Engine) -> None:
    run = await engine.start(shop(), {"id": "42"})
    await engine.until_asked(run, "approved")
    await engine.claim(run, "approved", by="ann")
    engine.restart()
    await engine.answer(run, "approved", True, by="ann", id="once")
    await engine.until_asked(run, "rating")
    engine.restart()
    await engine.answer(run, "rating", {"stars": 1})

    assert await run.result() == {"stars": 1}
    asked = run.step("approved").state.asked
    assert asked is not None and len(asked.changes) == 2
