"""`workflows`: the definitions of an app."""

from __future__ import annotations

import pytest
from cli_world import HERE, Cli


@pytest.fixture(autouse=True)
def in_the_directory_of_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)


def test_the_workflows_of_an_app_are_listed(cli: Cli) -> None:
    rows = cli.rows("workflows", "list", "orders_app:app")

    assert [(row["name"], row["steps"], row["queues"]) for row in rows] == [
        ("asking", 2, "default"),
        ("broken", 1, "default"),
        ("order", 4, "default"),
        ("quick", 2, "default"),
        ("slow", 1, "default"),
    ]


def test_a_workflow_shows_what_each_step_waits_for(cli: Cli) -> None:
    text = cli("workflows", "show", "order", "--app", "orders_app:app").output

    assert "event payment.captured with the key at input.id" in text
    assert "up to 2 attempts" in text
    assert "signal released" in text


def test_programs_get_the_whole_definition(cli: Cli) -> None:
    shown = cli.rows("workflows", "show", "quick", "--app", "orders_app:app")

    assert [node["name"] for node in shown["definition"]["nodes"]] == ["one", "two"]


def test_a_version_is_found_by_its_fingerprint(cli: Cli) -> None:
    listed = cli.rows("workflows", "list", "orders_app:app")
    fingerprint = next(row["fingerprint"] for row in listed if row["name"] == "order")

    assert cli.rows("workflows", "show", fingerprint, "--app", "orders_app:app")["name"] == "order"


def test_a_workflow_that_is_not_there_is_not_found(cli: Cli) -> None:
    assert "workflows list" in cli("workflows", "show", "nope", "--app", "orders_app:app", code=3).stderr


def test_what_a_workflow_says_of_itself_is_shown(cli: Cli) -> None:
    [row] = cli.rows("workflows", "list", "described_app:app")
    assert (row["tags"], row["description"]) == ("shop, vip", "Ships orders.")

    text = cli("workflows", "show", "order", "--app", "described_app:app").output
    for said in ("Ships orders.", "shop, vip", "owner: ann", "Puts things into a box."):
        assert said in text

    shown = cli.rows("workflows", "show", "order", "--app", "described_app:app")
    assert shown["about"]["input"] == {"type": "object", "additionalProperties": {"type": "string"}}
