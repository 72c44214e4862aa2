"""The state for clients and operators."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from stream_durable.core.admission.summary import AdmissionMember, AdmissionSummary
from stream_durable.core.gate.summary import GatePlace, GateSummary
from stream_durable.core.run.rows import AttemptRow, RunRow, StepRow
from stream_durable.ports.figures import FailureCause, LiveVersion, RunFlow, StrandedStep, WorkflowFigures
from stream_durable.ports.partitions import PartitionSummary
from stream_durable.ports.run_lists import NEWEST, ListPosition, RunOrder, RunPage, RunQuery, RunSummary
from stream_durable.ports.store import TimerRow
from stream_durable.ports.stored import (
    StoredEvent,
    StoredEvidence,
    StoredLater,
    StoredRun,
    StoredSchedule,
    StoredSignal,
)
from stream_durable.ports.waits import (
    ChannelRange,
    EventWait,
    QuestionQuery,
    ReactionSource,
    SignalStep,
    SignalWait,
    StoredQuestion,
)


class Views(Protocol):
    """The state for clients. Commits of a reconciler are visible at once.

    Raises `RejectedError` with code `too_broad` for a query over its time limit.
    """

    async def run_get(self, run: str) -> RunRow | None:
        """Return a run without steps."""

    async def run_with_steps(self, run: str) -> StoredRun | None:
        """Return a run and all stored steps."""

    async def run_list(
        self,
        query: RunQuery,
        *,
        limit: int = 50,
        after: ListPosition | None = None,
        order: RunOrder = NEWEST,
    ) -> RunPage:
        """Return a page of the matching runs."""

    async def run_count(self, query: RunQuery, *, at_most: int) -> int:
        """Count the matching runs, up to a limit."""

    async def run_statuses(self, query: RunQuery, *, at_most: int) -> dict[str, int]:
        """Count the matching runs by status, up to a limit."""

    async def child_counts(self, runs: Sequence[str]) -> dict[str, int]:
        """Count the children of each of these runs; runs without children are left out."""

    async def workflow_figures(self, workflows: Sequence[str], *, since: int) -> list[WorkflowFigures]:
        """Return figures about the runs of each of these workflows, by name."""

    async def event_waits(
        self, channels: ChannelRange, workflow: str | None, *, after: tuple[str, str, str], limit: int
    ) -> list[EventWait]:
        """Return a page of the open waits for events, by channel, run and step."""

    async def signal_waits(
        self,
        steps: Sequence[SignalStep],
        workflow: str | None,
        *,
        after: tuple[int, str, str],
        limit: int,
    ) -> list[SignalWait]:
        """Return a page of the open waits of these steps, and of reactions, oldest runs first."""

    async def inner_waits(
        self, signal: str | None, workflow: str | None, *, after: tuple[int, str, str], limit: int
    ) -> list[SignalWait]:
        """Return a page of the open signal waits inside steps, oldest runs first."""

    async def behind(self, run: str, reactions: Sequence[ReactionSource]) -> dict[str, int]:
        """Count the events and kept signals waiting for each reaction of a run.

        Left out is a reaction to events without a registration.
        """

    async def open_questions(
        self, query: QuestionQuery, *, after: tuple[int, str, str], limit: int
    ) -> list[StoredQuestion]:
        """Return a page of open questions, the oldest first, beyond (opened, run, wait)."""

    async def kept_events(
        self, channels: ChannelRange, *, after: tuple[str, str], limit: int, untaken: bool = False
    ) -> list[StoredEvent]:
        """Return a page of the kept events, by channel and id."""

    async def expired_events(
        self, channels: ChannelRange, *, after: tuple[str, str], limit: int
    ) -> list[StoredEvent]:
        """Return a page of expired events without any taker, by channel and id."""

    async def run_signals(self, run: str) -> list[StoredSignal]:
        """Return kept and expired signals of a run, oldest first."""

    async def run_evidence(self, run: str, *, since: int, limit: int) -> list[StoredEvidence]:
        """Return the messages to a run since a time that were duplicate, late or dead, oldest first."""

    async def later_list(self, *, after: tuple[int, str], limit: int) -> list[StoredLater]:
        """Return a page of messages for later and of runs that have not begun, by (due, id)."""

    async def schedule_get(self, name: str) -> StoredSchedule | None:
        """Return a schedule."""

    async def schedule_list(self, *, after: str = "", limit: int = 1_000) -> list[StoredSchedule]:
        """Return a page of the schedules, by name."""

    async def schedule_firings(self, name: str) -> list[Sequence[Any]]:
        """Return the firings of a schedule, as they are loaded, unordered."""

    async def run_family(self, run: str, *, limit: int) -> list[RunSummary]:
        """Return the first ancestor of a run and all descendants.

        The first ancestor comes first, then the way down to the run, then the others by generation.
        """

    async def step_list(self, run: str, *, after: str = "", limit: int = 1_000) -> list[StepRow]:
        """Return a page of the steps of a run that have a row, by name."""

    async def attempt_list(
        self, run: str, *, step: str | None = None, after: tuple[str, int] = ("", 0), limit: int = 1_000
    ) -> list[AttemptRow]:
        """Return a page of what is kept of a run's attempts, by step and number."""

    async def gate_list(self, *, after: str = "", limit: int = 1_000) -> list[GateSummary]:
        """Return a page of the gates and breakers, by id."""

    async def gate_get(self, gate: str) -> GateSummary | None:
        """Return a gate or a breaker; None: unused."""

    async def admission_list(self, *, after: str = "", limit: int = 1_000) -> list[AdmissionSummary]:
        """Return a page of the admissions with runs waiting or under way, by id."""

    async def admission_get(self, admission: str) -> AdmissionSummary | None:
        """Return an admission; None: unused."""

    async def admission_members(
        self, admission: str, *, after: int = 0, limit: int = 1_000
    ) -> list[AdmissionMember]:
        """Return a page of the unsettled runs at an admission, in the order of ordinals."""

    async def partition_list(self) -> list[PartitionSummary]:
        """Return where the partitions stand."""

    async def dead_count(self, since: int, *, at_most: int) -> int:
        """Count the dead letters since a moment, up to a limit."""

    async def live_versions(self) -> list[LiveVersion]:
        """Return the versions of workflows with runs under way."""

    async def overdue_timers(self, before: int, *, limit: int) -> list[TimerRow]:
        """Return timers due before a moment and not applied yet, the oldest first."""

    async def failure_causes(self, since: int, *, runs_max: int, limit: int) -> list[FailureCause]:
        """Group failed runs created since a moment by cause; only the newest runs count, up to a limit.

        Causes with failed compensations come first, then causes with many runs.
        """

    async def stranded_steps(self, begin: int, end: int, *, at_most: int) -> list[StrandedStep]:
        """Group runs by the step returned for want of its function, with most runs first.

        Such a step has a timer, soon due: only those due between two moments are seen, up to a limit.
        """

    async def run_flow(self, since: int, *, width: int, count: int, at_most: int) -> list[RunFlow]:
        """Count the runs created within each of `count` stretches of `width` milliseconds, up to a limit."""

    async def partition_get(self, partition: int) -> PartitionSummary | None:
        """Return where a partition of the inbox stands."""

    async def gate_places(
        self, gate: str, *, is_inside: bool | None = None, after: int = 0, limit: int = 1_000
    ) -> list[GatePlace]:
        """Return a page of places at a gate, inside or waiting or both, in the order of ordinals."""

    async def close(self) -> None:
        """Let go of the connections."""


class OperatorViews(Views, Protocol):
    """What people's tools read beside what clients do."""

    async def run_ids(self, beginning: str, limit: int) -> list[str]:
        """Return ids with this beginning, in order."""

    async def live_runs(
        self, version: LiveVersion, step: str | None, statuses: Collection[str], limit: int
    ) -> tuple[int, list[str]]:
        """Count the open runs of a version with the step in none of these statuses, and return the first ids.

        Without a step, or without statuses, every run counts.
        """
