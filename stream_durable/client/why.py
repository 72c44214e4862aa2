"""Gathers the evidence for an explanation. Whatever the state lacks is looked up on request only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import tzinfo
from functools import partial
from typing import Final, TypeVar

from stream_durable.client.edge import Edge
from stream_durable.client.orders import check_step
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import SignalNode, StepNode
from stream_durable.core.errors import RejectedError, TransientError
from stream_durable.core.run.entering import entry_of, is_waiting
from stream_durable.core.run.explain import causes
from stream_durable.core.run.routing import lane_of
from stream_durable.core.run.rows import RunRow, thaw_run
from stream_durable.core.run.sections import SECTION
from stream_durable.core.run.state import Run
from stream_durable.core.status import STEP_ENDED, WAITING
from stream_durable.explain.explained import Explanation, explain_run, explain_step, explained
from stream_durable.explain.phrases import Times
from stream_durable.explain.reason import Reason
from stream_durable.explain.snapshot import AdmissionEvidence, GateEvidence, Snapshot
from stream_durable.explain.stopped import BrokerAway, DatabaseAway, NoDefinition
from stream_durable.ports import CommandPlace, InboxReading, PartitionSummary, StoredRun
from stream_durable.wire.control import ControlState

_Answer = TypeVar("_Answer")

#: A service that does not answer within this time is the explanation.
PATIENCE_SECONDS: Final = 5.0
#: So many gates, children and commands of a run are looked up; the first ones say enough.
LOOKED_UP_MAX: Final = 10
#: Places at the head of a gate: its trials come first.
_PLACES: Final = 10


class _AwayError(Exception):
    """A service does not answer; carries the reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.code)
        self.reason = reason


async def why(edge: Edge, run: str, step: str | None, zone: tzinfo | None) -> Explanation:
    """Explain a run or a step."""
    at = Times(edge.now(), zone)
    try:
        stored = await _database(lambda: edge.ports.views.run_with_steps(run))
        if stored is None:
            raise RejectedError("unknown_run", f"there is no run {run[:128]!r}: {_REMEDY}")
        graph = await _graph(edge, stored.run)
        if graph is None:
            return explained(run, step, stored.run.status, _no_definition(edge, stored.run), at)
        seen = await _snapshot(edge, stored, graph, step)
    except _AwayError as away:
        return explained(run, step, None, away.reason, at)
    return explain_run(seen, zone) if step is None else explain_step(seen, step, zone)


_REMEDY: Final = "check the id; a run started a moment ago is there once a reconciler has begun it"


async def _graph(edge: Edge, row: RunRow) -> Graph | None:
    catalogue = edge.ports.catalogue
    if catalogue.graph(row.fingerprint) is None:
        await _broker(catalogue.catch_up)
    return catalogue.graph(row.fingerprint)


def _no_definition(edge: Edge, row: RunRow) -> NoDefinition:
    problem = edge.ports.catalogue.lacking(row.fingerprint)
    return NoDefinition(workflow=row.workflow, fingerprint=row.fingerprint, problem=problem)


async def _snapshot(edge: Edge, stored: StoredRun, graph: Graph, step: str | None) -> Snapshot:
    run = thaw_run(stored.run, stored.steps, graph)
    chosen = range(run.graph.size) if step is None else (check_step(run, step),)
    if run.ended is not None:
        return Snapshot(run, edge.now())
    asked = [i for i in chosen if _is_open(run, i)]
    commanded = [i for i in asked if _has_command(run, i)]
    partition, inbox = await _inbox(edge, run)
    return Snapshot(
        run,
        edge.now(),
        gates=await _gates(edge, run, asked),
        admission=await _admission(edge, run),
        children=await _children(edge, run, asked),
        signals=await _signals(edge, run, asked),
        commands=await _commands(edge, run, commanded),
        control=await _control(edge) if commanded else ControlState(),
        partition=partition,
        inbox=inbox,
    )


def _is_open(run: Run, i: int) -> bool:
    step = run.steps.get(i)
    return not run.need[i] if step is None else step.status not in STEP_ENDED


def _has_command(run: Run, i: int) -> bool:
    waits = causes(run, i)
    return bool(waits) and waits[0].kind == "queue"


async def _inbox(edge: Edge, run: Run) -> tuple[PartitionSummary | None, InboxReading | None]:
    views, traffic = edge.ports.views, edge.ports.traffic
    state = await _database(lambda: views.partition_get(run.partition))
    if traffic is None or state is None:
        return state, None
    return state, await _broker(lambda: traffic.inbox(run.partition, state.next_offset))


