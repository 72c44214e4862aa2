"""Commands about schedules."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from stream_durable.cli.change import By, Change, Reason, changes, who
from stream_durable.cli.failures import Failed
from stream_durable.cli.latest import order_rows, show_orders
from stream_durable.cli.output import Format, Output, show, show_facts, show_one
from stream_durable.cli.selection import read_time
from stream_durable.cli.values import load_settings, read_json
from stream_durable.cli.watching import watches

if TYPE_CHECKING:
    from stream_durable.client import AsyncClient, FiringState, ScheduleState

R = TypeVar("R")
schedules = typer.Typer(help="Rules for starting runs: cron, intervals, moments.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the schedule.")]
Cron = Annotated[
    list[str] | None,
    typer.Option("--cron", help="A cron expression, of five fields, or six with seconds first; repeatable."),
]
Every = Annotated[str | None, typer.Option("--every", help='The time between firings, as "90s" or "1d".')]
At = Annotated[
    list[str] | None, typer.Option("--at", help="A single moment, as 2030-01-31T09:00; repeatable.")
]
After = Annotated[str | None, typer.Option("--after", help="Fire once, so long after the creation.")]
Zone = Annotated[
    str | None, typer.Option("--timezone", "-z", help="IANA name of a zone, as Europe/Berlin; else UTC.")
]
Start = Annotated[str | None, typer.Option("--start", help="The first moment that may fire.")]
End = Annotated[str | None, typer.Option("--end", help="The first moment that may no more.")]
Jitter = Annotated[str | None, typer.Option("--jitter", help="The longest delay of a firing.")]
Overlap = Annotated[
    str | None,
    typer.Option(
        "--overlap",
        help="While a run of an earlier firing is under way: skip, queue_one, queue_all, cancel or allow.",
    ),
]
CatchUp = Annotated[
    str | None, typer.Option("--catch-up", help="How late a firing may be.", show_default="1d")
]
Timeout = Annotated[str | None, typer.Option("--timeout", help="How long each run may take.")]
DisableAfter = Annotated[
    int | None, typer.Option("--disable-after", min=1, help="Turn it off after so many failures in a row.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", "-t", help="A tag of each run; repeatable.")]
Queue = Annotated[str | None, typer.Option("--queue", "-q", help="The queue of steps without a queue.")]
Priority = Annotated[int | None, typer.Option("--priority", min=-100, max=100, help="Of each run.")]
Input = Annotated[
    str | None,
    typer.Option("--input", "-i", help="JSON input of each run, or @file, or -: standard input."),
]


@schedules.callback()
def _group() -> None:
    """Rules for starting runs: cron, intervals, moments."""


@schedules.command("list")
@watches
def list_schedules(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000, help="Rows at most.")] = 1_000,
    output: Output = Format.TABLE,
) -> None:
    """List the schedules: on or off, with the next moment, and whether declared in code.

    Example: `stream-durable schedules list`
    """
    found = _do(lambda client: client.schedules(limit=limit))
    columns = ("name", "status", "workflow", "rule", "timezone", "next", "note")
    show(map(_row, found), columns, output, empty="There are no schedules.")


@schedules.command("show")
def show_schedule(name: Name, output: Output = Format.TABLE) -> None:
    """Show a schedule: the next ten moments in its zone and in yours, and the latest firings.

    Example: `stream-durable schedules show nightly`
    """
    found = _do(lambda client: client.schedule(name))
    row = _row(found) | {"moments": found.moments, "firings": [_firing(one) for one in found.firings]}
    if output is not Format.TABLE:
        show_one(row, output)
        return
    show_facts(row, ("moments", "firings", "orders"))
    show_orders(found.orders)
    typer.echo()
    _show_moments(found)
    if found.firings:
        typer.echo()
        show(row["firings"], ("moment", "status", "cause", "run", "at", "failure"), output, empty="")


@schedules.command("next")
def next_moments(name: Name, output: Output = Format.TABLE) -> None:
    """Show the next ten moments of a schedule, in its zone and in yours.

    Example: `stream-durable schedules next nightly`
    """
    found = _do(lambda client: client.schedule(name))
    if output is Format.TABLE:
        _show_moments(found)
    else:
        show([{"moment": moment} for moment in found.moments], ("moment",), output, empty="")


@schedules.command("create")
@changes
def create(
    name: Name,
    workflow: Annotated[str, typer.Argument(help="Name of the workflow.")],
    input: Input = None,  # noqa: A002 - the word for it everywhere
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    after: After = None,
    timezone: Zone = None,
    start: Start = None,
    end: End = None,
    jitter: Jitter = None,
    overlap: Overlap = None,
    catch_up: CatchUp = None,
    timeout: Timeout = None,
    disable_after: DisableAfter = None,
    tags: Tags = None,
    queue: Queue = None,
    priority: Priority = None,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Create a schedule for runs of a workflow.

    Example: `stream-durable schedules create nightly report --cron '0 2 * * *' --timezone Europe/Berlin`
    """
    options = _given(
        cron=cron, every=every, at=at, after=after, timezone=timezone, start=start, end=end, jitter=jitter,
        overlap=overlap, catch_up=catch_up, timeout=timeout, disable_after=disable_after, tags=tags,
        queue=queue, priority=priority,
    )  # fmt: skip
    value = None if input is None else read_json(input, "--input")
    change.make(
        f"create schedule {name}",
        lambda client: client.create_schedule(name, workflow, value, reason=reason, by=who(by), **options),
        f"Created {name}.",
    )


