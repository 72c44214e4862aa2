"""The reactions of a run: what each reads, how far behind it is, and what the oldest call waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from stream_durable.client.waiting import WaitsFor, waits_for
from stream_durable.core.definition.nodes import BesideNode
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import channel_id
from stream_durable.core.names import beside_name
from stream_durable.core.run.beside import calls
from stream_durable.core.run.cause import Cause
from stream_durable.core.run.explain import causes
from stream_durable.core.run.state import Run
from stream_durable.core.run.waiting import event_key
from stream_durable.core.status import PENDING, STEP_ENDED
from stream_durable.ports import ReactionSource, Views


class ReactionState(NamedTuple):
    """Where a reaction of a run stands."""

    name: str
    on: Literal["event", "signal"]
    #: The name of the event or signal.
    of: str
    #: Of events.
    key: str | None
    #: How many events or signals came and are not worked off, those under way among them; None: unknown,
    #: or not registered with the channel yet.
    behind: int | None
    #: The step of the oldest call under way, in `helpers`.
    step: str | None
    #: Of that call; without one, the next event or signal.
    waits_for: tuple[WaitsFor, ...]


async def behind(views: Views, run: Run) -> Mapping[str, int]:
    """Count what each reaction of a run has not worked off: one query, none for a run without reactions."""
    sources = [_source(run, node) for node in _reactions(run)]
    return await views.behind(run.id, sources) if sources else {}


def reaction_states(run: Run, counts: Mapping[str, int]) -> dict[str, ReactionState]:
    """Return the reactions of a run, by name; none after the end of the run."""
    return {node.name: _state(run, node, counts) for node in _reactions(run)}


def _reactions(run: Run) -> Iterator[BesideNode]:
    if run.ended is None:
        yield from (node for node in run.graph.beside.values() if node.on != "inquiry")


def _state(run: Run, node: BesideNode, counts: Mapping[str, int]) -> ReactionState:
    found = [(call, i, step.status) for i, step, call in calls(run, node.name)]
    waiting = sorted((each for each in found if each[2] not in STEP_ENDED), key=lambda each: each[0].number)
    under_way = next((i for _, i, status in waiting if status != PENDING), None)
    count = counts.get(beside_name(node.name))
    if count is not None:
        # What the run has asked its channel beyond is counted there no more.
        taken = max((call.arrival for call, _, _ in found if call.is_acknowledged), default=0)
        count += sum(call.arrival <= taken for call, _, _ in waiting)
    step = None if under_way is None else run.graph.names[under_way]
    # Of several calls that wait to be made, the first one says why.
    at = waiting[0][1] if under_way is None and waiting else under_way
    why = (_next(run, node),) if at is None else causes(run, at)
    key = _key(run, node) if node.on == "event" else None
    on: Literal["event", "signal"] = "event" if node.on == "event" else "signal"
    waits = tuple(map(waits_for, why))
    return ReactionState(node.name, on, node.event or node.signal, key, count, step, waits)


def _next(run: Run, node: BesideNode) -> Cause:
    """Return the cause of waiting of a reaction without a call under way."""
    if run.status == PENDING:
        return Cause("begin", due=run.due)
    if run.is_paused:
        return Cause("paused")
    if node.on == "event":
        return Cause("event", node.event, _key(run, node) or "")
    return Cause("signal", node.signal)


def _source(run: Run, node: BesideNode) -> ReactionSource:
    if node.on == "signal":
        return ReactionSource(beside_name(node.name), None, node.signal)
    key = _key(run, node)
    return ReactionSource(beside_name(node.name), channel_id(node.event, key or ""), None)


def _key(run: Run, node: BesideNode) -> str | None:
    try:
        return event_key(run, node)
    except RejectedError:
        return None
