"""`queues` and `workers`, with a worker that serves."""

from __future__ import annotations

import pytest
from cli_world import Cli

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("on_instance")]


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


def test_workers_are_listed_with_what_they_carry(cli: Cli) -> None:
    (worker,) = cli.rows("workers", "list")
    assert (worker["status"], worker["queues"]) == ("present", ["default"])
    assert {"quick", "slow"} <= worker["workflows"].keys()


def test_a_queue_that_is_not_there_cannot_be_paused(cli: Cli) -> None:
    refused = cli("queues", "pause", "mali", code=1).stderr
    assert "queue 'mali' has no topic" in refused
    assert "topics apply --queue mali" in refused
