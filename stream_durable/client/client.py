"""The client: starts runs, and says to them what others have to say.

`stream_durable.Client` is this one, connected to the instance that the settings name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

from stream_durable.client.edge import Edge, Ports
from stream_durable.client.run import RunHandle
from stream_durable.client.values import Values, is_same, run_id
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import StartRun
from stream_durable.core.rows import RunRow
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.workflow import Workflow
from stream_durable.wire.events import published, signalled

_NAMES_SHOWN: Final = 20


class AsyncClient:
    """Talks to one instance; to be used with `async with`, by any number of tasks of one loop."""

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[Ports]]) -> None:
        """Connect to nothing yet."""
        self._connect = connect
        self._connection: AbstractAsyncContextManager[Ports] | None = None
        self._open_edge: Edge | None = None
        self._values = Values()

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

    async def start(
        self,
        workflow: Workflow | str,
        input: Any = None,  # noqa: A002 - the word for it everywhere
        *,
        id: str | None = None,  # noqa: A002 - the word for it everywhere
        tags: Iterable[str] = (),
        trace: str | None = None,
    ) -> RunHandle:
        """Start a run, and return when that is certain.

        By name it is the version that was registered last. Under one `id` there is one run, however often
        it is started: then `created` is False, and another input or workflow is refused.
        """
        data = self._values.input_of(workflow, input)
        name, fingerprint = await self._resolve(workflow)
        message = StartRun(
            key=uuid4().hex if id is None else run_id(id),
            id=uuid4().hex,
            workflow=name,
            fingerprint=fingerprint,
            input=data,
            tags=tuple(tags),
            trace=trace,
        )
        if id is None:
            await self._edge.send(message, f"start a run of workflow {name!r}")
            return RunHandle(self._edge, message.key, created=True)
        return await self._start_once(message)

    async def publish(
        self,
        event: str,
        *,
        key: str | int,
        data: Any = None,
        id: str | None = None,  # noqa: A002 - the word for it everywhere
        ttl: Duration | None = None,
    ) -> None:
        """Say that an event has happened, to every run that waits for it or begins to within `ttl`.

        Under one `id` it happens once, however often it is published within that time.
        """
        ttl_ms = self._edge.ports.event_ttl_ms if ttl is None else milliseconds(ttl)
        body = self._values.plain(data, f"the data of event {event!r}")
        message = published(event, str(key), body, id=id or uuid4().hex, ttl_ms=ttl_ms)
        await self._edge.send(message, f"publish event {event!r}")

    async def signal(
        self,
        run: str,
        name: str,
        data: Any = None,
        *,
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> None:
        """Give a signal to a run, which keeps it until a step waits for it; under one `id` it comes once."""
        body = self._values.plain(data, f"the data of signal {name!r}")
        message = signalled(run_id(run), name, body, id=id or uuid4().hex)
        await self._edge.send(message, f"signal run {run!r}")

    async def cancel(self, run: str, reason: str = "") -> None:
        """Ask for the end of a run."""
        await self.run(run).cancel(reason)

    def run(self, id: str) -> RunHandle:  # noqa: A002 - the word for it everywhere
        """Return the handle of a run; nothing is asked yet."""
        return RunHandle(self._edge, run_id(id))

    @property
    def _edge(self) -> Edge:
        if self._open_edge is None:
            raise RejectedError("not_open", "the client is not open: write `async with Client() as client:`")
        return self._open_edge

    async def _start_once(self, message: StartRun) -> RunHandle:
        edge, run = self._edge, message.key
        views = edge.ports.views
        edge.check(message)
        # Followed first, then looked at: a start between the two is seen twice rather than missed.
        async with edge.live(run) as events:
            row = await edge.ask(lambda: views.run_get(run), f"read run {run!r}")
            if row is None:
                await edge.send(message, f"start run {run!r}")
                begun = await RunHandle(edge, run).begun(events)
                if begun.cause == message.id:
                    return RunHandle(edge, run, created=True)
                row = await edge.ask(lambda: views.run_get(run), f"read run {run!r}")
        assert row is not None, "a run is committed before it is spoken of"
        _check_same(row, message)
        return RunHandle(edge, run)

    async def _resolve(self, workflow: Workflow | str) -> tuple[str, str]:
        """Return name and fingerprint of what is to be started; its definition is on the log by then."""
        edge, catalogue = self._edge, self._edge.ports.catalogue
        if isinstance(workflow, Workflow):
            definition, fingerprint = workflow.definition(), workflow.fingerprint
            if catalogue.graph(fingerprint) is None:
                await edge.ask(catalogue.catch_up, "read the definitions")
            if catalogue.graph(fingerprint) is None:
                await edge.ask(lambda: catalogue.register(definition), f"register workflow {workflow.name!r}")
            return workflow.name, fingerprint
        await edge.ask(catalogue.catch_up, "read the definitions")
        graph = catalogue.current(workflow)
        if graph is None:
            raise _unknown_workflow(workflow, catalogue.workflows())
        return workflow, graph.fingerprint


def _check_same(row: RunRow, message: StartRun) -> None:
    """Refuse a second start that is not the first one again."""
    if row.workflow != message.workflow:
        raise RejectedError(
            "different_workflow",
            f"run {row.id!r} exists and is one of workflow {row.workflow!r}, not of {message.workflow!r}: "
            "take another id",
        )
    if not is_same(row.input, message.input):
        raise RejectedError(
            "different_input",
            f"run {row.id!r} exists and was started with another input: take another id, or leave it be",
        )


def _unknown_workflow(name: str, known: list[str]) -> RejectedError:
    close = get_close_matches(name, known, 1)
    meant = f"; is {close[0]!r} meant?" if close else "."
    shown = ", ".join(known[:_NAMES_SHOWN]) or "none"
    return RejectedError(
        "unknown_workflow",
        f"no workflow {name[:128]!r} is registered{meant} There are: {shown}. Start a worker that carries it",
    )
