"""Commands about runs."""

from __future__ import annotations

import asyncio
import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.errors import FAILURE, UsageError
from stream_durable.cli.output import Format, Output, lasted, moment, show, show_one
from stream_durable.cli.values import AppOption, load, load_settings, read_json

if TYPE_CHECKING:
    from stream_durable.core.definition.graph import Graph
    from stream_durable.core.rows import RunRow, StepRow
    from stream_durable.ports import RunSummary, StoredRun
    from stream_durable.settings import Settings

app = typer.Typer(help="Start runs, look at them, end them.", no_args_is_help=True)


class RunStatus(StrEnum):
    """Where a run can stand."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation_failed"


RunId = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of the run, or a unique beginning of it.", show_default=False)
]


@app.callback()
def _group() -> None:
    """Start runs, look at them, end them."""


@app.command()
def start(
    workflow: Annotated[str, typer.Argument(help="Name of the workflow.")],
    value: Annotated[
        str, typer.Option("--input", "-i", help="JSON, or @file, or - for standard input.")
    ] = "null",
    run_id: Annotated[
        str | None, typer.Option("--id", help="Starting twice with one id is one run.", show_default="drawn")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="May be repeated.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print what happens until it ends; exit 1 if it fails.")
    ] = False,
    app: AppOption = None,
    output: Output = Format.TABLE,
) -> None:
    """Start a run.

    With `--app` the input is checked by the app's own types, and the workflow is made known.

    Example: `stream-durable runs start order --input '{"id": "42"}' --id order-42 --follow`
    """
    given = read_json(value, "--input")
    target = workflow if app is None else _workflow(app, workflow)
    settings = load_settings()
    asyncio.run(_start(settings, target, given, run_id, tag or [], output, is_followed=follow))


@app.command("list")
def list_runs(
    status: Annotated[
        list[RunStatus] | None, typer.Option("--status", "-s", help="Only these; may be repeated.")
    ] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Only of this workflow.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 50,
    output: Output = Format.TABLE,
) -> None:
    """List runs, the newest first.

    Example: `stream-durable runs list --status failed --output jsonl`
    """
    statuses = [one.value for one in status or ()]
    summaries, has_more = asyncio.run(_list(load_settings(), statuses, workflow, limit))
    rows = [_summary(one, is_short=output is Format.TABLE) for one in summaries]
    columns = ("id", "workflow", "status", "steps", "created", "took", "failure")
    empty = "There is no such run." if status or workflow else "No run was started yet."
    show(rows, columns, output, empty=empty)
    if has_more:
        typer.echo(f"These are the newest {limit}; there are more (--limit).", err=True)


@app.command("show")
def show_run(run: RunId, output: Output = Format.TABLE) -> None:
    """Show a run and what became of each of its steps.

    Example: `stream-durable runs show order-42`
    """
    stored, graph = asyncio.run(_show(load_settings(), run))
    steps = _steps(stored, graph)
    if output is Format.TABLE:
        _print_run(stored.run)
        columns = ("step", "status", "attempt", "took", "worker", "failure")
        show(steps, columns, output, empty="No step has ended yet.")
    else:
        show_one({**_details(stored.run), "steps": steps}, output)


@app.command()
def cancel(
    run: RunId,
    reason: Annotated[str, typer.Option("--reason", help="Kept with the run.")] = "",
) -> None:
    """End a run before its end; attempts that run are told to stop.

    Example: `stream-durable runs cancel order-42 --reason "ordered twice"`
    """
    settings = load_settings()

    async def send() -> str:
        from stream_durable import bootstrap
        from stream_durable.cli.lookup import find_run

        run_id = await find_run(settings, run)
        async with bootstrap.client(settings) as client:
            await client.cancel(run_id, reason)
        return run_id

    typer.echo(f"Asked to cancel {asyncio.run(send())}.")


def _workflow(target: str, name: str) -> Any:
    workflows = load(target).workflows
    if name not in workflows:
        raise UsageError(f"{target} has no workflow {name!r}; it has {', '.join(workflows)}")
    return workflows[name]


async def _start(
    settings: Settings,
    workflow: Any,
    given: Any,
    run_id: str | None,
    tags: list[str],
    output: Format,
    *,
    is_followed: bool,
) -> None:
    from stream_durable import bootstrap
    from stream_durable.cli.follow import follow
    from stream_durable.postgres.views import PostgresViews

    async with bootstrap.client(settings) as client:
        run = await client.start(workflow, given, id=run_id, tags=tags)
    if output is Format.TABLE:
        typer.echo(f"Started {run.id}." if run.created else f"{run.id} was started before; this is that run.")
    else:
        show_one({"id": run.id, "created": run.created}, output)
    if not is_followed:
        return
    views = PostgresViews(settings.postgres)
    try:
        # Programs read what was printed above; the lines are for whoever watches.
        ended = await follow(views, run.id, lambda line: typer.echo(line, err=output is not Format.TABLE))
    finally:
        await views.close()
    if ended.status != "completed":
        raise typer.Exit(FAILURE)
    if ended.output is not None:
        typer.echo(ended.output.decode())


async def _list(
    settings: Settings, status: list[str], workflow: str | None, limit: int
) -> tuple[list[RunSummary], bool]:
    from stream_durable.postgres.views import PostgresViews

    views = PostgresViews(settings.postgres)
    try:
        page = await views.run_list(status=status, workflow=workflow, limit=limit)
        return page.runs, page.following is not None
    finally:
        await views.close()


async def _show(settings: Settings, written: str) -> tuple[StoredRun, Graph | None]:
    """Return a run, and the graph of its steps if more is to be said of them and it can be had."""
    from stream_durable.cli.lookup import find_in
    from stream_durable.postgres.views import PostgresViews

    views = PostgresViews(settings.postgres)
    try:
        stored = await views.run_with_steps(await find_in(views, written))
    finally:
        await views.close()
    assert stored is not None, "it was just found, and runs are not removed"
    if len(stored.steps) == stored.run.total:
        return stored, None
    return stored, await _graph(settings, stored.run.fingerprint)


async def _graph(settings: Settings, fingerprint: str) -> Graph | None:
    """Return a definition's graph; None if Kafka, which has it, does not answer."""
    from stream_durable.core.errors import TransientError
    from stream_durable.services.definitions import published

    try:
        graphs = await published(settings)
    except TransientError as error:
        typer.echo(f"Steps that have not begun are not shown: {error}", err=True)
        return None
    return next((graph for graph in graphs if graph.fingerprint == fingerprint), None)


