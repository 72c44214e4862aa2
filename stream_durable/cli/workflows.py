"""Commands about definitions: those of an app, or those that workers have published."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.errors import NotFoundError
from stream_durable.cli.output import Format, Output, show, show_one
from stream_durable.cli.values import AppOption, load, load_settings

if TYPE_CHECKING:
    from stream_durable.core.definition.graph import Graph
    from stream_durable.core.definition.nodes import AnyNode

app = typer.Typer(help="The workflows that can be started.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The workflows that can be started."""


@app.command("list")
def list_workflows(
    target: Annotated[
        str | None, typer.Argument(metavar="[APP]", help="Those of this app, such as shop:app.")
    ] = None,
    all_versions: Annotated[
        bool, typer.Option("--all", help="Also those versions that newer ones have replaced.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """List the workflows of an app; without one, those that workers have published.

    Example: `stream-durable workflows list shop:app`
    """
    graphs = _graphs(target)
    if not all_versions:
        graphs = list({graph.name: graph for graph in graphs}.values())
    rows = [_row(graph) for graph in sorted(graphs, key=lambda graph: graph.name)]
    empty = "No worker has published a workflow yet: start one with `stream-durable worker shop:app`."
    show(rows, ("name", "steps", "fingerprint", "queues"), output, empty=empty)


@app.command("show")
def show_workflow(
    name: Annotated[str, typer.Argument(help="Its name, or the fingerprint of one version.")],
    app: AppOption = None,
    output: Output = Format.TABLE,
) -> None:
    """Show the steps of a workflow and what each waits for.

    Example: `stream-durable workflows show order --app shop:app`
    """
    found = [graph for graph in _graphs(app) if name in (graph.name, graph.fingerprint)]
    if not found:
        raise NotFoundError(
            f"there is no workflow {name!r}", "`stream-durable workflows list` shows those there are."
        )
    graph = found[-1]
    steps = [_step(node) for node in graph.nodes]
    if output is not Format.TABLE:
        show_one({**_row(graph), "definition": _definition(graph)}, output)
        return
    typer.echo(f"{graph.name}  {graph.fingerprint}")
    show(steps, ("step", "kind", "after", "what"), output, empty="It has no steps.")


def _graphs(target: str | None) -> list[Graph]:
    from stream_durable.core.definition.graph import Graph

    if target is not None:
        return [Graph(definition) for definition in load(target).definitions()]
    return asyncio.run(_published())


async def _published() -> list[Graph]:
    from stream_durable.services.definitions import published

    return await published(load_settings())


def _row(graph: Graph) -> dict[str, Any]:
    from stream_durable.core.definition.stranding import queues_of

    return {
        "name": graph.name,
        "fingerprint": graph.fingerprint,
        "steps": graph.size,
        "queues": ", ".join(sorted(queues_of(graph.definition))),
    }


def _definition(graph: Graph) -> Any:
    import msgspec

    return msgspec.to_builtins(graph.definition)


def _step(node: AnyNode) -> dict[str, Any]:
    from stream_durable.pictures.notes import notes_of

    return {
        "step": node.name,
        "kind": type(node).__struct_config__.tag,
        "after": ", ".join(node.after),
        "what": ", ".join(notes_of(node)),
    }
