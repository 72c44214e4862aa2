"""`config show`: what is set, by whom, and nothing secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_world import Cli


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "stream_durable.toml").write_text('prefix = "shop"\n')
    monkeypatch.setenv("STREAM_DURABLE_POSTGRES__DSN", "postgresql://tom:hunter2@127.0.0.1/shop")
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2")


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("output", ["table", "json", "jsonl"])
def test_secrets_are_masked_in_every_format(cli: Cli, output: str) -> None:
    text = cli("config", "show", "--origin", "--output", output).output

    assert "hunter2" not in text
    assert "postgresql://tom:********@127.0.0.1/shop" in text


@pytest.mark.usefixtures("configured")
def test_each_value_names_its_origin(cli: Cli) -> None:
    rows = {row["setting"]: row for row in cli.rows("config", "show")}

    assert (rows["prefix"]["value"], rows["prefix"]["origin"]) == ("shop", "file")
    assert rows["postgres.dsn"]["origin"] == "env"
    assert rows["kafka.bootstrap"]["origin"] == "default"
    assert rows["kafka.properties.sasl.password"]["value"] == "********"


@pytest.mark.usefixtures("configured")
def test_the_table_shows_the_origin_if_asked_for(cli: Cli) -> None:
    assert "origin" not in cli("config", "show").output
    assert "origin" in cli("config", "show", "--origin").output


@pytest.mark.usefixtures("configured")
def test_what_is_at_its_default_can_be_left_out(cli: Cli) -> None:
    rows = cli.rows("config", "show", "--changed")

    assert [row["setting"] for row in rows] == ["prefix", "kafka.properties.sasl.password", "postgres.dsn"]


def test_a_setting_that_does_not_exist_is_a_usage_error(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__BOOTSTRP", "x:1")

    result = cli("config", "show", code=2)

    assert "STREAM_DURABLE_KAFKA__BOOTSTRAP" in result.stderr
    assert result.stdout == ""
