"""What a client needs of the world, in memory: state from the tables, statements from the broker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from operator import attrgetter

import msgspec

from stream_durable.client.edge import Ports
from stream_durable.client.filter import LOST
from stream_durable.core.admission.rows import AdmissionRow, MemberRow
from stream_durable.core.admission.state import UNDER_WAY
from stream_durable.core.admission.summary import AdmissionMember, AdmissionSummary
from stream_durable.core.admission.summary import summary_of as admission_of
from stream_durable.core.gate.rows import PlaceRow
from stream_durable.core.gate.summary import GatePlace, GateSummary, summary_of
from stream_durable.core.run.rows import AttemptRow, RunRow, StepRow
from stream_durable.core.status import COMPLETED, WAITING
from stream_durable.memory.bound import MemoryTopicViews
from stream_durable.memory.broker import Broker
from stream_durable.memory.causes import failure_causes, run_flow, stranded_steps
from stream_durable.memory.control import MemoryControl
from stream_durable.memory.definitions import MemoryCatalogue
from stream_durable.memory.later import ScheduleViews, evidence_page, later_page
from stream_durable.memory.ports import MemoryBlobs, MemoryPublisher
from stream_durable.memory.run_events import MemoryRunEvents
from stream_durable.memory.run_lists import matches, page_of, summary, was_asked_for
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.traffic import MemoryTraffic
from stream_durable.memory.waits import WaitViews
from stream_durable.ports import (
    NEWEST,
    FailureCause,
    ListPosition,
    LiveVersion,
    PartitionSummary,
    QuestionQuery,
    RunFlow,
    RunOrder,
    RunPage,
    RunQuery,
    RunSummary,
    StoredEvidence,
    StoredLater,
    StoredQuestion,
    StoredRun,
    StrandedStep,
    TimerRow,
    WorkflowFigures,
)
from stream_durable.wire.tokens import NO_TOKENS, Tokens

_tags = msgspec.json.Decoder(list[str]).decode


def memory_ports(
    broker: Broker,
    store: MemoryStore,
    event_ttl_ms: int,
    now: Callable[[], int] | None = None,
    tokens: Tokens = NO_TOKENS,
) -> Ports:
    """Return a client's ports, at whose other end nothing ever goes wrong."""
    return Ports(
        publisher=MemoryPublisher(broker),
        catalogue=MemoryCatalogue(broker),
        views=MemoryViews(store),
        events=MemoryRunEvents(broker),
        blobs=MemoryBlobs(broker),
        control=MemoryControl(broker),
        event_ttl_ms=event_ttl_ms,
        where="memory",
        now=now,
        tokens=tokens,
        traffic=MemoryTraffic(broker),
        topics=MemoryTopicViews(broker),
        reports_workers=False,
    )


