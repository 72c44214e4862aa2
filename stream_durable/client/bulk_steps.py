"""Requests to steps of all runs that a filter means: skip, cancel, retry, complete, fail.

Each run is read before a request, as only some have the step where the request has a meaning: elsewhere the
request would become a dead letter.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple, assert_never
from uuid import uuid4

from msgspec import Raw

from stream_durable.client import deciding
from stream_durable.client.edge import Edge
from stream_durable.client.filter import LOST, OPEN, RunFilter
from stream_durable.client.orders import check_retry
from stream_durable.client.run import RunHandle
from stream_durable.client.together import PAGE_RUNS, Progress
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import NULL, CancelStep, RetryRun, RunMessage, SkipStep
from stream_durable.core.names import is_undo
from stream_durable.core.run import groups, undoing
from stream_durable.core.run.review import held_steps
from stream_durable.core.run.state import Run
from stream_durable.core.status import (
    CANCELLED,
    CANCELLING,
    COMPENSATING,
    COMPENSATION_FAILED,
    FAILED,
    HELD,
    PENDING,
)
from stream_durable.ports import ListPosition, RunQuery
from stream_durable.sdk.answers import Fail

#: Requests to steps of many runs.
StepVerb = Literal["skip", "cancel", "retry", "complete", "fail"]

#: Runs read at the same time.
_AT_ONCE: Final = 16
#: Runs read for a preview.
PREVIEW_RUNS: Final = 500
#: Statuses of open runs before any end.
_GOING: Final = OPEN - {CANCELLING, COMPENSATING}


class StepOrder(NamedTuple):
    """A request to a step of many runs."""

    verb: StepVerb
    #: None: every held step, and for `skip` every failed compensation.
    step: str | None = None
    reason: str = ""
    by: str = ""
    output: Raw = NULL
    error: Fail | str = ""


class StepRuns(NamedTuple):
    """Runs with a step that a request would reach."""

    runs: tuple[str, ...]
    #: Whether there are no others.
    is_exact: bool


class BulkSteps:
    """Requests to steps of many runs, page by page."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def skip_all(
        self,
        which: RunFilter,
        step: str | None = None,
        reason: str = "",
        *,
        by: str = "",
        progress: Progress | None = None,
    ) -> int:
        """Skip a step, or a group of steps, in all matching open runs; return the number of runs.

        Runs without the step, or with the step ended, are left alone. Without `step` all held steps are
        skipped, and failed compensations accepted; the name of a compensation, `"charge~compensate"`, means
        only that compensation. Reads each matching run.
        """
        return await order_steps(self._edge, which, StepOrder("skip", step, reason, by), progress)

    async def complete_all(
        self,
        which: RunFilter,
        step: str,
        value: Any = None,
        reason: str = "",
        *,
        by: str = "",
        progress: Progress | None = None,
    ) -> int:
        """Complete a held step with the same output in all matching runs; return the number of runs.

        Raises `RejectedError` at the first run with a type unfit for the value; earlier pages stay requested.
        """
        data = self._edge.values.plain(value, f"the output of step {step!r}")
        order = StepOrder("complete", step, reason, by, output=data)
        return await order_steps(self._edge, which, order, progress)

    async def fail_all(
        self,
        which: RunFilter,
        step: str | None = None,
        error: Fail | str = "",
        reason: str = "",
        *,
        by: str = "",
        progress: Progress | None = None,
    ) -> int:
        """Fail a held step, or all held steps, in all matching runs; return the number of runs.

        Without `error` the steps fail as before the hold. Failed runs are undone as usual.
        """
        order = StepOrder("fail", step, reason, by, error=error)
        return await order_steps(self._edge, which, order, progress)

    async def find_steps(
        self,
        verb: StepVerb,
        which: RunFilter,
        step: str | None = None,
        *,
        value: Any = None,
        at_most: int = PREVIEW_RUNS,
    ) -> StepRuns:
        """Return the runs that such a request would reach now, among the first `at_most` matching runs.

        For `complete` the value is checked too.
        """
        data = self._edge.values.plain(value, "the output")
        order, found, left = StepOrder(verb, step, output=data), list[str](), at_most
        async for page in _pages(self._edge, which, order):
            runs = page[:left]
            found += [run.id for run in await _thawed(self._edge, runs) if _messages(self._edge, run, order)]
            if len(page) > len(runs):
                return StepRuns(tuple(found), is_exact=False)
            left -= len(runs)
        return StepRuns(tuple(found), is_exact=True)


