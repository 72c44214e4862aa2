"""`top`: an instance at work, on one screen."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stream_durable.cli.output import Format, Output, Took, cell_text, console, show_one
from stream_durable.cli.values import load_settings
from stream_durable.cli.watching import ends_at_interrupt, passes, told_of_retries
from stream_durable.core.errors import TransientError
from stream_durable.core.moments import moment

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from stream_durable.client import AsyncClient, QueueState, RunList, WorkerState
    from stream_durable.services.status import Backlog, Status
    from stream_durable.settings import Settings

#: Runs on a screen.
_RUNS = 12


class _Screen(NamedTuple):
    status: Status
    queues: list[QueueState]
    workers: list[WorkerState]
    runs: RunList
    #: Runs that ended since the look before, and the seconds between; None: there was none.
    ended: tuple[int, float] | None = None


def top(
    once: Annotated[bool, typer.Option("--once", help="Print it once, as for a pipe, and end.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.5, help="Seconds between looks.")] = 2.0,
    output: Output = Format.TABLE,
) -> None:
    """Watch an instance at work: runs by status, queues and workers, partitions with backlog, latest runs.

    Until Ctrl-C. In a pipe, and for programs, it is printed once.

    Example: `stream-durable top`
    """
    settings = load_settings()
    if output is not Format.TABLE:
        show_one(_row(asyncio.run(_look(settings))), output)
    elif once or not sys.stdout.isatty():
        console().print(_drawn(asyncio.run(_look(settings))))
    else:
        asyncio.run(_live(settings, every))


async def _live(settings: Settings, every: float) -> None:
    from rich.live import Live

    from stream_durable import connecting

    with Live(console=console(), screen=True, auto_refresh=False) as live, ends_at_interrupt(live.stop):
        async with connecting.client(settings) as client:
            await _watch(
                partial(_seen, settings, client), lambda drawn: live.update(drawn, refresh=True),
                partial(asyncio.sleep, every),
            )  # fmt: skip


async def _watch(
    look: Callable[[], Awaitable[_Screen]],
    draw: Callable[[Group], None],
    pause: Callable[[], Awaitable[None]],
) -> None:
    """Draw until cancelled; what is away for a moment is waited for once there is something to show."""
    before: _Screen | None = None

    def note(reason: str) -> None:
        draw(_drawn(before, reason))

    with told_of_retries(note):
        while True:
            try:
                seen = await look()
            except TransientError as error:
                if before is None or not passes(error):
                    raise
                note(str(error))
            else:
                if before is not None:
                    seconds = (seen.status.at - before.status.at) / 1_000
                    seen = seen._replace(ended=(_ended(seen.status) - _ended(before.status), seconds))
                before = seen
                draw(_drawn(seen))
            await pause()


async def _look(settings: Settings) -> _Screen:
    from stream_durable import connecting

    async with connecting.client(settings) as client:
        return await _seen(settings, client)


async def _seen(settings: Settings, client: AsyncClient) -> _Screen:
    from stream_durable.services import status as services

    return _Screen(
        await services.status(settings), await client.queues(), await client.workers(),
        await client.list(limit=_RUNS),
    )  # fmt: skip


def _ended(found: Status) -> int:
    from stream_durable.core.status import RUN_ENDED

    return sum(count for status, count in found.runs.items() if status in RUN_ENDED)


def _drawn(seen: _Screen | None, reason: str = "") -> Group:
    """Return what was seen last, and why there is nothing newer."""
    from rich.console import Group
    from rich.text import Text

    if seen is None:
        return Group(Text(f"Waiting: {reason}."))
    parts: list[str | Table | Text | None] = [
        Text(f"Waiting: {reason}. This is as of {cell_text(moment(seen.status.at))}.\n") if reason else None,
        _heading(seen),
        _queues(seen),
        _partitions(seen),
        _workers(seen),
        _runs(seen),
    ]
    return Group(*(part for part in parts if part is not None))


def _heading(seen: _Screen) -> str:
    found = seen.status
    runs = ", ".join(f"{count:,} {status}" for status, count in sorted(found.runs.items()))
    rate = "" if seen.ended is None else f"  ·  {seen.ended[0] / max(seen.ended[1], 0.001):,.1f} ended/s"
    return f"{cell_text(moment(found.at))}  {runs or 'no runs yet'}{rate}\n"


def _queues(seen: _Screen) -> Table:
    known = {one.name: one for one in seen.queues}
    rows = []
    for name in sorted(known.keys() | seen.status.queues.keys()):
        state, readers = known.get(name), seen.status.queues.get(name)
        paused = state is not None and state.paused is not None
        rows.append(
            (
                name, "paused" if paused else "serving", 0 if state is None else len(state.workers),
                0 if state is None else state.running,
                "" if readers is None else readers.left.records,
                "" if readers is None else _age(seen, readers.left),
            )
        )  # fmt: skip
    return _table(("queue", "status", "workers", "running", "backlog", "oldest"), rows)


def _partitions(seen: _Screen) -> Table:
    rows = [
        (one.summary.partition, one.summary.owner or "nobody", one.summary.next_offset, one.left.records,
         _age(seen, one.left))
        for one in seen.status.partitions
    ]  # fmt: skip
    return _table(("partition", "owner", "offset", "backlog", "oldest"), rows)


def _workers(seen: _Screen) -> Table | None:
    rows = [
        (one.name, "gone" if one.is_gone else "present", f"{one.running}/{one.concurrency}", one.waiting,
         ", ".join(one.queues))
        for one in seen.workers
    ]  # fmt: skip
    return _table(("worker", "status", "running", "waiting", "queues"), rows) if rows else None


def _runs(seen: _Screen) -> Table | None:
    rows = [
        (run.id, run.workflow, run.status, f"{run.done}/{run.total}", run.reason) for run in seen.runs.runs
    ]
    return _table(("run", "workflow", "status", "steps", "reason"), rows) if rows else None


def _table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell_text(value)) for value in row))
    return table


def _age(seen: _Screen, left: Backlog) -> str:
    return "" if left.since is None else str(Took(left.since, seen.status.at))


def _row(seen: _Screen) -> Mapping[str, Any]:
    found = seen.status
    return {
        "at": moment(found.at),
        "runs": dict(found.runs),
        "queues": [
            {
                "name": name,
                "running": sum(one.running for one in seen.queues if one.name == name),
                "workers": sum(len(one.workers) for one in seen.queues if one.name == name),
                "backlog": readers.left.records,
            }
            for name, readers in found.queues.items()
        ],
        "partitions": [
            {**one.summary._asdict(), "lag": one.left.records, "oldest": moment(one.left.since)}
            for one in found.partitions
        ],
        "workers": [one._asdict() for one in seen.workers],
        "latest": [run._asdict() for run in seen.runs.runs],
    }
