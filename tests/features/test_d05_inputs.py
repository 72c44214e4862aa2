"""D5, end to end: a step asks people, and goes on with their answer."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, Field

from stream_durable import App, Results, Workflow, any_of
from stream_durable.client import InputFilter
from stream_durable.core.definition.graph import Graph
from stream_durable.core.effects import Effects
from stream_durable.core.entities import ENTITIES
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import create, fold
from stream_durable.core.lifecycle import StepEvent
from stream_durable.core.messages import StartRun
from stream_durable.core.run.question_rows import QuestionRow
from stream_durable.core.tables import Rows
from stream_durable.testing import Engine


class Order(BaseModel):
    id: str
    total: float = 1.0
    owner: str | None = None


class Rating(BaseModel):
    stars: int = Field(ge=1, le=5)
    text: str = ""


def asking(name: str = "order", **options: Any) -> Workflow[Order, Any]:
    flow = Workflow(name, input=Order)
    flow.ask("approved", **options)
    return flow


async def test_an_approval_completes_the_step(engine: Engine) -> None:
    flow = Workflow("order", input=Order)
    flow.ask("approved", prompt="Ship {input.id}?", role="warehouse")

    @flow.step
    def ship(order: Order, approved: bool) -> str:
        return f"{order.id}: {approved}"

    run = await engine.start(flow, Order(id="42"))
    assert await engine.until_asked(run) == "approved"
    assert run.status == "waiting"
    assert run.step("approved").waits_for == ("an answer from warehouse: Ship 42?",)

    await engine.answer(run, "approved", True, by="ann")

    assert await run.result() == "42: True"


@pytest.mark.parametrize(
    ("options", "fits", "does_not"),
    [
        ({}, True, "yes"),
        ({"choices": ["yes", "no"]}, "yes", "maybe"),
        ({"choices": ["a", "b", "c"], "several": True}, ["a", "c"], ["a", "a"]),
        ({"form": str}, "words", 1),
        ({"form": int}, 3, 3.5),
        ({"form": float}, 3.5, "3.5"),
        ({"form": date}, "2026-11-28", "28.11.2026"),
        ({"form": Rating}, {"stars": 5}, {"stars": 6}),
        ({"form": {"type": "object", "required": ["ok"]}}, {"ok": 1}, {}),
    ],
)
async def test_every_kind_takes_what_fits_and_refuses_the_rest(
    engine: Engine, options: dict[str, Any], fits: Any, does_not: Any
) -> None:
    run = await engine.start(asking(**options), Order(id="42"))

    with pytest.raises(RejectedError) as caught:
        await engine.answer(run, "approved", does_not)
    assert caught.value.code == "invalid_answer"
    assert run.status == "waiting"

    await engine.answer(run, "approved", fits)
    assert await run.result() == fits


async def test_the_error_names_the_field(engine: Engine) -> None:
    run = await engine.start(asking(form=Rating), Order(id="42"))

    with pytest.raises(RejectedError, match=r"stars: .*maximum of 5"):
        await engine.answer(run, "approved", {"stars": 9})
    with pytest.raises(RejectedError, match="stars: it is missing"):
        await engine.answer(run, "approved", {})


async def test_no_error_repeats_the_value_or_is_long(engine: Engine) -> None:
    form = {"type": "object", "additionalProperties": False, "properties": {"a": {"enum": ["x" * 5_000]}}}
    run = await engine.start(asking(form=form), Order(id="42"))

    for wrong in ({"a": "hunter2"}, {"b" * 50_000: 1}, {f"c{i}": 1 for i in range(1_000)}):
        with pytest.raises(RejectedError) as caught:
            await engine.answer(run, "approved", wrong)
        assert "hunter2" not in str(caught.value)
        assert len(str(caught.value)) < 2_000


async def test_a_time_out_answers_or_fails(engine: Engine) -> None:
    answered = await engine.start(asking("a", timeout="2d", on_timeout=False), Order(id="42"))
    failed = await engine.start(asking("b", timeout="2d"), Order(id="42"))

    await engine.advance("2d")

    assert answered.output is False
    assert failed.failure is not None and failed.failure.code == "timeout"
    assert failed.failure.message == "nobody answered within 172800000 ms"


async def test_an_answer_counts_once_and_never_late(engine: Engine) -> None:
    run = await engine.start(asking(timeout="1h"), Order(id="42"))
    await engine.answer(run, "approved", True, by="ann")

    with pytest.raises(RejectedError, match="was answered by ann") as caught:
        await engine.answer(run, "approved", False)
    assert caught.value.code == "already_answered"
    assert run.output is True

    late = await engine.start(asking("late", timeout="1h"), Order(id="42"))
    await engine.advance("1h")
    with pytest.raises(RejectedError) as caught:
        await engine.answer(late, "approved", True)
    assert caught.value.code == "not_waiting"


async def test_what_was_not_asked_cannot_be_answered(engine: Engine) -> None:
    flow = Workflow("order", input=Order)
    flow.sleep("first", "1h")
    flow.ask("approved", after="first")
    run = await engine.start(flow, Order(id="42"))

    for wait, code in (("approved", "not_asked"), ("aproved", "unknown_wait"), ("first", "unknown_wait")):
        with pytest.raises(RejectedError) as caught:
            await engine.answer(run, wait, True)
        assert caught.value.code == code


async def test_texts_are_filled_once_with_what_is_there(engine: Engine) -> None:
    flow = Workflow("order", input=Order)

    @flow.step
    def note() -> dict[str, Any]:
        return {"long": "x" * 1_000, "list": [1, 2]}

    flow.ask(
        "approved",
        after=note,
        prompt="{input.id} {{as is}} {input.owner} {note.list} {note.long}",
        assignee="{input.owner}",
        role="team-{input.id}",
        metadata={"total": "{input.total}", "text": "for {input.id}", "kept": [1]},
    )
    run = await engine.start(flow, Order(id="42", total=9.5))
    await engine.until_asked(run)

    asked = run.step("approved").state.asked
    assert asked is not None
    assert asked.prompt == f"42 {{as is}} ? [1,2] {'x' * 499}…"
    assert (asked.role, asked.assignee) == ("team-42", "")
    assert asked.metadata == {"total": 9.5, "text": "for 42", "kept": [1]}


async def test_a_race_with_time_and_a_branch_by_the_answer(engine: Engine) -> None:
    flow = Workflow("order", input=Order)
    asked = flow.ask("approved", choices=["yes", "no"])
    slept = flow.sleep("slept", "1h")

    @flow.step(after=any_of(asked, slept))
    def on() -> str:
        return "on"

    kind = flow.branch("kind", on="approved")

    @kind.case("yes")
    def ship() -> str:
        return "shipped"

    @kind.otherwise
    def drop() -> str:
        return "dropped"

    run = await engine.start(flow, Order(id="42"))
    await engine.answer(run, "approved", "no")
    await engine.until_idle()
    assert run.step("drop").status == "completed"
    assert run.step("on").status == "completed"


async def test_claim_hand_over_and_comment_are_kept_with_who_and_when(engine: Engine) -> None:
    run = await engine.start(asking(role="warehouse"), Order(id="42"))

    await engine.claim(run, "approved", by="ann")
    with pytest.raises(RejectedError, match="belongs to 'ann'") as caught:
        await engine.claim(run, "approved", by="bob")
    assert caught.value.code == "claimed"
    await engine.comment(run, "approved", "is it paid?", by="ann")
    await engine.assign(run, "approved", "bob", by="ann", comment="yours")
    await engine.answer(run, "approved", True, by="bob", comment="it is")

    asked = run.step("approved").state.asked
    assert asked is not None
    assert asked.assignee == "bob"
    assert [(c.kind, c.by, c.to, c.comment) for c in asked.changes] == [
        ("claimed", "ann", "ann", ""),
        ("commented", "ann", "", "is it paid?"),
        ("assigned", "ann", "bob", "yours"),
        ("answered", "bob", "", "it is"),
    ]
    assert all(change.at == engine.now for change in asked.changes)


async def test_a_retry_asks_anew_and_an_answer_to_the_first_question_is_late(engine: Engine) -> None:
    run = await engine.start(asking(), Order(id="42"))
    await engine.answer(run, "approved", False, id="one")
    await run.retry("approved")

    assert run.step("approved").attempts == 2
    await engine.answer(run, "approved", True, id="two")
    assert run.output is True


async def test_pause_skip_and_cancel(engine: Engine) -> None:
    flow = Workflow("order", input=Order)
    flow.ask("approved")

    @flow.step(after="approved")
    def ship() -> str:
        return "shipped"

    paused = await engine.start(flow, Order(id="1"))
    await paused.pause()
    await engine.answer(paused, "approved", True)
    assert paused.step("ship").status == "pending"
    await paused.resume()
    assert await paused.result() == "shipped"

    skipped = await engine.start(flow, Order(id="2"))
    await skipped.skip_step("approved")
    assert await skipped.result() == "shipped"

    cancelled = await engine.start(flow, Order(id="3"))
    await cancelled.cancel()
    assert cancelled.status == "cancelled"
    with pytest.raises(RejectedError):
        await engine.answer(cancelled, "approved", True)


async def test_it_survives_repeats_and_takeovers(engine: Engine) -> None:
    run = await engine.start(asking(role="warehouse", timeout="1h"), Order(id="42"))
    await engine.claim(run, "approved", by="ann")
    engine.restart()
    engine.redeliver()
    await engine.answer(run, "approved", True, by="ann")
    engine.restart()
    engine.redeliver()

    assert await run.result() is True
    asked = run.step("approved").state.asked
    assert asked is not None and [change.kind for change in asked.changes] == ["claimed", "answered"]


def test_what_is_wrong_with_a_question_is_said_at_once() -> None:
    flow = Workflow("order", input=Order)
    flow.ask("a", choices=[], form=str)
    flow.ask("b", form={"$ref": "http://example.org/schema"})
    flow.ask("c", form={"type": "nonsense"})
    flow.ask("d", prompt="Ship {input.nothing}?")
    flow.ask("e", prompt="a { brace")
    flow.ask("f", several=True)
    flow.ask("g", on_timeout="no")
    flow.ask("h", form=object())
    flow.ask("i", role="ware\x00house")

    with pytest.raises(RejectedError) as caught:
        App("shop", workflows=[flow])

    text = str(caught.value)
    for said in (
        "choices= or a form=, not both",
        "choices= takes one text or more",
        "http://example.org/schema",
        "no JSON Schema",
        "'nothing' is not there",
        "a brace that belongs to no path",
        "several= has no effect without choices=",
        "on_timeout= has no effect without timeout=",
        "form= takes a type that has a JSON Schema",
        "role= holds a NUL character",
    ):
        assert said in text


async def test_the_public_events_say_what_is_asked_and_who_answered(engine: Engine) -> None:
    flow = Workflow("order", input=Order)
    flow.ask("approved", prompt="Ship {input.id}?", role="warehouse")

    @flow.step
    def ship(approved: bool) -> bool:
        return approved

    run = await engine.start(flow, Order(id="42"))
    await engine.answer(run, "approved", True, by="ann", comment="yes")
    await run.result()

    steps = [event for event in run.events if isinstance(event, StepEvent)]
    assert [(event.type, event.step) for event in steps] == [
        ("step.waiting", "approved"), ("step.completed", "approved"), ("step.completed", "ship"),
    ]  # fmt: skip
    waiting, completed, other = (None if e.asked is None else msgspec.json.decode(e.asked) for e in steps)
    assert waiting == {"prompt": "Ship 42?", "role": "warehouse"}
    assert completed is not None
    assert (completed["changes"][-1]["by"], completed["changes"][-1]["comment"]) == ("ann", "yes")
    assert steps[1].output == b"true"
    assert other is None


async def test_questions_in_groups_clauses_and_children(engine: Engine) -> None:
    child = Workflow("child", input=Order)
    child.ask("checked", role="office")
    flow = Workflow("order", input=Order)
    flow.ask("one", timeout="1h")
    flow.ask("two", choices=["a", "b"])
    both = flow.parallel("both", ["one", "two"], on_error="complete_all")
    kind = flow.branch("kind", on="two", after=both)
    kind.clause("a").ask("why", form=str)
    kind.clause("b").child("asked", child, input="input")

    @flow.step(after=kind)
    def end(both: Results) -> list[str]:
        return list(both.failed)

    run = await engine.start(flow, Order(id="1"))
    await engine.answer(run, "two", "a")
    await engine.advance("1h")
    await engine.answer(run, "why", "because")
    assert await run.result() == ["one"]
    assert run.step("kind").output == "because"

    other = await engine.start(flow, Order(id="2"))
    await engine.answer(other, "one", True)
    await engine.answer(other, "two", "b")
    (asked,) = other.children
    assert [one.run for one in (await engine.inputs(InputFilter(role="office"))).inputs] == [asked.id]
    await other.cancel()
    assert asked.status == "cancelled"
    assert (await engine.inputs()).inputs == []


async def test_items_are_asked_about_one_by_one(engine: Engine) -> None:
    one = Workflow("one", input=str)
    one.ask("keep", prompt="Keep {input}?")
    flow = Workflow("all", input=list[str])
    first = flow.child("first", one, input="input.0")
    flow.child("second", one, input="input.1", after=first)

    @flow.each("input")
    def note(item: str, first: bool, second: bool) -> str:
        return f"{item}: {first} {second}"

    run = await engine.start(flow, ["a", "b"])
    for answer in (True, False):
        (question,) = (await engine.inputs()).inputs
        assert question.prompt in ("Keep a?", "Keep b?")
        await engine.answer(question.run, "keep", answer)
    assert await run.result() == ["a: True False", "b: True False"]


async def test_an_answer_and_the_time_out_at_one_moment_are_decided_by_the_log(engine: Engine) -> None:
    run = await engine.start(asking(timeout="1h", on_timeout=False), Order(id="42"))
    await engine.advance("59m")
    await engine.answer(run, "approved", True)
    await engine.advance("2m")
    engine.redeliver()

    assert run.output is True
    assert run.step("approved").attempts == 1


async def test_a_run_that_asks_nobody_has_nothing_of_it(engine: Engine) -> None:
    flow = Workflow("plain", input=Order)

    @flow.step
    def only(order: Order) -> str:
        return order.id

    run = await engine.start(flow, Order(id="42"))
    await run.result()

    assert flow.definition().format == 1
    assert all(event.asked is None for event in run.events if isinstance(event, StepEvent))
    assert run.step("only").state.asked is None
    assert QuestionRow not in written(flow)


def written(flow: Workflow[Any, Any]) -> Rows:
    """Return the rows that a run of this writes when it begins."""
    definition = flow.definition()
    graph, rows = Graph(definition), Rows()
    start = StartRun(key="r", id="s", workflow="plain", fingerprint=graph.fingerprint)
    made = create(start, 0, {graph.fingerprint: graph}.get)
    fold(made, start, 1, Effects())
    ENTITIES["run"].write(made, rows)
    return rows
