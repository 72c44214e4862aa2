"""Commands for definitions: of an app, or published by workers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stream_durable.cli.errors import NotFoundError, UsageError
from stream_durable.cli.graph import graph_workflow
from stream_durable.cli.output import Format, Output, Share, show, show_one
from stream_durable.cli.values import AppOption, load, load_settings
from stream_durable.cli.versions import diff
from stream_durable.cli.watching import watches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream_durable.client import Deployment, WorkflowEntry
    from stream_durable.core.definition.about import About
    from stream_durable.core.definition.graph import Graph
    from stream_durable.core.definition.nodes import AnyNode

_FIGURES: Final = ("open", "waiting", "failed", "last_day", "last_run", "last_status")
app = typer.Typer(help="The workflows available for starting.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The workflows available for starting."""


@app.command("list")
@watches
def list_workflows(
    target: Annotated[
        str | None, typer.Argument(metavar="[APP]", help="Workflows of this app, such as shop:app.")
    ] = None,
    all_versions: Annotated[bool, typer.Option("--all", help="Replaced versions too.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List the workflows of an app; without an app, those published by workers, with figures.

    *open* counts runs not yet ended, *failed* the failed runs, and *last_day* the completed runs among those
    created in the last day.

    Example: `stream-durable workflows list shop:app`
    """
    found = _described(target)
    if not all_versions:
        found = list({graph.name: (graph, about) for graph, about in found}.values())
    rows = [_row(graph, about) for graph, about in sorted(found, key=lambda one: one[0].name)]
    figures = {} if target is not None or not rows else asyncio.run(_figures())
    rows = [{**row, **figures.get(row["name"], {})} for row in rows]
    columns = ["name", *_FIGURES] if figures else ["name"]
    columns += ["steps", "fingerprint", "queues"]
    columns += [name for name in ("tags", "description") if any(row[name] for row in rows)]
    empty = "No worker has published a workflow yet: start one with `stream-durable worker shop:app`."
    show(rows, columns, output, empty=empty)


@app.command("show")
def show_workflow(
    name: Annotated[
        str, typer.Argument(help="Name, or fingerprint of a version or a unique beginning of it.")
    ],
    app: AppOption = None,
    output: Output = Format.TABLE,
) -> None:
    """Show the steps of a workflow with their dependencies.

    Example: `stream-durable workflows show order --app shop:app`
    """
    known = _described(app)
    found = [one for one in known if name == one[0].name] or [
        one for one in known if one[0].fingerprint.startswith(name)
    ]
    if len({graph.name for graph, _ in found}) > 1 or (len(found) > 1 and name != found[0][0].name):
        shown = ", ".join(graph.fingerprint for graph, _ in found)
        raise UsageError(f"{name!r} could be any of {shown}: write more of it")
    if not found:
        raise NotFoundError(
            f"there is no workflow {name!r}", "`stream-durable workflows list` shows those there are."
        )
    graph, about = found[-1]
    steps = [{**_step(node), "description": about.steps.get(node.name, "")} for node in graph.nodes]
    if output is not Format.TABLE:
        show_one(
            {**_row(graph, about), "definition": _plain(graph.definition), "about": _plain(about)}, output
        )
        return
    typer.echo(f"{graph.name}  {graph.fingerprint}")
    for line in _said(about):
        typer.echo(line)
    columns = ["step", "kind", "after", "what", *(["description"] if about.steps else [])]
    show(steps, columns, output, empty="It has no steps.")


@app.command("deployments")
@watches
def list_deployments(
    since: Annotated[str, typer.Option(help="How far back, such as 12h.")] = "7d",
    output: Output = Format.TABLE,
) -> None:
    """List the versions of workflows registered within a time, the latest first; at most 100.

    Example: `stream-durable workflows deployments --since 1d`
    """
    rows = [one._asdict() for one in asyncio.run(_deployments(since))]
    show(rows, ("at", "workflow", "fingerprint"), output, empty=f"No version was registered within {since}.")


async def _deployments(since: str) -> list[Deployment]:
    from stream_durable import connecting

    async with connecting.client(load_settings()) as client:
        return await client.deployments(since)


def _said(about: About) -> Iterator[str]:
    if about.description:
        yield about.description
    if about.tags:
        yield f"tags: {', '.join(about.tags)}"
    for name, value in about.metadata.items():
        yield f"{name}: {value if isinstance(value, str) else _plain(value)}"


def _described(target: str | None) -> list[tuple[Graph, About]]:
    from stream_durable.core.definition.graph import Graph

    if target is not None:
        return [(Graph(definition), about) for definition, about in load(target).registrations()]
    return asyncio.run(_published())


async def _published() -> list[tuple[Graph, About]]:
    from stream_durable.services.definitions import described

    return await described(load_settings())


def _row(graph: Graph, about: About) -> dict[str, Any]:
    from stream_durable.core.definition.stranding import queues_of

    return {
        "name": graph.name,
        "fingerprint": graph.fingerprint,
        "steps": graph.size,
        "queues": ", ".join(sorted(queues_of(graph.definition))),
        "tags": ", ".join(about.tags),
        "description": about.description,
    }


async def _figures() -> dict[str, dict[str, Any]]:
    """Return figures about the runs of each workflow, by name."""
    from stream_durable import connecting

    async with connecting.client(load_settings()) as client:
        return {one.name: _figure(one) for one in await client.workflows()}


def _figure(one: WorkflowEntry) -> dict[str, Any]:
    return {
        "open": one.open,
        "waiting": one.waiting,
        "failed": one.failed,
        "last_day": Share(one.completed, one.started),
        "last_run": one.last_created,
        "last_status": one.last_status,
    }


def _plain(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value)


def _step(node: AnyNode) -> dict[str, Any]:
    from stream_durable.pictures.notes import notes_of

    return {
        "step": node.name,
        "kind": type(node).__struct_config__.tag,
        "after": ", ".join(node.after),
        "what": ", ".join(notes_of(node)),
    }


app.command("graph")(graph_workflow)
app.command("diff")(diff)
