"""Requests to all runs that a filter means."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from stream_durable.client.bulk_steps import BulkSteps, StepOrder, order_steps
from stream_durable.client.edge import Edge
from stream_durable.client.filter import LOST, MARKED, OPEN, RunFilter
from stream_durable.client.together import Progress, order_all
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import REVIEWED
from stream_durable.core.messages import CancelRun, MarkReviewed, PauseRun, ResumeRun, RetryRun
from stream_durable.core.status import CANCELLED, CANCELLING, COMPENSATING, COMPENSATION_FAILED, PAUSED

#: Statuses of runs not yet being ended.
_GOING = OPEN - {CANCELLING, COMPENSATING}


class BulkOrders(BulkSteps):
    """Requests to many runs, page by page."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def cancel_all(
        self,
        which: RunFilter,
        reason: str = "",
        *,
        compensate: bool = False,
        step: str | None = None,
        by: str = "",
        progress: Progress | None = None,
    ) -> int:
        """Request the end of all matching runs not yet ended; return their number.

        With `compensate` completed steps are undone; with `step` only this step, or group, is cancelled where
        under way. Requests go page by page; `progress` is called with the number so far.
        """
        if step is not None:
            if compensate:
                raise RejectedError("contradiction", "compensate= is for whole runs, not with step=")
            return await order_steps(self._edge, which, StepOrder("cancel", step, reason, by), progress)

        def order(run: str) -> CancelRun:
            return CancelRun(key=run, id=uuid4().hex, reason=reason, compensate=compensate, by=by)

        return await order_all(
            self._edge, which.query(_GOING, self._edge.now()), order, "cancel runs", progress
        )

    async def pause_all(
        self, which: RunFilter, reason: str = "", *, by: str = "", progress: Progress | None = None
    ) -> int:
        """Let no step of the matching runs begin until resumed; return the number of runs."""

        def order(run: str) -> PauseRun:
            return PauseRun(key=run, id=uuid4().hex, reason=reason, by=by)

        return await order_all(
            self._edge, which.query(_GOING - {PAUSED}, self._edge.now()), order, "pause runs", progress
        )

    async def resume_all(
        self,
        which: RunFilter,
        reason: str = "",
        *,
        context: Mapping[str, Any] | None = None,
        by: str = "",
        progress: Progress | None = None,
    ) -> int:
        """Resume the matching paused runs; return their number."""
        data = self._edge.values.an_object(context, "the context for the runs")

        def order(run: str) -> ResumeRun:
            return ResumeRun(key=run, id=uuid4().hex, context=data, reason=reason, by=by)

        return await order_all(
            self._edge, which.query(frozenset({PAUSED}), self._edge.now()), order, "resume runs", progress
        )

    async def retry_all(
        self,
        which: RunFilter,
        *,
        whole: bool = False,
        step: str | None = None,
        reason: str = "",
        by: str = "",
        progress: Progress | None = None,
    ) -> int:
        """Retry the matching failed runs, or with `needs_review` the held steps; return the number of runs.

        With `step` only this step and all later steps are retried, where the step has failed, was cancelled
        or is held. Cancelled runs match only by `status`. Runs with a failed compensation never match: first
        retry the compensation, as `step="charge~compensate"`, or accept the failure with `skip_all`.
        """
        if step is not None:
            if whole:
                raise RejectedError(
                    "contradiction", "retry one step and all after it, or whole runs, not both"
                )
            return await order_steps(self._edge, which, StepOrder("retry", step, reason, by), progress)

        def order(run: str) -> RetryRun:
            return RetryRun(key=run, id=uuid4().hex, whole=whole, reason=reason, by=by)

        among = (LOST | {CANCELLED} if which.status else LOST) - {COMPENSATION_FAILED}
        if which.needs_review:
            among = _GOING
        return await order_all(
            self._edge, which.query(among, self._edge.now()), order, "retry runs", progress
        )

    async def mark_all_reviewed(
        self, which: RunFilter, reason: str = "", *, by: str = "", progress: Progress | None = None
    ) -> int:
        """Mark the matching failed runs as looked at; return their number. Marked ones keep their mark."""
        if which.reviewed:
            return 0

        def order(run: str) -> MarkReviewed:
            return MarkReviewed(key=run, id=uuid4().hex, format=REVIEWED, reason=reason, by=by)

        only = replace(which, reviewed=False)
        return await order_all(
            self._edge, only.query(MARKED, self._edge.now()), order, "mark runs as reviewed", progress
        )
