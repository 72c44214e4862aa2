"""Attempts with acknowledged results: repeated commands are not executed again."""

from __future__ import annotations

from stream_durable.worker.job import Job

#: Of the answered attempts, the latest so many are kept in mind, and at most twice as many.
_KEPT_MIN = 10_000

Asked = tuple[object, ...]


class Answered:
    """Attempts with acknowledged results: two sets, the older of which is dropped when the other is full."""

    __slots__ = ("_older", "_recent")

    def __init__(self) -> None:
        """Nothing was answered yet."""
        self._recent: set[Asked] = set()
        self._older: set[Asked] = set()

    def __contains__(self, job: Job) -> bool:
        asked = asked_of(job)
        return asked in self._recent or asked in self._older

    def add(self, job: Job) -> None:
        """Record an acknowledged result."""
        self.add_asked(asked_of(job))

    def add_asked(self, asked: Asked) -> None:
        """Record a command with an acknowledged result."""
        self._recent.add(asked)
        if len(self._recent) >= _KEPT_MIN:
            self._older, self._recent = self._recent, set()


def asked_of(job: Job) -> Asked:
    """Return the identity of a command: after a return or a loss the same attempt counts as another."""
    command = job.command
    if command.returns or command.losses or command.generation or command.passes:
        return *job.key, command.returns, command.losses, command.generation, command.passes
    return job.key
