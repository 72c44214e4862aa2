"""`status`: an instance on one screen."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from stream_durable.cli.errors import CHECK_FAILED
from stream_durable.cli.output import Format, Output, Took, cell_text, show_one
from stream_durable.cli.values import load_settings
from stream_durable.core.moments import moment
from stream_durable.explain.phrases import counted

#: Causes shown as problems of the instance already.
_PROBLEMS = frozenset({"breaker", "dead", "log_lost", "no_owner", "behind"})

if TYPE_CHECKING:
    from stream_durable.client import Attention, ProcessState, WorkerState
    from stream_durable.ports import GroupMember
    from stream_durable.services.status import Backlog, Concern, Readers, Status
    from stream_durable.settings import Settings


def status(output: Output = Format.TABLE) -> None:
    """Show an instance on one screen, with the problems for a person.

    Runs by status; partitions of the inbox, with owners and backlog; ingress, queues and their processes;
    gates not closed; records of the last day impossible to apply; releases at work; failures by cause. Exits
    with 4 for permanent problems.

    Example: `stream-durable status --output json`
    """
    from stream_durable.services import status as services

    settings = load_settings()
    found, attention, workers, processes = asyncio.run(_all(settings))
    needed = services.concerns(found, workers)
    if output is Format.TABLE:
        for line in (*_lines(found), *_releases(processes), "", *_said(needed, attention)):
            typer.echo(line)
    else:
        row = _row(found, needed, attention) | {"processes": [one._asdict() for one in processes]}
        show_one(row, output)
    if needed:
        raise typer.Exit(CHECK_FAILED)


async def _all(
    settings: Settings,
) -> tuple[Status, Attention, list[WorkerState], list[ProcessState]]:
    from stream_durable import connecting
    from stream_durable.services import status as services

    found = await services.status(settings)
    async with connecting.client(settings) as client:
        return found, await client.attention(), await client.workers(), await client.processes()


def _said(needed: list[Concern], attention: Attention) -> Iterator[str]:
    """Return the problems of the instance, and what needs attention beside them."""
    causes = [need for need in attention.needs if need.code not in _PROBLEMS]
    if needed:
        yield "Needs a person:"
    elif not causes:
        yield "Nothing needs a person."
    for one in needed:
        yield f"- {one.what}"
        yield f"  {one.remedy}"
    if causes:
        yield from ("", "Needs attention, by cause:") if needed else ("Needs attention, by cause:",)
    for need in causes:
        yield f"- {need.word}: {need.sentence}"


def _lines(found: Status) -> Iterator[str]:
    yield _line(
        "runs", ", ".join(f"{count} {name}" for name, count in _by_count(found)) or "none was started yet"
    )
    owners = {one.summary.owner for one in found.partitions if one.summary.owner is not None}
    left = _together(found)
    yield _line(
        "partitions", f"{len(found.partitions)}, taken over by {len(owners)}; {_waiting(found, left)}"
    )
    if found.reconcilers is not None:
        yield _line("reconcilers", _names(found.reconcilers))
    if found.ingress is not None:
        yield _line("ingress", f"{_names(found.ingress.members)}; {_waiting(found, found.ingress.left)}")
    for queue, readers in found.queues.items():
        yield _line(f"queue {queue}", f"{_names(readers.members)}; {_waiting(found, readers.left)}")
    for gate in found.gates:
        since = cell_text(moment(gate.since))
        yield _line(f"gate {gate.name}", f"{gate.state} since {since}; {gate.waiting} attempts wait")
    yield _line("dead letters", f"{found.dead} of the inbox, in the last day")


def _releases(processes: list[ProcessState]) -> Iterator[str]:
    """Return a line for each release at work, with the number of processes of each kind."""
    found: dict[str, Counter[str]] = {}
    for one in processes:
        if not one.is_gone:
            found.setdefault(one.version, Counter())[one.kind] += 1
    for version, kinds in sorted(found.items()):
        yield _line(
            f"release {version or '?'}", ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        )


def _line(name: str, text: str) -> str:
    return f"{name:<14}  {text}"


def _by_count(found: Status) -> list[tuple[str, int]]:
    return sorted(found.runs.items(), key=lambda one: -one[1])


def _names(members: tuple[GroupMember, ...]) -> str:
    shown = ", ".join(sorted({one.name for one in members})[:3])
    more = f" and {len(members) - 3} more" if len(members) > 3 else ""
    return f"{shown}{more}" if members else "no process"


def _together(found: Status) -> Backlog:
    from stream_durable.services.status import Backlog

    times = [one.left.since for one in found.partitions if one.left.since is not None]
    return Backlog(sum(one.left.records for one in found.partitions), min(times, default=None))


def _waiting(found: Status, left: Backlog) -> str:
    if left.since is None:
        return "nothing waits"
    waits = counted(left.records, "record waits", "records wait")
    return f"{waits}, the oldest for {Took(left.since, found.at)}"


def _row(found: Status, needed: list[Concern], attention: Attention) -> dict[str, Any]:
    return {
        "at": moment(found.at),
        "runs": dict(found.runs),
        "is_exact": found.is_exact,
        "partitions": [{**one.summary._asdict(), **_backlog(one.left)} for one in found.partitions],
        "reconcilers": None if found.reconcilers is None else [one._asdict() for one in found.reconcilers],
        "ingress": None if found.ingress is None else _readers(found.ingress),
        "queues": {queue: _readers(readers) for queue, readers in found.queues.items()},
        "gates": [
            {**gate._asdict(), "since": moment(gate.since), "due": moment(gate.due)} for gate in found.gates
        ],
        "dead": found.dead,
        "needs": [one._asdict() for one in needed],
        "attention": [one._asdict() for one in attention.needs],
    }


def _readers(readers: Readers) -> dict[str, Any]:
    return {"processes": [one._asdict() for one in readers.members], **_backlog(readers.left)}


def _backlog(left: Backlog) -> dict[str, Any]:
    return {"lag": left.records, "oldest": moment(left.since)}
