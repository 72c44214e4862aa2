"""Commands about queues, workers and processes of all kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from stream_durable.cli.change import By, Change, Reason, changes, who
from stream_durable.cli.output import Format, Output, show
from stream_durable.cli.values import load_settings
from stream_durable.cli.watching import watches
from stream_durable.core.errors import RejectedError
from stream_durable.core.moments import moment
from stream_durable.explain.phrases import counted

if TYPE_CHECKING:
    from stream_durable.client import AsyncClient, ProcessState, QueueState, WorkerState
    from stream_durable.services.status import Readers

R = TypeVar("R")
P = TypeVar("P", "WorkerState", "ProcessState")
queues = typer.Typer(help="Queues of steps: pause, resume, drain.", no_args_is_help=True)
workers = typer.Typer(help="Workers, with their queues, workflows and load.", no_args_is_help=True)

processes = typer.Typer(help="Processes of all kinds, with their releases.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="QUEUE", help="Name of the queue.", show_default=False)]


@queues.callback()
def _queues() -> None:
    """Queues of steps: pause, resume, drain."""


@workers.callback()
def _workers() -> None:
    """Workers, with their queues, workflows and load."""


@processes.callback()
def _processes() -> None:
    """Processes of all kinds, with their releases."""


@queues.command("list")
@watches
def list_queues(output: Output = Format.TABLE) -> None:
    """List the queues: paused or not, workers, attempts under way, and the backlog on the topic.

    Example: `stream-durable queues list`
    """
    from stream_durable.services import status as services

    settings = load_settings()
    known = {one.name: one for one in _do(lambda client: client.queues())}
    readers = asyncio.run(services.queues(settings)) or {}
    rows = [_row(name, known.get(name), readers.get(name)) for name in sorted(known.keys() | readers.keys())]
    columns = ("name", "status", "workers", "running", "backlog", "oldest", "by", "reason")
    show(rows, columns, output, empty="There is no queue: `stream-durable topics apply` makes the first.")


@queues.command("pause")
@changes
def pause_queue(queue: Name, reason: Reason = "", by: By = None, *, change: Change) -> None:
    """Let workers begin nothing from a queue until it is resumed; attempts under way go on to their end.

    Time-outs of runs and steps go on, timers fire, and places at gates stay taken.

    Example: `stream-durable queues pause mail --reason "the mail server is down"`
    """
    change.make(
        f"pause queue {queue}",
        lambda client: client.pause_queue(queue, reason=reason, by=who(by)),
        f"Queue {queue} is paused. `stream-durable queues resume {queue}` lets its workers go on.",
    )


@queues.command("resume")
@changes
def resume_queue(queue: Name, reason: Reason = "", by: By = None, *, change: Change) -> None:
    """Let workers serve a queue again.

    Example: `stream-durable queues resume mail`
    """
    change.make(
        f"resume queue {queue}",
        lambda client: client.resume_queue(queue, reason=reason, by=who(by)),
        f"Queue {queue} is served again.",
    )


@queues.command("drain")
@changes
def drain_queue(
    queue: Name,
    timeout: Annotated[str | None, typer.Option("--timeout", help='How long to wait, as "10m".')] = None,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Pause a queue, and wait until no attempt of it is under way.

    Exits with 1 after the time-out; the queue stays paused.

    Example: `stream-durable queues drain mail --timeout 10m`
    """

    def tell(left: int) -> None:
        text = f"{left} attempts are under way" if left else "waiting for the workers to answer"
        typer.echo(text, err=True)

    try:
        change.make(
            f"drain queue {queue}",
            lambda client: client.drain_queue(
                queue, timeout=timeout, reason=reason, by=who(by), progress=tell
            ),
            f"Queue {queue} is paused, and none of its attempts is under way.",
        )
    except TimeoutError:
        text = f"queue {queue!r} still has attempts under way after {timeout}; it stays paused"
        remedy = "wait longer, or cancel their runs; `stream-durable workers list` shows the load"
        raise RejectedError("timeout", f"{text}: {remedy}") from None


@workers.command("list")
@watches
def list_workers(
    with_gone: Annotated[
        bool, typer.Option("--all", help="Those too that were lost within a day, after the others.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """List the workers: queues, load, workflows with fingerprints, and the time of its last record.

    A worker is gone if killed, or without Kafka; such workers are left out without `--all`.

    Example: `stream-durable workers list`
    """
    found = _do(lambda client: client.workers())
    rows = [_worker(one) for one in _present(found, "worker", "workers", with_gone=with_gone)]
    if output is Format.TABLE:
        rows = [row | {name: ", ".join(row[name]) for name in ("queues", "workflows")} for row in rows]
    columns = (
        "name",
        "status",
        "queues",
        "running",
        "waiting",
        "concurrency",
        "seen",
        "version",
        "workflows",
    )
    show(rows, columns, output, empty="No worker is there: `stream-durable worker APP` starts one.")


@processes.command("list")
@watches
def list_processes(
    with_gone: Annotated[
        bool, typer.Option("--all", help="Processes lost within a day too, after the others.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """List reconcilers, workers, ingresses and processes of the API: release, format, host, and since when.

    A process killed, or without Kafka, is gone, and left out without `--all`. A process of the API connects
    some seconds after the start.

    Example: `stream-durable processes list`
    """
    found = _do(lambda client: client.processes())
    rows = [
        {**one._asdict(), "status": "gone" if one.is_gone else "present"}
        for one in _present(found, "process", "processes", with_gone=with_gone)
    ]
    columns = ("kind", "name", "status", "version", "format", "host", "since", "seen")
    show(rows, columns, output, empty="No process is there: `stream-durable up APP` starts all kinds.")


def _present(found: list[P], one: str, several: str, *, with_gone: bool) -> list[P]:
    """Return those that are there, then the gone ones; without them, say how many are left out."""
    here = [each for each in found if not each.is_gone]
    gone = [each for each in found if each.is_gone]
    if gone and not with_gone:
        typer.echo(f"{counted(len(gone), one, several)} lost within a day: `--all` shows them.", err=True)
    return here + gone if with_gone else here


def _row(name: str, state: QueueState | None, readers: Readers | None) -> dict[str, Any]:
    paused = None if state is None else state.paused
    latest = None if state is None or not state.orders else state.orders[0]
    return {
        "name": name,
        "status": "serving" if paused is None else "paused",
        "since": None if paused is None else paused.at,
        "by": None if latest is None else latest.by,
        "reason": None if latest is None else latest.reason,
        "workers": 0 if state is None else len(state.workers),
        "running": 0 if state is None else state.running,
        "waiting": 0 if state is None else state.waiting,
        "backlog": None if readers is None else readers.left.records,
        "oldest": None if readers is None else moment(readers.left.since),
    }


def _worker(one: WorkerState) -> dict[str, Any]:
    return {
        **one._asdict(),
        "status": "gone" if one.is_gone else "present",
        "workflows": {name: fingerprint[:12] for name, fingerprint in one.workflows.items()},
    }


def _do(act: Callable[[AsyncClient], Awaitable[R]]) -> R:
    async def within() -> R:
        from stream_durable import connecting

        async with connecting.client(load_settings()) as client:
            return await act(client)

    return asyncio.run(within())
