"""A run as seen by a client: result, state, public events, requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET

from stream_durable.client.attempts import AttemptState, LogEntry, attempts
from stream_durable.client.early import output_of_step, value_at_path
from stream_durable.client.edge import Edge
from stream_durable.client.errors import NoOutput, RunCancelled, RunFailed
from stream_durable.client.filter import RunFilter
from stream_durable.client.later import planned
from stream_durable.client.listing import Family, RunList, family, listed
from stream_durable.client.question_orders import QuestionOrders
from stream_durable.client.run_orders import RunOrders
from stream_durable.client.starting import check_input, check_same, repeated, resolve
from stream_durable.client.state import RunState, read_state
from stream_durable.client.stored import graph_of, with_large_values
from stream_durable.client.watching import Event, watched
from stream_durable.client.why import why
from stream_durable.core.errors import RejectedError, TransientError
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RunEvent
from stream_durable.core.messages import RunMessage, StartRun
from stream_durable.core.run.entering import taker_of
from stream_durable.core.run.rows import RunRow, thaw_requests, thaw_run
from stream_durable.core.run.state import Run
from stream_durable.core.status import CANCELLED, COMPLETED, RUN_ENDED
from stream_durable.explain.explained import Explanation
from stream_durable.ports import StoredRun
from stream_durable.retrying import retry_transient
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.given import drawn, run_id
from stream_durable.sdk.workflow import Workflow
from stream_durable.wire.events import signalled

if TYPE_CHECKING:
    from stream_durable.sdk.workflow import Out
else:
    Out = TypeVar("Out")

_failure = msgspec.json.Decoder(Failure).decode


class _Ended(NamedTuple):
    """How a run ended."""

    status: str
    output: bytes | None
    failure: Failure | None
    into: str | None


class RunHandle(QuestionOrders, RunOrders, Generic[Out]):
    """A run, by id. Each query reads the state or the log again.

    A request to a run is acknowledged on the log when the call returns, and applied in turn; the returned id
    is shown in `state().requests`. A request without sense by then, such as pausing an ended run, changes
    nothing. Only `retry` waits until applied, so that a later `result` is the new one.
    """

    def __init__(
        self, edge: Edge, run: str, *, created: bool = False, output_type: type[Out] | None = None
    ) -> None:
        """Create a handle; `created` tells whether this client has started the run."""
        self._edge = edge
        self._output_type = output_type
        self.id = run
        #: Whether this run was started by the call that returned this handle.
        self.created = created

    def __repr__(self) -> str:
        return f"<run {self.id!r}>"

    async def result(self, timeout: Duration | None = None) -> Out:  # noqa: ASYNC109 - the contract
        """Wait for the end of the run and return its output: of the last step, or of several by name.

        The output has the workflow's declared `output=` type, otherwise plain JSON types. A merged run has
        that of the run that took it in.

        Raises `RunFailed` or `RunCancelled` without an output, `TimeoutError` for a run not ended in time.
        """
        try:
            async with asyncio.timeout(_seconds(timeout)):
                run, status, output, failure = await self._last_end()
        except TimeoutError:
            raise TimeoutError(_not_ended(self.id, timeout)) from None
        if status == COMPLETED:
            data = b"null" if output is None else await self._edge.resolved(output)
            what = f"the output of run {run!r}"
            found: Out = self._edge.values.output_of(self._output_type, data, what)
            return found
        failure = failure or Failure(status)
        is_cancelled = status == CANCELLED or (failure.code == "cancelled" and failure.step is None)
        kind = RunCancelled if is_cancelled else RunFailed
        raise kind(run, failure, status)

    async def output(self, step: str, timeout: Duration | None = None) -> Any:  # noqa: ASYNC109 - the contract
        """Wait for a step to complete, and return its output as plain JSON types; the run goes on.

        Of a merged run it is that of the run that took it in. Raises `NoOutput` for a step that ended
        otherwise, `TimeoutError` for one not ended in time.
        """
        try:
            return await self._early(
                lambda run, seconds: output_of_step(self._edge, run.id, run._stored, step, seconds),
                _seconds(timeout),
            )
        except TimeoutError:
            raise TimeoutError(_not_there(self.id, f"step {step!r} has not ended", timeout)) from None

    async def value(self, path: str, timeout: Duration | None = None) -> Any:  # noqa: ASYNC109 - as above
        """Wait for a value, and return it: at a path such as `charge.amount`, `context.total`, `input.id`.

        A step's is there once it has completed. Raises as `output` does, and for a path that leads nowhere.
        """
        try:
            return await self._early(
                lambda run, seconds: value_at_path(self._edge, run.id, run._stored, path, seconds),
                _seconds(timeout),
            )
        except TimeoutError:
            raise TimeoutError(_not_there(self.id, f"nothing is at {path!r}", timeout)) from None

    async def state(self) -> RunState:
        """Return the state of the run and of each step."""
        stored = await self._stored()
        graph = await graph_of(self._edge, stored.run)
        stored = await with_large_values(self._edge, stored)
        views = self._edge.ports.views
        return await self._edge.ask(lambda: read_state(views, stored, graph), f"read run {self.id!r}")

    async def watch(
        self,
        timeout: Duration | None = None,  # noqa: ASYNC109 - the contract
    ) -> AsyncGenerator[Event, None]:
        """Yield all public events of the run and its steps, from start to end.

        Each event comes once and in order. Expired events are missing, visible as gaps in `sequence`. Raises
        `TimeoutError` if the run has not ended by then.
        """
        seconds = _seconds(timeout)
        deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
        async with aclosing(watched(self._edge, self.id, self._row, deadline)) as events:
            try:
                async for event in events:
                    yield event
            except TimeoutError:
                raise TimeoutError(_not_ended(self.id, timeout)) from None

    async def attempts(self, step: str | None = None) -> list[AttemptState]:
        """Return what the steps have tried, the oldest attempt first, with failures and logs."""
        stored = await self._stored()
        return await attempts(self._edge, self.id, step, stored.steps)

    async def logs(self, step: str | None = None) -> list[LogEntry]:
        """Return the log lines of ended attempts, oldest first."""
        lines = [line for attempt in await self.attempts(step) for line in attempt.logs]
        return sorted(lines, key=lambda line: line.time)

    async def children(self, *, limit: int = 50, after: str | None = None) -> RunList:
        """Return a page of the runs started by steps of this run, newest first."""
        return await listed(self._edge, RunFilter(parent=self.id), limit, after)

    async def family(self, *, limit: int = 1_000) -> Family:
        """Return all runs with the same first ancestor, as a tree.

        Beyond the limit are the youngest generations; the way from the ancestor down to this run comes first.
        """
        found = await family(self._edge, self.id, limit)
        if found is None:
            await self._stored()
            found = await family(self._edge, self.id, limit)
        assert found is not None, "a run is in its own family"
        return found

    async def signal(
        self,
        name: str,
        data: Any = None,
        *,
        id: str | None = None,  # noqa: A002 - the word for it everywhere
        ttl: Duration | None = None,
        by: str = "",
        at: datetime | None = None,
        after: Duration | None = None,
    ) -> None:
        """Send a signal now, or `at` a moment or `after` a time; once per `id`.

        Kept for a wait that has not begun: for `ttl`, else until the end of the run. `by` says who sends it,
        under any name.
        """
        body = self._edge.values.plain(data, f"the data of signal {name!r}")
        ttl_ms = None if ttl is None else milliseconds(ttl)
        sent = signalled(self.id, name, body, id=id or drawn(), by=by, ttl_ms=ttl_ms)
        await self._edge.send(planned(sent, at, after), f"signal run {self.id!r}")

    async def why(self, step: str | None = None, *, zone: tzinfo | None = None) -> Explanation:
        """Explain why the run, or a step of it, is not moving; times are by the clocks of a zone.

        Costs some reads by key and requests to the brokers; `zone` is by default that of this machine. A
        silent Postgres or Kafka is an explanation. Raises `RejectedError` for an unknown run or step.
        """
        return await why(self._edge, self.id, step, zone)

    async def start_again(self, *, input: Any = UNSET, id: str | None = None) -> RunHandle[Out]:  # noqa: A002 - the words for it everywhere
        """Start another run with the same input, or another one, and the latest version of the workflow.

        Tags, metadata, queue, priority and the start's own time-out are copied; each `id` names one run.
        """
        row = await self._row()
        name, fingerprint = await resolve(self._edge, row.workflow)
        key = drawn() if id is None else run_id(id)
        message = repeated(row, fingerprint, key=key, id=drawn())
        if input is not UNSET:
            given = self._edge.values.plain(input, f"the input of workflow {name!r}")
            message = msgspec.structs.replace(message, input=given)
        check_input(self._edge, name, fingerprint, message.input)
        return await start(self._edge, message, is_named=id is not None, output_type=self._output_type)

    async def begun(self, events: AsyncIterator[RunEvent]) -> RunEvent:
        """Wait for the first public event of a run with an acknowledged start."""
        patience = self._edge.patience_seconds
        try:
            async with asyncio.timeout(patience):
                return await anext(events)
        except TimeoutError:
            raise TransientError(
                f"the start of run {self.id!r} is on the log, and no reconciler has begun the run within "
                f"{patience:g} s: start one. The run can be started again under this id: it is one run"
            ) from None

    async def _tell(self, message: RunMessage) -> str:
        await self._edge.send(message, f"tell run {self.id!r}: {message.__struct_config__.tag}")
        given: str = message.id  # type: ignore[attr-defined]  # every order has one
        return given

    async def _thawed(self) -> Run:
        stored = await self._stored()
        return thaw_run(stored.run, stored.steps, await graph_of(self._edge, stored.run))

    async def _early(
        self, look: Callable[[RunHandle[Any], float | None], Awaitable[Any]], seconds: float | None
    ) -> Any:
        """Look at an unfinished run, or at the taker."""
        run: RunHandle[Any] = self
        clock = asyncio.get_running_loop().time
        begin = clock()
        while True:
            try:
                return await look(run, None if seconds is None else max(0.0, seconds + begin - clock()))
            except (NoOutput, RejectedError):
                into = taker_of(thaw_requests((await run._row()).requests))
                if into is None:
                    raise
                run = RunHandle(self._edge, into)

    async def _last_end(self) -> tuple[str, str, bytes | None, Failure | None]:
        """Return the end of the run, or of the taker, behind the id."""
        run: RunHandle[Any] = self
        while True:
            ended = await retry_transient(run._end, f"wait for run {run.id!r}")
            if ended.into is None:
                return run.id, ended.status, ended.output, ended.failure
            run = RunHandle(self._edge, ended.into)

    async def _taken(self) -> RunHandle[Any]:
        """Return the run, or the taker of a merged one."""
        run: RunHandle[Any] = self
        while (into := taker_of(thaw_requests((await run._row()).requests))) is not None:
            run = RunHandle(self._edge, into)
        return run

    async def _end(self) -> _Ended:
        # Followed first, then looked at: an end between the two is seen twice rather than missed.
        async with self._edge.live(self.id) as events:
            row = await self._edge.ports.views.run_get(self.id)
            if row is None and not self.created:
                raise self._unknown()
            if row is not None and row.ended is not None:
                return _ended(row)
            async for event in events:
                status = event.type.removeprefix("run.")
                if status in RUN_ENDED:
                    if status == COMPLETED and event.output is None:
                        # The output was too large for the topic, and is in the state.
                        return _ended((await self._stored()).run)
                    return _Ended(status, event.output, event.failure, event.into)
        raise AssertionError("a live tail has no end")

    async def _row(self) -> RunRow:
        """Return the row of the run, without steps."""
        views = self._edge.ports.views
        row = await self._edge.ask(lambda: views.run_get(self.id), f"read run {self.id!r}")
        return row if row is not None else (await self._stored()).run

    async def _stored(self) -> StoredRun:
        """Return the stored run, waiting for a start on the way."""
        stored = await self._read()
        if stored is not None:
            return stored
        if not self.created:
            raise self._unknown()
        async with self._edge.live(self.id) as events:
            stored = await self._read()
            if stored is None:
                await self.begun(events)
                stored = await self._read()
        assert stored is not None, "a run is committed before it is spoken of"
        return stored

    async def _read(self) -> StoredRun | None:
        views = self._edge.ports.views
        return await self._edge.ask(lambda: views.run_with_steps(self.id), f"read run {self.id!r}")

    def _unknown(self) -> RejectedError:
        text = "check the id; a run that was started through Kafka is there once a reconciler has begun it"
        return RejectedError("unknown_run", f"there is no run {self.id[:128]!r}: {text}")


def _ended(row: RunRow) -> _Ended:
    failure = None if row.failure is None else _failure(row.failure)
    return _Ended(row.status, row.output, failure, taker_of(thaw_requests(row.requests)))


def output_type_of(workflow: Workflow[Any, Any] | str) -> Any:
    """Return the declared type of a workflow's results, or None."""
    return None if isinstance(workflow, str) else workflow.output_type


