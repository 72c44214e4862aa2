"""Queries of clients.

A few connections, opened when needed; the one returned last is lent first, so an idle client keeps a single
connection. Reads by key see every commit of a reconciler; a run and its steps are read in one snapshot. Lists
of runs are ordered by creation time and id, both immutable: a page begins at the end of the previous page,
whatever has happened to the runs since.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from itertools import starmap
from typing import Any

import asyncpg
import msgspec

from stream_durable.core.admission.summary import AdmissionMember, AdmissionSummary
from stream_durable.core.admission.summary import summary_of as admission_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.gate.summary import GatePlace, GateSummary, summary_of
from stream_durable.core.ids import CHILD_MARK
from stream_durable.core.run.rows import AttemptRow, RunRow, StepRow
from stream_durable.ports import (
    NEWEST,
    ChannelRange,
    EventWait,
    FailureCause,
    ListPosition,
    LiveVersion,
    PartitionSummary,
    QuestionQuery,
    ReactionSource,
    RunFlow,
    RunOrder,
    RunPage,
    RunQuery,
    RunSummary,
    SignalStep,
    SignalWait,
    StoredEvent,
    StoredEvidence,
    StoredLater,
    StoredQuestion,
    StoredRun,
    StoredSchedule,
    StoredSignal,
    StrandedStep,
    TimerRow,
    WorkflowFigures,
)
from stream_durable.postgres.connection import Lane
from stream_durable.postgres.queries import queries
from stream_durable.postgres.run_lists import LAST, count_query, list_query
from stream_durable.settings import PostgresSettings

_CONNECTIONS = 4


class PostgresViews:
    """The read models of a Postgres schema."""

    def __init__(self, settings: PostgresSettings) -> None:
        """Connect when first needed."""
        self._lanes = [Lane(settings, keyed_plans=False, is_read_only=True) for _ in range(_CONNECTIONS)]
        self._idle: asyncio.LifoQueue[Lane] = asyncio.LifoQueue()
        for lane in self._lanes:
            self._idle.put_nowait(lane)

    async def run_get(self, run: str) -> RunRow | None:
        """Return a run without steps."""
        async with self._connection() as connection:
            row = await connection.fetchrow(queries()["run_load"], [run])
        return None if row is None else RunRow._make(row)

    async def run_with_steps(self, run: str) -> StoredRun | None:
        """Return a run with steps in one snapshot."""
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(queries()["run_load"], [run])
            if row is None:
                return None
            steps = await connection.fetch(queries()["step_load"], [run])
            children = await connection.fetchval(queries()["view_run_children"], run)
        return StoredRun(RunRow._make(row), list(map(StepRow._make, steps)), children)

    async def run_list(
        self,
        query: RunQuery,
        *,
        limit: int = 50,
        after: ListPosition | None = None,
        order: RunOrder = NEWEST,
    ) -> RunPage:
        """Return a page of the matching runs, in order."""
        # One more than asked for tells whether there are more.
        statement, arguments = list_query(query, order, after, limit + 1)
        found = await self._run(statement, *arguments)
        runs = [RunSummary._make(row) for row in found[:limit]]
        return RunPage(runs, order.place(runs[-1]) if len(found) > limit and runs else None)

    async def run_count(self, query: RunQuery, *, at_most: int) -> int:
        """Count the matching runs, up to a limit."""
        found = await self._run(*count_query("view_run_count", query), at_most)
        return int(found[0][0])

    async def run_statuses(self, query: RunQuery, *, at_most: int) -> dict[str, int]:
        """Count the runs that are meant by status; stop at so many."""
        found = await self._run(*count_query("view_run_statuses", query), at_most)
        return {row["status"]: row["count"] for row in found}

    async def child_counts(self, runs: Sequence[str]) -> dict[str, int]:
        """Count the children of each of these runs; runs without children are left out."""
        return {row["parent"]: row["count"] for row in await self._fetch("view_child_counts", list(runs))}

    async def workflow_figures(self, workflows: Sequence[str], *, since: int) -> list[WorkflowFigures]:
        """Return figures about the runs of each of these workflows, by name."""
        found = await self._fetch("view_workflow_figures", since, list(workflows))
        return list(map(WorkflowFigures._make, found))

    async def event_waits(
        self, channels: ChannelRange, workflow: str | None, *, after: tuple[str, str, str], limit: int
    ) -> list[EventWait]:
        """Return a page of the open waits for events, by channel, run and step."""
        found = await self._fetch("view_event_waits", *after, *channels, workflow, limit)
        return list(map(EventWait._make, found))

    async def signal_waits(
        self,
        steps: Sequence[SignalStep],
        workflow: str | None,
        *,
        after: tuple[int, str, str],
        limit: int,
    ) -> list[SignalWait]:
        """Return a page of the open waits of these steps, and of reactions, oldest runs first."""
        fingerprints, names, signals = map(list, zip(*steps, strict=True))
        found = await self._fetch("view_signal_waits", fingerprints, names, *after, workflow, signals, limit)
        return [SignalWait(*row) for row in found]

    async def inner_waits(
        self, signal: str | None, workflow: str | None, *, after: tuple[int, str, str], limit: int
    ) -> list[SignalWait]:
        """Return a page of the open signal waits inside steps, oldest runs first."""
        found = await self._fetch("view_inner_waits", *after, workflow, signal, limit)
        return list(map(SignalWait._make, found))

    async def behind(self, run: str, reactions: Sequence[ReactionSource]) -> dict[str, int]:
        """Count the events and kept signals waiting for each reaction of a run."""
        found = await self._fetch("view_behind", run, *map(list, zip(*reactions, strict=True)))
        return {row[0]: row[1] for row in found}

    async def open_questions(
        self, query: QuestionQuery, *, after: tuple[int, str, str], limit: int
    ) -> list[StoredQuestion]:
        """Return a page of open questions, the oldest first."""
        tag = None if query.tag is None else msgspec.json.encode(query.tag).decode()
        asked = (*query[:4], tag, query.expires_before, query.due_before)
        found = await self._fetch("view_open_questions", *after, *asked, limit)
        return list(map(StoredQuestion._make, found))

    async def kept_events(
        self, channels: ChannelRange, *, after: tuple[str, str], limit: int, untaken: bool = False
    ) -> list[StoredEvent]:
        """Return a page of the events that channels keep, by channel and id."""
        found = await self._fetch("view_kept_events", *after, *channels, untaken, limit)
        return list(map(StoredEvent._make, found))

    async def expired_events(
        self, channels: ChannelRange, *, after: tuple[str, str], limit: int
    ) -> list[StoredEvent]:
        """Return a page of expired events without any taker, by channel and id."""
        found = await self._fetch("view_expired_events", *after, *channels, limit)
        return list(map(StoredEvent._make, found))

    async def run_signals(self, run: str) -> list[StoredSignal]:
        """Return kept and expired signals of a run, oldest first."""
        return list(map(StoredSignal._make, await self._fetch("view_run_signals", run)))

    async def run_evidence(self, run: str, *, since: int, limit: int) -> list[StoredEvidence]:
        """Return the messages to a run since a time that were duplicate, late or dead, oldest first."""
        found = await self._fetch("view_run_evidence", run, since, limit)
        return list(map(StoredEvidence._make, found))

    async def later_list(self, *, after: tuple[int, str], limit: int) -> list[StoredLater]:
        """Return a page of messages for later and of runs that have not begun, by (due, id)."""
        found = await self._fetch("view_later", *after, limit)
        return list(map(StoredLater._make, found))

    async def schedule_get(self, name: str) -> StoredSchedule | None:
        """Return a schedule."""
        found = await self._fetch("schedule_load", [name])
        return StoredSchedule._make(found[0]) if found and CHILD_MARK not in name else None

    async def schedule_list(self, *, after: str = "", limit: int = 1_000) -> list[StoredSchedule]:
        """Return a page of the schedules, by name."""
        found = await self._fetch("view_schedule_list", after, CHILD_MARK, limit)
        return list(map(StoredSchedule._make, found))

    async def schedule_firings(self, name: str) -> list[Sequence[Any]]:
        """Return the firings of a schedule, as they are loaded, unordered."""
        return [tuple(row) for row in await self._fetch("schedule_firing_load", [name])]

    async def _fetch(self, name: str, *values: Any) -> list[asyncpg.Record]:
        """Run a named query possibly longer than the time limit."""
        return await self._run(queries()[name], *values)

    async def _run(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        async with self._connection() as connection:
            with _bounded():
                found: list[asyncpg.Record] = await connection.fetch(statement, *values)
        return found

    async def run_family(self, run: str, *, limit: int) -> list[RunSummary]:
        """Return the first ancestor of a run and all descendants."""
        async with self._connection() as connection:
            found = await connection.fetch(queries()["view_run_family"], run, limit)
        return [RunSummary._make(row) for row in found]

    async def step_list(self, run: str, *, after: str = "", limit: int = 1_000) -> list[StepRow]:
        """Return a page of the steps of a run that have a row, by name."""
        async with self._connection() as connection:
            found = await connection.fetch(queries()["view_step_list"], run, after, limit)
        return list(map(StepRow._make, found))

    async def attempt_list(
        self, run: str, *, step: str | None = None, after: tuple[str, int] = ("", 0), limit: int = 1_000
    ) -> list[AttemptRow]:
        """Return a page of what is kept of a run's attempts, by step and number."""
        async with self._connection() as connection:
            found = await connection.fetch(queries()["view_attempt_list"], run, step, *after, limit)
        return list(map(AttemptRow._make, found))

    async def gate_list(self, *, after: str = "", limit: int = 1_000) -> list[GateSummary]:
        """Return a page of the gates and breakers, by id."""
        async with self._connection() as connection:
            found = await connection.fetch(queries()["view_gate_list"], after, limit, None)
        return list(starmap(summary_of, found))

    async def gate_get(self, gate: str) -> GateSummary | None:
        """Return a gate or a breaker; None: unused."""
        async with self._connection() as connection:
            found = await connection.fetchrow(queries()["view_gate_list"], "", 1, gate)
        return None if found is None else summary_of(*found)

    async def gate_places(
        self, gate: str, *, is_inside: bool | None = None, after: int = 0, limit: int = 1_000
    ) -> list[GatePlace]:
        """Return a page of places at a gate, in the order of ordinals. Sorts all of a gate."""
        async with self._connection() as connection:
            found = await connection.fetch(queries()["view_gate_places"], gate, after, limit, is_inside)
        return list(map(GatePlace._make, found))

    async def admission_list(self, *, after: str = "", limit: int = 1_000) -> list[AdmissionSummary]:
        """Return a page of the admissions with runs waiting or under way, by id."""
        return list(starmap(admission_of, await self._fetch("view_admission_list", after, limit)))

    async def admission_get(self, admission: str) -> AdmissionSummary | None:
        """Return an admission; None: unused."""
        found = await self._fetch("view_admission_get", admission)
        return admission_of(*found[0]) if found else None

    async def admission_members(
        self, admission: str, *, after: int = 0, limit: int = 1_000
    ) -> list[AdmissionMember]:
        """Return a page of the unsettled runs at an admission."""
        found = await self._fetch("view_admission_members", admission, after, limit)
        return list(map(AdmissionMember._make, found))

    async def partition_get(self, partition: int) -> PartitionSummary | None:
        """Return where a partition of the inbox stands."""
        found = await self._fetch("partition_get", partition)
        return PartitionSummary._make(found[0]) if found else None

    async def partition_list(self) -> list[PartitionSummary]:
        """Return where all partitions stand."""
        return list(map(PartitionSummary._make, await self._fetch("partition_list")))

    async def dead_count(self, since: int, *, at_most: int) -> int:
        """Count the records since a moment that could not be applied; stop at so many."""
        found = await self._fetch("view_dead_count", since, at_most)
        return int(found[0][0])

    async def failure_causes(self, since: int, *, runs_max: int, limit: int) -> list[FailureCause]:
        """Group the newest failed runs by cause."""
        found = await self._fetch("view_failure_causes", since, runs_max, limit)
        return list(map(FailureCause._make, found))

    async def stranded_steps(self, begin: int, end: int, *, at_most: int) -> list[StrandedStep]:
        """Group runs by the step returned for want of its function."""
        found = await self._fetch("view_stranded_steps", begin, end, at_most)
        return list(map(StrandedStep._make, found))

    async def run_flow(self, since: int, *, width: int, count: int, at_most: int) -> list[RunFlow]:
        """Count the runs created within each stretch of time."""
        return list(map(RunFlow._make, await self._fetch("view_run_flow", since, width, count, at_most)))

    async def run_ids(self, beginning: str, limit: int) -> list[str]:
        """Return ids of runs with this prefix, in order."""
        async with self._connection() as connection:
            found = await connection.fetch(queries()["view_run_ids"], beginning, beginning + LAST, limit)
        return [row[0] for row in found]

    async def live_versions(self) -> list[LiveVersion]:
        """Return the versions with open runs, by workflow."""
        async with self._connection() as connection:
            found = await connection.fetch(queries()["view_live_versions"])
        return list(map(LiveVersion._make, found))

    async def overdue_timers(self, before: int, *, limit: int) -> list[TimerRow]:
        """Return timers due before a moment and not applied yet, the oldest first."""
        return list(map(TimerRow._make, await self._fetch("view_overdue_timers", before, limit)))

    async def live_runs(
        self, version: LiveVersion, step: str | None, statuses: Collection[str], limit: int
    ) -> tuple[int, list[str]]:
        """Count the open runs of a version with the step in none of these statuses.

        Also return the first ids. Without a step, or without statuses, every run counts.
        """
        asked = step if statuses else None
        async with self._connection() as connection:
            row = await connection.fetchrow(
                queries()["view_live_runs"], *version[:2], asked, list(statuses), limit
            )
        assert row is not None, "a count has a row"
        return row[0], row[1]

    async def close(self) -> None:
        """Let go of the connections."""
        for lane in self._lanes:
            await lane.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        lane = await self._idle.get()
        try:
            async with lane.use() as connection:
                yield connection
        finally:
            self._idle.put_nowait(lane)


class _bounded:  # noqa: N801
    """Reports a query over the time limit as too broad: a repeat would take as long."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise our error for the server's time limit."""
        if isinstance(error, asyncpg.QueryCanceledError):
            text = (
                "the search through so many runs takes longer than a statement may "
                "(postgres.statement_timeout_ms): add conditions, such as workflow, status or creation"
            )
            raise RejectedError("too_broad", text) from error