class MemoryViews(ScheduleViews, WaitViews):
    """The read models of the store in memory."""

    def __init__(self, store: MemoryStore) -> None:
        """Read this store."""
        self._tables = store.tables

    async def run_get(self, run: str) -> RunRow | None:
        """Return a run without steps."""
        return self._tables.runs.get(run)

    async def run_with_steps(self, run: str) -> StoredRun | None:
        """Return a run with steps."""
        row = self._tables.runs.get(run)
        if row is None:
            return None
        children = sum(each.parent == run for each in self._tables.runs.values())
        return StoredRun(row, self._steps(run), children)

    async def run_list(
        self,
        query: RunQuery,
        *,
        limit: int = 50,
        after: ListPosition | None = None,
        order: RunOrder = NEWEST,
    ) -> RunPage:
        """Return a page of runs, in order."""
        return page_of(map(summary, self._meant(query)), limit, after, order)

    async def run_count(self, query: RunQuery, *, at_most: int) -> int:
        """Count runs."""
        return min(at_most, sum(1 for _ in self._meant(query)))

    async def run_statuses(self, query: RunQuery, *, at_most: int) -> dict[str, int]:
        """Count runs by status."""
        return dict(Counter(row.status for row in islice(self._meant(query), at_most)))

    async def child_counts(self, runs: Sequence[str]) -> dict[str, int]:
        """Count the children of each of these runs."""
        parents = (row.parent for row in self._tables.runs.values())
        return dict(Counter(parent for parent in parents if parent is not None and parent in runs))

    async def workflow_figures(self, workflows: Sequence[str], *, since: int) -> list[WorkflowFigures]:
        """Return figures about the runs of each of these workflows."""
        return [_figures(name, self._rows_of(name), since) for name in sorted(workflows)]

    def _rows_of(self, workflow: str) -> list[RunRow]:
        found = (row for row in self._tables.runs.values() if row.workflow == workflow)
        return sorted(found, key=lambda row: (row.created, row.id))

    async def open_questions(
        self, query: QuestionQuery, *, after: tuple[int, str, str], limit: int
    ) -> list[StoredQuestion]:
        """Return a page of open questions, the oldest first."""
        found = []
        for row in self._tables.questions.values():
            run = self._tables.runs[row.run]
            one = StoredQuestion(
                row.opened or 0, row.run, row.step, row.workflow, row.fingerprint, row.attempt, row.prompt,
                row.role, row.assignee, row.due, row.expires, run.tags,
            )  # fmt: skip
            if one[:3] > after and _is_asked(one, query):
                found.append(one)
        return sorted(found, key=lambda one: one[:3])[:limit]

    async def run_evidence(self, run: str, *, since: int, limit: int) -> list[StoredEvidence]:
        """Return the messages to a run since a time that were not applied."""
        return evidence_page(self._tables, run, since, limit)

    async def later_list(self, *, after: tuple[int, str], limit: int) -> list[StoredLater]:
        """Return a page of messages for later and of runs that have not begun."""
        return later_page(self._tables, after, limit)

    async def run_family(self, run: str, *, limit: int) -> list[RunSummary]:
        """Return the first ancestor of a run and all descendants."""
        runs, children = self._tables.runs, dict[str | None, list[str]]()
        for row in runs.values():
            children.setdefault(row.parent, []).append(row.id)
        above, each = list[str](), runs.get(run)
        while each is not None:
            above.insert(0, each.id)
            each = runs.get(each.parent or "")
        found, generation = dict.fromkeys(above), above[:1]
        while generation and len(found) < limit:
            generation = [child for parent in generation for child in children.get(parent, ())]
            found |= dict.fromkeys(generation)
        return [summary(runs[one]) for one in islice(found, limit)]

    async def step_list(self, run: str, *, after: str = "", limit: int = 1_000) -> list[StepRow]:
        """Return a page of the steps of a run that have a row, by name."""
        found = sorted(self._steps(run), key=lambda row: row.name)
        return [row for row in found if row.name > after][:limit]

    async def attempt_list(
        self, run: str, *, step: str | None = None, after: tuple[str, int] = ("", 0), limit: int = 1_000
    ) -> list[AttemptRow]:
        """Return a page of what is kept of a run's attempts, by step and number."""
        found = sorted(
            (row for row in self._tables.attempts.values() if row.run == run and step in (None, row.step)),
            key=lambda row: (row.step, row.attempt),
        )
        return [row for row in found if (row.step, row.attempt) > after][:limit]

    async def gate_list(self, *, after: str = "", limit: int = 1_000) -> list[GateSummary]:
        """Return a page of the gates and breakers, by id."""
        ids = sorted(gate for gate in self._tables.gates if gate > after)
        return [self._gate(gate) for gate in ids[:limit]]

    async def gate_get(self, gate: str) -> GateSummary | None:
        """Return a gate or a breaker; None: unused."""
        return self._gate(gate) if gate in self._tables.gates else None

    async def admission_list(self, *, after: str = "", limit: int = 1_000) -> list[AdmissionSummary]:
        """Return a page of the admissions with runs waiting or under way, by id."""
        ids = sorted(one for one in {row.admission for row in self._at_admissions()} if one > after)
        return list(map(self._admission, ids[:limit]))

    async def admission_get(self, admission: str) -> AdmissionSummary | None:
        """Return an admission; None: unused."""
        return self._admission(admission) if admission in self._tables.rows[AdmissionRow] else None

    async def admission_members(
        self, admission: str, *, after: int = 0, limit: int = 1_000
    ) -> list[AdmissionMember]:
        """Return a page of the unsettled runs at an admission, in the order of ordinals."""
        found = [
            AdmissionMember(
                row.run, row.stage, row.ordinal, row.since or 0, row.priority or 0, row.taker or ""
            )
            for row in self._at_admissions()
            if row.admission == admission and row.stage is not None and (row.ordinal or 0) > after
            if row.ordinal is not None
        ]
        return sorted(found, key=attrgetter("ordinal"))[:limit]

    async def partition_list(self) -> list[PartitionSummary]:
        """Return where the partitions stand."""
        found = [await self.partition_get(partition) for partition in sorted(self._tables.partitions)]
        return [one for one in found if one is not None]

    async def dead_count(self, since: int, *, at_most: int) -> int:
        """Count the dead letters since a moment."""
        return min(at_most, sum(row.time >= since for row in self._tables.dead.values()))

    async def live_versions(self) -> list[LiveVersion]:
        """Return the versions of workflows with runs under way."""
        found = Counter(
            (row.workflow, row.fingerprint) for row in self._tables.runs.values() if row.ended is None
        )
        return [LiveVersion(*version, count) for version, count in sorted(found.items())]

    async def overdue_timers(self, before: int, *, limit: int) -> list[TimerRow]:
        """Return timers due before a moment and not applied yet, the oldest first."""
        found = [
            TimerRow._make((*key, *place)) for key, place in self._tables.timers.items() if place[1] < before
        ]
        return sorted(found, key=lambda timer: (timer.due or 0, *timer[:3]))[:limit]

    async def stranded_steps(self, begin: int, end: int, *, at_most: int) -> list[StrandedStep]:
        """Group runs by the step returned for want of its function."""
        return stranded_steps(self._tables, begin, end, at_most)

    async def run_flow(self, since: int, *, width: int, count: int, at_most: int) -> list[RunFlow]:
        """Count the runs created within each stretch of time."""
        return run_flow(self._tables.runs.values(), since, width, count, at_most)

    async def failure_causes(self, since: int, *, runs_max: int, limit: int) -> list[FailureCause]:
        """Group the newest failed runs by cause."""
        return failure_causes(self._tables.runs.values(), since, runs_max)[:limit]

    async def partition_get(self, partition: int) -> PartitionSummary | None:
        """Return where a partition of the inbox stands."""
        row = self._tables.partitions.get(partition)
        if row is None:
            return None
        held = sum(count for (of, _), (count, _) in self._tables.backlog.items() if of == partition)
        return PartitionSummary(
            partition, row.owner, row.epoch, row.next_offset, row.stalls, row.lost_reason, held
        )

    async def gate_places(
        self, gate: str, *, is_inside: bool | None = None, after: int = 0, limit: int = 1_000
    ) -> list[GatePlace]:
        """Return a page of places at a gate, inside or waiting or both, in the order of ordinals."""
        found = [_place(row) for row in self._tables.places.values() if row.gate == gate]
        found = [one for one in found if one.ordinal > after and is_inside in (None, one.is_inside)]
        return sorted(found, key=attrgetter("ordinal"))[:limit]

    async def close(self) -> None:
        """Nothing is held."""

    def _at_admissions(self) -> Iterable[MemberRow]:
        return (row for row in self._tables.rows[MemberRow].values() if row.stage != "settled")

    def _admission(self, admission: str) -> AdmissionSummary:
        body = self._tables.rows[AdmissionRow][admission].body
        assert body is not None
        members = [row for row in self._at_admissions() if row.admission == admission]
        waiting = [row.since for row in members if row.stage in ("waiting", "joined")]
        times = [row.since for row in members if row.stage == "waiting" and row.since is not None]
        under_way = sum(row.stage in UNDER_WAY for row in members)
        return admission_of(
            admission, body, len(waiting), under_way, min(times, default=None), max(times, default=None)
        )

    def _gate(self, gate: str) -> GateSummary:
        row = self._tables.gates[gate]
        places = [place.is_inside for place in self._tables.places.values() if place.gate == gate]
        assert row.body is not None
        inside = sum(map(bool, places))
        return summary_of(gate, row.body, len(places) - inside, inside, 0)

    def _steps(self, run: str) -> list[StepRow]:
        return [row for row in self._tables.steps.values() if row.run == run]

    def _meant(self, query: RunQuery) -> Iterable[RunRow]:
        return (row for row in self._tables.runs.values() if matches(row, query))