@schedules.command("change")
@changes
def change_schedule(
    name: Name,
    input: Input = None,  # noqa: A002 - the word for it everywhere
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    after: After = None,
    timezone: Zone = None,
    start: Start = None,
    end: End = None,
    jitter: Jitter = None,
    overlap: Overlap = None,
    catch_up: CatchUp = None,
    timeout: Timeout = None,
    disable_after: DisableAfter = None,
    tags: Tags = None,
    queue: Queue = None,
    priority: Priority = None,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Change a schedule; other options stay. Kept over deployments, until `schedules reset`.

    Example: `stream-durable schedules change nightly --cron '0 3 * * *'`
    """
    options = _given(
        cron=cron, every=every, at=at, after=after, timezone=timezone, start=start, end=end, jitter=jitter,
        overlap=overlap, catch_up=catch_up, timeout=timeout, disable_after=disable_after, tags=tags,
        queue=queue, priority=priority,
    )  # fmt: skip
    value = None if input is None else read_json(input, "--input")
    change.make(
        f"change schedule {name}",
        lambda client: client.change_schedule(name, input=value, reason=reason, by=who(by), **options),
        f"Asked to change {name}.",
    )


@schedules.command("reset")
@changes
def reset(name: Name, reason: Reason = "", by: By = None, *, change: Change) -> None:
    """Go back to the code's plan of a schedule.

    Example: `stream-durable schedules reset nightly`
    """
    change.make(
        f"reset schedule {name}",
        lambda client: client.reset_schedule(name, reason, by=who(by)),
        f"Asked to reset {name}.",
    )


@schedules.command("pause")
@changes
def pause(
    name: Name,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Turn a schedule off: moments meanwhile do not fire, and are not caught up. Kept over deployments.

    Example: `stream-durable schedules pause nightly --reason holidays`
    """
    change.make(
        f"pause schedule {name}",
        lambda client: client.pause_schedule(name, reason, by=who(by)),
        f"Asked to pause {name}.",
    )


@schedules.command("resume")
@changes
def resume(name: Name, reason: Reason = "", by: By = None, *, change: Change) -> None:
    """Turn a schedule on again, from now on.

    Example: `stream-durable schedules resume nightly`
    """
    change.make(
        f"resume schedule {name}",
        lambda client: client.resume_schedule(name, reason, by=who(by)),
        f"Asked to resume {name}.",
    )


@schedules.command("delete")
@changes
def delete(name: Name, reason: Reason = "", by: By = None, *, change: Change) -> None:
    """Forget a schedule; runs go on. A deployment still declaring the schedule creates it again.

    Example: `stream-durable schedules delete nightly`
    """
    change.make(
        f"delete schedule {name}",
        lambda client: client.delete_schedule(name, reason, by=who(by)),
        f"Asked to delete {name}.",
        asks=True,
    )


@schedules.command("trigger")
@changes
def trigger(
    name: Name,
    order: Annotated[str | None, typer.Option("--id", help="Each id starts one run, however often.")] = None,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Start a run of a schedule now, on or off; print the run's id.

    Example: `stream-durable schedules trigger nightly`
    """
    change.make(
        f"trigger schedule {name}",
        lambda client: client.trigger_schedule(name, id=order, reason=reason, by=who(by)),
        lambda run: f"Asked for run {run} of schedule {name}.",
        facts=lambda run: {"run": run},
    )


@schedules.command("backfill")
@changes
def backfill(
    name: Name,
    since: Annotated[str, typer.Option("--since", help="From this moment on, as 2030-01-31T09:00.")],
    until: Annotated[str, typer.Option("--until", help="Before this moment.")],
    pace: Annotated[str, typer.Option("--pace", help="The time between one start and the next.")] = "1s",
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Start runs for moments of the past; a moment with a run gets no second one.

    Example: `stream-durable schedules backfill nightly --since 2030-01-01 --until 2030-01-31 --dry-run`
    """
    begin, end = read_time(since, "--since"), read_time(until, "--until")
    change.confirm(f"start the runs of {name} from {since} to {until}")
    found = _do(
        lambda client: client.backfill_schedule(
            name, begin, end, preview=change.dry_run, pace=pace, reason=reason, by=who(by)
        )
    )
    rows = [{"moment": moment} for moment in found.moments]
    show(rows, ("moment",), change.output, empty="No moment is in between.")
    if not change.dry_run:
        typer.echo(f"{len(found.moments)} moments of {name} are filled in, one each {pace}.", err=True)


def _do(call: Callable[[AsyncClient], Awaitable[R]]) -> R:
    from stream_durable import connecting

    async def run() -> R:
        async with connecting.client(load_settings()) as client:
            return await call(client)

    return asyncio.run(run())


def _given(**options: Any) -> Any:
    """Return the given options."""
    return {name: value for name, value in options.items() if value not in (None, [])}


def _row(found: ScheduleState) -> dict[str, Any]:
    return {
        "name": found.name,
        "status": "on" if found.is_on else "off",
        "workflow": found.workflow,
        "rule": found.rule,
        "timezone": found.timezone,
        "next": found.next,
        "note": _note(found),
        "overlap": found.overlap,
        "created": found.created,
        "app": found.app,
        "undeclared": found.undeclared,
        "is_changed": found.is_changed,
        "off_since": found.off_since,
        "off_by": found.off_by,
        "off_cause": found.off_cause,
        "reason": found.reason,
        "missed": found.missed,
        "failures": found.failures,
        "input": found.input,
        "orders": order_rows(found.orders),
    }


def _note(found: ScheduleState) -> str | None:
    """Return notes on a schedule for people."""
    notes = []
    if not found.is_on:
        notes.append(f"off: {found.reason or found.off_by or found.off_cause}")
    if found.undeclared is not None:
        notes.append(f"app {found.app} declares it no longer")
    elif found.is_changed and found.app:
        notes.append("changed at run time")
    return "; ".join(notes) or None


def _firing(one: FiringState) -> dict[str, Any]:
    return {**one._asdict(), "failure": Failed.of(one.failure)}


def _show_moments(found: ScheduleState) -> None:
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(found.timezone)
    rows = [
        {found.timezone: _shown(moment.astimezone(zone)), "here": _shown(moment.astimezone())}
        for moment in found.moments
    ]
    show(rows, (found.timezone, "here"), Format.TABLE, empty="It has no more moments.")


def _shown(moment: datetime) -> str:
    return moment.strftime("%a %Y-%m-%d %H:%M:%S %z")
