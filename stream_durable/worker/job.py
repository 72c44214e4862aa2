"""A command on its way through a worker: taken, perhaps queued, attempted, reported, done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextvars import Context as ContextVariables
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from stream_durable.core.effects import Command, Kept
from stream_durable.core.messages import Call, Change, InnerWait, LogLine
from stream_durable.ports import Clock
from stream_durable.sdk.context import Context
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.inside import Inside, Keeper
from stream_durable.sdk.standoff import Caller
from stream_durable.sdk.values import Values
from stream_durable.wire.tokens import Tokens
from stream_durable.worker.ends import context_of
from stream_durable.worker.logs import ALL, Lines, whose
from stream_durable.worker.offsets import DoneOffsets
from stream_durable.worker.tokens import token_of

if TYPE_CHECKING:
    from stream_durable.worker.places import Line

JobKey = tuple[str, str, int]


class Job:
    """A command, with origin and progress of the attempt.

    Also the source of the handler's context about the attempt, readable from any thread.
    """

    __slots__ = ("announced", "beat", "clock", "command", "coroutine", "following", "handler",
                 "has_noted", "has_references", "has_thread", "inside", "is_cancelled", "is_in_thread",
                 "is_left", "is_overdue", "is_repeat", "is_reported", "keeper", "keeping", "key",
                 "label", "line", "lines", "marks", "must_answer", "needs_thread", "note", "partition",
                 "percent", "reply_to", "returns", "settle", "signs", "size", "started", "task",
                 "timeout_ms", "values", "variables", "waits")  # fmt: skip

    def __init__(
        self,
        command: Command,
        offsets: DoneOffsets,
        offset: int,
        *,
        partition: int = 0,
        size: int = 0,
        has_references: bool = False,
    ) -> None:
        """Create a job for a command not yet begun."""
        self.command = command
        #: Where it waits, or did, and how many bytes of memory that takes.
        self.line: Line
        self.size = size
        #: What serves it; None: nothing here does.
        self.handler: Handler | None = None
        #: Whether some of it is not async, and whether a thread is there for it.
        self.needs_thread = False
        self.has_thread = False
        #: Of the command's topic, and of the inbox.
        self.partition = partition
        #: What tells this attempt from every other.
        self.key: JobKey = (command.run, command.step, command.attempt)
        #: Whether some of what it hands over may be kept elsewhere.
        self.has_references = has_references
        #: How often the attempt had been given back when it was last asked for.
        self.returns = command.returns
        #: Of an attempt that may have ended a worker: waits until Kafka knows that its command is done, so
        #: that its lease alone counts.
        self.settle: Callable[[], Awaitable[None]] | None = None
        #: Whether the command was delivered before, and its function may have been called.
        self.is_repeat = False
        #: The function under way, if it takes a context, and suspended between two passes.
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        #: The context variables of a function that has waited.
        self.variables: ContextVariables | None = None
        #: What the function has got, once it looks; who keeps what it keeps; what it waits for at last.
        self.inside: Inside | None = None
        self.keeper: Callable[[Job], Keeper] | None = None
        self.waits: Sequence[InnerWait] = ()
        #: What a plain function keeps before it is called again.
        self.note: Kept | None = None
        #: The command for a later pass, come while an earlier one was repeated here.
        self.following: Job | None = None
        #: Whether this pass has kept a value.
        self.has_noted = False
        #: How long the attempt may take from its start; None: as long as it likes.
        self.timeout_ms = command.timeout_ms
        #: Where the command is on its topic; in several places if the attempt was asked for repeatedly.
        self.marks = [(offsets, offset)]
        #: Milliseconds of this machine's clock.
        self.started = 0
        #: When the reconciler was told that the attempt is under way, and last that it still is.
        self.announced = 0
        self.beat = 0
        self.task: asyncio.Task[None] | None = None
        #: Whether the run asked for it to be dropped.
        self.is_cancelled = False
        #: Whether it waits to hear that it was.
        self.must_answer = False
        #: Whether its command was left to another worker before its function was called.
        self.is_left = False
        #: Whether a thread works at it now.
        self.is_in_thread = False
        #: Whether its time is over while a thread, which cannot be stopped, still works at it.
        self.is_overdue = False
        #: Whether its result is on its way to Kafka, not acknowledged yet.
        self.is_reported = False
        self.percent: float | None = None
        self.label: str | None = None
        #: Once its partition is another worker's: names one of ours, by which a cancellation reaches us.
        self.reply_to: Callable[[], int | None] | None = None
        #: The run's context, once a function that takes it is about to be called.
        self.values: Values | None = None
        #: What lines are dated by, once the attempt is known to those that are made.
        self.clock: Clock | None = None
        #: What the function has written, if anything.
        self.lines: Lines | None = None
        #: What signs tokens.
        self.signs: Tokens | None = None
        #: What is kept of them.
        self.keeping = ALL

    def done(self) -> None:
        """Count the command as done for Kafka: it will not be delivered again."""
        for offsets, offset in self.marks:
            offsets.done(offset)

    @property
    def call(self) -> Call:
        """Return the identity of the call: passes, returns and losses."""
        command = self.command
        return Call(command.passes, command.returns, command.losses)

    def covers(self, repeated: Job) -> bool:
        """Whether the result of this job answers a repeated command too.

        A result on its way answers no request made after a return or a loss, nor one made because the log was
        lost: the result may be lost with it.
        """
        if not self.is_reported:
            return True
        mine, other = self.command, repeated.command
        return (
            not other.redriven
            and mine.passes == other.passes
            and mine.returns == other.returns
            and mine.losses == other.losses
            and mine.generation == other.generation
        )

    def stand_for(self, repeated: Job) -> None:
        """Attach a repeated command for the same attempt, done together with this job.

        The lease may be over by now, so the attempt is announced again. If the attempt was returned
        meanwhile, the result must answer the later command: nobody waits for the earlier one.
        """
        self.marks += repeated.marks
        self.announced = 0
        if (repeated.returns, repeated.command.losses) > (self.returns, self.command.losses):
            self.returns = max(self.returns, repeated.returns)
            if self.task is None:
                self.command, self.has_references = repeated.command, repeated.has_references
                self.is_repeat, self.settle = repeated.is_repeat, self.settle or repeated.settle

    def repeat(self, repeated: Job) -> None:
        """Take a command that came while this job is here: the same, a later pass, or one after a loss."""
        mine, other = self.command, repeated.command
        # What this one has kept may be lost with the log that the other one is requested after.
        is_newer = other.redriven or (other.returns, other.losses) > (mine.returns, mine.losses)
        may_keep = self.handler is not None and self.handler.takes_context
        if other.passes > mine.passes or (is_newer and may_keep and self.task is not None):
            if self.following is not None:
                repeated.marks += self.following.marks
            self.following = repeated
            self.returns = max(self.returns, repeated.returns)
            self.announced = 0
        else:
            self.stand_for(repeated)

    def answer_following(self) -> None:
        """Let the end of the attempt answer a command for the same pass that came meanwhile.

        Not after a kept value: the end counts only without a newer request.
        """
        following = self.following
        if following is not None and self._answers(following):
            self.marks += following.marks
            self.following = None

    @property
    def announced_call(self) -> Call:
        """The call to be announced: the newest that will be answered by the end."""
        following = self.following
        return following.call if following is not None and self._answers(following) else self.call

    def _answers(self, following: Job) -> bool:
        return not self.has_noted and following.command.passes == self.command.passes

    def go_on(self, after: Job) -> None:
        """Go on with the suspended function for the command of the next pass."""
        self.command, self.has_references = after.command, after.has_references
        self.marks, self.partition, self.size = after.marks, after.partition, after.size
        self.returns, self.settle, self.is_repeat = after.returns, after.settle, after.is_repeat
        self.announced, self.has_noted = 0, False
        self.reply_to = None

    def within(self) -> Inside:
        """Return the function's answers so far, for its context."""
        if self.inside is None:
            keeper = None if self.keeper is None else self.keeper(self)
            self.inside = Inside(self.command.step, self.command.kept, keeper, self._caller())
        return self.inside

    def _caller(self) -> Caller | None:
        """Return the step as a caller of other runs; None: the run is of another version."""
        handler, command = self.handler, self.command
        if handler is None or handler.definition is None or handler.fingerprint != command.fingerprint:
            return None
        return Caller(handler.definition, command.step, bytes(command.input))

    def leave(self, gone: DoneOffsets) -> bool:
        """Forget the places in a partition that was taken away; say whether there are no others."""
        self.marks = [mark for mark in self.marks if mark[0] is not gone]
        self.is_left = not self.marks
        return self.is_left

    @property
    def is_suspect(self) -> bool:
        """Whether this attempt may have killed the last worker and is not announced yet."""
        return self.settle is not None and not self.announced

    @property
    def deadline(self) -> datetime | None:
        """When the attempt runs out of time."""
        timeout = self.timeout_ms
        return None if timeout is None else datetime.fromtimestamp((self.started + timeout) / 1_000, UTC)

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the attempt any more."""
        return self.is_cancelled or self.is_overdue

    def progress(self, percent: float, label: str | None, /) -> None:
        """Note how far the attempt is; it travels with the next heartbeat."""
        self.percent, self.label = percent, label

    def token(self, step: str, /) -> str:
        """Return the token of a step of the run."""
        assert self.handler is not None
        assert self.signs is not None
        return token_of(self.signs, self.handler, self.command, step)

    def tokens(self) -> dict[str, str]:
        """Return all tokens that the function may take, for a process without the secret."""
        handler = self.handler
        if handler is None or not handler.takes_context:
            return {}
        return {step: self.token(step) for step in handler.tokens}

    def context(self, value: Any) -> Context[Any]:
        """Return a context, with the run's typed input."""
        return context_of(self.command, self, value)

    def wrote(self, level: str, text: str, /) -> None:
        """Keep a log line of the function."""
        self._written().add(level, text)

    def printed(self, text: str, /) -> None:
        """Keep printed output of the function."""
        self._written().print(text)

    @property
    def whose(self) -> Mapping[str, object]:
        """Fields identifying the attempt's log lines."""
        return whose(self.command)

    def left(self) -> tuple[tuple[Change, ...], tuple[LogLine, ...]]:
        """Return logs and context changes of the attempt; nothing is added after."""
        values, lines = self.values, self.lines
        return () if values is None else values.changes, () if lines is None else lines.taken()

    def _written(self) -> Lines:
        if self.lines is None:
            # Of two threads that both write first, one must not take the other's lines away.
            with _first_line:
                if self.lines is None:
                    self.lines = Lines() if self.clock is None else Lines(self.clock.now, self.keeping)
        return self.lines


_first_line = Lock()
