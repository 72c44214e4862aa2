"""Questions to people: in memory and on Postgres and Kafka."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, Field

from stream_durable import Workflow
from stream_durable.client import InputFilter
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


def other() -> Workflow:
    flow = Workflow("other")
    flow.ask("colour", choices=["red", "blue"], role="office", assignee="ann", timeout="1h")
    return flow


async def test_open_questions_are_listed_over_all_runs_and_answered_together(engine: Engine) -> None:
    first, second = shop(), other()
    for i in range(3):
        await engine.start(first, {"id": str(i)}, id=f"shop-{i}", tags=["vip"] if i else [])
        await engine.advance("1s")
    last = await engine.start(second, id="other-0")
    await engine.until_asked(last)

    async def found(**options: object) -> list[str]:
        which = InputFilter(**options)  # type: ignore[arg-type]
        return [one.run for one in (await engine.inputs(which)).inputs]

    assert await found() == ["shop-0", "shop-1", "shop-2", "other-0"]
    assert await found(workflow=first) == await found(role="warehouse") == ["shop-0", "shop-1", "shop-2"]
    assert await found(assignee="ann") == await found(expires_within="2h") == ["other-0"]
    assert await found(tag="vip") == ["shop-1", "shop-2"]
    assert await found(wait="rating") == await found(expires_within="30m") == []
    one = (await engine.inputs(InputFilter(workflow="other"))).inputs[0]
    assert (one.wait, one.answer, one.choices, one.assignee) == ("colour", "choice", ("red", "blue"), "ann")
    assert one.until is not None and (one.until - one.since).total_seconds() == 3600

    page = await engine.inputs(limit=3)
    rest = await engine.inputs(limit=3, after=page.following)
    assert ([one.run for one in page.inputs][-1], [one.run for one in rest.inputs]) == ("shop-2", ["other-0"])
    assert rest.following is None

    await engine.claim("shop-1", "approved", by="bob")
    assert await found(assignee="bob") == ["shop-1"]
    assert await found(role="warehouse", assignee="") == ["shop-0", "shop-2"]

    with pytest.raises(RejectedError, match="does not fit"):
        await engine.answer_all(InputFilter(), True)
    assert len(await found()) == 4
    assert await engine.answer_all(InputFilter(role="warehouse"), True, by="bob", comment="all of them") == 3
    await engine.until_asked(engine.run("shop-2"), "rating")
    await engine.until_asked(engine.run("shop-0"), "rating")
    await engine.until_asked(engine.run("shop-1"), "rating")
    assert await found(wait="approved") == []
    assert sorted(await found(wait="rating")) == ["shop-0", "shop-1", "shop-2"]
    await engine.run("shop-1").cancel()
    await last.skip_step("colour")
    await engine.until(last, "completed")
    await engine.until(engine.run("shop-1"), "cancelled")
    assert sorted(await found()) == ["shop-0", "shop-2"]
