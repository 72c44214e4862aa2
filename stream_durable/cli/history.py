"""Commands for the ancestors, children, attempts and logs of a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.failures import Failed, print_traces
from stream_durable.cli.output import Format, Output, Took, milliseconds, show, show_one
from stream_durable.cli.runs import After, Limit, show_page
from stream_durable.cli.selection import RunId
from stream_durable.cli.values import load_settings
from stream_durable.core.errors import RejectedError

if TYPE_CHECKING:
    from stream_durable.client import AttemptState, Member, RunHandle

Patience = Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long to wait, such as 30s.")]
Step = Annotated[str | None, typer.Argument(metavar="[STEP]", help="Of this step alone.", show_default=False)]


def children(run: RunId, limit: Limit = 50, after: After = None, output: Output = Format.TABLE) -> None:
    """List the runs that the steps of a run have started, the newest first.

    Example: `stream-durable runs children order-42`
    """
    from stream_durable.cli.lookup import find_run
    from stream_durable.ports import RunQuery

    parent = asyncio.run(find_run(load_settings(), run))
    show_page(RunQuery(parent=parent), limit, after, output, empty=f"{parent} has started no runs.")


def tree(
    run: RunId,
    limit: Limit = 1_000,
    output: Output = Format.TABLE,
) -> None:
    """Show the family of a run: the first ancestor, the way down to the run, and all descendants.

    Example: `stream-durable runs tree order-42`
    """
    found, family = asyncio.run(ask_run(run, lambda handle: handle.family(limit=limit)))
    if output is not Format.TABLE:
        show_one({**_branch(family.first), "is_whole": family.is_whole}, output)
    else:
        for text in _lines(family.first, found):
            typer.echo(text)
    if not family.is_whole:
        typer.echo(
            f"There are more than {limit} (--limit); `stream-durable runs children RUN` pages.", err=True
        )


def attempts(run: RunId, step: Step = None, output: Output = Format.TABLE) -> None:
    """List the attempts of a run's steps, oldest first.

    Example: `stream-durable runs attempts order-42 charge`
    """
    _, found = asyncio.run(ask_run(run, lambda handle: handle.attempts(step)))
    columns = ("step", "attempt", "status", "took", "worker", "failure")
    rows = [_attempt(one) for one in found]
    show(rows, columns, output, empty="Nothing was tried yet.")
    if output is Format.TABLE:
        print_traces((f"{row['step']}, attempt {row['attempt']}", row["failure"]) for row in rows)


def logs(run: RunId, step: Step = None, output: Output = Format.TABLE) -> None:
    """Print the log lines of ended attempts, oldest first.

    Example: `stream-durable runs logs order-42 charge`
    """
    _, lines = asyncio.run(ask_run(run, lambda handle: handle.logs(step)))
    if output is not Format.TABLE:
        show([line._asdict() for line in lines], (), output, empty="")
        return
    for line in lines:
        time = line.time.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        typer.echo(f"{time} {line.level:<8} {line.step}/{line.attempt}  {line.text}")
    if not lines:
        typer.echo("Nothing was written.", err=True)


def history(
    run: RunId,
    evidence: Annotated[
        bool,
        typer.Option("--evidence", help="Also duplicate, late and dead messages, which changed nothing."),
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show what happened to a run, oldest first: its steps and waits, who answered, and what was asked of it.

    Example: `stream-durable runs history order-42 --evidence`
    """
    from stream_durable import connecting
    from stream_durable.cli.lookup import find_run

    async def ask() -> list[dict[str, Any]]:
        settings = load_settings()
        run_id = await find_run(settings, run)
        async with connecting.client(settings) as client:
            return [one._asdict() for one in await client.history(run_id, evidence=evidence)]

    columns = ("time", "what", "step", "by", "text")
    show(asyncio.run(ask()), columns, output, empty="Nothing has happened yet.")


def output(
    run: RunId, step: Annotated[str, typer.Argument(help="Name of the step.")], timeout: Patience = "0s"
) -> None:
    """Print the output of a step as JSON, waiting for it with --timeout; exit 1 if there is none.

    Example: `stream-durable runs output order-42 charge --timeout 30s`
    """
    print_answer(run, lambda handle: handle.output(step, timeout))


def value(
    run: RunId,
    path: Annotated[str, typer.Argument(help="Such as charge.amount, context.total or input.id.")],
    timeout: Patience = "0s",
) -> None:
    """Print the value at a path as JSON, waiting for it with --timeout; exit 1 if there is none.

    Example: `stream-durable runs value order-42 context.total`
    """
    print_answer(run, lambda handle: handle.value(path, timeout))


def print_answer(run: str, ask: Callable[[RunHandle], Awaitable[Any]]) -> None:
    """Print what a query on a run returns as JSON, or fail as a command does for want of time."""
    try:
        _, found = asyncio.run(ask_run(run, ask))
    except TimeoutError as error:
        raise RejectedError("timeout", str(error)) from error
    typer.echo(json.dumps(found, ensure_ascii=False))


async def ask_run(run: str, ask: Callable[[RunHandle], Awaitable[Any]]) -> tuple[str, Any]:
    """Return the id of the run, and the result of a query on the handle."""
    from stream_durable import connecting
    from stream_durable.cli.lookup import find_run

    settings = load_settings()
    run_id = await find_run(settings, run)
    async with connecting.client(settings) as client:
        return run_id, await ask(client.run(run_id))


def _branch(member: Member) -> dict[str, Any]:
    first = _entry(member)
    left = [(member, first)]
    while left:
        each, shown = left.pop()
        for child in each.children:
            shown["children"].append(_entry(child))
            left.append((child, shown["children"][-1]))
    return first


def _entry(member: Member) -> dict[str, Any]:
    run = member.run
    return {
        "id": run.id,
        "workflow": run.workflow,
        "status": run.status,
        "step": run.parent_step,
        "created": run.created,
        "ended": run.ended,
        "children": [],
    }


def _lines(first: Member, found: str) -> Iterator[str]:
    """Return the lines of a family, each below its parent."""
    left = [(first, "", "")]
    while left:
        member, before, below = left.pop()
        run = member.run
        mark = "  <- this one" if run.id == found else ""
        yield f"{before}{run.id}  {run.workflow}  {run.status}  {run.done}/{run.total}{mark}"
        last = len(member.children) - 1
        left += [
            (child, below + ("└─ " if i == last else "├─ "), below + ("   " if i == last else "│  "))
            for i, child in reversed(list(enumerate(member.children)))
        ]


def _attempt(one: AttemptState) -> dict[str, Any]:
    return {
        "step": one.step,
        "attempt": one.attempt,
        "status": one.status,
        "started": one.started,
        "finished": one.finished,
        "took": Took(milliseconds(one.started), milliseconds(one.finished)),
        "worker": one.worker,
        "failure": Failed.of(one.failure),
        "logs": [line._asdict() for line in one.logs],
    }
