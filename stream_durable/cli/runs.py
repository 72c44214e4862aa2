"""Commands for starting runs and reading their state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stream_durable.cli.change import Change, changes
from stream_durable.cli.errors import FAILURE, UsageError
from stream_durable.cli.failures import print_traces
from stream_durable.cli.output import Format, Output, show, show_one
from stream_durable.cli.selection import RunId, Selection, moment_or_span, read_time, selects
from stream_durable.cli.shown import (
    LIST_COLUMNS,
    REACTION_COLUMNS,
    STEP_COLUMNS,
    entry_row,
    folded,
    print_run,
    reaction_rows,
    run_row,
    step_rows,
)
from stream_durable.cli.values import AppOption, load, load_settings, read_json
from stream_durable.cli.watching import watches
from stream_durable.core.errors import RejectedError
from stream_durable.core.names import is_helper, is_inner

if TYPE_CHECKING:
    from stream_durable.client import RunState
    from stream_durable.core.definition.graph import Graph
    from stream_durable.ports import RunOrder, RunPage, RunQuery
    from stream_durable.settings import Settings


app = typer.Typer(help="Start runs, show them, change them.", no_args_is_help=True)

#: Of a start without `--input`.
_NO_INPUT: Final = "null"

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="Rows at most.")]
After = Annotated[str | None, typer.Option("--after", help="Continue a list: the cursor at its end.")]
#: Of lists by id.
AfterId = Annotated[
    str, typer.Option("--after", help="Beyond this id: the last of the page before.", show_default=False)
]


@app.callback()
def _group() -> None:
    """Start runs, show them, change them."""


@app.command()
@changes
def start(
    workflow: Annotated[str, typer.Argument(help="Name of the workflow.")],
    value: Annotated[
        str, typer.Option("--input", "-i", help="JSON, or @file, or - for standard input.")
    ] = _NO_INPUT,
    run_id: Annotated[
        str | None, typer.Option("--id", help="Starting twice with one id is one run.", show_default="random")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="Begin at this time, as 2030-01-31T09:00.", show_default="now")
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", help='Begin after this time, as "90s" or "1d".')
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", help="The queue of steps without a queue.")] = None,
    priority: Annotated[
        int, typer.Option("--priority", min=-100, max=100, help="A higher one goes first, within a worker.")
    ] = 0,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="May be repeated.")] = None,
    metadata: Annotated[
        str | None, typer.Option("--meta", help="Metadata: a JSON object, or @file, or -.")
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", help="As amount=9.5; may be repeated.")
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", help='How long it may take, as "2h".', show_default="the workflow's"),
    ] = None,
    due: Annotated[
        str | None,
        typer.Option(
            "--due",
            help='How long until it is expected to end, as "2h", or by when.',
            show_default="the workflow's",
        ),
    ] = None,
    signal: Annotated[
        str | None, typer.Option("--signal", help="Give the run this signal, also if it exists.")
    ] = None,
    signal_data: Annotated[
        str, typer.Option("--signal-data", help="Data of the signal: JSON, or @file, or -.")
    ] = "null",
    signal_by: Annotated[str, typer.Option("--signal-by", help="Who sends the signal, under any name.")] = "",
    signal_ttl: Annotated[
        str | None,
        typer.Option("--signal-ttl", help='How long it waits, as "2h".', show_default="as long as the run"),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print events until the run ends; exit 1 if the run fails.")
    ] = False,
    app: AppOption = None,
    *,
    change: Change,
) -> None:
    """Start a run.

    With `--app` the input is checked by the app's own types, and the workflow is made known.

    Example: `stream-durable runs start order --input '{"id": "42"}' --id order-42 --follow`
    """
    options: Any = {
        "id": run_id,
        "at": None if at is None else read_time(at, "--at"),
        "after": after,
        "queue": queue,
        "priority": priority,
        "tags": tag or [],
        "metadata": None if metadata is None else read_json(metadata, "--meta"),
        "attributes": _attributes(attribute or []),
        "timeout": timeout,
        "due": None if due is None else moment_or_span("--due", due),
        "signal": None if signal is None else (signal, read_json(signal_data, "--signal-data")),
        "signal_by": signal_by,
        "signal_ttl": signal_ttl,
    }
    given = read_json(value, "--input")
    target = workflow if app is None else _workflow(app, workflow)
    try:
        started = change.make(
            f"start a run of workflow {workflow}",
            lambda client: client.start(target, given, **options),
            lambda run: f"Started {run.id}." if run.created else f"{run.id} was started before.",
            facts=lambda run: {"id": run.id, "created": run.created},
        )
    except RejectedError as error:
        if error.code == "invalid_input" and value == _NO_INPUT:
            raise UsageError(f"{error}: give it with --input, as JSON, @file, or - for stdin") from None
        raise
    if follow and started is not None:
        # Programs read the output above; these lines are for people.
        is_for_programs = change.output is not Format.TABLE
        asyncio.run(
            _followed(load_settings(), started.id, lambda line: typer.echo(line, err=is_for_programs))
        )


@app.command("list")
@watches
@selects
def list_runs(
    which: Selection,
    limit: Limit = 50,
    after: After = None,
    children: Annotated[
        bool, typer.Option("--children", help="Also how many runs the steps of each have started.")
    ] = False,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            help="created, started, updated, duration or an attribute; with - before it the greatest first.",
        ),
    ] = "-created",
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            help="Columns of the table, by comma; an attribute is one.",
            show_default=",".join(LIST_COLUMNS),
        ),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """List runs, newest first.

    For programs each run has a `cursor`: `--after` takes the last one to continue. Runs created or changed
    meanwhile are neither missed nor repeated. Sorted by an attribute, runs without it are left out.

    Example: `stream-durable runs list --where 'amount>=9.5' --sort -amount --columns id,status,amount`
    """
    empty = "There is no such run." if not which.is_empty else "No run was started yet."
    shown = LIST_COLUMNS if columns is None else [name.strip() for name in columns.split(",")]
    show_page(
        which.filter().query(), limit, after, output, empty=empty, with_children=children, sort=sort,
        columns=shown,
    )  # fmt: skip


@app.command("watch")
def watch(run: RunId, output: Output = Format.TABLE) -> None:
    """Print the public events of a run until the end; exit 1 if the run fails.

    Earlier events are printed first. Members of a large group are counted instead of listed.

    Example: `stream-durable runs watch order-42`
    """
    asyncio.run(_watch(load_settings(), run, output))


@app.command("show")
def show_run(run: RunId, output: Output = Format.TABLE) -> None:
    """Show a run and the state of each step and reaction.

    The table counts completed and pending members of a large group; `--output json` has all.

    Example: `stream-durable runs show order-42`
    """
    found = asyncio.run(_show(load_settings(), run))
    steps, helpers, reactions = step_rows(found.steps), step_rows(found.helpers), reaction_rows(found)
    if output is not Format.TABLE:
        show_one({**run_row(found), "steps": steps, "helpers": helpers, "reactions": reactions}, output)
        return
    print_run(found)
    show(folded(steps), STEP_COLUMNS, output, empty="No step has ended yet.")
    if reactions:
        typer.echo("\nReactions:")
        show(reactions, REACTION_COLUMNS, output, empty="")
    if helpers:
        typer.echo("\nHooks, compensations and calls beside the graph:")
        show(helpers, STEP_COLUMNS, output, empty="")
    failed = [row for row in (*steps, *helpers) if row["status"] != "completed"]
    print_traces((f"{row['step']}, attempt {row['attempt']}", row["failure"]) for row in failed)


def show_page(
    query: RunQuery | None,
    limit: int,
    after: str | None,
    output: Format,
    *,
    empty: str,
    with_children: bool = False,
    columns: Sequence[str] = LIST_COLUMNS,
    sort: str = "-created",
) -> None:
    """Print a page of runs, and where to go on if there are more."""
    from stream_durable.client.listing import cursor, entry, read_order

    order = read_order(sort)
    page, children = asyncio.run(
        _list(load_settings(), query, limit, after, order, with_children=with_children)
    )
    rows = [entry_row(entry(run)) for run in page.runs]
    for row, run in zip(rows, page.runs, strict=True):
        place = order.place(run)
        row["cursor"] = None if place is None else cursor(place)
    if with_children:
        rows = [{**row, "children": children.get(row["id"], 0)} for row in rows]
    if output is Format.TABLE:
        rows = [{**row["attributes"], **row} for row in rows]
    if with_children:
        columns = (*columns[:-1], "children", columns[-1])
    show(rows, columns, output, empty=empty)
    if page.following is not None:
        typer.echo(f"There are more: --after {cursor(page.following)}", err=True)


def _attributes(written: list[str]) -> dict[str, Any]:
    """Return attributes written as conditions of equality."""
    from stream_durable.client.where import Where

    found = [Where.read(text) for text in written]
    for one in found:
        if one.operator != "=":
            raise UsageError(f"--attribute: {str(one)!r} sets nothing; write amount=9.5")
    return {one.name: one.value for one in found}


def _workflow(target: str, name: str) -> Any:
    workflows = load(target).workflows
    if name not in workflows:
        raise UsageError(f"{target} has no workflow {name!r}; it has {', '.join(workflows)}")
    return workflows[name]


async def _watch(settings: Settings, written: str, output: Format) -> None:
    from stream_durable import operating
    from stream_durable.cli.follow import rows
    from stream_durable.cli.lookup import find_run

    run = await find_run(settings, written)
    if output is Format.TABLE:
        await _followed(settings, run, typer.echo)
        return
    found, status = [], ""
    async with operating.views(settings) as views:
        async for row in rows(views, run):
            status = row["status"]
            if output is Format.JSONL:
                show_one(row, output)
            else:
                found.append(row)
    if output is Format.JSON:
        show(found, (), output, empty="")
    if status != "completed":
        raise typer.Exit(FAILURE)


async def _followed(settings: Settings, run: str, say: Callable[[str], None]) -> None:
    """Print events until a run ends, and the outcome."""
    from stream_durable import operating
    from stream_durable.cli.follow import follow

    async with operating.views(settings) as views:
        ended = await follow(views, run, say)
    if ended.status != "completed":
        raise typer.Exit(FAILURE)
    if ended.output is not None:
        typer.echo(ended.output.decode())


async def _list(
    settings: Settings,
    query: RunQuery | None,
    limit: int,
    after: str | None,
    order: RunOrder,
    *,
    with_children: bool,
) -> tuple[RunPage, dict[str, int]]:
    from stream_durable import operating
    from stream_durable.client.listing import read_cursor
    from stream_durable.ports import RunPage

    if query is None:
        return RunPage([], None), {}
    async with operating.views(settings) as views:
        position = None if after is None else read_cursor(after, order)
        page = await views.run_list(query, limit=limit, after=position, order=order)
        return page, await views.child_counts([run.id for run in page.runs]) if with_children else {}


async def _show(settings: Settings, written: str) -> RunState:
    """Return the state of a run; without the steps not yet begun if Kafka does not answer."""
    from stream_durable import operating
    from stream_durable.cli.lookup import find_in
    from stream_durable.client.state import read_state, run_state

    async with operating.views(settings) as views:
        stored = await views.run_with_steps(await find_in(views, written))
    assert stored is not None, "it was just found, and runs are not removed"
    is_whole = (
        sum(not (is_helper(step.name) or is_inner(step.name)) for step in stored.steps) == stored.run.total
    )
    if is_whole and stored.run.ended is not None:
        return run_state(stored, None)
    graph = await _graph(settings, stored.run.fingerprint)
    if graph is None:
        return run_state(stored, None)
    async with operating.views(settings) as views:
        return await read_state(views, stored, graph)


async def _graph(settings: Settings, fingerprint: str) -> Graph | None:
    """Return a definition's graph, or None if Kafka does not answer."""
    from stream_durable.core.errors import TransientError
    from stream_durable.services.definitions import published

    try:
        graphs = await published(settings)
    except TransientError as error:
        typer.echo(f"Steps not yet begun, and causes of waiting, are not shown: {error}", err=True)
        return None
    return next((graph for graph in graphs if graph.fingerprint == fingerprint), None)
