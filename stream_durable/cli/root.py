"""All commands, by name. A command is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple, cast

import typer

from stream_durable.cli.errors import Commands

_LAPTOP: Final = "On a laptop"
_SERVICES: Final = "Services"
_RUNS: Final = "Runs"
_OPERATIONS: Final = "Operations"


#: Commands of groups named in place of one that is not there.
_MEANT_MAX: Final = 3


class Entry(NamedTuple):
    """A panel of the help, and a function or a group in a module of this package."""

    panel: str
    module: str
    name: str


#: In the order of the help.
ENTRIES: Final = {
    "new": Entry(_LAPTOP, "project", "new"),
    "init": Entry(_LAPTOP, "project", "init"),
    "dev": Entry(_LAPTOP, "dev", "dev"),
    "demo": Entry(_LAPTOP, "demo", "demo"),
    "up": Entry(_SERVICES, "services", "up"),
    "reconciler": Entry(_SERVICES, "services", "reconciler"),
    "worker": Entry(_SERVICES, "services", "worker"),
    "ingress": Entry(_SERVICES, "services", "ingress"),
    "api": Entry(_SERVICES, "api", "api"),
    "why": Entry(_RUNS, "why", "why"),
    "publish": Entry(_RUNS, "messages", "publish"),
    "signal": Entry(_RUNS, "messages", "signal"),
    "status": Entry(_OPERATIONS, "status", "status"),
    "top": Entry(_OPERATIONS, "top", "top"),
    "doctor": Entry(_OPERATIONS, "doctor", "doctor"),
    "openapi": Entry(_OPERATIONS, "api", "openapi"),
    "bench": Entry(_OPERATIONS, "bench", "bench"),
    "runs": Entry(_RUNS, "run_group", "app"),
    "dead": Entry(_RUNS, "dead", "app"),
    "waits": Entry(_RUNS, "waits", "waits"),
    "events": Entry(_RUNS, "waits", "events"),
    "inputs": Entry(_RUNS, "inputs", "app"),
    "tokens": Entry(_RUNS, "tokens", "app"),
    "later": Entry(_RUNS, "later", "later"),
    "schedules": Entry(_RUNS, "schedules", "schedules"),
    "triggers": Entry(_RUNS, "triggers", "triggers"),
    "bindings": Entry(_RUNS, "bindings", "bindings"),
    "workflows": Entry(_RUNS, "workflows", "app"),
    "queues": Entry(_OPERATIONS, "queues", "queues"),
    "workers": Entry(_OPERATIONS, "queues", "workers"),
    "processes": Entry(_OPERATIONS, "queues", "processes"),
    "gates": Entry(_OPERATIONS, "gates", "app"),
    "admissions": Entry(_OPERATIONS, "admissions", "app"),
    "api-tokens": Entry(_OPERATIONS, "api", "tokens"),
    "topics": Entry(_OPERATIONS, "topics", "app"),
    "db": Entry(_OPERATIONS, "db", "app"),
    "records": Entry(_OPERATIONS, "records", "app"),
    "partitions": Entry(_OPERATIONS, "partitions", "app"),
    "replay": Entry(_OPERATIONS, "replay", "app"),
    "config": Entry(_OPERATIONS, "config", "app"),
}


class _Loaded(Mapping[str, Any]):
    """The commands by name; the names alone import none."""

    def __getitem__(self, name: str) -> Any:
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(ENTRIES)

    def __len__(self) -> int:
        return len(ENTRIES)


class Root(Commands):
    """The root: the names of all commands, each imported when it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast(Any, _Loaded())

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command; the error for a command of a group names the group."""
        try:
            return super().resolve_command(ctx, args)
        except Exception as error:
            found = [f"'{group} {args[0]}'" for group in ENTRIES if args[0] in _members(group)]
            if found and hasattr(error, "message"):
                meant = " or ".join(found[:_MEANT_MAX])
                error.message = f"No such command {args[0]!r}. Did you mean {meant}?"
            raise

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, without importing the commands as the base class does."""
        return list(self.commands)


app = typer.Typer(
    name="stream-durable",
    cls=Root,
    help="Durable workflows on Kafka topics, reconciled into Postgres exactly once.",
    epilog="Exit codes: 0 done, 1 failure, 2 usage, 3 not found, 4 a check found something.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"stream-durable {version('stream-durable')}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the stack trace of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Declare the options common to all commands; `Commands` reads them."""


def _members(name: str) -> Collection[str]:
    """Return the commands of a group; imports the group."""
    members: Mapping[str, Any] = getattr(_load(name), "commands", {})
    return members.keys()


@cache
def _load(name: str) -> Any:
    entry = ENTRIES[name]
    found = getattr(import_module(f"stream_durable.cli.{entry.module}"), entry.name)
    # The library makes commands only as part of a whole, and with a callback the whole is a group.
    alone = typer.Typer(callback=lambda: None, add_completion=False, rich_markup_mode="markdown")
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name, rich_help_panel=entry.panel)
    else:
        alone.command(name, rich_help_panel=entry.panel)(found)
    return cast(Any, typer.main.get_command(alone)).commands[name]