async def _gates(edge: Edge, run: Run, asked: Iterable[int]) -> Mapping[str, GateEvidence]:
    found = dict[str, GateEvidence]()
    for name in dict.fromkeys(_gate_names(run, asked)):
        if len(found) < LOOKED_UP_MAX:
            evidence = await _database(partial(_gate, edge, name))
            if evidence is not None:
                found[name] = evidence
    return found


async def _admission(edge: Edge, run: Run) -> AdmissionEvidence | None:
    entry, views = entry_of(run), edge.ports.views
    if entry is None or not is_waiting(run) or entry.gate:
        return None
    one = entry.admission
    found = await _database(partial(views.admission_get, one))
    if found is None:
        return None
    members = await _database(partial(views.admission_members, one, limit=_PLACES))
    return AdmissionEvidence(found, tuple(members))


async def _gate(edge: Edge, name: str) -> GateEvidence | None:
    views = edge.ports.views
    gate = await views.gate_get(name)
    if gate is None:
        return None
    return GateEvidence(gate, tuple(await views.gate_places(name, is_inside=True, limit=_PLACES)))


def _gate_names(run: Run, asked: Iterable[int]) -> Iterable[str]:
    entry = entry_of(run)
    if entry is not None and entry.gate and is_waiting(run):
        yield entry.gate
    for i in asked:
        step, node = run.steps.get(i), run.graph.nodes[i]
        if step is None or step.detail is None:
            continue
        if step.detail.held == SECTION:
            step = run.steps[run.graph.owner(i)]
        if step.detail is not None and step.detail.held == "gate":
            if step.detail.queue_place or step.detail.place:
                yield step.detail.queue_place or step.detail.place
            elif isinstance(node, StepNode) and node.breaker is not None:
                yield node.breaker.name


async def _children(edge: Edge, run: Run, asked: Iterable[int]) -> Mapping[str, RunRow]:
    views, found = edge.ports.views, dict[str, RunRow]()
    for i in asked:
        for child in _child_ids(run, i):
            if len(found) < LOOKED_UP_MAX:
                row = await _database(lambda child=child: views.run_get(child))  # type: ignore[misc]
                if row is not None:
                    found[child] = row
    return found


def _child_ids(run: Run, i: int) -> Iterable[str]:
    """Return the awaited children of a step, inside the function too."""
    for j in (i, *run.graph.inner_of(i)):
        step = run.steps.get(j)
        if step is not None and step.status == WAITING and step.detail is not None and step.detail.child:
            yield step.detail.child


async def _signals(edge: Edge, run: Run, asked: Iterable[int]) -> frozenset[str]:
    nodes = [run.graph.nodes[j] for i in asked for j in (i, *run.graph.inner_of(i))]
    if not any(isinstance(node, SignalNode) and node.all_of for node in nodes):
        return frozenset()
    kept = await _database(lambda: edge.ports.views.run_signals(run.id))
    return frozenset(signal.name for signal in kept if signal.is_kept)


async def _control(edge: Edge) -> ControlState:
    """Return paused queues and present workers."""
    await _broker(edge.ports.control.catch_up)
    return edge.ports.control.state


async def _commands(edge: Edge, run: Run, commanded: Iterable[int]) -> Mapping[str, CommandPlace]:
    """Return the places of commands: of the first ready step of each queue."""
    traffic, found, lanes = edge.ports.traffic, dict[str, CommandPlace](), set[str]()
    if traffic is None:
        return found
    for i in commanded:
        step, name = run.steps.get(i), run.graph.names[i]
        attempt = 1 if step is None else step.attempt
        lane = lane_of(run, i, attempt)
        if lane in lanes or len(lanes) == LOOKED_UP_MAX:
            continue
        lanes.add(lane)
        place = await _broker(
            lambda lane=lane, name=name, attempt=attempt: traffic.command(lane, run.id, name, attempt)  # type: ignore[misc]
        )
        if place is not None:
            found[name] = place
    return found


async def _database(call: Callable[[], Awaitable[_Answer]]) -> _Answer:
    return await _answer(call, lambda problem: DatabaseAway(problem=problem))


async def _broker(call: Callable[[], Awaitable[_Answer]]) -> _Answer:
    return await _answer(call, lambda problem: BrokerAway(problem=problem))


async def _answer(call: Callable[[], Awaitable[_Answer]], away: Callable[[str], Reason]) -> _Answer:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await call()
    except TransientError as error:
        raise _AwayError(away(str(error))) from error
    except TimeoutError:
        raise _AwayError(away(f"no answer within {PATIENCE_SECONDS:g} s")) from None
