"""Commands about questions: on an instance, and typed at a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from cli_world import SECONDS, Cli

from stream_durable.cli import form
from stream_durable.client import Question
from stream_durable.local.process import wait_for

RATING = {
    "type": "object",
    "required": ["stars"],
    "properties": {
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "colour": {"anyOf": [{"$ref": "#/$defs/Colour"}, {"type": "null"}]},
        "again": {"type": "boolean"},
        "day": {"type": "string", "format": "date"},
        "several": {"type": "array", "items": {"enum": ["a", "b"]}},
        "more": {"type": "object"},
    },
    "$defs": {"Colour": {"enum": ["red", "blue"]}},
}


def question(answer: Any, schema: dict[str, Any]) -> Question:
    return Question(answer, schema, "How was it?", "", "", {}, None, ())


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What somebody types, line by line; all of it has to be asked for."""
    lines: list[str] = []
    monkeypatch.setattr(typer, "prompt", lambda label, **options: lines.pop(0))
    yield lines
    assert not lines


def test_a_form_is_asked_for_field_by_field_until_each_fits(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    typed += ["many", "6", "5", "green", "Blue", "", "2026-02-30", "2026-02-28", "a, b", '{"x": 1}']

    assert form.asked_for(question("form", RATING)) == {
        "stars": 5, "colour": "blue", "day": "2026-02-28", "several": ["a", "b"], "more": {"x": 1},
    }  # fmt: skip
    said = capsys.readouterr().err
    assert "How was it?" in said
    assert "write a number" in said
    assert "greater than the maximum of 5" in said
    assert "write one of red, blue" in said
    assert 'is not a "date"' in said


@pytest.mark.parametrize(
    ("answer", "schema", "lines", "value"),
    [
        ("approval", {"type": "boolean"}, ["perhaps", "y"], True),
        ("choice", {"enum": ["yes", "no"]}, ["", "no"], "no"),
        (
            "choices",
            {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True},
            ["a,a", "a"],
            ["a"],
        ),
        ("text", {"type": "string", "minLength": 1}, ["", "words"], "words"),
        ("number", {"type": "number"}, ["1.5"], 1.5),
        ("form", {"minItems": 1}, ["[", "[]", "[1]"], [1]),
    ],
)
def test_plain_questions_are_asked_until_the_answer_fits(
    typed: list[str], answer: str, schema: dict[str, Any], lines: list[str], value: Any
) -> None:
    typed += lines

    assert form.asked_for(question(answer, schema)) == value


def asked(cli: Cli, *options: str) -> list[str]:
    return [row["run"] for row in cli.rows("inputs", "list", *options)]


def begin(cli: Cli, *runs: str, tag: str) -> None:
    for run in runs:
        given = json.dumps({"id": run})
        cli("runs", "start", "asking", "--input", given, "--id", run, "--tag", tag)
    wait_for(
        lambda: asked(cli, "--tag", tag) == list(runs), seconds=SECONDS, what="all of them to be asked about"
    )


@pytest.mark.real
@pytest.mark.usefixtures("on_instance")
def test_a_run_is_asked_something(cli: Cli) -> None:
    begin(cli, "inquiry-1", tag="inquiry")

    assert cli("runs", "ask", "inquiry-1", "quote", "--data", "3", "--id", "q1").stdout == "15\n"
    assert cli("runs", "ask", "inquiry-1", "quote", "--data", "9", "--id", "q1").stdout == "15\n"
    assert "there are a hundred" in cli("runs", "ask", "inquiry-1", "quote", "--data", "101", code=1).stderr
    assert "does not fit" in cli("runs", "ask", "inquiry-1", "quote", "--data", '"x"', code=2).stderr
    assert "is 'quote' meant" in cli("runs", "ask", "inquiry-1", "quot", code=None).stderr


@pytest.mark.real
@pytest.mark.usefixtures("on_instance")
def test_a_question_is_found_claimed_handed_over_and_answered(cli: Cli) -> None:
    begin(cli, "ask-1", tag="first")

    (row,) = cli.rows("inputs", "list", "--tag", "first", "--unassigned", "--expiring", "2h")
    assert (row["wait"], row["prompt"], row["choices"]) == ("agreed", "Ship ask-1?", ["yes", "no"])
    cli("inputs", "claim", "ask-1", "agreed", "--by", "ann")
    wait_for(lambda: asked(cli, "--assignee", "ann") == ["ask-1"], seconds=SECONDS, what="the claim")
    assert "belongs to 'ann'" in cli("inputs", "claim", "ask-1", "agreed", "--by", "bob", code=1).stderr
    cli("inputs", "comment", "ask-1", "agreed", "is it paid?", "--by", "ann")
    cli("inputs", "assign", "ask-1", "agreed", "bob", "--by", "ann", "--comment", "yours")
    wait_for(lambda: asked(cli, "--assignee", "bob") == ["ask-1"], seconds=SECONDS, what="the hand-over")

    assert (
        'it is not one of "yes" or "no"'
        in cli("inputs", "answer", "ask-1", "agreed", "--answer", '"maybe"', code=2).stderr
    )
    assert "only a terminal asks" in cli("inputs", "answer", "ask-1", "agreed", code=2).stderr
    cli("inputs", "answer", "ask-1", "agreed", "--answer", "-", "--by", "bob", stdin='"yes"')
    cli_shows = {"kind": "answered", "by": "bob"}

    def is_answered() -> bool:
        changes = cli.rows("inputs", "show", "ask-1", "agreed")["changes"]
        return cli_shows.items() <= changes[-1].items()

    wait_for(is_answered, seconds=SECONDS, what="the answer")
    assert "is it paid?" in cli("inputs", "show", "ask-1", "agreed").stdout
    assert "answered by bob" in cli("runs", "show", "ask-1").stdout
    again = cli("inputs", "answer", "ask-1", "agreed", "--answer", '"no"', code=1)
    assert "was answered by bob" in again.stderr
    cli("runs", "cancel", "ask-1")


@pytest.mark.real
@pytest.mark.usefixtures("on_instance")
def test_many_are_answered_once_that_is_confirmed(cli: Cli) -> None:
    begin(cli, "many-1", "many-2", tag="many")

    assert "give conditions for questions" in cli("inputs", "answer", "--answer", '"yes"', code=2).stderr
    denied = cli("inputs", "answer", "--tag", "many", "--answer", '"yes"', stdin="n\n")
    assert "many-2" in denied.stdout
    assert "Answer these 2 with" in denied.stderr
    assert len(asked(cli, "--tag", "many", "--wait", "agreed")) == 2
    assert "does not fit" in cli("inputs", "answer", "--tag", "many", "-a", "7", "--yes", code=2).stderr
    done = cli("inputs", "answer", "--tag", "many", "--wait", "agreed", "-a", '"yes"', "--yes")
    assert "Answered 2 questions." in done.stdout
    wait_for(
        lambda: len(asked(cli, "--tag", "many", "--wait", "rating")) == 2,
        seconds=SECONDS,
        what="both to go on",
    )
    for run in ("many-1", "many-2"):
        cli("runs", "cancel", run)
