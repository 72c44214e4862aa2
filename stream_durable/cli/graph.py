"""Pictures of workflows, and of runs with the status of each step."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from stream_durable.cli.errors import NotFoundError
from stream_durable.cli.selection import RunId
from stream_durable.cli.values import AppTarget, load, load_settings

if TYPE_CHECKING:
    from stream_durable.client.state import RunState
    from stream_durable.core.definition.graph import Graph
    from stream_durable.core.definition.nodes import Definition
    from stream_durable.pictures import States
    from stream_durable.settings import Settings


class Picture(StrEnum):
    """The format of a picture."""

    TEXT = "text"
    MERMAID = "mermaid"
    DOT = "dot"


PictureFormat = Annotated[
    Picture, typer.Option("--format", "-f", help="Text, Mermaid, or the language of Graphviz.")
]


def graph_workflow(
    target: AppTarget,
    name: Annotated[str, typer.Argument(help="Name of the workflow.")],
    picture: PictureFormat = Picture.TEXT,
) -> None:
    """Draw a workflow: steps, dependencies, and options.

    Example: `stream-durable workflows graph shop:app order --format mermaid`
    """
    app = load(target)
    if name not in app.workflows:
        has = ", ".join(app.workflows)
        raise NotFoundError(f"{target} has no workflow {name!r}", f"It has {has}.")
    _draw(app.workflows[name].definition(), None, picture)


def graph_run(run: RunId, picture: PictureFormat = Picture.TEXT) -> None:
    """Draw the workflow of a run, with where each of its steps stands.

    Example: `stream-durable runs graph order-42 --format dot | dot -Tsvg > order-42.svg`
    """
    graph, state = asyncio.run(run_and_graph(load_settings(), run))
    _draw(graph.definition, {**state.steps, **state.helpers}, picture)


async def run_and_graph(settings: Settings, written: str) -> tuple[Graph, RunState]:
    """Return the state and the graph of a run by id or unique prefix."""
    from stream_durable import operating
    from stream_durable.cli.lookup import find_in
    from stream_durable.client.state import run_state
    from stream_durable.services.definitions import published

    async with operating.views(settings) as views:
        stored = await views.run_with_steps(await find_in(views, written))
    assert stored is not None, "it was just found, and runs are not removed"
    version = stored.run.fingerprint
    graph = next((one for one in await published(settings) if one.fingerprint == version), None)
    if graph is None:
        text = f"the definition {version} of run {stored.run.id!r} is not on the definitions topic"
        raise NotFoundError(text, "Is `prefix` that of the instance which the run is in?")
    return graph, run_state(stored, graph)


def _draw(definition: Definition, states: States | None, picture: Picture) -> None:
    from stream_durable.pictures import graphviz, mermaid, text

    if picture is Picture.TEXT:
        drawn = text(definition, states, is_coloured=sys.stdout.isatty())
    else:
        drawn = (mermaid if picture is Picture.MERMAID else graphviz)(definition, states)
    typer.echo(drawn, nl=False)
