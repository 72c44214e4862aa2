"""`queues` and `workers`, with a worker that serves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cli_world import Cli

from stream_durable.cli import queues as commands
from stream_durable.client import WorkerState


def on_instance(test: Any) -> Any:
    """Let a test run on an instance."""
    return pytest.mark.real(pytest.mark.usefixtures("on_instance")(test))


def test_workers_that_are_gone_are_left_out_or_come_last(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def worker(name: str, *, is_gone: bool) -> WorkerState:
        at = datetime(2026, 1, 2, tzinfo=UTC)
        return WorkerState(name, at, at, is_gone, 1, ("default",), 0, 0, {})

    there: Any = [worker("a", is_gone=True), worker("b", is_gone=False), worker("c", is_gone=True)]
    monkeypatch.setattr(commands, "_do", lambda act: there)

    said = cli("workers", "list")
    assert [line.split()[:2] for line in said.stdout.splitlines()[2:]] == [["b", "present"]]
    assert said.stderr == "2 workers lost within a day: `--all` shows them.\n"

    assert [(row["name"], row["status"]) for row in cli.rows("workers", "list", "--all")] == [
        ("b", "present"), ("a", "gone"), ("c", "gone"),
    ]  # fmt: skip


@on_instance
def test_a_drained_queue_begins_nothing_until_it_is_resumed(cli: Cli) -> None:
    cli("queues", "drain", "default", "--timeout", "20s", "--reason", "a deploy", "--by", "ann")
    (queue,) = cli.rows("queues", "list")
    assert {name: queue[name] for name in ("name", "status", "by", "reason", "running", "workers")} == {
        "name": "default", "status": "paused", "by": "ann", "reason": "a deploy", "running": 0, "workers": 1,
    }  # fmt: skip
    cli("runs", "start", "quick", "--id", "held", "--input", '{"n":1}')
    assert "held" not in {row["id"] for row in cli.rows("runs", "list", "--status", "completed")}

    cli("queues", "resume", "default")
    cli("runs", "watch", "held")
    assert [row["status"] for row in cli.rows("queues", "list")] == ["serving"]


@on_instance
def test_workers_are_listed_with_what_they_carry(cli: Cli) -> None:
    (worker,) = cli.rows("workers", "list")
    assert (worker["status"], worker["queues"]) == ("present", ["default"])
    assert {"quick", "slow"} <= worker["workflows"].keys()


@on_instance
def test_processes_of_all_kinds_are_listed_with_their_release(cli: Cli) -> None:
    found = cli.rows("processes", "list")
    assert {row["kind"] for row in found} >= {"ingress", "reconciler", "worker"}
    assert {row["status"] for row in found} == {"present"}
    (release,) = {row["version"] for row in found}
    assert f"release {release}" in cli("status").stdout


@on_instance
def test_a_queue_that_is_not_there_cannot_be_paused(cli: Cli) -> None:
    refused = cli("queues", "pause", "mali", code=1).stderr
    assert "queue 'mali' has no topic" in refused
    assert "topics apply --queue mali" in refused
