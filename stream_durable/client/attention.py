"""What needs somebody, by cause: failures, hindrances, questions about to expire, records set aside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, NamedTuple

from stream_durable.client.bindings import BindingState
from stream_durable.client.edge import Edge
from stream_durable.client.input_list import InputFilter, OpenInput, open_inputs
from stream_durable.client.schedules import ScheduleState
from stream_durable.core.gate.summary import GateSummary
from stream_durable.core.status import COMPENSATION_FAILED
from stream_durable.explain.partition import trouble_of
from stream_durable.explain.phrases import Times, counted, quoted
from stream_durable.explain.reason import WORDS, Word, named
from stream_durable.explain.snapshot import moment
from stream_durable.ports import FailureCause, PartitionSummary, StrandedStep
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.wire.control import Paused

#: So many failed runs are grouped, the newest first, and so many causes are shown.
RUNS_MAX: Final = 10_000
CAUSES_MAX: Final = 50
#: A question that expires sooner needs somebody now.
EXPIRES_WITHIN: Final = "1h"
_INPUTS_MAX: Final = 1_000
_DEAD_MAX: Final = 10_000
#: A step that was given back for want of a function is asked for again within this time.
_ASKED_WITHIN_MS: Final = 60_000
_DAY: Final = timedelta(days=1)


class Need(NamedTuple):
    """A cause for somebody's attention, with the number of affected things."""

    word: Word
    #: `failed`, `compensation_failed`, `log_lost`, `no_owner`, `behind`, `not_carried`, `queue_paused`,
    #: `breaker`, `schedule_off`, `binding_stopped`, `binding_off`, `dead` or `inputs_expiring`.
    code: str
    #: One whole sentence.
    sentence: str
    #: Number of runs, attempts, questions or records.
    affected: int
    #: When it began; of failures, when the last one happened.
    since: datetime | None
    #: The facts, by name.
    evidence: Mapping[str, Any]


class Attention(NamedTuple):
    """Everything in need of somebody, the most urgent first."""

    needs: tuple[Need, ...]
    #: False: older failures are not counted.
    is_whole: bool


async def attention(
    edge: Edge,
    since: Duration,
    zone: tzinfo | None,
    schedules: Iterable[ScheduleState],
    bindings: Iterable[BindingState],
) -> Attention:
    """Return what needs somebody: failures of runs created within a time, and hindrances of now."""
    now, views = edge.now(), edge.ports.views
    at, begin = Times(now, zone), _ms(now) - milliseconds(since)
    causes = await edge.ask(
        lambda: views.failure_causes(begin, runs_max=RUNS_MAX, limit=CAUSES_MAX), "group failures"
    )
    dead = await edge.ask(lambda: views.dead_count(_ms(now - _DAY), at_most=_DEAD_MAX), "count dead letters")
    gates = await edge.ask(views.gate_list, "list gates")
    asked = await open_inputs(edge, InputFilter(expires_within=EXPIRES_WITHIN), _INPUTS_MAX, None)
    await edge.ask(edge.ports.control.catch_up, "read the control topic")
    soon = (_ms(now) - _ASKED_WITHIN_MS, _ms(now) + _ASKED_WITHIN_MS)
    stranded = await edge.ask(
        lambda: views.stranded_steps(*soon, at_most=RUNS_MAX), "find steps without a function"
    )
    needs = [
        *(_failures(cause, at) for cause in causes),
        *await _partitions(edge, at),
        *(_stranded(step, at) for step in stranded),
        *(_queue(name, paused, at) for name, paused in sorted(edge.ports.control.state.paused.items())),
        *(_breaker(gate, at) for gate in gates if gate.state in ("open", "half-open")),
        *(_schedule(one, at) for one in schedules if not one.is_on and one.off_cause != "rule"),
        *(need for one in bindings if (need := _binding(one, at)) is not None),
        *_inputs(asked.inputs, at),
        *_dead(dead),
    ]
    needs.sort(key=lambda need: WORDS.index(need.word))
    return Attention(tuple(needs), sum(cause.runs for cause in causes) < RUNS_MAX)


def _failures(cause: FailureCause, at: Times) -> Need:
    runs, last = counted(cause.runs, "run"), moment(cause.last)
    when = "" if last is None else f", the last one{at.on(last)}: {cause.last_run}"
    what = f"{cause.step} of workflow" if cause.step else "Workflow"
    code = "failed"
    text = f"{what} {cause.workflow} failed in {runs} with {cause.code}{when}."
    if cause.status == COMPENSATION_FAILED:
        code = COMPENSATION_FAILED
        text = f"{runs} of workflow {cause.workflow} could not be undone after {cause.code}{when}."
    return Need("Needs review", code, text, cause.runs, last, cause._asdict())


