"""How commands end that cannot do what they were asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_world import Cli

from stream_durable.cli.errors import CheckFailedError, NotFoundError, UsageError, exit_code
from stream_durable.core.errors import BrokenError, RejectedError, TransientError
from stream_durable.local.process import LocalServiceError, free_ports
from stream_durable.sdk.errors import LoadError
from stream_durable.settings import SettingsError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RejectedError("partition_count", "no"), 1),
        (TransientError("away"), 1),
        (BrokenError("a bug"), 1),
        (LocalServiceError("no java"), 1),
        (UsageError("what?"), 2),
        (SettingsError("settings_invalid", ["x"]), 2),
        (LoadError("no_module", "a:b", "none", "mend it"), 2),
        (NotFoundError("no such run", "look"), 3),
        (RejectedError("unknown_run", "no such run"), 3),
        (RejectedError("unknown_schedule", "no such schedule"), 3),
        (CheckFailedError("different"), 4),
    ],
)
def test_the_exit_code_says_what_to_do(error: Exception, code: int) -> None:
    assert exit_code(error) == code


@pytest.fixture
def nobody_there(monkeypatch: pytest.MonkeyPatch) -> int:
    port = free_ports(1)[0]
    monkeypatch.setenv("STREAM_DURABLE_POSTGRES__DSN", f"postgresql://tom:hunter2@127.0.0.1:{port}/shop")
    return port


def test_a_database_that_is_away_is_said_in_one_message(cli: Cli, nobody_there: int) -> None:
    result = cli("db", "check", code=1)

    where = f"127.0.0.1:{nobody_there}"
    assert result.stderr.startswith(f"Error: Postgres at {where} (postgres.dsn): Connection refused\n")
    assert "config show" in result.stderr
    assert "Traceback" not in result.stderr
    assert "hunter2" not in result.stderr


@pytest.mark.parametrize(
    "arguments", [("runs", "list"), ("db", "check"), ("publish", "paid", "--key", "1"), ("topics", "plan")]
)
def test_a_database_elsewhere_is_not_asked_without_tls(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("STREAM_DURABLE_POSTGRES__DSN", "postgresql://tom:hunter2@db.example.com/shop")

    result = cli(*arguments, code=2)

    assert "postgres.dsn: db.example.com could be reached without TLS" in result.stderr
    assert "hunter2" not in result.stderr
    assert "db.example.com" in cli("config", "show").stdout


def test_a_host_that_is_not_known_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "STREAM_DURABLE_POSTGRES__DSN", "postgresql://nobody.invalid:5433/shop?sslmode=verify-full"
    )

    assert "Error: Postgres at nobody.invalid:5433 (postgres.dsn): " in cli("db", "check", code=1).stderr


@pytest.mark.usefixtures("nobody_there")
def test_with_debug_the_error_keeps_its_traceback(cli: Cli) -> None:
    with pytest.raises(TransientError):
        cli("--debug", "db", "check")


def test_a_bug_is_not_hidden(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("stream_durable.settings.Settings.load", broken)

    with pytest.raises(ZeroDivisionError):
        cli("config", "show")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("worker", "nowhere:app"), "no module"),
        (("worker", "shop"), "module:attribute"),
        (("workflows", "list", "nowhere:app"), "no module"),
        (("runs", "start", "order", "--input", "{"), "--input is not JSON"),
        (("runs", "start", "order", "--input", "@missing.json"), "missing.json"),
        (("publish", "paid", "--key", "1", "--data", "{"), "--data is not JSON"),
        (("publish", "paid", "--key", "1", "--data", "yes"), "a text takes quotes, as '\"yes\"'"),
        (("runs", "list", "--since", "yesterday"), "neither a time nor a duration"),
        (("runs", "list", "--status", "sleeping"), "compensation_failed"),
        (("runs", "list", "--limit", "0"), "--limit"),
        (("runs", "list", "--output", "xml"), "'--output' / '-o': 'xml' is not one of 'table'"),
        (("start", "order"), "No such command 'start'. Did you mean 'runs start'?"),
        (("make", "orders"), "Did you mean 'topics make'?"),
        (("runs", "start", "order", "--app", "docs.examples.shop:app"), "give it with --input"),
    ],
)
def test_what_was_typed_wrong_is_a_usage_error(cli: Cli, arguments: tuple[str, ...], hint: str) -> None:
    assert hint in cli(*arguments, code=2).stderr


def test_a_definition_with_faults_names_them_all(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "faulty_app.py").write_text(
        "from stream_durable import App, Workflow\n"
        "flow = Workflow('flow')\n"
        "@flow.step\n"
        "def a(nothing: int) -> None: ...\n"
        "@flow.step(timeout='soon')\n"
        "def b() -> None: ...\n"
        "app = App('faulty', workflows=[flow])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    result = cli("workflows", "list", "faulty_app:app", code=2)

    assert result.stderr.count("faulty_app.py:") == 2
    assert "soon" in result.stderr
