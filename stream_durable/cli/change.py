"""Common to all commands with a change: a rehearsal, a confirmation, and a printed outcome."""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

from stream_durable.cli.gathering import gathers
from stream_durable.cli.output import Format, Output, show_one
from stream_durable.cli.values import load_settings

if TYPE_CHECKING:
    from stream_durable.client import AsyncClient
    from stream_durable.ports import Outgoing

R = TypeVar("R")

Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; kept and shown.")]
By = Annotated[str | None, typer.Option("--by", help="Who does it.", show_default="the user's name")]


class Change(NamedTuple):
    """How a change is made. Each field is an option of every command using `changes`."""

    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check everything, print what would be done, and change nothing."),
    ] = False
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Never ask for confirmation; all changes take this option.")
    ] = False
    output: Output = Format.TABLE

    def make(
        self,
        what: str,
        act: Callable[[AsyncClient], Awaitable[R]],
        done: str | Callable[[R], str],
        *,
        facts: Callable[[R], Mapping[str, Any]] = lambda _: {},
        asks: bool = False,
    ) -> R | None:
        """Make a change through a client, and print the outcome; return the client's answer.

        `what` names the change, such as "pause queue mail", and `done` is the line afterwards;
        programs get `facts`. A rehearsal prints the first records to be published, and returns None. With
        `asks` a terminal asks before.
        """
        from stream_durable.client.rehearsal import Rehearsed

        if asks:
            self.confirm(what)
        try:
            found = asyncio.run(self.through_client(act))
        except Rehearsed as rehearsed:
            self.would(what, records=[_record(one) for one in rehearsed.records])
            return None
        self.made(what, done if isinstance(done, str) else done(found), **facts(found))
        return found

    async def through_client(self, act: Callable[[AsyncClient], Awaitable[R]]) -> R:
        """Call a client as configured; raises `Rehearsed` instead of a change with `--dry-run`."""
        from stream_durable import connecting

        async with connecting.client(load_settings(), rehearsing=self.dry_run) as client:
            return await act(client)

    def confirm(self, what: str) -> None:
        """Ask at a terminal before a change impossible to take back; leave without a yes."""
        if not self.yes and not self.dry_run and sys.stdin.isatty():
            typer.confirm(f"Really {what}?", abort=True, err=True)

    def would(self, what: str, **facts: Any) -> None:
        """Print the outcome of a rehearsal."""
        if self.output is Format.TABLE:
            typer.echo(f"Would {what}.")
            for record in facts.get("records", ()):
                typer.echo(f"  to {record['topic']}, key {record['key']}: {json.dumps(record['value'])}")
        else:
            show_one({"change": what, "made": False, **facts}, self.output)

    def made(self, what: str, done: str, **facts: Any) -> None:
        """Print the outcome of a change."""
        if self.output is Format.TABLE:
            typer.echo(done)
        else:
            show_one({"change": what, "made": True, **facts}, self.output)


def who(by: str | None) -> str:
    """Return the name given, or that of the user."""
    return by or getpass.getuser()


def changes(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Change`, in the parameter `change`."""
    return gathers(command, Change, "change")


def _record(one: Outgoing) -> dict[str, Any]:
    return {"topic": one.topic, "key": _text(one.key), "value": _value(one.value)}


def _value(data: bytes | None) -> Any:
    try:
        return None if data is None else json.loads(data)
    except ValueError:
        return _text(data)


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="replace")
