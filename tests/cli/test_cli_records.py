"""`records`: what could not be applied is listed, shown and given again."""

from __future__ import annotations

from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import pytest
from cli_world import SECONDS, Cli

from stream_durable import Client
from stream_durable.cli import records as commands
from stream_durable.client import DeadRecord, DeadRecords, DeadWhole, OrderState, RecordHeader
from stream_durable.local.process import wait_for

AT = datetime(2030, 1, 31, 9, tzinfo=UTC)


def dead(**fields: Any) -> DeadRecord:
    given = OrderState("redrive", AT, "ann", "it is there")
    one = DeadRecord(
        "3-17", AT, "inbox", 0, 9, AT, "unknown_run", "there is no run 'r'", "r", 12, redriven=given
    )
    return one._replace(**fields)


def answering(monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
    monkeypatch.setattr(commands, "do", lambda act: found)


def test_the_list_has_the_reason_and_who_gave_what_again(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, DeadRecords((dead(), dead(id="2-4", key="k\x1b[2J", redriven=None)), "4.17"))

    said = cli("records", "list")
    assert "\x1b" not in said.stdout
    assert "3-17" in said.stdout and "by ann: it is there" in said.stdout and "no run 'r'" in said.stdout
    assert said.stderr == "Older ones were not looked at yet: --after '4.17'\n"
    assert cli("records", "list", "--limit", "2").stderr == "There are more: --after '4.17'\n"
    first, second = cli.rows("records", "list")
    assert (first["redriven"]["by"], first["time"], second["redriven"]) == (
        "ann", "2030-01-31T09:00:00.000Z", None,
    )  # fmt: skip


def test_a_record_is_shown_whole(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = DeadWhole(
        dead(), (RecordHeader("theirs", "h\x1b[2J"),), '{"n":1}', "remove the cause", can_redrive=True
    )
    answering(monkeypatch, whole)

    said = cli("records", "show", "3-17").stdout
    for part in (
        "inbox, partition 0, offset 9",
        "theirs: h�[2J",
        '{"n":1}',
        "remove the cause",
        "unknown_run",
    ):
        assert part in said
    shown = cli.rows("records", "show", "3-17")
    assert (shown["partition"], shown["value"], shown["headers"]) == (
        0, '{"n":1}', [{"name": "theirs", "value": "h\x1b[2J"}],
    )  # fmt: skip


@pytest.mark.parametrize("wrong", [(), ("3-17", "--code", "x")])
def test_a_redrive_is_for_one_or_for_those_of_options(cli: Cli, wrong: tuple[str, ...]) -> None:
    assert "name one record" in cli("records", "redrive", *wrong, code=2).stderr


@pytest.mark.real
@pytest.mark.usefixtures("on_instance")
def test_records_of_a_real_instance_are_given_again(cli: Cli) -> None:
    name = f"nobody-{token_hex(3)}"
    with Client.sync() as client:
        client.signal(name, "released", {"by": "tom"})
        client.signal(f"{name}-b", "released", None)

    def found() -> Any:
        return cli.rows("records", "list", "--text", name, "--since", "1h", "--topic", "inbox")

    wait_for(lambda: len(found()) == 2, seconds=SECONDS, what="two dead records")
    (record,) = cli.rows("records", "list", "--key", name)
    assert record["code"] == "unknown_run"
    assert '"by":"tom"' in cli.rows("records", "show", record["id"])["value"]
    assert cli("records", "show", "0-99999", code=3).stderr
    assert '"by": "tom"' in cli("records", "redrive", record["id"], "--dry-run").stdout
    cli("runs", "start", "order", "--id", name, "--input", '{"id": "x"}')
    rehearsed = cli("records", "redrive", "--key", name, "--dry-run").stdout
    assert rehearsed == "Would redrive 1 record.\n"

    told = cli("records", "redrive", record["id"], "--reason", "it is there", "--by", "ann").stdout
    assert told == f"Gave record {record['id']} again.\n"
    assert "given again before" in cli("records", "redrive", record["id"]).stdout
    assert [row["redriven"]["by"] for row in cli.rows("records", "list", "--key", name, "--redriven")] == [
        "ann"
    ]

    def has_signal() -> bool:
        return "released" in cli("runs", "history", name).stdout

    wait_for(has_signal, seconds=SECONDS, what="the signal is there")
    assert cli("records", "redrive", "--key", f"{name}-b", "--yes").stdout == "Gave 1 record again.\n"
    wait_for(lambda: len(found()) == 3, seconds=SECONDS, what="it is dead again")
