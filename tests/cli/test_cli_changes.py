"""Changes are rehearsed without a trace, told to programs, and lists are watched; on real services."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from cli_world import SECONDS, Cli, Instance, Processes

from stream_durable.local.process import wait_for

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("on_instance")]


def rehearsed(cli: Cli, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli(*arguments, "--dry-run", "--output", "json").stdout)
    assert found["made"] is False
    return found


def test_a_start_is_rehearsed_with_its_checks_and_then_made(cli: Cli) -> None:
    given = ("runs", "start", "quick", "--id", "tried", "--input", '{"n":1}')

    (record,) = rehearsed(cli, *given)["records"]
    assert (record["topic"], record["key"], record["value"]["input"]) == ("inbox", "tried", {"n": 1})
    assert "no workflow 'quik'" in cli("runs", "start", "quik", "--dry-run", code=3).stderr
    assert "would" in cli(*given, "--dry-run").stdout.lower()
    cli("runs", "show", "tried", code=3)

    made = json.loads(cli(*given, "--output", "jsonl").stdout)
    assert (made["id"], made["created"], made["made"]) == ("tried", True, True)
    cli("runs", "watch", "tried")
    last = [json.loads(line) for line in cli("runs", "watch", "tried", "-o", "jsonl").stdout.splitlines()][-1]
    assert (last["run"], last["step"], last["status"]) == ("tried", "", "completed")


def test_orders_to_queues_and_schedules_are_rehearsed(cli: Cli) -> None:
    assert rehearsed(cli, "queues", "pause", "default", "--reason", "a deploy")["records"][0]["key"]
    assert "has no topic" in cli("queues", "pause", "mali", "--dry-run", code=1).stderr
    assert [row["status"] for row in cli.rows("queues", "list")] == ["serving"]

    rehearsed(cli, "schedules", "create", "never", "quick", "--every", "1h")
    assert "never" not in {row["name"] for row in cli.rows("schedules", "list")}
    rehearsed(cli, "publish", "paid", "--key", "1")
    cli("db", "migrate", "--dry-run")
    cli("topics", "apply", "--dry-run")


def test_an_order_to_many_names_them_first(cli: Cli) -> None:
    for n in range(3):
        cli("runs", "start", "slow", "--id", f"many-{n}", "--tag", "many", "--input", '{"n":1}')
    many = ("runs", "cancel", "--tag", "many")
    wait_for(lambda: len(rehearsed(cli, *many)["runs"]) == 3, seconds=SECONDS, what="three runs to cancel")
    assert "Would cancel 3 runs: many-" in cli(*many, "--dry-run").stdout
    assert {row["status"] for row in cli.rows("runs", "list", "--tag", "many")} & {"running", "waiting"}

    assert rehearsed(cli, "runs", "cancel", "many-0")["records"][0]["key"] == "many-0"
    one = json.loads(cli("runs", "cancel", "many-0", "-o", "json").stdout)
    assert (one["run"], one["made"]) == ("many-0", True)
    rest = json.loads(cli(*many, "--yes", "-o", "json").stdout)
    assert rest["made"] is True


def test_a_step_of_many_is_skipped_after_a_preview(cli: Cli) -> None:
    for n in range(2):
        cli("runs", "start", "order", "--id", f"skip-{n}", "--tag", "skip", "--input", f'{{"id":"skip-{n}"}}')
    many = ("runs", "skip", "--tag", "skip", "--step", "paid")
    wait_for(lambda: len(rehearsed(cli, *many)["runs"]) == 2, seconds=SECONDS, what="two runs to skip")
    assert "Would skip paid of 2 runs: skip-" in cli(*many, "--dry-run").stdout
    assert "name the step" in cli("runs", "skip", "skip-0", code=2).stderr
    assert "name the step" in cli("runs", "complete", "--tag", "skip", code=2).stderr
    assert "not both" in cli("runs", "skip", "skip-0", "paid", "--tag", "skip", code=2).stderr

    assert "Requested to skip paid of 2 runs." in cli(*many, "--reason", "by hand", "--yes").stdout
    wait_for(lambda: not rehearsed(cli, *many)["runs"], seconds=SECONDS, what="both to be skipped")
    assert "Would skip released of skip-0" in cli("runs", "skip", "skip-0", "released", "--dry-run").stdout
    held = ("runs", "fail", "--tag", "skip")
    assert "Would fail held steps of 0 runs" in cli(*held, "--dry-run").stdout
    assert (
        "Requested to cancel released of 2 runs."
        in cli("runs", "cancel", "--tag", "skip", "--step", "released", "--yes").stdout
    )


def test_a_list_is_printed_again_when_it_changes(cli: Cli, processes: Processes, instance: Instance) -> None:
    watching = processes.start(
        "runs", "list", "--id-prefix", "seen", "--watch", "--every", "0.2", "-o", "jsonl",
        environment=instance.environment,
    )  # fmt: skip
    cli("runs", "start", "quick", "--id", "seen-1", "--input", '{"n":1}')

    wait_for(lambda: "seen-1" in watching.text(), seconds=SECONDS, what="the run to be seen")
    assert watching.end(signal.SIGINT, SECONDS) == 0
    assert "Traceback" not in watching.text()


def test_top_shows_the_instance_at_work(cli: Cli) -> None:
    shown = cli("top", "--once").stdout
    assert "queue" in shown
    assert "default" in shown

    found = cli.rows("top")
    assert [one["name"] for one in found["queues"]] == ["default"]
    assert len(found["partitions"]) == 2
    assert found["workers"]
