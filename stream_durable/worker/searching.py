"""The place of a command among the unfinished ones of a partition."""

from __future__ import annotations

from stream_durable.core.effects import Command
from stream_durable.core.errors import RejectedError
from stream_durable.ports import Record
from stream_durable.wire.inbox import decode_command
from stream_durable.worker.offsets import DoneOffsets


class CommandSearch:
    """Looks for the command of an attempt, given the records of a partition in order."""

    def __init__(self, done: DoneOffsets, run: str, step: str, attempt: int) -> None:
        """Look among all commands except the `done` ones."""
        self._done = done
        self._key = run.encode()
        self._asked = step, attempt
        #: Unfinished commands seen so far.
        self.before = 0
        #: Where it is; None: not seen so far.
        self.offset: int | None = None

    def has_found(self, record: Record) -> bool:
        """Take the next record; return whether the search is over."""
        if not self._done.take(record.offset):
            return False
        if self._is_it(record):
            self.offset = record.offset
            return True
        self.before += 1
        return False

    def _is_it(self, record: Record) -> bool:
        if record.key != self._key or record.value is None:
            return False
        try:
            command = decode_command(record.value)
        except RejectedError:
            return False
        return isinstance(command, Command) and (command.step, command.attempt) == self._asked
