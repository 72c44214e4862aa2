"""Commands about dead records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from stream_durable.cli.change import By, Change, Reason, changes, who
from stream_durable.cli.errors import UsageError
from stream_durable.cli.gathering import gathers
from stream_durable.cli.output import Format, Output, show, show_facts, show_one
from stream_durable.cli.runs import After, Limit
from stream_durable.cli.selection import moment_or_span
from stream_durable.cli.triggers import do
from stream_durable.cli.watching import watches

if TYPE_CHECKING:
    from stream_durable.client import AsyncClient, DeadFilter, DeadRecord, Redriven

_HELP: Final = "Records impossible to apply; `dead` is about failed runs."
app = typer.Typer(help=_HELP, no_args_is_help=True)

_COLUMNS: Final = ("id", "time", "topic", "key", "code", "bytes", "redriven", "reason")

Id = Annotated[str, typer.Argument(metavar="ID", help="As `records list` shows it.")]


class _Which(NamedTuple):
    """Conditions for records. Each field is an option of every command using `_finds`."""

    topic: Annotated[
        str | None, typer.Option("--topic", help="Records of inbox, of events, or of this topic of others.")
    ] = None
    code: Annotated[str | None, typer.Option("--code", help="As the list shows it.")] = None
    key: Annotated[str | None, typer.Option("--key", help="The whole key, such as the id of a run.")] = None
    text: Annotated[str | None, typer.Option("--text", help="A text in the reason.")] = None
    since: Annotated[
        str | None, typer.Option("--since", help='Set aside since: a time, or "2h" or "1d".')
    ] = None
    before: Annotated[
        str | None, typer.Option("--before", help='Set aside before: a time, or "2h" or "1d".')
    ] = None

    def filter(self, *, redriven: bool | None = None) -> DeadFilter:
        """Return the conditions as the client takes them."""
        from stream_durable.client import DeadFilter

        since, before = moment_or_span("--since", self.since), moment_or_span("--before", self.before)
        return DeadFilter(self.topic, self.code, self.key, self.text, since, before, redriven)


def _finds(command: Callable[..., None]) -> Callable[..., None]:
    return gathers(command, _Which, "which")


@app.callback()
def _group() -> None:
    """Records impossible to apply; `dead` is about failed runs."""


@app.command("list")
@watches
@_finds
def list_records(
    which: _Which,
    redriven: Annotated[
        bool | None,
        typer.Option("--redriven/--unredriven", help="Only records that were, or were not, given again."),
    ] = None,
    limit: Limit = 50,
    after: After = None,
    output: Output = Format.TABLE,
) -> None:
    """List the records impossible to read or apply, newest first, each with the reason.

    The topic `dead` is read from its end until the page is full, 20,000 records at most: --after goes on.

    Example: `stream-durable records list --code unknown_run --since 1d`
    """
    page = do(lambda client: client.dead_records(which.filter(redriven=redriven), limit=limit, after=after))
    show([_row(one, output) for one in page.records], _COLUMNS, output, empty="There is no such record.")
    if page.following is not None:
        more = "There are more" if len(page.records) == limit else "Older ones were not looked at yet"
        typer.echo(f"{more}: --after '{page.following}'", err=True)


@app.command("show")
def show_record(record: Id, output: Output = Format.TABLE) -> None:
    """Show a dead record: where it came from, headers, value, reason and remedy.

    Example: `stream-durable records show 3-17`
    """
    found = do(lambda client: client.dead_record(record))
    shown = _row(found.record, output)
    if output is not Format.TABLE:
        rest = {"headers": [each._asdict() for each in found.headers], "value": found.value}
        show_one({**shown, **rest, "remedy": found.remedy, "can_redrive": found.can_redrive}, output)
        return
    shown |= {"from": _place(found.record), "remedy": found.remedy}
    show_facts(shown, ("topic", "partition", "offset"))
    for each in found.headers:
        typer.echo(f"{'header':<12} {_harmless(each.name)}: {_harmless(each.value)}")
    if found.value is not None:
        typer.echo(f"\n{_harmless(found.value)}")


@app.command("redrive")
@_finds
@changes
def redrive(
    which: _Which,
    record: Annotated[str | None, typer.Argument(metavar="[ID]", help="As `records list` shows it.")] = None,
    at_most: Annotated[
        int, typer.Option("--at-most", min=1, max=100_000, help="Records given at once.")
    ] = 1_000,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Give a record again, or all matching records, once the cause is gone; each is given once.

    A record of the inbox is published there again. One of `events`, or of a topic of others, is read again
    and its message put on the inbox: nothing is published on the topics of others. A record still impossible
    to apply becomes a new record of the list. Records with one key are given in the order of their coming.

    Example: `stream-durable records redrive --code unknown_workflow --since 1d --reason "deployed by now"`
    """
    if (record is None) == (which == _Which()):
        raise UsageError("name one record, or say which by options such as --code or --since, and not both")
    if record is not None:
        change.make(
            f"redrive record {record}",
            lambda client: client.redrive_record(record, reason=reason, by=who(by)),
            lambda found: (
                f"Gave record {found.id} again."
                if found.is_ordered
                else f"Record {found.id} was given again before."
            ),
            facts=lambda found: found._asdict(),
        )
        return
    found = asyncio.run(
        change.through_client(lambda client: _redrive(client, which, change, at_most, reason, by))
    )
    if found is not None:
        _told(change, found)


async def _redrive(
    client: AsyncClient, which: _Which, change: Change, at_most: int, reason: str, by: str | None
) -> Redriven | None:
    """Give the matching records again after confirmation."""
    chosen = which.filter()
    if change.dry_run:
        return await client.redrive_records(chosen, at_most=at_most, preview=True)
    if not change.yes:
        found = await client.redrive_records(chosen, at_most=at_most, preview=True)
        question = f"These conditions are met by {_count(found.records)}. Give {found.told} of them again?"
        if not await asyncio.to_thread(typer.confirm, question, err=True):
            return None
    return await client.redrive_records(chosen, at_most=at_most, reason=reason, by=who(by))


def _told(change: Change, found: Redriven) -> None:
    what = f"redrive {_count(found.told)}"
    if change.dry_run:
        change.would(what, **_facts(change, found))
    else:
        change.made(what, f"Gave {_count(found.told)} again.", **found._asdict())
    if change.output is Format.TABLE:
        for each in found.reasons:
            typer.echo(f"  {each}", err=True)
        if found.refused:
            typer.echo(f"{_count(found.refused)} cannot be given again.", err=True)


def _facts(change: Change, found: Redriven) -> dict[str, Any]:
    return {} if change.output is Format.TABLE else found._asdict()


def _count(records: int) -> str:
    return "1 record" if records == 1 else f"{records:,} records"


def _harmless(text: str) -> str:
    """Return a text of anybody without control characters."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def _place(found: DeadRecord) -> str:
    if found.offset < 0:
        return found.topic
    return f"{found.topic}, partition {found.partition}, offset {found.offset}"


def _row(found: DeadRecord, output: Format) -> dict[str, Any]:
    row, order = found._asdict(), found.redriven
    if output is not Format.TABLE:
        return row | {"redriven": None if order is None else order._asdict()}
    said = "" if order is None else ": ".join(filter(None, (f"by {order.by or 'somebody'}", order.reason)))
    texts = {name: _harmless(value) for name, value in row.items() if isinstance(value, str)}
    return row | texts | {"redriven": said}
