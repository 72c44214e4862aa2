"""What holds for every command: how it is previewed, confirmed, watched, printed and given its values."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
import typer

from stream_durable.cli.output import Format
from stream_durable.cli.root import app

#: Commands that run until stopped, or print for as long as something else goes on.
SERVING = {"dev", "demo", "up", "reconciler", "worker", "ingress", "api", "bench"}
#: Commands whose output has a form of its own: a JSON value, a document, lines for a shell, a picture.
OWN_FORM = {
    "openapi", "config env", "runs output", "runs value", "runs ask", "runs graph", "workflows graph",
}  # fmt: skip
#: Last words of commands that only read. Any other command changes something.
READING = {
    "ask", "attempts", "check", "children", "count", "deployments", "diff", "env", "graph", "history",
    "list", "logs", "next", "openapi", "output", "plan", "report", "show", "status", "tree", "value",
    "verify", "watch",
    # Without --fix it says what --fix would do.
    "why", "doctor", "top",
}  # fmt: skip


#: Options that speak of JSON and take none.
NO_VALUE = {"--output", "--text", "--json"}


def commands() -> Iterator[tuple[str, click.Command]]:
    def walk(group: click.Command, before: str) -> Iterator[tuple[str, click.Command]]:
        for name, command in getattr(group, "commands", {}).items():
            if hasattr(command, "commands"):
                yield from walk(command, f"{before}{name} ")
            else:
                yield before + name, command

    return walk(typer.main.get_command(app), "")


ALL = dict(commands())
CHANGING = [name for name in ALL if name not in SERVING and name.rpartition(" ")[2] not in READING]
LISTS = [name for name in ALL if name.endswith(" list")]


def options(name: str) -> set[str]:
    return {option for parameter in ALL[name].params for option in parameter.opts}


def test_the_classes_name_commands_that_there_are() -> None:
    last = {name.rpartition(" ")[2] for name in ALL}
    assert (SERVING - ALL.keys(), OWN_FORM - ALL.keys(), READING - last) == (set(), set(), set())
    assert len(CHANGING) > 35


@pytest.mark.parametrize("name", CHANGING)
def test_every_change_is_rehearsed_and_confirmed_by_an_option(name: str) -> None:
    assert {"--dry-run", "--yes", "--output"} <= options(name)


@pytest.mark.parametrize("name", [name for name in ALL if name not in SERVING | OWN_FORM])
def test_every_output_is_for_programs_too(name: str) -> None:
    (output,) = [one for one in ALL[name].params if "--output" in one.opts]
    assert output.default is Format.TABLE


@pytest.mark.parametrize("name", LISTS)
def test_every_list_can_be_watched(name: str) -> None:
    assert {"--watch", "--every"} <= options(name)


@pytest.mark.parametrize("name", list(ALL))
def test_every_json_value_comes_from_a_file_or_standard_input_too(name: str) -> None:
    for parameter in ALL[name].params:
        about = getattr(parameter, "help", None) or ""
        if "JSON" in about and parameter.opts[0] not in NO_VALUE:
            assert "@file" in about, parameter.opts
            assert "or -" in about, parameter.opts


@pytest.mark.parametrize("name", list(ALL))
def test_every_run_may_be_written_by_the_beginning_of_its_id(name: str) -> None:
    for parameter in ALL[name].params:
        metavar = (parameter.metavar or "").strip("[]")
        if metavar == "RUN" or parameter.opts[0] in ("--run", "--parent"):
            assert "a unique beginning of it" in (getattr(parameter, "help", None) or ""), parameter.opts
