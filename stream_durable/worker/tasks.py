"""The asyncio tasks that make attempts: a bounded number, each taking one job after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any


class Tasks:
    """Begins tasks one at a time, so a burst of attempts without waiting is made by a single task.

    A begun task with a job begins the next if other jobs wait. All begin with the same context variables,
    those of the creation of this object.
    """

    __slots__ = ("_context", "_most", "_tasks", "_work", "next")

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], most: int) -> None:
        """Begin none yet; each runs `work` once, which calls `begun` first."""
        self._work = work
        self._most = most
        self._context = copy_context()
        self._tasks: set[asyncio.Task[None]] = set()
        #: Created and not begun.
        self.next: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Create a task, unless one is about to begin or all are at work."""
        if self.next is None and len(self._tasks) < self._most:
            self.next = task = self._context.copy().run(asyncio.create_task, self._work())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def begun(self) -> asyncio.Task[None]:
        """Return the task that has just begun."""
        task, self.next = self.next, None
        assert task is not None, "only a task created by `begin` begins"
        return task

    def replace(self, task: asyncio.Task[None]) -> None:
        """Begin another task in place of one about to end."""
        self._tasks.discard(task)
        self.begin()

    async def ended(self, seconds: float) -> None:
        """Wait for all tasks to end, but no longer than this."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self.next is task:
            self.next = None


def is_running(task: asyncio.Task[None]) -> bool:
    """Return whether a task is the one that runs now; False where no loop turns."""
    try:
        return asyncio.current_task() is task
    except RuntimeError:
        return False
