"""A run in the hands of a client: wait for its result, look at it, watch it, end it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final
from uuid import uuid4

import msgspec

from stream_durable.client.edge import Edge
from stream_durable.client.errors import RunCancelled, RunFailed
from stream_durable.client.sequence import Sequence
from stream_durable.client.state import RunState, run_state
from stream_durable.core.errors import RejectedError, TransientError
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.messages import CancelRun
from stream_durable.core.rows import RunRow
from stream_durable.core.status import CANCELLED, COMPLETED, RUN_ENDED
from stream_durable.persistence import persist
from stream_durable.ports import StoredRun
from stream_durable.sdk.durations import Duration, milliseconds

#: Records carry the time of who published them, a run that of the log: so far clocks may differ before
#: a watch has to read the log from its beginning.
_SKEW_MS: Final = 60_000
#: What was committed is published within this time, or the publisher is down.
_SETTLE_SECONDS: Final = 5.0

_failure = msgspec.json.Decoder(Failure).decode

Event = RunEvent | StepEvent


class RunHandle:
    """One run, by its id. What is asked is asked of the state and the log each time."""

    def __init__(self, edge: Edge, run: str, *, created: bool = False) -> None:
        """Name a run; `created` says that its start is on the log by our own hand."""
        self._edge = edge
        self.id = run
        #: Whether the call that gave us this handle is what started the run.
        self.created = created

    def __repr__(self) -> str:
        return f"<run {self.id!r}>"

    async def result(self, timeout: Duration | None = None) -> Any:  # noqa: ASYNC109 - the contract
        """Wait for the end of the run and return its output.

        Raise `RunFailed` or `RunCancelled` if it has none, `TimeoutError` if it has not ended by then.
        """
        try:
            async with asyncio.timeout(_seconds(timeout)):
                status, output, failure = await persist(self._end, f"wait for run {self.id!r}")
        except TimeoutError:
            raise TimeoutError(self._not_ended(timeout)) from None
        if status == COMPLETED:
            return None if output is None else msgspec.json.decode(output)
        failure = failure or Failure(status)
        raise RunCancelled(self.id, failure) if status == CANCELLED else RunFailed(self.id, failure)

    async def state(self) -> RunState:
        """Return where the run and each of its steps stand."""
        stored = await self._stored()
        catalogue = self._edge.ports.catalogue
        fingerprint = stored.run.fingerprint
        if catalogue.graph(fingerprint) is None:
            await self._edge.ask(catalogue.catch_up, "read the definitions")
        graph = catalogue.graph(fingerprint)
        if graph is None:
            raise RejectedError(
                "unknown_workflow",
                f"run {self.id!r} was started with definition {fingerprint} of workflow "
                f"{stored.run.workflow!r}, which is not on the topic of definitions: start a worker with it",
            )
        return run_state(stored, graph)

    async def watch(
        self,
        timeout: Duration | None = None,  # noqa: ASYNC109 - the contract
    ) -> AsyncGenerator[Event, None]:
        """Give everything that is said about the run and its steps, from its beginning to its end.

        Each statement comes once and in order. What has expired from the log is missing, as its
        `sequence` shows. Raise `TimeoutError` if the run has not ended by then.
        """
        deadline = _deadline(timeout)
        row = await self._row()
        order = Sequence()
        for since in (max(1, row.created - _SKEW_MS), 0):
            async with (
                self._edge.past(self.id, since) as events,
                aclosing(self._in_order(events, order, deadline, is_all=since == 0)) as ordered,
            ):
                async for event in ordered:
                    if event is None:
                        raise TimeoutError(self._not_ended(timeout))
                    yield event
            if order.has_ended:
                return
        text = f"what was said about the end of run {self.id!r} has expired from the log: ask for its state"
        raise RejectedError("expired", text)

    async def cancel(self, reason: str = "") -> None:
        """Ask for the end of the run; it has ended when `result` says so."""
        message = CancelRun(key=self.id, id=uuid4().hex, reason=reason)
        await self._edge.send(message, f"cancel run {self.id!r}")

    async def _end(self) -> tuple[str, bytes | None, Failure | None]:
        # Followed first, then looked at: an end between the two is seen twice rather than missed.
        async with self._edge.live(self.id) as events:
            row = await self._edge.ports.views.run_get(self.id)
            if row is None and not self.created:
                raise self._unknown()
            if row is not None and row.ended is not None:
                failure = None if row.failure is None else _failure(row.failure)
                return row.status, row.output, failure
            async for event in events:
                status = event.type.removeprefix("run.")
                if status in RUN_ENDED:
                    return status, event.output, event.failure
        raise AssertionError("a live tail has no end")

    async def _in_order(
        self, events: AsyncIterator[Event | None], order: Sequence, deadline: float | None, *, is_all: bool
    ) -> AsyncGenerator[Event | None, None]:
        """Give what comes, in order; end at the run's end or at a gap; None when the time is over.

        `is_all` says that what is missing is nowhere: then a gap is passed over.
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
                    has_ended = (await self._row()).ended is not None
            for each in order.take():
                yield each

    async def _row(self) -> RunRow:
        """Return the run without its steps."""
        views = self._edge.ports.views
        row = await self._edge.ask(lambda: views.run_get(self.id), f"read run {self.id!r}")
        return row if row is not None else (await self._stored()).run

    async def _stored(self) -> StoredRun:
        """Return the run as stored; one whose start is on its way is waited for."""
        stored = await self._read()
        if stored is not None:
            return stored
        if not self.created:
            raise self._unknown()
        async with self._edge.live(self.id) as events:
            stored = await self._read()
            if stored is None:
                await self.begun(events)
                stored = await self._read()
        assert stored is not None, "a run is committed before it is spoken of"
        return stored

    async def _read(self) -> StoredRun | None:
        views = self._edge.ports.views
        return await self._edge.ask(lambda: views.run_with_steps(self.id), f"read run {self.id!r}")

    async def begun(self, events: AsyncIterator[RunEvent]) -> RunEvent:
        """Wait for the first that is said about a run whose start is on the log."""
        patience = self._edge.patience_seconds
        try:
            async with asyncio.timeout(patience):
                return await anext(events)
        except TimeoutError:
            raise TransientError(
                f"the start of run {self.id!r} is on the log, and no reconciler has begun the run within "
                f"{patience:g} s: start one. The run can be started again under this id: it is one run"
            ) from None

    def _unknown(self) -> RejectedError:
        text = "check the id; a run that was started through Kafka is there once a reconciler has begun it"
        return RejectedError("unknown_run", f"there is no run {self.id[:128]!r}: {text}")

    def _not_ended(self, timeout: Duration | None) -> str:
        return f"run {self.id!r} has not ended within {timeout}; it goes on, so ask for its result again"


class _Silence(Exception):
    """What must come does not come."""


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


def _seconds(timeout: Duration | None) -> float | None:
    return None if timeout is None else milliseconds(timeout) / 1_000


def _deadline(timeout: Duration | None) -> float | None:
    seconds = _seconds(timeout)
    return None if seconds is None else asyncio.get_running_loop().time() + seconds
