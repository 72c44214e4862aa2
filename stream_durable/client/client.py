"""The client: starts runs and sends messages to runs.

`stream_durable.Client` is this client, connected to the instance in the settings.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, tzinfo
from types import TracebackType
from typing import Any, Self, Unpack, overload
from uuid import uuid4

from stream_durable.client.admissions import Admissions
from stream_durable.client.attention import Attention, attention
from stream_durable.client.bindings import BindingOrders
from stream_durable.client.bulk import BulkOrders
from stream_durable.client.dead_records import DeadOrders
from stream_durable.client.edge import Edge, Ports
from stream_durable.client.figures import Figures
from stream_durable.client.gates import GateOrders
from stream_durable.client.history import Happening, history
from stream_durable.client.input_list import InputFilter, InputList, answer_all, open_inputs
from stream_durable.client.joining import ask_started, start_with_signal
from stream_durable.client.later import PlannedList, cancel_planned, planned, planned_messages
from stream_durable.client.open_waits import EventList, WaitList, kept_events, open_waits
from stream_durable.client.queues import QueueOrders
from stream_durable.client.rules import RuleOrders
from stream_durable.client.run import RunHandle, output_type_of, start
from stream_durable.client.run_lists import RunLists
from stream_durable.client.schedules import ScheduleOrders
from stream_durable.client.starting import (
    StartOptions,
    beginning,
    check_input,
    check_options,
    check_queue,
    expected,
    named_signal,
    resolve,
    some_tags,
    time_limit,
)
from stream_durable.client.step_ender import HasId, StepEnder, TokenEnder, id_of
from stream_durable.client.together import Progress
from stream_durable.core.attributes import attributes_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import StartRun, StartWithSignal
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.given import run_id
from stream_durable.sdk.workflow import In, Out, Workflow
from stream_durable.wire.events import check_taken, published, unkeyed, with_signal
from stream_durable.wire.starts import queue_name


class AsyncClient(
    TokenEnder,
    BulkOrders,
    RunLists,
    Figures,
    ScheduleOrders,
    QueueOrders,
    RuleOrders,
    BindingOrders,
    DeadOrders,
    GateOrders,
    Admissions,
):
    """A connection to one instance; use with `async with`, from any number of tasks of one loop."""

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[Ports]]) -> None:
        """Connect to nothing yet."""
        self._connect = connect
        self._connection: AbstractAsyncContextManager[Ports] | None = None
        self._open_edge: Edge | None = None

    async def __aenter__(self) -> Self:
        self._connection = self._connect()
        self._open_edge = Edge(await self._connection.__aenter__())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open_edge = None
        if self._connection is not None:
            await self._connection.__aexit__(kind, error, traceback)

    @overload
    async def start(
        self,
        workflow: str,
        input: Any = None,  # noqa: A002 - the word for it everywhere
        **options: Unpack[StartOptions],
    ) -> RunHandle[Any]: ...

    @overload
    async def start(
        self,
        workflow: Workflow[In, Out],
        input: In,  # noqa: A002 - the word for it everywhere
        **options: Unpack[StartOptions],
    ) -> RunHandle[Out]: ...

    @overload
    async def start(
        self, workflow: Workflow[None, Out], **options: Unpack[StartOptions]
    ) -> RunHandle[Out]: ...

    async def start(
        self,
        workflow: Workflow[Any, Any] | str,
        input: Any = None,  # noqa: A002 - the word for it everywhere
        **options: Unpack[StartOptions],
    ) -> RunHandle[Any]:
        """Start a run, and return after the start is acknowledged.

        A name means the version registered last. The input is checked first, by the workflow's declared type
        or the registered schema. Each `id` names one run, however often started: a repeat returns `created`
        False, and a different input or workflow is refused. The run begins at once, `at` a moment, or `after`
        a time; until then it is pending. Steps without a queue go to `queue`; among the commands held by a
        worker, a higher `priority` (-100 to 100) goes first. A `timeout` counts from the beginning, and
        stands in place of the workflow's.

        With `signal` one message starts the run and brings it a signal. A run that exists gets the signal
        alone, whatever its input; for one that has ended it is late.
        """
        edge, given = self._edge, options.get("id")
        message = await self._start_of(workflow, input, options)
        if (signal := options.get("signal")) is not None:
            sent = self._with_signal(message, signal, options)
            return await start_with_signal(edge, sent, output_type_of(workflow))
        return await start(edge, message, is_named=given is not None, output_type=output_type_of(workflow))

    async def ask(
        self,
        run: str | HasId,
        name: str,
        data: Any = None,
        *,
        start: tuple[Workflow[Any, Any] | str, Any] | None = None,
        timeout: Duration | None = "30s",  # noqa: ASYNC109 - the contract
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> Any:
        """Ask a run something that a function of its workflow answers, as `RunHandle.ask` does.

        With `start`, a workflow and an input, the run is started before, unless there is one of this id.
        """
        handle = self.run(id_of(run))
        if start is None:
            return await handle.ask(name, data, timeout=timeout, id=id)
        first = await self._start_of(start[0], start[1], {"id": id_of(run)})
        return await ask_started(self._edge, handle.id, name, data, first, timeout, id)

    async def _start_of(
        self,
        workflow: Workflow[Any, Any] | str,
        input: Any,  # noqa: A002 - the word for it everywhere
        options: StartOptions,
    ) -> StartRun:
        """Return the checked message of a start."""
        check_options(options)
        edge, given = self._edge, options.get("id")
        data = edge.values.input_of(workflow, input)
        begins = beginning(options.get("at"), options.get("after"))
        name, fingerprint = await resolve(edge, workflow)
        if isinstance(workflow, str):
            check_input(edge, name, fingerprint, data)
        metadata = options.get("metadata")
        due_ms, due_at = expected(options.get("due"))
        message = StartRun(
            key=uuid4().hex if given is None else run_id(given),
            id=uuid4().hex,
            workflow=name,
            fingerprint=fingerprint,
            input=data,
            tags=some_tags(options.get("tags", ())),
            trace=options.get("trace"),
            at=begins,
            queue=queue_name(options.get("queue")),
            priority=options.get("priority", 0),
            metadata=edge.values.an_object(metadata, f"the metadata of a run of workflow {name!r}"),
            timeout_ms=time_limit(options.get("timeout")),
            attributes=attributes_of(options.get("attributes") or {}),
            due_ms=due_ms,
            due_at=due_at,
        )
        await check_queue(edge, message.queue)
        return message

    def _with_signal(self, start: StartRun, signal: object, options: StartOptions) -> StartWithSignal:
        name, data = named_signal(signal)
        body, ttl = self._edge.values.plain(data, f"the data of signal {name!r}"), options.get("signal_ttl")
        start.id = options.get("signal_id") or start.id
        ttl_ms = None if ttl is None else milliseconds(ttl)
        return with_signal(start, name, body, by=options.get("signal_by", ""), ttl_ms=ttl_ms)

    async def publish(
        self,
        event: str,
        *,
        key: str | int | None = None,
        data: Any = None,
        id: str | None = None,  # noqa: A002 - the word for it everywhere
        ttl: Duration | None = None,
        by: str = "",
        at: datetime | None = None,
        after: Duration | None = None,
    ) -> None:
        """Publish an event to every run waiting for the event now or within `ttl`, and to triggers.

        `by` says who publishes it, under any name. Each `id` counts once, however often published within
        `ttl`. With `at` or `after` the event is published then, unless cancelled before (`later`,
        `cancel_later`); `ttl` counts from then. Without `key` the event is for triggers alone, and refused if
        there is none.
        """
        edge = self._edge
        body, identity = edge.values.plain(data, f"the data of event {event!r}"), id or uuid4().hex
        if key is None:
            await edge.ask(edge.ports.catalogue.catch_up, "read the definitions")
            message = planned(unkeyed(event, body, id=identity, by=by), at, after)
            check_taken(message, edge.ports.catalogue.declared)
        else:
            ttl_ms = edge.ports.event_ttl_ms if ttl is None else milliseconds(ttl)
            kept = published(event, str(key), body, id=identity, ttl_ms=ttl_ms, by=by)
            message = planned(kept, at, after)
        await edge.send(message, f"publish event {event!r}")

    async def signal(
        self,
        run: str | HasId,
        name: str,
        data: Any = None,
        *,
        id: str | None = None,  # noqa: A002 - the word for it everywhere
        ttl: Duration | None = None,
        by: str = "",
        at: datetime | None = None,
        after: Duration | None = None,
    ) -> None:
        """Send a run a signal, as `RunHandle.signal` does."""
        await self.run(id_of(run)).signal(name, data, id=id, ttl=ttl, by=by, at=at, after=after)

    async def history(self, run: str | HasId, *, evidence: bool = False) -> builtins.list[Happening]:
        """Return what happened to a run, oldest first, with `evidence` also messages that changed nothing.

        Those were duplicate, late or dead; they are found in the evidence since the run's start.
        """
        return await history(self._edge, await self.run(id_of(run)).state(), with_evidence=evidence)

    async def later(self, *, limit: int = 50, after: str | None = None) -> PlannedList:
        """Return a page of the signals, events and starts still to come, the next one first."""
        return await planned_messages(self._edge, limit, after)

    async def cancel_later(self, id: str) -> None:  # noqa: A002 - the word for it everywhere
        """Ask for a signal, an event or a start from `later` not to be sent."""
        await cancel_planned(self._edge, id, uuid4().hex)

    async def answer(
        self,
        run: str | HasId,
        wait: str,
        value: Any,
        *,
        by: str = "",
        comment: str = "",
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> str:
        """Answer what a step of a run asks people, as `RunHandle.answer` does."""
        return await self.run(id_of(run)).answer(wait, value, by=by, comment=comment, id=id)

    async def claim(self, run: str | HasId, wait: str, by: str) -> str:
        """Take a question on for somebody; refused if it is somebody else's."""
        return await self.run(id_of(run)).claim(wait, by)

    async def assign(
        self,
        run: str | HasId,
        wait: str,
        to: str,
        *,
        role: str | None = None,
        by: str = "",
        comment: str = "",
    ) -> str:
        """Hand a question over to somebody, or with `""` back to anybody of its role, or of another."""
        return await self.run(id_of(run)).assign(wait, to, role=role, by=by, comment=comment)

    async def comment(self, run: str | HasId, wait: str, text: str, *, by: str = "") -> str:
        """Note something beside a question."""
        return await self.run(id_of(run)).comment(wait, text, by=by)

    async def cancel(self, run: str, reason: str = "", *, compensate: bool = False, by: str = "") -> str:
        """Ask for the end of a run."""
        return await self.run(run).cancel(reason, compensate=compensate, by=by)

    @overload
    def run(self, id: str) -> RunHandle[Any]: ...  # noqa: A002 - the word for it everywhere

    @overload
    def run(self, id: str, workflow: Workflow[Any, Out]) -> RunHandle[Out]: ...  # noqa: A002 - see above

    def run(
        self,
        id: str,  # noqa: A002 - the word for it everywhere
        workflow: Workflow[Any, Any] | None = None,
    ) -> RunHandle[Any]:
        """Return the handle of a run, without any query. A workflow gives the result a type."""
        output_type = None if workflow is None else output_type_of(workflow)
        return RunHandle(self._edge, run_id(id), output_type=output_type)

    async def attention(self, since: Duration = "7d", *, zone: tzinfo | None = None) -> Attention:
        """Return what needs somebody, by cause: failures of runs created within a time, and hindrances.

        Failures are grouped in one query over the newest 10,000; partitions and bindings cost a few requests
        each.
        """
        return await attention(self._edge, since, zone, await self.schedules(), await self.bindings())

    async def waits(
        self,
        *,
        workflow: str | None = None,
        event: str | None = None,
        key: str | None = None,
        signal: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> WaitList:
        """Return a page of the steps that wait for events, signals and their end from outside, of all runs.

        Reactions to events and signals are among them, with how many they have not worked off. Waits for
        events come by name and key, then the others, of the oldest run first.
        """
        return await open_waits(self._edge, workflow, event, key, signal, limit, after)

    async def inputs(
        self, which: InputFilter | None = None, *, limit: int = 50, after: str | None = None
    ) -> InputList:
        """Return a page of the questions that wait for people's answers, of all runs, the oldest first."""
        return await open_inputs(self._edge, which or InputFilter(), limit, after)

    async def answer_all(
        self,
        which: InputFilter,
        value: Any,
        *,
        by: str = "",
        comment: str = "",
        progress: Progress | None = None,
    ) -> int:
        """Answer all matching open questions with the same answer; return their number.

        Raises `RejectedError` before any answer if the answer does not fit all questions.
        """
        return await answer_all(self._edge, which, value, by, comment, progress)

    async def events(
        self,
        *,
        event: str | None = None,
        key: str | None = None,
        untaken: bool = False,
        expired: bool = False,
        limit: int = 50,
        after: str | None = None,
    ) -> EventList:
        """Return a page of the events that are kept for waits still to come, by name and key.

        `untaken` leaves out those that have woken a run. With `expired` the list is of those that nobody had
        before they expired: of each id the latest, without data.
        """
        return await kept_events(self._edge, event, key, limit, after, untaken=untaken, expired=expired)

    def _ender(self, run: str) -> StepEnder:
        return self.run(run)

    @property
    def _edge(self) -> Edge:
        if self._open_edge is None:
            raise RejectedError("not_open", "the client is not open: write `async with Client() as client:`")
        return self._open_edge