def _stranded(one: StrandedStep, at: Times) -> Need:
    since = moment(one.since)
    runs = counted(one.runs, "run")
    text = (
        f"{one.step} of workflow {one.workflow} holds up {runs}{at.since(since)}, {one.run} first: "
        f"{one.worker or 'a worker'} gave it back{quoted(one.message)}; deploy a worker that has the "
        "function until such runs have ended, or cancel them."
    )
    return Need("Blocked", "not_carried", text, one.runs, since, one._asdict())


async def _partitions(edge: Edge, at: Times) -> list[Need]:
    """Return the partitions of the inbox in trouble."""
    views = edge.ports.views
    states = await edge.ask(views.partition_list, "list partitions")
    found = await asyncio.gather(*(_partition(edge, state, at) for state in states))
    return [need for need in found if need is not None]


async def _partition(edge: Edge, state: PartitionSummary, at: Times) -> Need | None:
    traffic = edge.ports.traffic
    read = None
    if traffic is not None:
        read = await edge.ask(lambda: traffic.inbox(state.partition, state.next_offset), "look at the inbox")
    reason = trouble_of(state, read, _ms(at.now))
    if reason is None:
        return None
    text = reason.sentence("every run there", at)
    records = 0 if read is None else max(0, read.high - state.next_offset)
    return Need(reason.word, reason.code, _capital(text), records, reason.since, reason.evidence)


def _queue(name: str, paused: Paused, at: Times) -> Need:
    pause, since = paused.pause, moment(paused.pause.at)
    when = "" if since is None else at.on(since)
    text = f"Queue {name} was paused{named(pause.by, pause.reason)}{when}; nothing resumes it by itself."
    return Need(
        "Blocked", "queue_paused", text, 1, since, {"queue": name, "by": pause.by, "reason": pause.reason}
    )


def _breaker(gate: GateSummary, at: Times) -> Need:
    due, since = moment(gate.due), moment(gate.since)
    trial = "" if due is None else f"; the next trial comes{at.coming(due)}"
    waiting = f"; {counted(gate.waiting, 'attempt waits', 'attempts wait')}" if gate.waiting else ""
    failures = f" after {counted(gate.failures, 'failure')}" if gate.state == "open" else ""
    text = f"Breaker {gate.name} is {gate.state}{at.since(since)}{failures}{trial}{waiting}."
    return Need("Blocked", "breaker", text, gate.waiting, since, gate._asdict())


def _schedule(one: ScheduleState, at: Times) -> Need:
    when = "" if one.off_since is None else at.on(one.off_since)
    cause = named(one.off_by, one.reason)
    if one.off_cause == "failures":
        cause = f" after {counted(one.failures, 'failure')} in a row"
    text = f"Schedule {one.name} of workflow {one.workflow} was switched off{cause}{when}."
    facts = {"schedule": one.name, "workflow": one.workflow, "cause": one.off_cause, "by": one.off_by}
    return Need(
        "Needs review" if one.off_cause == "failures" else "Blocked", "schedule_off", text, 1,
        one.off_since, facts,
    )  # fmt: skip


def _binding(one: BindingState, at: Times) -> Need | None:
    """Return what keeps a binding from reading on."""
    facts: dict[str, Any] = {"binding": one.name, "topic": one.topic}
    if not one.is_on:
        when = "" if one.off_since is None else at.on(one.off_since)
        text = f"Binding {one.name} of topic {one.topic} was paused{named(one.off_by, one.reason)}{when}."
        facts |= {"by": one.off_by, "reason": one.reason}
        return Need("Blocked", "binding_off", text, one.lag or 0, one.off_since, facts)
    if one.trouble:
        text = f"Binding {one.name} of topic {one.topic} reads nothing: {one.trouble}."
        return Need("Blocked", "binding_stopped", text, 0, None, {**facts, "reason": one.trouble})
    stopped = [each for each in one.partitions if each.stopped]
    if not stopped:
        return None
    lag, first = sum(each.lag or 0 for each in stopped), stopped[0]
    facts |= {"partition": first.partition, "offset": first.position, "reason": first.stopped}
    text = f"Binding {one.name} of topic {one.topic} has stopped: {one.stopped}."
    return Need("Blocked", "binding_stopped", text, lag, None, facts)


def _inputs(asked: list[OpenInput], at: Times) -> list[Need]:
    if not asked:
        return []
    first = min(asked, key=lambda one: one.until or datetime.max.replace(tzinfo=UTC))
    when = "" if first.until is None else at.coming(first.until)
    expire = counted(len(asked), "question expires", "questions expire")
    text = f"{expire} within the hour, the first{when}: {first.wait} of {first.run}{quoted(first.prompt)}."
    facts = {"run": first.run, "wait": first.wait, "until": first.until}
    return [Need("Waiting", "inputs_expiring", text, len(asked), first.since, facts)]


def _dead(count: int) -> list[Need]:
    if not count:
        return []
    more = "+" if count >= _DEAD_MAX else ""
    records = counted(count, "record").replace(" ", f"{more} ", 1)
    text = f"{records} of the last day could not be applied."
    return [Need("Needs review", "dead", text, count, None, {"records": count})]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1_000)