def _is_asked(question: StoredQuestion, query: QuestionQuery) -> bool:
    return (
        query.workflow in (None, question.workflow)
        and query.wait in (None, question.wait)
        and query.role in (None, question.role)
        and query.assignee in (None, question.assignee)
        and (query.tag is None or query.tag in _tags(question.tags or "[]"))
        and (
            query.expires_before is None
            or (question.expires is not None and question.expires < query.expires_before)
        )
        and (query.due_before is None or (question.due is not None and question.due < query.due_before))
    )


def _figures(workflow: str, runs: Sequence[RunRow], since: int) -> WorkflowFigures:
    still_open = [row for row in runs if row.ended is None]
    recent = [row.status for row in runs if row.created >= since]
    last = (runs[-1].created, runs[-1].status) if runs else (None, None)
    return WorkflowFigures(
        workflow,
        len(still_open),
        sum(row.status == WAITING for row in still_open),
        sum(row.status in LOST and not was_asked_for(row) for row in runs),
        len(recent),
        recent.count(COMPLETED),
        *last,
    )


def _place(row: PlaceRow) -> GatePlace:
    assert row.attempt is not None
    assert row.ordinal is not None
    return GatePlace(
        row.run, row.step, row.attempt, row.ordinal, row.is_inside is True, row.priority, row.share,
        row.units, row.since, row.lease,
    )  # fmt: skip
