"""Runs and steps for a test: queries are answered as of now, without `await`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from difflib import get_close_matches
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from msgspec import UNSET

from stream_durable.client import RunHandle, RunState, StepState
from stream_durable.client.sequence import Sequence
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.run.explain import causes
from stream_durable.core.run.state import Run
from stream_durable.core.status import RUN_ENDED
from stream_durable.sdk.durations import Duration
from stream_durable.testing.mishaps import Named
from stream_durable.testing.table import run_table, said

if TYPE_CHECKING:
    from stream_durable.testing.engine import Engine

P = ParamSpec("P")
R = TypeVar("R")


class Told(Generic[P, R]):
    """A method of the client, returning after all effects of the message."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, teller: Teller, owner: object = None) -> Callable[P, Coroutine[Any, Any, R]]:
        @wraps(self._method)
        async def call(*arguments: P.args, **options: P.kwargs) -> R:
            __tracebackhide__ = True
            return teller._engine.tell(lambda: self._method(teller._target, *arguments, **options))

        return call


class Teller:
    """An object with the methods of `_target`."""

    _target: Any
    _engine: Engine


class TestedRun(Teller):
    """A run, by id."""

    #: pytest looks for classes with names like this one.
    __test__ = False

    cancel = Told(RunHandle.cancel)
    pause = Told(RunHandle.pause)
    resume = Told(RunHandle.resume)
    cancel_step = Told(RunHandle.cancel_step)
    skip_step = Told(RunHandle.skip_step)
    retry = Told(RunHandle.retry)
    mark_reviewed = Told(RunHandle.mark_reviewed)
    change = Told(RunHandle.change)
    signal = Told(RunHandle.signal)
    answer = Told(RunHandle.answer)
    claim = Told(RunHandle.claim)
    assign = Told(RunHandle.assign)
    comment = Told(RunHandle.comment)
    ask = Told(RunHandle.ask)
    complete_step = Told(RunHandle.complete_step)
    fail_step = Told(RunHandle.fail_step)
    heartbeat_step = Told(RunHandle.heartbeat_step)
    token = Told(RunHandle.token)
    attempts = Told(RunHandle.attempts)
    why = Told(RunHandle.why)
    logs = Told(RunHandle.logs)
    family = Told(RunHandle.family)

    def __init__(self, engine: Engine, handle: RunHandle) -> None:
        self._engine = engine
        self._target: RunHandle = handle
        self.id = handle.id
        #: Whether this run was started by the call that returned this handle.
        self.created = handle.created

    def __repr__(self) -> str:
        return f"<run {self.id!r}>"

    @property
    def state(self) -> RunState:
        """The whole state at one moment."""
        return self._engine.ask(self._target.state)

    @property
    def status(self) -> str:
        """Where the run stands: `running`, `waiting`, `completed` and so on."""
        return self.state.status

    @property
    def workflow(self) -> str:
        """The name of the workflow."""
        return self.state.workflow

    @property
    def input(self) -> Any:
        """The input, as JSON."""
        return self.state.input

    @property
    def output(self) -> Any:
        """The output, as JSON."""
        return self.state.output

    @property
    def failure(self) -> Failure | None:
        """The failure, if any."""
        return self.state.failure

    @property
    def context(self) -> Mapping[str, Any]:
        """Values put by steps into the run's context."""
        return self.state.context

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags given at the start."""
        return self.state.tags

    @property
    def steps(self) -> Mapping[str, TestedStep]:
        """All steps, in order of definition, added steps last."""
        return {name: TestedStep(self, name) for name in self.state.steps}

    def step(self, step: Named | str) -> TestedStep:
        """Return a step by name, hooks and compensations too."""
        name = step if isinstance(step, str) else step.name
        state = self.state
        if name not in state.steps and name not in state.helpers:
            known = [*state.steps, *state.helpers]
            close = get_close_matches(name, known, 1)
            meant = f"; is {close[0]!r} meant?" if close else "."
            text = f"{self!r} has no step {name!r}{meant} There are: {', '.join(known)}"
            raise RejectedError("unknown_step", text)
        return TestedStep(self, name)

    @property
    def children(self) -> list[TestedRun]:
        """The child runs, oldest first."""
        listed = self._engine.ask(lambda: self._target.children(limit=1_000))
        return [self._engine.run(run.id) for run in reversed(listed.runs)]

    @property
    def events(self) -> list[RunEvent | StepEvent]:
        """The public events of the run and of steps so far, in order."""
        return self._engine.ask(self._said)

    @property
    def table(self) -> str:
        """The run as the table that is shown when a test fails."""
        return run_table(self._thawed(), self._engine.now_ms)

    async def _said(self) -> list[RunEvent | StepEvent]:
        ports = self._engine.ports
        row = await ports.views.run_get(self.id)
        order, found = Sequence(), list[RunEvent | StepEvent]()
        if row is None:
            return found
        async with ports.events.past(self.id, 1) as events:
            async for event in events:
                if event is not None:
                    order.add(event)
                    found += order.take()
                if len(found) >= row.run_sequence + row.step_sequence:
                    break
        return found

    async def result(self, *, within: Duration = "30d") -> Any:
        """Let time pass until the run has ended; return its output, or raise as a client does."""
        await self._engine.until(self, *RUN_ENDED, within=within)
        return self._engine.ask(self._target.result)

    async def start_again(self, *, input: Any = UNSET, id: str | None = None) -> TestedRun:  # noqa: A002 - as the client says it
        """Start another run with the same input, or another one, by the version that is carried by now."""
        return TestedRun(
            self._engine, self._engine.tell(lambda: self._target.start_again(input=input, id=id))
        )

    def _thawed(self) -> Run:
        return self._engine.ask(self._target._thawed)


class TestedStep:
    """A step of a run, by name."""

    __test__ = False

    def __init__(self, run: TestedRun, name: str) -> None:
        self._run = run
        self.name = name

    def __repr__(self) -> str:
        return f"<step {self.name!r} of {self._run!r}>"

    @property
    def state(self) -> StepState:
        """The whole state at one moment."""
        state = self._run.state
        return state.steps[self.name] if self.name in state.steps else state.helpers[self.name]

    @property
    def status(self) -> str:
        """Where the step stands: `pending`, `waiting`, `completed` and so on."""
        return self.state.status

    @property
    def attempts(self) -> int:
        """The number of attempts begun. An attempt repeated after a crash counts once."""
        return self.state.attempt

    @property
    def output(self) -> Any:
        """The output, as JSON; for a group, the members' outputs."""
        return self.state.output

    @property
    def failure(self) -> Failure | None:
        """The failure of the step or of the latest attempt, or the reason of a skip."""
        return self.state.failure

    @property
    def started(self) -> datetime | None:
        """The beginning of the latest attempt or wait."""
        return self.state.started

    @property
    def finished(self) -> datetime | None:
        """The end of the latest attempt or wait."""
        return self.state.finished

    @property
    def worker(self) -> str | None:
        """The worker of the latest attempt."""
        return self.state.worker

    @property
    def due(self) -> datetime | None:
        """The time of its time-out, next attempt or end of sleep."""
        return self.state.due

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The causes of waiting, in words; empty after the end."""
        run = self._run._thawed()
        found = causes(run, run.graph.index[self.name])
        return tuple(said(cause, self._run._engine.now_ms) for cause in found)
