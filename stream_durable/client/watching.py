"""Watches a run: its public events from start to end, whenever the watching begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

from stream_durable.client.edge import Edge
from stream_durable.client.sequence import Sequence
from stream_durable.core.errors import RejectedError
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.run.rows import RunRow

Event = RunEvent | StepEvent

#: Records carry the publisher's time, runs the log's time: with clocks further apart than this, a watch reads
#: the log from the beginning.
_SKEW_MS: Final = 60_000
#: Committed events are published within this time, unless the publisher is down.
_SETTLE_SECONDS: Final = 5.0


async def watched(
    edge: Edge, run: str, row: Callable[[], Awaitable[RunRow]], deadline: float | None
) -> AsyncGenerator[Event, None]:
    """Yield all public events of a run; raise `TimeoutError` at the deadline of the loop's clock."""
    order = Sequence()
    for since in (max(1, (await row()).created - _SKEW_MS), 0):
        async with (
            edge.past(run, since) as events,
            aclosing(_in_order(events, order, row, deadline, is_all=since == 0)) as ordered,
        ):
            async for event in ordered:
                if event is None:
                    raise TimeoutError
                yield event
        if order.has_ended:
            return
    text = f"what was said about the end of run {run!r} has expired from the log: ask for its state"
    raise RejectedError("expired", text)


async def _in_order(
    events: AsyncIterator[Event | None],
    order: Sequence,
    row: Callable[[], Awaitable[RunRow]],
    deadline: float | None,
    *,
    is_all: bool,
) -> AsyncGenerator[Event | None, None]:
    """Yield events in order up to the run's end or a gap; None when the time is over.

    With `is_all` missing events are lost for good: gaps are passed over.
    """
    has_ended = is_caught_up = False
    while not order.has_ended:
        must_come = is_caught_up and (order.is_holding or has_ended)
        try:
            event = await _next(events, deadline, _SETTLE_SECONDS if must_come else None)
        except _Silence:
            if not (is_all and order.is_holding):
                return
            order.skip()
        except TimeoutError:
            yield None
            return
        else:
            if event is not None:
                order.add(event)
            else:
                is_caught_up = True
                has_ended = (await row()).ended is not None
        for each in order.take():
            yield each
        has_ended = await _has_ended(order, row) or has_ended


async def _has_ended(order: Sequence, row: Callable[[], Awaitable[RunRow]]) -> bool:
    """Return whether the last event seen ended the run; a retry may have reset steps since."""
    if not order.has_ended:
        return False
    now = await row()
    if now.run_sequence > order.run_sequence:
        order.go_on()
    return now.ended is not None


class _Silence(Exception):
    """No event came within the patience although an event is due."""


async def _next(
    events: AsyncIterator[Event | None], deadline: float | None, patience: float | None
) -> Event | None:
    """Return what comes next; raise `TimeoutError` at the deadline, `_Silence` if patience ends before."""
    until = None if patience is None else asyncio.get_running_loop().time() + patience
    is_deadline_first = until is None or (deadline is not None and deadline < until)
    try:
        async with asyncio.timeout_at(deadline if is_deadline_first else until):
            return await anext(events)
    except TimeoutError:
        if is_deadline_first:
            raise
        raise _Silence from None
