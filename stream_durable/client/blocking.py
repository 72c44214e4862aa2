"""The client for programs without a loop: the same methods, each run on a loop in a separate thread.

A descriptor turns a coroutine method into a blocking method with the same signature.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, Unpack, overload

from msgspec import UNSET

from stream_durable.client.client import AsyncClient
from stream_durable.client.run import RunHandle
from stream_durable.client.starting import StartOptions
from stream_durable.client.watching import Event
from stream_durable.core.errors import RejectedError
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.workflow import In, Out, Workflow

P = ParamSpec("P")
R = TypeVar("R")


class _Loop:
    """An event loop in a thread, running coroutines for other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="client", daemon=True)
        self._thread.start()

    def do(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine to the end; an interrupted caller cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """End the loop and the thread."""
        self.do(self._loop.shutdown_asyncgens())
        self.do(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Facade:
    """An object with the methods of `_target`, run on `_loop`."""

    _target: Any
    _loop: _Loop


class _Blocking(Generic[P, R]):
    """A blocking form of a coroutine method."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, facade: _Facade, owner: object = None) -> Callable[P, R]:
        @wraps(self._method)
        def call(*arguments: P.args, **options: P.kwargs) -> R:
            return facade._loop.do(self._method(facade._target, *arguments, **options))

        return call


class BlockingRun(_Facade, Generic[Out]):
    """A run, by id."""

    output = _Blocking(RunHandle.output)
    value = _Blocking(RunHandle.value)
    state = _Blocking(RunHandle.state)
    attempts = _Blocking(RunHandle.attempts)
    why = _Blocking(RunHandle.why)
    logs = _Blocking(RunHandle.logs)
    children = _Blocking(RunHandle.children)
    family = _Blocking(RunHandle.family)
    signal = _Blocking(RunHandle.signal)
    answer = _Blocking(RunHandle.answer)
    claim = _Blocking(RunHandle.claim)
    assign = _Blocking(RunHandle.assign)
    comment = _Blocking(RunHandle.comment)
    ask = _Blocking(RunHandle.ask)
    complete_step = _Blocking(RunHandle.complete_step)
    fail_step = _Blocking(RunHandle.fail_step)
    heartbeat_step = _Blocking(RunHandle.heartbeat_step)
    token = _Blocking(RunHandle.token)
    cancel = _Blocking(RunHandle.cancel)
    pause = _Blocking(RunHandle.pause)
    resume = _Blocking(RunHandle.resume)
    cancel_step = _Blocking(RunHandle.cancel_step)
    skip_step = _Blocking(RunHandle.skip_step)
    retry = _Blocking(RunHandle.retry)
    mark_reviewed = _Blocking(RunHandle.mark_reviewed)
    change = _Blocking(RunHandle.change)

    def __init__(self, loop: _Loop, handle: RunHandle[Out]) -> None:
        self._loop = loop
        self._target: RunHandle[Out] = handle
        self.id = handle.id
        #: Whether this run was started by the call that returned this handle.
        self.created = handle.created

    def __repr__(self) -> str:
        return repr(self._target)

    def result(self, timeout: Duration | None = None) -> Out:
        """Wait for the end of the run and return its output, as the client for asyncio does."""
        return self._loop.do(self._target.result(timeout))

    def start_again(self, *, input: Any = UNSET, id: str | None = None) -> BlockingRun[Out]:  # noqa: A002 - as everywhere
        """Start another run with the same input, or another one, by the version that was registered last."""
        return BlockingRun(self._loop, self._loop.do(self._target.start_again(input=input, id=id)))

    def watch(self, timeout: Duration | None = None) -> Iterator[Event]:
        """Yield all public events of the run and its steps, from start to end."""
        events = self._target.watch(timeout)
        try:
            while (event := self._loop.do(_following(events))) is not None:
                yield event
        finally:
            self._loop.do(events.aclose())


class BlockingClient(_Facade):
    """Talks to one instance; to be used with `with`, by any number of threads."""

    publish = _Blocking(AsyncClient.publish)
    signal = _Blocking(AsyncClient.signal)
    history = _Blocking(AsyncClient.history)
    later = _Blocking(AsyncClient.later)
    cancel_later = _Blocking(AsyncClient.cancel_later)
    pause_queue = _Blocking(AsyncClient.pause_queue)
    resume_queue = _Blocking(AsyncClient.resume_queue)
    drain_queue = _Blocking(AsyncClient.drain_queue)
    queues = _Blocking(AsyncClient.queues)
    workers = _Blocking(AsyncClient.workers)
    processes = _Blocking(AsyncClient.processes)
    set_gate = _Blocking(AsyncClient.set_gate)
    reset_gate = _Blocking(AsyncClient.reset_gate)
    probe_breaker = _Blocking(AsyncClient.probe_breaker)
    gates = _Blocking(AsyncClient.gates)
    gate = _Blocking(AsyncClient.gate)
    gate_places = _Blocking(AsyncClient.gate_places)
    admissions = _Blocking(AsyncClient.admissions)
    admission = _Blocking(AsyncClient.admission)
    admission_members = _Blocking(AsyncClient.admission_members)
    create_schedule = _Blocking(AsyncClient.create_schedule)
    change_schedule = _Blocking(AsyncClient.change_schedule)
    reset_schedule = _Blocking(AsyncClient.reset_schedule)
    pause_schedule = _Blocking(AsyncClient.pause_schedule)
    resume_schedule = _Blocking(AsyncClient.resume_schedule)
    delete_schedule = _Blocking(AsyncClient.delete_schedule)
    trigger_schedule = _Blocking(AsyncClient.trigger_schedule)
    backfill_schedule = _Blocking(AsyncClient.backfill_schedule)
    schedules = _Blocking(AsyncClient.schedules)
    schedule = _Blocking(AsyncClient.schedule)
    triggers = _Blocking(AsyncClient.triggers)
    trigger = _Blocking(AsyncClient.trigger)
    pause_trigger = _Blocking(AsyncClient.pause_trigger)
    resume_trigger = _Blocking(AsyncClient.resume_trigger)
    delete_trigger = _Blocking(AsyncClient.delete_trigger)
    replay_trigger = _Blocking(AsyncClient.replay_trigger)
    bindings = _Blocking(AsyncClient.bindings)
    binding = _Blocking(AsyncClient.binding)
    pause_binding = _Blocking(AsyncClient.pause_binding)
    resume_binding = _Blocking(AsyncClient.resume_binding)
    delete_binding = _Blocking(AsyncClient.delete_binding)
    replay_binding = _Blocking(AsyncClient.replay_binding)
    skip_record = _Blocking(AsyncClient.skip_record)
    dead_records = _Blocking(AsyncClient.dead_records)
    dead_record = _Blocking(AsyncClient.dead_record)
    redrive_record = _Blocking(AsyncClient.redrive_record)
    redrive_records = _Blocking(AsyncClient.redrive_records)
    answer = _Blocking(AsyncClient.answer)
    claim = _Blocking(AsyncClient.claim)
    assign = _Blocking(AsyncClient.assign)
    comment = _Blocking(AsyncClient.comment)
    ask = _Blocking(AsyncClient.ask)
    complete = _Blocking(AsyncClient.complete)
    fail = _Blocking(AsyncClient.fail)
    heartbeat = _Blocking(AsyncClient.heartbeat)
    cancel = _Blocking(AsyncClient.cancel)
    list = _Blocking(AsyncClient.list)
    count = _Blocking(AsyncClient.count)
    statuses = _Blocking(AsyncClient.statuses)
    workflows = _Blocking(AsyncClient.workflows)
    attention = _Blocking(AsyncClient.attention)
    deployments = _Blocking(AsyncClient.deployments)
    flow = _Blocking(AsyncClient.flow)
    child_counts = _Blocking(AsyncClient.child_counts)
    waits = _Blocking(AsyncClient.waits)
    inputs = _Blocking(AsyncClient.inputs)
    answer_all = _Blocking(AsyncClient.answer_all)
    events = _Blocking(AsyncClient.events)
    failed = _Blocking(AsyncClient.failed)
    cancel_all = _Blocking(AsyncClient.cancel_all)
    pause_all = _Blocking(AsyncClient.pause_all)
    resume_all = _Blocking(AsyncClient.resume_all)
    retry_all = _Blocking(AsyncClient.retry_all)
    mark_all_reviewed = _Blocking(AsyncClient.mark_all_reviewed)
    skip_all = _Blocking(AsyncClient.skip_all)
    complete_all = _Blocking(AsyncClient.complete_all)
    fail_all = _Blocking(AsyncClient.fail_all)
    find_steps = _Blocking(AsyncClient.find_steps)

    def __init__(self, client: AsyncClient) -> None:
        """Connect to nothing yet."""
        self._target: AsyncClient = client
        self._open_loop: _Loop | None = None

    def __enter__(self) -> Self:
        self._open_loop = _Loop()
        try:
            self._loop.do(self._target.__aenter__())
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._loop.do(self._target.__aexit__(kind, error, traceback))
        finally:
            self._close()

    @overload
    def start(
        self,
        workflow: str,
        input: Any = None,  # noqa: A002 - the word for it everywhere
        **options: Unpack[StartOptions],
    ) -> BlockingRun[Any]: ...

    @overload
    def start(
        self,
        workflow: Workflow[In, Out],
        input: In,  # noqa: A002 - the word for it everywhere
        **options: Unpack[StartOptions],
    ) -> BlockingRun[Out]: ...

    @overload
    def start(self, workflow: Workflow[None, Out], **options: Unpack[StartOptions]) -> BlockingRun[Out]: ...

    def start(
        self,
        workflow: Workflow[Any, Any] | str,
        input: Any = None,  # noqa: A002 - the word for it everywhere
        **options: Unpack[StartOptions],
    ) -> BlockingRun[Any]:
        """Start a run, and return when that is certain; all is as with the client for asyncio."""
        target: Any = self._target
        return BlockingRun(self._loop, self._loop.do(target.start(workflow, input, **options)))

    @overload
    def run(self, id: str) -> BlockingRun[Any]: ...  # noqa: A002 - the word for it everywhere

    @overload
    def run(self, id: str, workflow: Workflow[Any, Out]) -> BlockingRun[Out]: ...  # noqa: A002 - see above

    def run(
        self,
        id: str,  # noqa: A002 - the word for it everywhere
        workflow: Workflow[Any, Any] | None = None,
    ) -> BlockingRun[Any]:
        """Return the handle of a run, without any query. A workflow gives the result a type."""
        loop = self._loop
        handle = self._target.run(id) if workflow is None else self._target.run(id, workflow)
        return BlockingRun(loop, handle)

    @property
    def _loop(self) -> _Loop:  # type: ignore[override]  # there only while it is open
        if self._open_loop is None:
            raise RejectedError("not_open", "the client is not open: write `with Client.sync() as client:`")
        return self._open_loop

    def _close(self) -> None:
        loop, self._open_loop = self._loop, None
        loop.close()


async def _following(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)
