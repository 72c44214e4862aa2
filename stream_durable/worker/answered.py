"""Attempts with acknowledged results: repeated commands are not executed again."""

from __future__ import annotations

from collections import OrderedDict

from stream_durable.worker.job import Job

#: Answered attempts that are kept in mind, the latest.
_KEPT_MAX = 10_000


class Answered:
    """Attempts with acknowledged results."""

    __slots__ = ("_asked",)

    def __init__(self) -> None:
        """Nothing was answered yet."""
        self._asked: OrderedDict[tuple[str, str, int, int, int, int], None] = OrderedDict()

    def __contains__(self, job: Job) -> bool:
        return _asked(job) in self._asked

    def add(self, job: Job) -> None:
        """Record an acknowledged result."""
        self._asked[_asked(job)] = None
        if len(self._asked) > _KEPT_MAX:
            self._asked.popitem(last=False)


def _asked(job: Job) -> tuple[str, str, int, int, int, int]:
    """Return the identity of a command: after a return or a loss the same attempt counts as another."""
    c = job.command
    return c.run, c.step, c.attempt, c.returns, c.losses, c.generation
