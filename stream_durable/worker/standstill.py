"""Acts for a worker while a step blocks its event loop.

Called by a thread watching the loop, since everything else in the worker waits for the step. It logs the step
with its stack and renews the leases of all attempts. After the step's time-out, or a fixed limit, it fails
the step's attempt, returns the other attempts (without counting a loss), commits finished offsets, leaves the
consumer groups and ends the process.

Messages are published past the loop, while holding the lock of the reports and only about attempts still
running: so nothing published here follows the loop's own report of an attempt's end. After giving up, the
lock is kept, and a loop turning again by then publishes nothing more.

When no attempt, or no known attempt, blocks the loop, none is failed: leases end with the process, and each
loss is counted as usual.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from stream_durable.core.failure import LOOP_BLOCKED, Failure
from stream_durable.core.messages import AttemptFailed, AttemptMessage
from stream_durable.ports import Outgoing
from stream_durable.settings import WorkerSettings
from stream_durable.telemetry import ATTEMPT_ABANDONED, ATTEMPT_BLOCKED, LogEvent, logger
from stream_durable.worker.attempts import Attempts
from stream_durable.worker.endings import cancelled, given_back
from stream_durable.worker.job import Job
from stream_durable.worker.logs import WRITER
from stream_durable.worker.reports import record_of

_log = logger(__name__)

#: A log that nobody reads can block whoever writes to it.
_WORDS_SECONDS = 2.0
_HEARD_SECONDS = 5.0
_LEAVE_SECONDS = 3.0
_FRAMES_MAX = 40
_OURS = str(Path(__file__).parent)

Push = Callable[[Outgoing, Callable[[], None]], None]


class Leavable(Protocol):
    """A command log with a leave independent of the loop."""

    def leave_now(self, marks: list[tuple[int, int, str]], seconds: float) -> None:
        """Commit for good and leave the group, from any thread; give up after so long."""


class Standstill:
    """Stands in for the loop of a worker. To be made on that loop."""

    def __init__(
        self,
        attempts: Attempts,
        last_marks: Callable[[], dict[str, list[tuple[int, int, str]]]],
        logs: Mapping[str, Leavable],
        push: Push,
        settings: WorkerSettings,
    ) -> None:
        """Do nothing yet.

        `last_marks` returns the final commits, by lane; `push` publishes from any thread and reports the
        acknowledgement.
        """
        self._attempts = attempts
        self._gate = attempts.gate
        self._last_marks = last_marks
        self._logs = logs
        self._push = push
        self._after = settings.blocked_after_ms / 1_000
        self._max = settings.blocked_max_ms / 1_000
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._owners = _Owners(self._loop)
        self._named_at = 0.0
        #: How often the loop has to be looked after: well before a lease is over, and a time-out.
        self.look_seconds = min(self._after / 4, settings.heartbeat_ms / 1_000)

    def is_enough(self, seconds: float) -> bool:
        """Keep the leases, and name the attempt blocking the loop; return whether the process must end."""
        self._attempts.leases.look(self._say)
        job = self._blocker()
        self._attempts.leases.write_note(job)
        if seconds < self._named_at:
            self._named_at = 0.0
        if seconds >= self._after and not self._named_at:
            self._named_at = seconds
            self._tell(ATTEMPT_BLOCKED, job, seconds, stack=self._stack())
        is_over = seconds >= self._after and job is not None and self._is_out_of_time(job)
        if seconds < self._max and not is_over:
            return False
        if job is not None and job.key in self._attempts.running:
            self._give_up(job, seconds, is_over=is_over)
        return True

    def _blocker(self) -> Job | None:
        """Return the attempt with a function running on the loop, or creating the running task."""
        task = asyncio.current_task(self._loop)
        if task is None:
            return None
        running = list(self._attempts.running.values())
        return next((job for job in running if job.task is task), None) or self._owners.of(task)

    def _is_out_of_time(self, job: Job) -> bool:
        return job.timeout_ms is not None and self._attempts.clock.now() >= job.started + job.timeout_ms

    def _say(self, job: Job, message: AttemptMessage, then: Callable[[], None]) -> None:
        with self._gate:
            if self._attempts.running.get(job.key) is job:
                self._push(record_of(message)[0], lambda: self._later(then))

    def _later(self, then: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(then)

    def _give_up(self, job: Job, seconds: float, *, is_over: bool) -> None:
        if not self._gate.acquire(timeout=_WORDS_SECONDS):
            return
        said = [(one, self._last_word(one, job, seconds, is_over=is_over)) for one in self._running()]
        words = [(one, word) for one, word in said if word is not None]
        heard = threading.Semaphore(0)
        for _, word in words:
            self._push(record_of(word)[0], heard.release)
        self._tell(ATTEMPT_ABANDONED, job, seconds, returned=len(words) - 1)
        if not all(heard.acquire(timeout=_HEARD_SECONDS) for _ in words):
            # Nothing is committed that nobody has heard: the leases see to it.
            return
        for one, _ in words:
            one.done()
        for lane, marks in self._last_marks().items():
            self._logs[lane].leave_now(marks, _LEAVE_SECONDS)

    def _running(self) -> list[Job]:
        return list(self._attempts.running.values())

    def _last_word(self, one: Job, blocker: Job, seconds: float, *, is_over: bool) -> AttemptMessage | None:
        """Return the last message of an attempt; None: unannounced, so the command is repeated anyway."""
        if one is blocker:
            return self._failed(one, seconds, is_over=is_over)
        if one.is_cancelled:
            return cancelled(self._attempts.who(one)) if one.must_answer else None
        if not one.announced or one.is_suspect:
            return None
        command = blocker.command
        reason = f"step {command.step!r} of run {command.run!r} kept the worker from everything else"
        return given_back(self._attempts.who(one), one, reason)

    def _failed(self, job: Job, seconds: float, *, is_over: bool) -> AttemptFailed:
        time = f"; its time-out of {job.timeout_ms} ms is over" if is_over else ""
        message = (
            f"the step kept the event loop of its worker from turning for {seconds:.0f} s{time}. "
            "Let it await what takes long, or make it a plain function: that runs in a thread, and with "
            "process=True in a process of its own"
        )
        return AttemptFailed(
            **self._attempts.who(job), failure=Failure(LOOP_BLOCKED, message), started=job.started,
            finished=self._attempts.clock.now(),
        )  # fmt: skip

    def _stack(self) -> list[str]:
        """Return where the loop's thread is, innermost first, down to our own call: places and no values."""
        frame = sys._current_frames().get(self._thread)
        places: list[str] = []
        for one, line in traceback.walk_stack(frame):
            if one.f_code.co_filename.startswith(_OURS) or len(places) >= _FRAMES_MAX:
                break
            places.append(f"{one.f_code.co_filename}:{line} in {one.f_code.co_qualname}")
        return places

    def _tell(self, event: LogEvent, job: Job | None, seconds: float, **fields: Any) -> None:
        command = None if job is None else job.command
        named: dict[str, Any] = dict.fromkeys(("run", "step", "attempt"))
        if command is not None:
            named = {"run": command.run, "step": command.step, "attempt": command.attempt}
        fields = {**named, "seconds": round(seconds, 3), **fields}
        speaker = threading.Thread(target=lambda: _log.error(event, **fields), daemon=True)
        speaker.start()
        speaker.join(_WORDS_SECONDS)


class _Owners:
    """Maps asyncio tasks to the steps creating them; from Python 3.12 on by the task's context."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._of: WeakKeyDictionary[asyncio.Task[Any], Any] = WeakKeyDictionary()
        if not hasattr(asyncio.Task, "get_context"):
            loop.set_task_factory(self._make)

    def of(self, task: asyncio.Task[Any]) -> Job | None:
        """Return the attempt owning a task, directly or through the task's creator."""
        owner = task.get_context().get(WRITER) if hasattr(task, "get_context") else self._of.get(task)
        return owner if isinstance(owner, Job) else None

    def _make(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
        if (owner := WRITER.get()) is not None:
            self._of[task] = owner
        return task