def _summary(run: RunSummary, *, is_short: bool) -> dict[str, Any]:
    from stream_durable.cli.follow import failure_text

    return {
        "id": run.id,
        "workflow": run.workflow,
        "status": run.status,
        "steps": f"{run.done}/{run.total}",
        "created": moment(run.created),
        "ended": moment(run.ended),
        "took": lasted(run.created, run.ended),
        "tags": json.loads(run.tags) if run.tags else [],
        "failure": failure_text(run.failure) if is_short else _payload(run.failure),
    }


def _steps(stored: StoredRun, graph: Graph | None) -> list[dict[str, Any]]:
    """Return a row for each step: those that have begun in the order in which they did, then the others."""
    from stream_durable.client.state import run_state

    begun = sorted(stored.steps, key=lambda step: (step.started or step.finished or sys.maxsize, step.name))
    names = {step.name for step in begun}
    states = run_state(stored, graph).steps.values() if graph is not None else ()
    rest = ({"step": state.name, "status": state.status} for state in states if state.name not in names)
    return [*map(_step, begun), *rest]


def _step(step: StepRow) -> dict[str, Any]:
    from stream_durable.cli.follow import failure_text

    return {
        "step": step.name,
        "status": step.status,
        "attempt": step.attempt,
        "took": lasted(step.started, step.finished),
        "worker": step.worker,
        "failure": failure_text(step.failure),
        "started": moment(step.started),
        "finished": moment(step.finished),
        "due": moment(step.due),
        "output": _payload(step.output),
    }


def _details(run: RunRow) -> dict[str, Any]:
    return {
        "id": run.id,
        "workflow": run.workflow,
        "fingerprint": run.fingerprint,
        "status": run.status,
        "created": moment(run.created),
        "ended": moment(run.ended),
        "took": lasted(run.created, run.ended),
        "tags": json.loads(run.tags) if run.tags else [],
        "input": _payload(run.input),
        "output": _payload(run.output),
        "failure": _payload(run.failure),
    }


def _print_run(run: RunRow) -> None:
    from rich.text import Text

    from stream_durable.cli.output import cell_text, console

    out = console()
    for name, value in _details(run).items():
        if value not in (None, []):
            out.print(Text(f"{name:<12}", style="bold"), cell_text(value, 200), sep="", markup=False)
    out.print()


def _payload(data: bytes | None) -> Any:
    return None if data is None else json.loads(data)