async def order_steps(edge: Edge, which: RunFilter, order: StepOrder, progress: Progress | None) -> int:
    """Send the request to every run with such a step; return the number of runs."""
    told = 0
    async for page in _pages(edge, which, order):
        found = [_messages(edge, run, order) for run in await _thawed(edge, page)]
        await edge.send_all([message for each in found for message in each], f"{order.verb} steps")
        told += sum(map(bool, found))
        if progress is not None:
            progress(told)
    return told


def steps_of(run: Run, order: StepOrder) -> list[str]:
    """Return the steps of a run that the request is for."""
    held = [run.graph.names[i] for i in held_steps(run)]
    undos = undoing.failed(run) if run.status == COMPENSATION_FAILED else []
    step, verb = order.step, order.verb
    match verb:
        case "skip" if step is None:
            return [*held, *undos]
        case "skip" if step in undos:
            return [step]
        case "skip" | "cancel":
            return [step] if step is not None and _is_under_way(run, step) else []
        case "retry":
            return [step] if step is not None and _may_be_retried(run, step) else []
        case "complete" | "fail":
            return [name for name in held if step in (None, name)]
        case _:
            assert_never(verb)


def _messages(edge: Edge, run: Run, order: StepOrder) -> list[RunMessage]:
    return [_message(edge, run, name, order) for name in steps_of(run, order)]


def _message(edge: Edge, run: Run, name: str, order: StepOrder) -> RunMessage:
    id, by, reason, verb = uuid4().hex, order.by, order.reason, order.verb  # noqa: A001 - as everywhere
    match verb:
        case "skip":
            return SkipStep(key=run.id, id=id, step=name, reason=reason, by=by)
        case "cancel":
            return CancelStep(key=run.id, id=id, step=name, reason=reason, by=by)
        case "retry":
            return RetryRun(key=run.id, id=id, step=name, reason=reason, by=by)
        case "complete":
            return deciding.completion(edge, run, name, order.output, by=by, reason=reason, id=id)
        case "fail":
            return deciding.failure(run, name, order.error, by=by, reason=reason, id=id)
        case _:
            assert_never(verb)


def _is_under_way(run: Run, name: str) -> bool:
    """Return whether a step can still be skipped or cancelled."""
    i = run.graph.index.get(name)
    if i is None or run.has_ended or run.status == PENDING or groups.has_ended(run, i):
        return False
    step = run.steps.get(i)
    return not run.graph.is_helper(i) or (step is not None and step.status != PENDING)


def _may_be_retried(run: Run, name: str) -> bool:
    """Return whether a step, or a compensation, has failed, was cancelled or is held, and can be retried."""
    step = run.steps.get(run.graph.index.get(name, -1))
    if step is None or step.status not in (FAILED, CANCELLED, HELD):
        return False
    try:
        check_retry(run, RetryRun(key=run.id, id="", step=name))
    except RejectedError:
        return False
    return True


def _queries(edge: Edge, which: RunFilter, order: StepOrder) -> list[RunQuery | None]:
    """Return the queries for the runs that may have such a step; none of them means the same run."""
    now, step = edge.now(), order.step
    held = replace(which, needs_review=True).query(_GOING, now)
    undos = None if which.needs_review else which.query(frozenset({COMPENSATION_FAILED}), now)
    if step is not None and is_undo(step):
        return [undos]
    verb = order.verb
    match verb:
        case "skip" if step is None:
            return [held, undos]
        case "skip" | "cancel":
            return [which.query(_GOING - {PENDING}, now)]
        case "retry":
            lost = (LOST | {CANCELLED} if which.status else LOST) - {COMPENSATION_FAILED}
            return [held, None if which.needs_review else which.query(lost, now)]
        case "complete" | "fail":
            return [held]
        case _:
            assert_never(verb)


async def _pages(edge: Edge, which: RunFilter, order: StepOrder) -> AsyncIterator[list[str]]:
    """Yield the ids of runs that may have such a step; runs started meanwhile are left out."""
    if order.step is None and order.verb in ("cancel", "retry", "complete"):
        raise RejectedError("contradiction", f"to {order.verb} a step of many runs, name the step")
    views = edge.ports.views
    for query in _queries(edge, which, order):
        after: ListPosition | None = None
        while query is not None:
            start = after
            page = await edge.ask(lambda: views.run_list(query, limit=PAGE_RUNS, after=start), "list runs")  # noqa: B023
            if page.runs:
                yield [run.id for run in page.runs]
            if page.following is None:
                break
            after = page.following


async def _thawed(edge: Edge, runs: list[str]) -> list[Run]:
    found = list[Run]()
    for i in range(0, len(runs), _AT_ONCE):
        some = (RunHandle[Any](edge, run)._thawed() for run in runs[i : i + _AT_ONCE])
        found += await asyncio.gather(*some)
    return found