async def start(edge: Edge, message: StartRun, *, is_named: bool, output_type: Any = None) -> RunHandle[Any]:
    """Publish a start; for a given id, ensure a single run."""
    run = message.key
    if not is_named:
        await edge.send(message, f"start a run of workflow {message.workflow!r}")
        return RunHandle(edge, run, created=True, output_type=output_type)
    views = edge.ports.views
    edge.check(message)
    # Followed first, then looked at: a start between the two is seen twice rather than missed.
    async with edge.live(run) as events:
        row = await edge.ask(lambda: views.run_get(run), f"read run {run!r}")
        if row is None:
            await edge.send(message, f"start run {run!r}")
            begun = await RunHandle(edge, run).begun(events)
            if begun.cause == message.id:
                return RunHandle(edge, run, created=True, output_type=output_type)
            row = await edge.ask(lambda: views.run_get(run), f"read run {run!r}")
    assert row is not None, "a run is committed before it is spoken of"
    check_same(row, message)
    return RunHandle(edge, run, output_type=output_type)


def _not_ended(run: str, timeout: Duration | None) -> str:
    return f"run {run!r} has not ended within {timeout}; it goes on, so call result() again"


def _not_there(run: str, what: str, timeout: Duration | None) -> str:
    return f"{what} within {timeout} in run {run!r}; it goes on, so ask again"


def _seconds(timeout: Duration | None) -> float | None:
    return None if timeout is None else milliseconds(timeout) / 1_000
