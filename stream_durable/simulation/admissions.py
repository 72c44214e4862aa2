"""Promises about starts that meet: none is lost or begins twice, and rules are kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import msgspec

from stream_durable.core.admission import rows
from stream_durable.core.admission.rows import AdmissionRow, MemberRow
from stream_durable.core.admission.rule import BatchRule, SingleRule
from stream_durable.core.lifecycle import RUN_CANCELLED, RUN_STARTED
from stream_durable.core.messages import AdmissionAsked, AdmissionLeft, RunAdmitted, RunMerged
from stream_durable.core.run.entering import taker_of
from stream_durable.core.run.state import Run
from stream_durable.core.status import MERGED
from stream_durable.core.tables import Rows
from stream_durable.simulation.causes import differences
from stream_durable.simulation.oracle import Oracle
from stream_durable.simulation.world import World

_inputs = msgspec.json.Decoder(list[msgspec.Raw]).decode


def rows_of_admissions_are_the_fold(world: World, oracle: Oracle) -> Iterator[str]:
    """The stored rows equal the fold of the inbox."""
    found, members = {}, {}
    for admission in oracle.admissions():
        admission.is_touched = True
        admission.touched = dict.fromkeys(admission.members)
        written = Rows()
        rows.write(admission, written)
        found.update({row.id: row for row in written.of(AdmissionRow) if row.body is not None})
        members.update({row[:2]: row for row in written.of(MemberRow)})
    tables = world.store.tables
    yield from differences("admission", tables.rows[AdmissionRow], found)
    yield from differences("run at an admission", tables.rows[MemberRow], members)


def single_runs_never_overlap(world: World, oracle: Oracle) -> Iterator[str]:
    """By the log, no run is let in before the one let in earlier has left."""
    for name, turns in oracle.entries.items():
        inside: dict[str, int] = {}
        for each in turns:
            message = each.message
            if isinstance(message, AdmissionAsked | AdmissionLeft):
                turn = inside.get(message.run)
                is_asked = isinstance(message, AdmissionAsked)
                if turn is not None and (message.attempt > turn if is_asked else message.attempt == turn):
                    del inside[message.run]
            inside.update({given.key: given.attempt for given in each.admitted})
            if isinstance(each.rule, SingleRule) and len(inside) > 1:
                yield f"{sorted(inside)} are under way at {name}, and one may be"


def runs_begin_as_they_are_let_in(world: World, oracle: Oracle) -> Iterator[str]:
    """No run begins before its admission lets it in, and none leaves before it has ended."""
    for run in _meeting(oracle):
        is_in = False
        for each in oracle.applied.get(run.id, ()):
            is_in |= isinstance(each.message, RunAdmitted)
            if not is_in and any(event.type == RUN_STARTED for event in each.events):
                yield f"{run.id} began without being let in"


def no_start_is_lost(world: World, oracle: Oracle) -> Iterator[str]:
    """A merged run leads to a run of its workflow that is not merged."""
    runs = {run.id: run for run in _meeting(oracle)}
    for run in () if world.lives.has_losses else runs.values():
        seen, at = {run.id}, run
        while at.status == MERGED:
            into = taker_of(at.requests) or ""
            if into in seen or into not in runs:
                yield f"{run.id} was merged, and leads to {into!r}"
                break
            seen.add(into)
            at = runs[into]


def inputs_are_given_once(world: World, oracle: Oracle) -> Iterator[str]:
    """Who is given all inputs has those of the runs merged into it, in bounds, and no other run has them."""
    members: dict[str, list[Run]] = defaultdict(list)
    for run in _meeting(oracle):
        for folded in oracle.applied.get(run.id, ()):
            # It may have been retried since.
            if isinstance(folded.message, RunMerged) and run not in members[folded.message.into]:
                members[folded.message.into].append(run)
    for run in () if world.lives.has_losses else _meeting(oracle):
        starts = run.graph.definition.starts
        given = [] if run.inputs is None else [bytes(each) for each in _inputs(run.inputs)]
        if starts is not None and isinstance(starts.rule, BatchRule) and len(given) > starts.rule.size:
            yield f"{run.id} was given {len(given)} inputs, and {starts.rule.size} are the most"
        if given and run.started is not None and not _was_retried(members[run.id]):
            wanted = Counter([*(bytes(one.input) for one in members[run.id]), bytes(run.input)])
            # A cancellation that comes once a start was taken in does not take its input out.
            over = Counter(given) - wanted - Counter(bytes(one.input) for one in _given_up(oracle, run))
            if wanted - Counter(given) or over:
                yield f"{run.id} was given {given}, and took in {[one.id for one in members[run.id]]}"


def nothing_is_owed_at_the_end(world: World, oracle: Oracle) -> Iterator[str]:
    """Once all is quiet, nobody waits at an admission, goes with another, or is under way."""
    for admission in () if world.lives.has_losses else oracle.admissions():
        left = [run for run, member in admission.members.items() if member.stage != "settled"]
        if left:
            yield f"{left} are still at {admission.id}"


def _meeting(oracle: Oracle) -> list[Run]:
    return [run for run in oracle.runs() if run.graph.definition.starts is not None]


def _given_up(oracle: Oracle, taker: Run) -> list[Run]:
    """Return the runs of the same workflow that were cancelled before they began, if only for that time."""
    name = taker.graph.definition.name
    alike = (run for run in _meeting(oracle) if run.graph.definition.name == name)
    return [run for run in alike if _first_of(oracle, run, RUN_STARTED, RUN_CANCELLED) == RUN_CANCELLED]


def _first_of(oracle: Oracle, run: Run, *wanted: str) -> str | None:
    """Return which of these public events of a run came first."""
    said = (event.type for folded in oracle.applied.get(run.id, ()) for event in folded.events)
    return next((kind for kind in said if kind in wanted), None)


def _was_retried(runs: list[Run]) -> bool:
    return any(run.requests is not None and run.requests.retry is not None for run in runs)


ADMISSIONS: tuple[Callable[[World, Oracle], Iterator[str]], ...] = (
    rows_of_admissions_are_the_fold,
    single_runs_never_overlap,
    runs_begin_as_they_are_let_in,
    no_start_is_lost,
    inputs_are_given_once,
    nothing_is_owed_at_the_end,
)
