"""Commands about schedules, on an instance whose worker declares one."""

from __future__ import annotations

from typing import Any

import pytest
from cli_world import SECONDS, Cli

from stream_durable.local.process import wait_for

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("on_instance")]


def until(cli: Cli, name: str, **wanted: Any) -> dict[str, Any]:
    """Wait until a schedule stands like this; return what is shown."""
    shown: dict[str, Any] = {}

    def stands() -> bool:
        result = cli("schedules", "show", name, "--output", "json", code=None)
        if result.exit_code == 0:
            shown.update(cli.rows("schedules", "show", name))
        return bool(shown) and all(shown[field] == value for field, value in wanted.items())

    wait_for(stands, seconds=SECONDS, what=f"schedule {name} to have {wanted}; it is {shown}")
    return shown


def test_a_worker_declares_the_schedules_of_its_app(cli: Cli) -> None:
    shown = until(cli, "yearly", app="orders", status="on")

    assert (shown["rule"], shown["timezone"], shown["is_changed"]) == (
        "cron 0 0 1 1 *",
        "Europe/Berlin",
        False,
    )
    assert shown["next"].endswith("-12-31T23:00:00.000Z")
    listed = cli("schedules", "list").stdout
    assert "yearly" in listed
    assert "Europe/Berlin" in listed
    # Ten moments, in its zone and in the reader's.
    coming = cli("schedules", "next", "yearly").stdout
    assert coming.count("-01-01 00:00:00 +0100") == 10
    assert len(cli.rows("schedules", "next", "yearly")) == 10


def test_one_is_created_fires_is_changed_and_deleted(cli: Cli) -> None:
    cli("schedules", "create", "often", "quick", "--input", '{"n": 1}', "--every", "1s", "--tag", "often",
        "--overlap", "allow")  # fmt: skip
    until(cli, "often", status="on", rule="every 1 s")

    def has_fired() -> bool:
        runs = cli.rows("runs", "list", "--tag", "often", "--status", "completed")
        return len(runs) >= 2

    wait_for(has_fired, seconds=SECONDS, what="the schedule to fire twice")
    run = cli.rows("runs", "list", "--tag", "often", "--status", "completed")[0]
    shown = cli.rows("runs", "show", run["id"])
    assert (shown["schedule"], shown["trigger"]) == ("often", "schedule")
    assert run["id"] == f"often//{shown['moment'].replace('.000Z', 'Z')}"

    cli("schedules", "pause", "often", "--reason", "enough", "--by", "ann")
    paused = until(cli, "often", status="off")
    assert (paused["reason"], paused["off_by"], paused["next"]) == ("enough", "ann", None)
    assert "enough" in cli("schedules", "list").stdout

    cli("schedules", "change", "often", "--cron", "0 3 * * *", "--timezone", "Asia/Tokyo")
    until(cli, "often", rule="cron 0 3 * * *", timezone="Asia/Tokyo")
    said = cli("schedules", "trigger", "often", "--id", "by-hand").stdout
    assert said == "Asked for run often//@by-hand of schedule often.\n"
    wait_for(
        lambda: cli("runs", "show", "often//@by-hand", code=None).exit_code == 0,
        seconds=SECONDS, what="the triggered run",
    )  # fmt: skip
    preview = ("schedules", "backfill", "often", "--since", "2026-01-01", "--until", "2026-01-04")
    assert [row["moment"] for row in cli.rows(*preview, "--dry-run")] == [
        f"2026-01-0{day}T18:00:00.000Z" for day in (1, 2, 3)
    ]
    assert "3 moments of often" in cli(*preview, "--pace", "1ms").stderr
    wait_for(
        lambda: cli("runs", "show", "often//2026-01-03T18:00:00Z", code=None).exit_code == 0,
        seconds=SECONDS, what="the last run that is filled in",
    )  # fmt: skip

    cli("schedules", "delete", "often")
    wait_for(
        lambda: cli("schedules", "show", "often", code=None).exit_code != 0,
        seconds=SECONDS, what="the schedule to be gone",
    )  # fmt: skip


def test_what_cannot_be_done_says_so(cli: Cli) -> None:
    assert "there is no schedule 'nowhere'" in cli("schedules", "pause", "nowhere", code=None).stderr
    refused = cli("schedules", "create", "never", "quick", "--cron", "0 0 30 2 *", code=None)
    assert "never fires" in refused.stderr
    assert "no workflow 'quik'" in cli("schedules", "create", "x", "quik", "--every", "1h", code=None).stderr
