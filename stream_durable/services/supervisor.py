"""Keeps child processes running: starts, restarts and stops them.

A child that keeps ending at once is restarted with a growing pause. Exit code 2 means unusable configuration,
so the child is not restarted until requested by name.

Each child is a session of its own, so Ctrl-C reaches only the parent and every child gets one signal; where
setpriv exists, the kernel signals the children when the parent is killed. Children are started by the thread
running the loop, which must live as long as the children.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final

from stream_durable.core.errors import RejectedError
from stream_durable.local.process import dying_with_us, missing_setpriv
from stream_durable.telemetry import PROCESS_ENDED, PROCESS_STARTED, logger
from stream_durable.worker.note import noted

_log = logger(__name__)

UNUSABLE_EXIT_CODE: Final = 2

_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 30.0
#: After this time an end has a new reason.
_STABLE_SECONDS: Final = 60.0
#: Beyond a child's own drain time.
_GRACE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Program:
    """A command of ours to run as a child: `("worker", "shop:app")`."""

    name: str
    arguments: tuple[str, ...]
    #: Added to our own environment.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Where its output goes; None: where ours goes.
    log: Path | None = None


class ChildUnusableError(RejectedError):
    """A child reported an unusable configuration."""

    def __init__(self, name: str) -> None:
        super().__init__("child_unusable", f"{name} has unusable settings or arguments; see above")


class Supervisor:
    """Runs programs side by side."""

    def __init__(
        self,
        programs: Iterable[Program],
        *,
        drain_seconds: float,
        keep_unusable: bool = False,
        on_change: Callable[[Program, int | None], None] = lambda program, pid: None,
    ) -> None:
        """Start nothing yet; `on_change` is called for each start (the pid) and end (None).

        An unusable child ends all the others, unless it is kept for a restart.
        """
        self._children = {program.name: _Child(program, on_change) for program in programs}
        self._grace_seconds = drain_seconds + _GRACE_SECONDS
        self._keep_unusable = keep_unusable

    def pid(self, name: str) -> int | None:
        """Return the process id of a child, None while it does not run."""
        return self._children[name].pid

    def restart(self, name: str) -> None:
        """End a child in good order and start it again at once."""
        self._children[name].restart()

    async def run(self) -> None:
        """Keep all running until cancelled; then end all in good order."""
        try:
            async with asyncio.TaskGroup() as group:
                for child in self._children.values():
                    group.create_task(self._keep(child))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            await asyncio.gather(*(child.end(self._grace_seconds) for child in self._children.values()))

    async def _keep(self, child: _Child) -> None:
        delay = _FIRST_SECONDS
        while True:
            started = time.monotonic()
            code = await child.run()
            if child.take_restart():
                delay = _FIRST_SECONDS
                continue
            if time.monotonic() - started >= _STABLE_SECONDS:
                delay = _FIRST_SECONDS
            is_unusable = code == UNUSABLE_EXIT_CODE
            child.log_end(code, None if is_unusable else delay)
            if is_unusable and not self._keep_unusable:
                raise ChildUnusableError(child.program.name)
            await child.wait_for_restart(None if is_unusable else delay)
            delay = min(delay * 2, _LONGEST_SECONDS)


@contextmanager
def _output(log: Path | None) -> Iterator[BinaryIO | None]:
    """Open where a child's output goes; None: where ours goes."""
    if log is None:
        yield None
    else:
        with log.open("ab") as file:
            yield file


class _Child:
    """A program and the current process, if any."""

    def __init__(self, program: Program, on_change: Callable[[Program, int | None], None]) -> None:
        self.program = program
        self._on_change = on_change
        self._process: Process | None = None
        self._last_pid = 0
        self._note: BinaryIO | None = None
        self._restart = asyncio.Event()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def run(self) -> int:
        """Start the process and return the exit code."""
        program = self.program
        note = self._new_note()
        with _output(program.log) as output:
            self._process = await asyncio.create_subprocess_exec(
                *([] if missing_setpriv() else dying_with_us("TERM")),
                *(sys.executable, "-m", "stream_durable", *program.arguments),
                *(() if note is None else ("--note", str(note.fileno()))),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **program.environment},
                start_new_session=True,
                pass_fds=() if note is None else (note.fileno(),),
            )
        self._last_pid = self._process.pid
        _log.info(PROCESS_STARTED, name=program.name, pid=self._last_pid)
        self._on_change(program, self._last_pid)
        code = await self._process.wait()
        self._process = None
        self._on_change(program, None)
        return code

    def _new_note(self) -> BinaryIO | None:
        """Return an empty file for a worker's notes on running attempts: nameless and private."""
        self._close_note()
        if self.program.arguments[0] == "worker":
            self._note = TemporaryFile()  # noqa: SIM115 - it is read after the end of the process
        return self._note

    def _close_note(self) -> None:
        if self._note is not None:
            self._note.close()
            self._note = None

    def restart(self) -> None:
        self._restart.set()
        self._signal(signal.SIGTERM)

    def take_restart(self) -> bool:
        """Return whether a restart was asked for, once."""
        was_asked = self._restart.is_set()
        self._restart.clear()
        return was_asked

    async def wait_for_restart(self, seconds: float | None) -> None:
        """Wait for so long, or for ever, or until a restart is asked for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._restart.wait()
        self._restart.clear()

    def log_end(self, code: int, restarted_in: float | None) -> None:
        attempts = [] if self._note is None else noted(self._note)
        _log.warning(
            PROCESS_ENDED, name=self.program.name, pid=self._last_pid, code=code, restarted_in=restarted_in,
            attempts=attempts,
        )  # fmt: skip

    async def end(self, seconds: float) -> None:
        """Ask the process to end, and kill after a time."""
        self._close_note()
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
