"""`doctor`: what is wrong with an instance, why, and what to do about it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from stream_durable.cli.errors import CHECK_FAILED
from stream_durable.cli.output import Format, Output, show
from stream_durable.cli.values import load_settings
from stream_durable.explain.phrases import counted

if TYPE_CHECKING:
    from stream_durable.services.doctor.finding import Finding
    from stream_durable.settings import Settings

_COLOURS = {"problem": "red", "warning": "yellow"}
_COLUMNS = ("check", "severity", "thing", "cause", "remedy", "repair")


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Make the repairs that are safe at any time, then look again.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Examine an instance: name each thing that is wrong, the cause, and the remedy.

    Looked at: whether Kafka and Postgres answer; settings against each other; schema and topics against this
    release; clocks; owners and backlog of partitions; releases and versions of workflows side by side;
    queues and workflows without workers; runs waiting for kept events; timers not fired; undoing that
    failed or stands; schedules switched off; records set aside.

    Exits with 4 if a problem is left; warnings alone leave 0. `--fix` applies migrations and topics, and lets
    runs ask again for events; nothing else is changed.

    Example: `stream-durable doctor --output json`
    """
    found = asyncio.run(_look(load_settings(), fix=fix))
    if output is Format.TABLE:
        _print(found)
    else:
        show([one._asdict() for one in found], _COLUMNS, output, empty="")
    if any(one.severity == "problem" for one in found):
        raise typer.Exit(CHECK_FAILED)


async def _look(settings: Settings, *, fix: bool) -> list[Finding]:
    from stream_durable.services.doctor.looking import examine
    from stream_durable.services.doctor.repairing import repair_all

    if fix:
        return (await repair_all(settings, _say)).left
    _, found = await examine(settings)
    return found


def _print(found: list[Finding]) -> None:
    for one in found:
        typer.secho(f"{one.severity:<8}", fg=_COLOURS[one.severity], nl=False)
        typer.echo(f" {one.check:<13} {one.thing} {one.cause}")
        typer.echo(f"{'':<22} → {one.remedy}{' (--fix does it)' if one.repair else ''}")
    problems = sum(one.severity == "problem" for one in found)
    if found:
        typer.echo(f"\n{counted(problems, 'problem')}, {counted(len(found) - problems, 'warning')}.")
    else:
        typer.echo("Nothing is wrong.")


def _say(line: str) -> None:
    typer.echo(line, err=True)
