"""Explains a run or a step from a snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from stream_durable.core.failure import Failure
from stream_durable.core.names import is_undo, undo_name
from stream_durable.core.run.entering import taker_of
from stream_durable.core.run.explain import status_of
from stream_durable.core.run.past import is_past
from stream_durable.core.run.rows import phase
from stream_durable.core.run.state import Run
from stream_durable.core.status import (
    CANCELLED,
    CANCELLING,
    COMPENSATED,
    COMPENSATING,
    COMPENSATION_FAILED,
    COMPLETED,
    FAILED,
    MERGED,
    PENDING,
    STEP_ENDED,
)
from stream_durable.explain.checks import Check, checks
from stream_durable.explain.moving import Ending, Undoing
from stream_durable.explain.partition import partition_trouble
from stream_durable.explain.phrases import Times
from stream_durable.explain.reason import RUN, Reason, Word, urgency
from stream_durable.explain.settled import Cancelled, Compensated, Completed, Merged, Reviewed
from stream_durable.explain.snapshot import Snapshot, moment
from stream_durable.explain.steps import before_run, is_uncalled, paused, step_reason
from stream_durable.explain.stopped import CompensationFailed, Failed


class Explanation(NamedTuple):
    """The reason for the standstill or course of a run or step."""

    run: str
    #: The step; of a run, the one that matters most, or None.
    step: str | None
    #: Of the step asked about, otherwise of the run; None: it could not be read.
    status: str | None
    #: What an operator reads first.
    word: Word
    #: From a closed set: see the reference of reasons.
    code: str
    #: One whole sentence.
    sentence: str
    since: datetime | None
    #: When it ends by itself at the latest.
    until: datetime | None
    #: The facts behind the sentence, by name.
    evidence: Mapping[str, Any]
    #: Of a step: what has to hold for it to run, in order.
    checks: tuple[Check, ...] = ()
    #: Of a run: how many further open steps there are, by word.
    others: Mapping[Word, int] = {}

    def __str__(self) -> str:
        return f"{self.word}: {self.sentence}"


def explain_step(seen: Snapshot, step: str, zone: tzinfo | None = None) -> Explanation:
    """Explain an existing step by name."""
    i, at = seen.run.graph.index[step], Times(seen.now, zone)
    reason = step_reason(seen, i)
    found = explained(seen.run.id, step, status_of(seen.run, i), reason, at)
    return found._replace(checks=checks(seen, i, reason, at))


def explain_run(seen: Snapshot, zone: tzinfo | None = None) -> Explanation:
    """Explain a run by the most urgent reason: of the run as a whole, else of the steps in order."""
    run, at = seen.run, Times(seen.now, zone)
    reason = _of_run(seen, at)
    if reason is not None:
        return explained(run.id, None, phase(run), reason, at)._replace(step=_step_of(reason))
    found = sorted((urgency(one), i, one) for i, one in _open(seen))
    counts = Counter(one.word for _, _, one in found)
    counts["Waiting"] += _unbegun(run)
    _, i, reason = found[0]
    counts[reason.word] -= 1
    name = run.graph.names[i]
    others: dict[Word, int] = {word: count for word, count in counts.items() if count}
    return explained(run.id, name, phase(run), reason, at)._replace(others=others)


def explained(run: str, step: str | None, status: str | None, reason: Reason, at: Times) -> Explanation:
    """Return a reason in the form for people and programs."""
    return Explanation(
        run, step, status, reason.word, reason.code, reason.sentence(step or RUN, at), reason.since,
        reason.until, reason.evidence,
    )  # fmt: skip


def _step_of(reason: Reason) -> str | None:
    """Return the step behind the reason of a run as a whole."""
    match reason:
        case Failed():
            return reason.step or None
        case CompensationFailed():
            return reason.compensation
        case _:
            return None


def _open(seen: Snapshot) -> Iterator[tuple[int, Reason]]:
    """Return the reasons of all begun steps, and of steps held back by anything but earlier steps."""
    run = seen.run
    for i in range(run.graph.size):
        step = run.steps.get(i)
        if run.graph.outer(i) >= 0 or (step is None and run.need[i]):
            continue
        if is_uncalled(run, i):
            continue
        if step is None or step.status not in STEP_ENDED:
            yield i, step_reason(seen, i)


def _unbegun(run: Run) -> int:
    return sum(1 for i in range(run.graph.size) if i not in run.steps and run.need[i])


def _of_run(seen: Snapshot, at: Times) -> Reason | None:
    """Return the reason of a run as a whole; None: the steps decide."""
    run = seen.run
    if run.ended is not None:
        return _ended(run)
    trouble = partition_trouble(seen)
    if trouble is not None:
        return trouble
    if run.status == PENDING:
        return before_run(seen)
    if run.is_paused:
        return paused(run)
    if run.is_ending or run.status in (CANCELLING, COMPENSATING):
        return _ending(seen, at)
    return None


def _ended(run: Run) -> Reason:
    failure, since = run.failure or Failure(""), moment(run.ended)
    request = run.cancel_request
    by, reason = ("", "") if request is None else (request.by, request.reason)
    if run.requests is not None and (mark := run.requests.reviewed) is not None:
        return Reviewed(
            since=since, by=mark.by, reason=mark.reason, failure=failure.code, message=failure.message
        )
    match run.status:
        case _ if run.status == COMPENSATION_FAILED:
            return _not_undone(run)
        case _ if run.status == FAILED:
            failed = None if failure.step is None else run.steps.get(run.graph.index.get(failure.step, -1))
            cancelled = sum(status_of(run, i) == CANCELLED for i in range(run.graph.total))
            return Failed(
                since=since, step=failure.step or "", failure=failure.code, message=failure.message,
                attempt=1 if failed is None else failed.attempt, cancelled=cancelled,
            )  # fmt: skip
        case _ if run.status == CANCELLED:
            return Cancelled(since=since, by=by, reason=reason)
        case _ if run.status == COMPENSATED:
            code, message = (failure.code, failure.message) if request is None else ("", "")
            return Compensated(since=since, by=by, reason=reason, failure=code, message=message)
        case _ if run.status == MERGED:
            return Merged(since=since, into=taker_of(run.requests) or "")
        case _:
            assert run.status == COMPLETED, run.status
            return Completed(since=since)


def _not_undone(run: Run) -> CompensationFailed:
    names = run.graph.names
    failed = sorted(
        (step.finished or 0, names[i], step)
        for i, step in run.steps.items()
        if is_undo(names[i]) and step.status in (FAILED, CANCELLED) and not is_past(step)
    )
    finished, name, step = failed[0]
    failure = step.failure or Failure(step.status)
    return CompensationFailed(
        since=moment(finished or run.ended), compensation=name, failure=failure.code,
        message=failure.message, count=len(failed),
    )  # fmt: skip


def _is_to_be_undone(run: Run, name: str) -> bool:
    undo = run.steps.get(run.graph.index.get(name, -1))
    return undo is None or undo.status == PENDING or is_past(undo)


def _ending(seen: Snapshot, at: Times) -> Reason:
    run, failure = seen.run, seen.run.failure
    open_steps = [
        i for i, step in run.steps.items() if step.status not in STEP_ENDED and step.status != PENDING
    ]
    now = ""
    if open_steps:
        i = open_steps[0]
        now = step_reason(seen, i).text(run.graph.names[i], at)
    request = run.cancel_request
    by, reason = ("", "") if request is None else (request.by, request.reason)
    since = None if request is None else moment(request.at)
    code = (
        ""
        if request is not None or failure is None
        else f"{failure.step}: {failure.code}"
        if failure.step
        else failure.code
    )
    if run.status != COMPENSATING:
        return Ending(since=since, by=by, reason=reason, failure=code, now=now)
    left = sum(
        step.status == COMPLETED and _is_to_be_undone(run, undo_name(run.graph.names[i]))
        and run.graph.helper_node(undo_name(run.graph.names[i])) is not None
        for i, step in run.steps.items()
        if not run.graph.is_helper(i)
    )  # fmt: skip
    return Undoing(since=since, by=by, reason=reason, failure=code, now=now, left=left)
