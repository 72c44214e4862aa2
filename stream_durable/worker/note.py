"""Writes a note of a worker's current attempts to a file, for the supervisor to read after the worker's end.

Written when the worker checks its leases and before calling a suspect attempt, never for an ordinary attempt.
The file is passed as an open descriptor without a name, so nothing is left behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from typing import BinaryIO, Final

import msgspec

from stream_durable.core.effects import Command
from stream_durable.worker.job import Job

_NAMED_MAX: Final = 10
_READ_MAX: Final = 64 * 1024


class Note:
    """The running attempts at the last write."""

    def __init__(self, descriptor: int) -> None:
        """Write nothing yet."""
        self._descriptor = descriptor
        self._written = b""

    def write(self, jobs: Iterable[Job]) -> None:
        """Write the first attempts; one system call, or none without changes."""
        named = [_name(job.command) for job in islice(jobs, _NAMED_MAX)]
        # One that is shorter is written over a longer one, so its end is marked.
        text = msgspec.json.encode(named) + b"\n"
        if text != self._written:
            self._written = text
            os.pwrite(self._descriptor, text, 0)


def noted(file: BinaryIO) -> list[str]:
    """Return the attempts of the last write as `run/step/attempt`; nothing if unreadable."""
    text = os.pread(file.fileno(), _READ_MAX, 0).partition(b"\n")[0]
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.DecodeError:
        return []


def _name(command: Command) -> str:
    return f"{command.run}/{command.step}/{command.attempt}"
