"""What people see who ask."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
import typer
from cli_world import Cli

from stream_durable.cli.root import ENTRIES, app

#: What a command needs must be imported when it runs, so that asking for help is quick.
HEAVY = ("asyncpg", "confluent_kafka", "structlog", "prometheus_client", "pydantic_settings", "fastavro")


def commands() -> Iterator[tuple[str, ...]]:
    """Yield the path of each command."""

    def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield path
        for name, one in (inner or {}).items():
            yield from walk(one, (*path, name))

    return walk(typer.main.get_command(app), ())


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_says_what_it_does_with_an_example(cli: Cli, path: tuple[str, ...]) -> None:
    text = " ".join(cli(*path, "--help").output.split())

    assert f"Example: stream-durable {' '.join(path)}" in text


def test_all_commands_of_the_reference_are_there() -> None:
    assert {" ".join(path) for path in commands()} == {
        "new", "init", "top",
        "dev", "demo", "up", "reconciler", "worker", "ingress", "publish", "signal", "bench",
        "runs start", "runs list", "runs show", "runs cancel", "workflows list", "workflows show",
        "runs review",
        "runs count", "runs pause", "runs resume", "runs skip", "runs retry", "runs again", "runs children",
        "runs complete", "runs fail", "runs change",
        "runs tree", "runs attempts", "runs logs", "runs history", "runs output", "runs value", "runs ask",
        "runs why",
        "dead list", "dead show", "dead redrive", "records list", "records show", "records redrive",
        "queues list", "queues pause", "queues resume", "queues drain", "workers list",
        "processes list",
        "status", "doctor", "why",
        "gates list", "gates show", "gates set", "gates reset", "gates probe",
        "admissions list", "admissions show", "runs watch", "waits list",
        "events list", "later list", "later cancel",
        "schedules list", "schedules show", "schedules next", "schedules create", "schedules change",
        "schedules reset", "schedules pause", "schedules resume", "schedules delete", "schedules trigger",
        "schedules backfill",
        "triggers list", "triggers show", "triggers pause", "triggers resume", "triggers delete",
        "triggers replay",
        "bindings list", "bindings show", "bindings pause", "bindings resume", "bindings delete",
        "bindings replay", "bindings skip",
        "inputs list", "inputs show", "inputs answer", "inputs claim", "inputs assign", "inputs comment",
        "tokens complete", "tokens fail", "tokens heartbeat", "tokens show",
        "runs graph", "runs report", "workflows graph", "workflows diff", "workflows deployments",
        "partitions list", "partitions raise", "partitions bury",
        "topics plan", "topics apply", "topics make", "db migrate", "db check", "replay rebuild",
        "replay verify", "api", "openapi", "api-tokens create", "api-tokens list", "api-tokens revoke",
        "config show", "config env",
    }  # fmt: skip


def test_a_group_without_a_command_shows_its_commands(cli: Cli) -> None:
    assert "migrate" in cli("db", code=2).output


def test_the_version_is_told(cli: Cli) -> None:
    assert cli("--version").output.startswith("stream-durable 0.")


def modules(*arguments: str, **environment: str) -> set[str]:
    """Return the modules that the command line imports for these arguments."""
    code = (
        "import sys; from stream_durable.cli import main\n"
        "try: main()\n"
        "finally: print('', *sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=True, env={**os.environ, **environment},
    )  # fmt: skip
    return set(done.stdout.splitlines())


def of_commands(loaded: set[str]) -> set[str]:
    """Return the modules that the entries of commands name, of those loaded."""
    return {entry.module for entry in ENTRIES.values() if f"stream_durable.cli.{entry.module}" in loaded}


def test_help_loads_nothing_heavy() -> None:
    loaded = modules("--help")

    assert of_commands(loaded) == {entry.module for entry in ENTRIES.values()}
    assert not loaded & set(HEAVY)


def test_the_version_takes_six_modules() -> None:
    loaded = modules("--version")

    assert len([name for name in loaded if name.split(".")[0] == "stream_durable"]) == 6
    assert not of_commands(loaded)
    assert not loaded & {*HEAVY, "msgspec", "rich.table", "asyncio"}


def test_a_command_is_loaded_without_the_others() -> None:
    assert of_commands(modules("db", "migrate", "--help")) == {"db"}


def test_names_are_completed_without_loading_other_commands() -> None:
    loaded = modules(_STREAM_DURABLE_COMPLETE="complete_bash", COMP_WORDS="stream-durable do", COMP_CWORD="1")

    assert "doctor" in loaded, "the answer of the completion"
    assert of_commands(loaded) == {"doctor"}


def test_a_client_and_status_load_no_processors() -> None:
    processors = (
        "stream_durable.engine.reconciler",
        "stream_durable.worker.worker",
        "stream_durable.bootstrap",
    )
    code = (
        "import sys, stream_durable.connecting, stream_durable.services.status, stream_durable.cli.status\n"
        f"print([m for m in {processors!r} if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
