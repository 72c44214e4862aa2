"""A step asks people: what the fold makes of their answers, and of what else they do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from builders import NOON, RUN, Play, ask, sleep, step
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from stream_durable.core.definition.answer_misfit import answer_misfit
from stream_durable.core.definition.nodes import Join
from stream_durable.core.format import ASKS
from stream_durable.core.messages import AnswerInput, AssignInput, ClaimInput, CommentInput, InputMessage
from stream_durable.core.run.from_outside import Asked, InputChange
from stream_durable.core.run.inputs import CHANGES_MAX
from stream_durable.core.status import Outcome
from stream_durable.json_schema import misfits


def message(kind: type[InputMessage], **options: Any) -> InputMessage:
    return kind(**{"key": RUN, "id": "m1", "wait": "w", "format": ASKS, **options})


def answer(data: bytes = b"true", **options: Any) -> InputMessage:
    return message(AnswerInput, answer=Raw(data), **options)


def asked_by(play: Play, name: str = "w") -> Asked:
    detail = play.step(name).detail
    assert detail is not None and detail.asked is not None
    return detail.asked


def test_the_question_is_filled_when_the_wait_begins() -> None:
    play = Play(
        step("a"),
        ask(
            "w",
            "a",
            prompt="{input.id}: {a.n}?",
            role="r",
            assignee="{a.who}",
            due_ms=60_000,
            timeout_ms=90_000,
        ),
        input=b'{"id":"42"}',
    )
    said = play.completed("a", b'{"n":7,"who":"ann"}')

    assert said.facts == ["step.completed a", "step.waiting w"]
    assert asked_by(play) == Asked(prompt="42: 7?", role="r", assignee="ann", due=NOON + 60_000)
    assert play.due("w") == NOON + 90_000


def test_an_answer_is_the_output_and_who_gave_it_is_kept() -> None:
    play = Play(ask("w"), step("a", "w", takes=("w",)))
    said = play.answered("w", b"false", by="ann", comment="no stock")

    assert said.facts == ["step.completed w"]
    assert bytes(said.commands[0].outputs["w"]) == b"false"
    assert asked_by(play).changes == [InputChange("a1", "answered", NOON, "ann", comment="no stock")]
    play.reload()
    assert asked_by(play).changes[0].by == "ann"


def test_the_first_answer_wins_and_a_repeat_does_nothing() -> None:
    play = Play(ask("w"), step("a", "w"))
    play.answered("w", b"true", id="one")

    assert play.answered("w", b"true", id="one").outcome is Outcome.DUPLICATE
    assert play.answered("w", b"false", id="two").outcome is Outcome.LATE
    assert play.last.is_silent
    assert play.step("w").output == b"true"


def test_what_makes_no_sense_is_refused_with_a_code() -> None:
    play = Play(step("a"), ask("w", "a"))

    assert play.refused(answer()) == "not_asked"
    play.completed("a")
    assert play.refused(answer(wait="a")) == "unknown_wait"
    assert play.refused(answer(wait="x")) == "unknown_wait"
    assert play.refused(answer(b'"yes"')) == "invalid_answer"
    assert play.refused(answer(attempt=2)) == "not_asked"
    assert play.refused(message(ClaimInput)) == "nobody"
    assert play.status("w") == "waiting"


def test_after_the_time_out_an_answer_is_late_and_before_it_the_time_out_is() -> None:
    play = Play(ask("w", timeout_ms=1_000, on_timeout="false"), step("a", "w"))
    play.fire("w")
    assert play.step("w").output == b"false"
    assert play.answered("w").outcome is Outcome.LATE

    other = Play(ask("w", timeout_ms=1_000), step("a", "w"))
    said = other.answered("w")
    assert said.timers == {"w": None}


def test_an_answer_to_the_question_before_a_retry_is_late() -> None:
    play = Play(ask("w"), step("a", "w"))
    play.answered("w")
    play.retried("w")

    assert play.answered("w", id="old", attempt=1).outcome is Outcome.LATE
    assert play.answered("w", id="new", attempt=2).outcome is Outcome.APPLIED


def test_of_a_race_the_question_that_lost_takes_no_answer() -> None:
    play = Play(ask("w"), sleep("s"), step("a", joins=(Join(of=("w", "s"), cancel_rest=True),)))
    play.fire("s")

    assert play.status("w") == "cancelled"
    assert play.answered("w").outcome is Outcome.LATE


def test_a_claim_is_one_persons_and_a_hand_over_is_anybodys_to_make() -> None:
    play = Play(ask("w", role="r"), step("a", "w"))

    assert play.tell(message(ClaimInput, by="ann")).outcome is Outcome.APPLIED
    assert play.tell(message(ClaimInput, by="ann")).outcome is Outcome.DUPLICATE
    assert play.tell(message(ClaimInput, id="m2", by="bob")).outcome is Outcome.LATE
    assert asked_by(play).assignee == "ann"
    play.tell(message(AssignInput, id="m3", to="", by="ann", comment="on leave"))
    assert (asked_by(play).assignee, asked_by(play).role) == ("", "r")
    play.tell(message(AssignInput, id="m4", to="bob", role="s"))
    play.reload()
    assert (asked_by(play).assignee, asked_by(play).role) == ("bob", "s")
    assert [change.kind for change in asked_by(play).changes] == ["claimed", "assigned", "assigned"]


def test_notes_are_bounded_and_an_answer_is_always_taken() -> None:
    play = Play(ask("w"), step("a", "w"))
    for i in range(CHANGES_MAX):
        play.tell(message(CommentInput, id=f"c{i}", comment="?"))

    assert play.refused(message(CommentInput, id="more", comment="?")) == "input_full"
    assert play.tell(message(CommentInput, id="c0", comment="?")).outcome is Outcome.DUPLICATE
    assert play.answered("w").outcome is Outcome.APPLIED


def test_a_value_by_reference_is_shown_as_far_as_it_was_picked() -> None:
    play = Play(step("a"), ask("w", "a", prompt="{a.n} {a.m}"))
    assert play.graph.picks["a"] == ("n", "m")
    play.completed("a", b'{"$blob":[0,1,5000000,"' + b"0" * 64 + b'"],"picked":{"n":7}}')

    assert asked_by(play).prompt == "7 ?"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text("abc", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
plain = st.one_of(
    st.builds(
        dict, type=st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
    ),
    st.builds(dict, enum=st.lists(json_values, min_size=1, max_size=3)),
    st.builds(dict, const=json_values),
    st.builds(dict, minimum=st.integers(-9, 9), exclusiveMaximum=st.integers(-9, 9)),
    st.builds(dict, minLength=st.integers(0, 3), maxLength=st.integers(0, 3), minItems=st.integers(0, 2)),
    st.builds(dict, uniqueItems=st.booleans(), maxItems=st.integers(0, 3)),
)
#: Only of what is inside of a value: of a schema that is itself, and not itself, nobody knows what it says.
LOOP = st.just({"$ref": "#"})
schemas = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.builds(dict, anyOf=st.lists(inner, min_size=1, max_size=2)),
        st.builds(dict, oneOf=st.lists(inner, min_size=1, max_size=2)),
        st.builds(dict, allOf=st.lists(inner, min_size=1, max_size=2)),
        st.builds(
            dict, properties=st.dictionaries(st.sampled_from("abc"), inner | LOOP, max_size=2),
            required=st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            additionalProperties=st.booleans() | inner,
        ),
        st.builds(dict, items=inner | LOOP),
        st.builds(dict, prefixItems=st.lists(inner, min_size=1, max_size=2), items=st.booleans()),
    ),
    max_leaves=5,
)  # fmt: skip


@settings(deadline=None)
@given(schemas, json_values)
def test_the_fold_and_the_library_agree_on_all_that_the_fold_knows(
    schema: dict[str, Any], value: Any
) -> None:
    text = msgspec.json.encode(schema).decode()
    value = msgspec.json.decode(msgspec.json.encode(value))
    fits = not misfits(text, value)
    assert (answer_misfit(text, value) is None) is fits


@pytest.mark.parametrize(
    ("value", "fits"), [("2026-02-29", False), ("2028-02-29", True), ("2028-2-9", False)]
)
def test_dates(value: str, fits: bool) -> None:  # noqa: FBT001
    schema = '{"type":"string","format":"date"}'
    assert (answer_misfit(schema, value) is None) is fits is (not misfits(schema, value))


def test_a_schema_without_end_ends() -> None:
    loop = '{"anyOf":[{"items":{"$ref":"#"}},{"items":{"$ref":"#"}}],"items":{"$ref":"#"}}'
    deep: Any = 1
    for _ in range(400):
        deep = [deep, deep] if isinstance(deep, int) else [deep]

    assert answer_misfit(loop, deep) is None
    assert answer_misfit('{"$ref":"#"}', 1) is None
