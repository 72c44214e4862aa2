"""Commands for folding the log again."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from stream_durable.cli.change import Change, changes
from stream_durable.cli.errors import CheckFailedError
from stream_durable.cli.output import Format, Output, show, show_one
from stream_durable.cli.progress import replay_progress
from stream_durable.cli.values import load_settings

app = typer.Typer(help="Fold the log again, and compare.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Fold the log again, and compare."""


@app.command()
@changes
def rebuild(
    into: Annotated[
        str, typer.Option("--into", metavar="SCHEMA", help="The schema to create, or to resume.")
    ],
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted rebuild.")] = False,
    to_end: Annotated[
        bool, typer.Option("--to-end", help="Up to the end of the log, not to where the live schema stands.")
    ] = False,
    *,
    change: Change,
) -> None:
    """Rebuild the state from the log, in a schema beside the live one. Nothing is published.

    Example: `stream-durable replay rebuild --into stream_durable_2`
    """
    from stream_durable import bootstrap, operating
    from stream_durable.services.host import run_briskly

    settings = load_settings()
    if change.dry_run:
        target = settings.override({"postgres.db_schema": into})
        is_new = bool(asyncio.run(operating.missing_migrations(target)))
        change.would(f"rebuild the state in schema {into}, {'to be created' if is_new else 'which exists'}")
        return
    with replay_progress("rebuilding") as tell:
        done = run_briskly(bootstrap.rebuild(settings, into, resume=resume, to_end=to_end, progress=tell))
    if change.output is not Format.TABLE:
        show_one({"schema": into, **done._asdict()}, change.output)
        return
    typer.echo(
        f"Schema {into} holds what {done.records:,} records make of it ({done.exceptions:,} of them refused, "
        f"repeated or late); {done.seconds:.1f} s, {_rate(done.records, done.seconds)}."
    )


@app.command()
def verify(
    keep_as: Annotated[
        str | None, typer.Option(metavar="SCHEMA", help="Keep the rebuilt schema under this name.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, max=10_000, help="Differing rows to name, per table.")] = 20,
    output: Output = Format.TABLE,
) -> None:
    """Compare the live state with the log; exit 4 if they differ. The live system goes on.

    Records of the log left out by the fold are named with partition and offsets.

    Example: `stream-durable replay verify`
    """
    from stream_durable import bootstrap
    from stream_durable.services.host import run_briskly

    with replay_progress("verifying") as tell:
        found = run_briskly(bootstrap.verify(load_settings(), keep_as=keep_as, rows_max=rows, progress=tell))
    if output is Format.TABLE:
        typer.echo(
            f"Compared {found.compared:,} rows with what {found.records:,} records make of them, "
            f"in {found.seconds:.1f} s: {'equal' if found.is_equal else 'different'}."
        )
        for hole in found.left_out.holes:
            typer.echo(
                f"Partition {hole.partition} went on without {hole.records:,} records of its log, from "
                f"offset {hole.first} to {hole.last}."
            )
        if found.left_out.has_more:
            typer.echo("There are more stretches of evidence with missing offsets than were looked at.")
        if not found.is_equal:
            columns = ("table", "key", "column", "live", "rebuilt")
            show([_difference(row) for row in found.rows], columns, output, empty="No row could be named.")
    else:
        differences = [_difference(row) for row in found.rows]
        summary = {"compared": found.compared, "records": found.records, "seconds": found.seconds}
        left_out = [hole._asdict() for hole in found.left_out.holes]
        told = {
            "is_equal": found.is_equal, **summary, "differences": differences, "left_out": left_out,
            "has_more_left_out": found.left_out.has_more,
        }  # fmt: skip
        show_one(told, output)
    if not found.is_equal:
        raise CheckFailedError("the live state differs from the log")
    if found.left_out.holes:
        raise CheckFailedError("the live state has no evidence of records that are on the log")


def _difference(row: Any) -> dict[str, Any]:
    return {**row._asdict(), "key": "/".join(row.key)}


def _rate(records: int, seconds: float) -> str:
    return f"{records / seconds:,.0f} records a second" if seconds else "at once"
