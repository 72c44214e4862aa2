"""The workflows, with versions, schemas and figures."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from stream_durable.api.callers import TheCaller
from stream_durable.api.drawn import Drawn, definition_of, drawn_definition
from stream_durable.api.places import Name
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, model, of, shape
from stream_durable.api.world import TheWorld, World
from stream_durable.client import WorkflowEntry
from stream_durable.core.definition.about import About
from stream_durable.core.definition.difference import Change, changes
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.stranding import queues_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.moments import moment

router = APIRouter(
    prefix="/workflows", tags=["workflows"], responses=documented(400, 401, 403, 404, 422, 503)
)

Since = Annotated[str, Query(max_length=40, description="How far back runs count as recent.")]
Fingerprint = Annotated[str, Query(max_length=200, description="A version of the workflow.")]


class VersionShown(NamedTuple):
    """A version of a workflow."""

    fingerprint: str
    #: Whether runs start with it by default.
    is_current: bool
    #: When it was registered last; None: the topic does not say.
    registered: datetime | None
    steps: int
    queues: list[str]


class WorkflowShown(NamedTuple):
    """A workflow: the version registered last, descriptions, schemas and figures about the runs."""

    name: str
    #: Of the version that runs start with.
    fingerprint: str
    description: str
    tags: tuple[str, ...]
    steps: int
    queues: list[str]
    versions: list[VersionShown]
    open: int
    waiting: int
    failed: int
    started: int
    completed: int
    last_created: datetime | None
    last_status: str | None


Workflows = model("Workflows", workflows=many(WorkflowShown))
WorkflowWhole = shape(
    WorkflowShown, "WorkflowWhole", definition=Any, input_schema=Any, output_schema=Any,
    about_steps=dict[str, str], metadata=dict[str, Any],
)  # fmt: skip
Versions = model("Versions", versions=many(VersionShown))
Definition = model(
    "Definition", fingerprint=str, definition=Any, input_schema=Any, output_schema=Any, graph=of(Drawn),
    inquiries=dict[str, Any],
)  # fmt: skip
Difference = model("Difference", changes=many(Change))


@router.get("", response_model=Workflows)
async def list_workflows(world: TheWorld, caller: TheCaller, since: Since = "1d") -> Response:
    """List the workflows published by workers, with figures about their runs."""
    entries = await world.client.workflows(since)
    return caller.answer({"workflows": [_shown(world, entry) for entry in entries]})


@router.get("/{name}", response_model=WorkflowWhole)
async def get_workflow(world: TheWorld, caller: TheCaller, name: Name, since: Since = "1d") -> Response:
    """Return a workflow with its definition and the JSON Schemas of input and output."""
    entry = next((one for one in await world.client.workflows(since) if one.name == name), None)
    if entry is None:
        raise _unknown(name)
    shown = _shown(world, entry)
    graph, about = _version(world, name, shown.fingerprint)
    return caller.answer(
        shown._asdict()
        | {"definition": definition_of(graph), "input_schema": about.input, "output_schema": about.output}
        | {"about_steps": about.steps, "metadata": about.metadata}
    )


@router.get("/{name}/versions", response_model=Versions)
async def list_versions(world: TheWorld, caller: TheCaller, name: Name) -> Response:
    """List the versions of a workflow, the latest registered first."""
    await world.edge.ask(world.ports.catalogue.catch_up, "read the definitions")
    versions = _versions(world, name)
    if not versions:
        raise _unknown(name)
    return caller.answer({"versions": versions})


@router.get("/{name}/versions/{fingerprint}", response_model=Definition)
async def get_version(
    world: TheWorld,
    caller: TheCaller,
    name: Name,
    fingerprint: Annotated[str, Path(max_length=200, description="The version.")],
) -> Response:
    """Return the definition of a version, and its graph with steps as nodes, each with its layer.

    `inquiries` has the JSON Schema of each answer by name; null: anything may be asked.
    """
    await world.edge.ask(world.ports.catalogue.catch_up, "read the definitions")
    graph, about = _version(world, name, fingerprint)
    shown = {"definition": definition_of(graph), "input_schema": about.input, "output_schema": about.output}
    answers = [name for name, node in graph.beside.items() if node.on == "inquiry"]
    shown["inquiries"] = {name: about.inquiries.get(name) for name in answers}
    return caller.answer({"fingerprint": fingerprint, "graph": drawn_definition(graph), **shown})


@router.get("/{name}/diff", response_model=Difference)
async def get_difference(
    world: TheWorld, caller: TheCaller, name: Name, old: Fingerprint, new: Fingerprint
) -> Response:
    """Return the difference between two versions of a workflow."""
    await world.edge.ask(world.ports.catalogue.catch_up, "read the definitions")
    (before, _), (after, _) = _version(world, name, old), _version(world, name, new)
    return caller.answer({"changes": changes(before.definition, after.definition)})


def _shown(world: World, entry: WorkflowEntry) -> WorkflowShown:
    catalogue = world.ports.catalogue
    current = catalogue.current(entry.name) or ""
    versions = _versions(world, entry.name)
    graph, about = catalogue.graph(current), catalogue.about(current)
    return WorkflowShown(
        entry.name, current, about.description, about.tags, 0 if graph is None else graph.size,
        [] if graph is None else _queues(graph), versions, *entry[1:],
    )  # fmt: skip


def _versions(world: World, name: str) -> list[VersionShown]:
    catalogue = world.ports.catalogue
    current = catalogue.current(name)
    known = [graph for graph in catalogue.known() if graph.name == name]
    known.sort(key=lambda graph: catalogue.registered(graph.fingerprint) or 0, reverse=True)
    return [
        VersionShown(
            graph.fingerprint, graph.fingerprint == current, moment(catalogue.registered(graph.fingerprint)),
            graph.size, _queues(graph),
        )
        for graph in known
    ]  # fmt: skip


def _queues(graph: Graph) -> list[str]:
    return sorted(queues_of(graph.definition))


def _version(world: World, name: str, fingerprint: str) -> tuple[Graph, About]:
    graph = world.ports.catalogue.graph(fingerprint)
    if graph is None or graph.name != name:
        raise _unknown(name, fingerprint)
    return graph, world.ports.catalogue.about(fingerprint)


def _unknown(name: str, fingerprint: str = "") -> RejectedError:
    which = f" with version {fingerprint[:128]!r}" if fingerprint else ""
    text = f"there is no workflow {name[:128]!r}{which}: the list of workflows shows names and versions"
    return RejectedError("unknown_workflow", text)
