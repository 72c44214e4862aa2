"""Calls a step's functions: on the loop, in a thread, or in a separate process.

An attempt may call several: for the time-out, for the condition, and the step's function. All get values of
the same command.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from typing import Any

from stream_durable.sdk.answers import Fail, Skip
from stream_durable.sdk.durations import milliseconds
from stream_durable.sdk.errors import OptionError
from stream_durable.sdk.handler import Given, Handler
from stream_durable.settings import WorkerSettings
from stream_durable.worker.emitting import taken_over
from stream_durable.worker.job import Job
from stream_durable.worker.logs import keeping_of
from stream_durable.worker.passes import drive
from stream_durable.worker.processes import Processes
from stream_durable.worker.threads import Threads


class Calling:
    """The threads and processes of a worker, and the time-outs of calls."""

    def __init__(
        self, settings: WorkerSettings, now: Callable[[], int], leave_thread: Callable[[Job], None]
    ) -> None:
        """Start no thread and no process yet.

        An attempt needing a thread has a place for one from the start; `leave_thread` releases the place
        early.
        """
        self.threads = Threads(settings.threads, settings.threads_overdue_max, now)
        self._leave_thread = leave_thread
        self._processes = Processes(settings.processes, keeping_of(settings))

    async def result(self, handler: Handler, given: Given, job: Job) -> Any:
        """Return a function's answer, or the message from a process."""
        if handler.limit is not None and job.command.timeout_ms is None and job.coroutine is None:
            job.timeout_ms = await self._timeout(handler.limit, given, job)
        timeout = job.timeout_ms
        limit = asyncio.timeout(None if timeout is None else timeout / 1_000)
        try:
            async with limit:
                result = await self._unless_skipped(handler, given, job)
            if limit.expired():
                # It went on after it was told to stop, and nobody waits any more for what it came to.
                raise TimeoutError
            return result
        except TimeoutError as error:
            if not limit.expired():
                raise
            # A thread cannot be stopped: `ctx.cancelled` tells it that nobody waits any more.
            job.is_overdue = job.is_in_thread
            raise Fail("timeout", f"the attempt did not end within {timeout} ms") from error
        finally:
            job.is_in_thread = False

    def close(self) -> None:
        """Begin nothing more; busy threads end after their calls, idle processes at once."""
        self.threads.close()
        self._processes.close()

    async def _timeout(self, limit: Handler, given: Given, job: Job) -> int:
        value = await self._called(limit, given, job)
        try:
            return milliseconds(value)
        except OptionError as error:
            raise Fail(
                "bad_timeout", f"what the function given as timeout= returned cannot be used: {error}",
                retryable=False,
            ) from None  # fmt: skip

    async def _unless_skipped(self, handler: Handler, given: Given, job: Job) -> Any:
        if job.coroutine is not None:
            return await drive(job)
        if handler.condition is not None and not await self._called(handler.condition, given, job):
            return Skip("its condition is not met")
        if job.has_thread and (handler.is_async or handler.in_process):
            # Only what went before was in need of it.
            self._leave_thread(job)
        if handler.in_process:
            _check_wanted(job)
            due = None if job.timeout_ms is None else job.started + job.timeout_ms
            made = await self._processes.make(handler, job.command, due, job.progress, job.tokens())
            return taken_over(made, job)
        if handler.is_async and handler.takes_context:
            arguments = handler.arguments(given)
            _check_wanted(job)
            job.coroutine = handler.call(arguments)
            return await drive(job)
        return await self._called(handler, given, job)

    async def _called(self, handler: Handler, given: Given, job: Job) -> Any:
        arguments = handler.arguments(given)
        _check_wanted(job)
        if handler.is_async:
            return await handler.call(arguments)
        job.is_in_thread = True
        run = contextvars.copy_context().run
        result = await self.threads.call(job.command, partial(run, handler.call, arguments))
        job.is_in_thread = False
        return result


def needs_thread(handler: Handler) -> bool:
    """Whether any of the functions of a step is called in a thread."""
    if not (handler.is_async or handler.in_process):
        return True
    condition, limit = handler.condition, handler.limit
    return (condition is not None and not condition.is_async) or (limit is not None and not limit.is_async)


def _check_wanted(job: Job) -> None:
    """Begin nothing for an attempt cancelled during a thread's call."""
    if job.is_cancelled:
        raise Fail("cancelled", "the attempt was cancelled before its function was called", retryable=False)
