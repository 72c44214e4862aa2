"""The instance as a whole: overview, attention, partitions and settings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query
from fastapi.responses import Response

from stream_durable.api.callers import TheCaller
from stream_durable.api.conditions import Zone, clocks
from stream_durable.api.gates import GateShown, gate_shown
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, model, shape
from stream_durable.api.world import TheWorld
from stream_durable.client import Deployment, Flow, RunEntry, RunFilter, RunStatuses, WorkerState
from stream_durable.client.attention import Attention
from stream_durable.client.processes import ProcessState, Release, releases
from stream_durable.core.moments import moment
from stream_durable.ports import GroupMember
from stream_durable.services.status import Concern, Readers, Status, concerns
from stream_durable.settings import SettingRow, describe
from stream_durable.wire.topics import INBOX, full_name

router = APIRouter(responses=documented(400, 401, 403, 404, 422, 503))

#: Runs on the overview.
RECENT_RUNS = 20
#: How far back the overview says what was deployed: as far as its charts go.
DEPLOYED_SINCE = "7d"
#: How far the overview counts: beyond are "10,000+".
COUNT_MAX = 10_000


class PartitionShown(NamedTuple):
    """A partition of the inbox."""

    topic: str
    partition: int
    owner: str | None
    takeovers: int
    next_offset: int
    #: Records left, and since when the oldest of them waits.
    lag: int
    behind_since: datetime | None
    #: Why it stands still for good.
    lost_reason: str | None


class ReadersShown(NamedTuple):
    """The processes reading a topic, and the remaining records."""

    name: str
    members: tuple[GroupMember, ...]
    lag: int
    behind_since: datetime | None


class StatusShown(NamedTuple):
    """An instance at a moment."""

    at: datetime
    runs: dict[str, int]
    is_exact: bool
    partitions: list[PartitionShown]
    #: None: the broker is one in memory, and shows no groups.
    reconcilers: tuple[GroupMember, ...] | None
    ingress: ReadersShown | None
    #: The queues, with the workers of each.
    queues: list[ReadersShown]
    gates: list[GateShown]
    #: Records of the last day that could not be applied, up to a limit.
    dead: int
    #: What takes a person, the most urgent first.
    concerns: list[Concern]
    #: Of all kinds, with those lost in the last day.
    processes: list[ProcessState]


Overview = model(
    "Overview", at=datetime, counts=shape(RunStatuses), failed=shape(RunStatuses), runs=many(RunEntry),
    inputs=int, concerns=many(Concern), gates=many(GateShown), deployments=many(Deployment),
    releases=many(Release),
)  # fmt: skip
Deployments = model("Deployments", deployments=many(Deployment))
SettingRows = model("SettingRows", settings=many(SettingRow))


@router.get("/status", response_model=shape(StatusShown), tags=["instance"])
async def get_status(world: TheWorld, caller: TheCaller) -> Response:
    """Return partitions, readers and queues with lag and owners, and the problems for a person."""
    client = world.client
    workers, processes = await client.workers(), await client.processes()
    return caller.answer(_status(await world.status(), workers, processes, world.settings.prefix))


@router.get("/overview", response_model=Overview, tags=["instance"])
async def get_overview(world: TheWorld, caller: TheCaller) -> Response:
    """Return the content of the first screen in one answer: problems for a person, counts and recent runs."""
    client = world.client
    counts = await client.statuses(at_most=COUNT_MAX)
    failed = await client.statuses(RunFilter(failed=True, updated_since="1d"), at_most=COUNT_MAX)
    runs = await client.list(limit=RECENT_RUNS)
    inputs = await client.inputs(limit=1_000)
    found, workers = await world.status(), await client.workers()
    return caller.answer(
        {"at": found.at and moment(found.at), "counts": counts, "failed": failed, "runs": runs.runs}
        | {
            "deployments": await client.deployments(DEPLOYED_SINCE),
            "releases": releases(await client.processes()),
        }
        | {
            "inputs": len(inputs.inputs),
            "concerns": concerns(found, workers),
            "gates": list(map(gate_shown, found.gates)),
        }
    )


@router.get("/attention", response_model=shape(Attention), tags=["instance"])
async def get_attention(
    world: TheWorld,
    caller: TheCaller,
    since: Annotated[str, Query(max_length=40, description="Failures of runs created so long ago.")] = "1d",
    zone: Zone = "UTC",
) -> Response:
    """Return the causes for a person's attention, the most urgent first; failures are grouped by cause."""
    return caller.answer(await world.client.attention(since, zone=clocks(zone)))


@router.get("/flow", response_model=shape(Flow), tags=["instance"])
async def get_flow(
    world: TheWorld,
    caller: TheCaller,
    since: Annotated[str, Query(max_length=40, description="How long ago the first stretch begins.")] = "1h",
    count: Annotated[int, Query(ge=1, le=200, description="How many stretches.")] = 60,
) -> Response:
    """Return runs over time: how many were created in each stretch of time, and how many of them failed."""
    return caller.answer(await world.client.flow(since, count))


@router.get("/deployments", response_model=Deployments, tags=["instance"])
async def list_deployments(
    world: TheWorld,
    caller: TheCaller,
    since: Annotated[str, Query(max_length=40, description="How far back.")] = DEPLOYED_SINCE,
) -> Response:
    """List the versions of workflows that were registered within a time, the latest first; at most 100."""
    return caller.answer({"deployments": await world.client.deployments(since)})


@router.get("/settings", response_model=SettingRows, tags=["instance"])
async def get_settings(world: TheWorld, caller: TheCaller) -> Response:
    """Return the settings of this process, secrets masked, with the origin of each."""
    return caller.answer({"settings": list(describe(world.settings))})


def _status(
    found: Status, workers: list[WorkerState], processes: list[ProcessState], prefix: str
) -> StatusShown:
    topic = full_name(prefix, INBOX)
    return StatusShown(
        moment(found.at),
        dict(found.runs),
        found.is_exact,
        [
            PartitionShown(
                topic, one.partition, one.owner, one.takeovers, one.next_offset, left.records,
                moment(left.since), one.lost_reason,
            )
            for one, left in found.partitions
        ],
        found.reconcilers,
        None if found.ingress is None else _readers("ingress", found.ingress),
        [_readers(queue, readers) for queue, readers in found.queues.items()],
        list(map(gate_shown, found.gates)),
        found.dead,
        concerns(found, workers),
        processes,
    )  # fmt: skip


def _readers(name: str, readers: Readers) -> ReadersShown:
    return ReadersShown(name, readers.members, readers.left.records, moment(readers.left.since))
