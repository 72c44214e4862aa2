"""Requests to a run: cancel, pause, resume, retry, for the whole or a step."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import Any, Unpack

from stream_durable.client.changing import ChangeOptions, change_of
from stream_durable.client.orders import check_end_step, check_retry, check_reviewed
from stream_durable.client.step_ender import StepEnder
from stream_durable.core.errors import TransientError
from stream_durable.core.format import REVIEWED
from stream_durable.core.lifecycle import RunEvent
from stream_durable.core.messages import (
    CancelRun,
    CancelStep,
    MarkReviewed,
    PauseRun,
    ResumeRun,
    RetryRun,
    SkipStep,
)
from stream_durable.core.run.rows import RunRow
from stream_durable.sdk.given import drawn


class RunOrders(StepEnder):
    """Sends requests to a run."""

    @abstractmethod
    async def _row(self) -> RunRow: ...

    async def cancel(
        self,
        reason: str = "",
        *,
        compensate: bool = False,
        by: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Request the end of the run; wait for it with `result`.

        Each `id` counts once, as with all requests. Children are cancelled too and clean-up steps run;
        completed steps are undone if `compensate`.
        """
        order = CancelRun(key=self.id, id=id or drawn(), reason=reason, compensate=compensate, by=by)
        return await self._tell(order)

    async def pause(
        self,
        reason: str = "",
        *,
        by: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Let no step begin until the run is resumed; those under way go on, and so does time."""
        return await self._tell(PauseRun(key=self.id, id=id or drawn(), reason=reason, by=by))

    async def resume(
        self,
        reason: str = "",
        *,
        context: Mapping[str, Any] | None = None,
        by: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Let a paused run go on; `context` is merged into the run's context before."""
        data = self._edge.values.an_object(context, f"the context for run {self.id!r}")
        order = ResumeRun(key=self.id, id=id or drawn(), context=data, reason=reason, by=by)
        return await self._tell(order)

    async def change(
        self,
        *,
        reason: str = "",
        by: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
        **what: Unpack[ChangeOptions],
    ) -> str:
        """Change a run with held steps, before a decision.

        Takes a new `input`, values of the `context` by path, and for a held `step` a `retry`, or only the
        number of `attempts`, a `timeout` and a `total`. `state().changes` keeps the values before. Raises
        `RejectedError` for a run without a held step, and for an input unfit for the workflow.
        """
        run = await self._thawed()
        return await self._tell(change_of(self._edge, run, what, by=by, reason=reason, id=id or drawn()))

    async def cancel_step(
        self,
        step: str,
        reason: str = "",
        *,
        by: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Cancel a step, or a group with all members, and everything after."""
        check_end_step(await self._thawed(), step)
        order = CancelStep(key=self.id, id=id or drawn(), step=step, reason=reason, by=by)
        return await self._tell(order)

    async def skip_step(
        self,
        step: str,
        reason: str = "",
        *,
        by: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """End a step, or a group with all members, as skipped; later steps continue without the output.

        For a failed compensation, `"charge~compensate"`, this accepts the failure.
        """
        check_end_step(await self._thawed(), step)
        return await self._tell(SkipStep(key=self.id, id=id or drawn(), step=step, reason=reason, by=by))

    async def retry(
        self,
        step: str | None = None,
        *,
        whole: bool = False,
        reason: str = "",
        by: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Retry steps in place, whether or not the run has ended.

        By default all failed, held or cancelled steps and all later steps; with `step` only the named step
        and all later steps; with `whole` everything. A held step has all its attempts again, and keeps what
        it got by `ctx.once`. A failed compensation, `"charge~compensate"`, is retried by name, and before
        anything else.
        """
        order = id or drawn()
        run = await self._thawed()
        if run.has_seen(order):
            return order
        message = RetryRun(key=self.id, id=order, step=step or "", whole=whole, reason=reason, by=by)
        check_retry(run, message)
        async with self._edge.live(self.id) as events:
            await self._tell(message)
            await self._until_retried(events, message.id)
        return message.id

    async def mark_reviewed(
        self,
        reason: str = "",
        *,
        by: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Mark a failed run as looked at: it needs nobody any more, until it is retried.

        Raises `RejectedError` for a run that has not failed.
        """
        check_reviewed(await self._thawed())
        order = MarkReviewed(key=self.id, id=id or drawn(), format=REVIEWED, reason=reason, by=by)
        return await self._tell(order)

    async def _until_retried(self, events: AsyncIterator[RunEvent], order: str) -> None:
        patience = self._edge.patience_seconds
        try:
            async with asyncio.timeout(patience):
                async for _ in events:
                    requests = (await self._row()).requests
                    if requests is not None and order.encode() in requests:
                        return
        except TimeoutError:
            raise TransientError(
                f"the order to retry run {self.id!r} is on the log, and was not carried out within "
                f"{patience:g} s: is a reconciler running, and can the run still be retried?"
            ) from None
