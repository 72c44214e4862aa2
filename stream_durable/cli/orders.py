"""Commands for changing runs: a run by id, or all runs matching the options."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from stream_durable.cli.change import By, Change, Reason, changes, who
from stream_durable.cli.output import Format
from stream_durable.cli.selection import OptionalRunId, RunId, Selection, one_or_many, selects
from stream_durable.cli.values import load_settings, read_json
from stream_durable.core.errors import RejectedError

if TYPE_CHECKING:
    from stream_durable.client import AsyncClient, RunFilter, RunHandle, StepRuns

#: Requests without a way back, confirmed at a terminal.
_FOR_GOOD: Final = frozenset({"cancel", "skip", "fail"})
_ENDED: Final = frozenset(
    {"completed", "failed", "cancelled", "compensated", "compensation_failed", "merged"}
)
#: The statuses of ended runs that a request is still for: a failed compensation is skipped after the end.
_MAY_HAVE_ENDED: Final = {
    "retry": _ENDED, "review": _ENDED, "again": _ENDED, "skip": frozenset({"compensation_failed"}),
}  # fmt: skip
#: Runs named by a rehearsal for many.
_SHOWN: Final = 10


@selects
@changes
def cancel(
    which: Selection,
    run: OptionalRunId = None,
    reason: Reason = "",
    compensate: Annotated[
        bool, typer.Option("--compensate", help="Undo what completed, as if the run had failed.")
    ] = False,
    step: Annotated[str | None, typer.Option("--step", help="Only this step, or group of steps.")] = None,
    by: By = None,
    *,
    change: Change,
) -> None:
    """Cancel a run, or all runs matching the options; or only a step of each.

    Running attempts are asked to stop, children are cancelled too, and the run's clean-up is done.

    Example: `stream-durable runs cancel order-42 --reason "ordered twice"`
    """
    if step is not None:
        if compensate:
            raise typer.BadParameter("--step is without --compensate")
        tell(
            f"cancel {step} of", run, which, change,
            lambda handle: handle.cancel_step(step, reason, by=who(by)),
            lambda client, chosen: client.cancel_all(
                chosen, reason, step=step, by=who(by), progress=progress
            ),
            lambda client, chosen: client.find_steps("cancel", chosen, step),
        )  # fmt: skip
        return
    tell(
        "cancel", run, which, change,
        lambda handle: handle.cancel(reason, compensate=compensate, by=who(by)),
        lambda client, chosen: client.cancel_all(
            chosen, reason, compensate=compensate, by=who(by), progress=progress
        ),
    )  # fmt: skip


@selects
@changes
def pause(
    which: Selection, run: OptionalRunId = None, reason: Reason = "", by: By = None, *, change: Change
) -> None:
    """Let no step begin until the run is resumed; for a run, or for all runs matching the options.

    Steps under way go on, and so does time.

    Example: `stream-durable runs pause order-42 --reason "the bank is away"`
    """
    tell(
        "pause", run, which, change,
        lambda handle: handle.pause(reason, by=who(by)),
        lambda client, chosen: client.pause_all(chosen, reason, by=who(by), progress=progress),
    )  # fmt: skip


@selects
@changes
def resume(
    which: Selection,
    run: OptionalRunId = None,
    context: Annotated[
        str | None,
        typer.Option("--context", help="A JSON object to merge into the run's context, or @file, or -."),
    ] = None,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Resume a paused run, or all paused runs matching the options.

    Example: `stream-durable runs resume order-42 --context '{"approved_by": "tom"}'`
    """
    merged = None if context is None else read_json(context, "--context")
    tell(
        "resume", run, which, change,
        lambda handle: handle.resume(reason, context=merged, by=who(by)),
        lambda client, chosen: client.resume_all(
            chosen, reason, context=merged, by=who(by), progress=progress
        ),
    )  # fmt: skip


@selects
@changes
def retry(
    which: Selection,
    run: OptionalRunId = None,
    step: Annotated[str | None, typer.Option("--step", help="Retry this step and all later steps.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Retry everything, from the beginning.")] = False,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Retry the failed, held or cancelled steps of a run and all later ones, or of all runs of the options.

    Example: `stream-durable runs retry order-42 --step charge`
    """
    if step is not None:
        tell(
            f"retry {step} of", run, which, change,
            lambda handle: handle.retry(step, whole=whole, reason=reason, by=who(by)),
            lambda client, chosen: client.retry_all(
                chosen, whole=whole, step=step, reason=reason, by=who(by), progress=progress
            ),
            lambda client, chosen: client.find_steps("retry", chosen, step),
        )  # fmt: skip
        return
    redrive(run, which, change, whole=whole, reason=reason, by=by)


def redrive(
    run: str | None,
    which: Selection,
    change: Change,
    *,
    whole: bool,
    reason: str = "",
    by: str | None = None,
) -> None:
    """Retry steps in one run, or in all matching runs that ended badly."""
    tell(
        "retry", run, which, change,
        lambda handle: handle.retry(whole=whole, reason=reason, by=who(by)),
        lambda client, chosen: client.retry_all(
            chosen, whole=whole, reason=reason, by=who(by), progress=progress
        ),
    )  # fmt: skip


@selects
@changes
def review(
    which: Selection, run: OptionalRunId = None, reason: Reason = "", by: By = None, *, change: Change
) -> None:
    """Mark a failed run, or all failed runs matching the options, as looked at: it needs nobody any more.

    A retry takes the mark away.

    Example: `stream-durable runs review order-42 --reason "paid by hand"`
    """
    tell(
        "review", run, which, change,
        lambda handle: handle.mark_reviewed(reason, by=who(by)),
        lambda client, chosen: client.mark_all_reviewed(chosen, reason, by=who(by), progress=progress),
    )  # fmt: skip


@changes
def again(
    run: RunId,
    run_id: Annotated[
        str | None, typer.Option("--id", help="Starting twice with one id is one run.", show_default="random")
    ] = None,
    input_json: Annotated[
        str | None,
        typer.Option(
            "--input", help="Another input: JSON, or @file, or - for standard input.", show_default="the same"
        ),
    ] = None,
    *,
    change: Change,
) -> None:
    """Start another run with the same tags and metadata, by the newest version of its workflow.

    Example: `stream-durable runs again order-42 --id order-42-b`
    """
    given = {} if input_json is None else {"input": read_json(input_json, "--input")}

    async def start(client: AsyncClient) -> RunHandle:
        return await client.run(await _found(run, "again")).start_again(id=run_id, **given)

    change.make(
        f"start {run} again", start, _started, facts=lambda made: {"id": made.id, "created": made.created}
    )


def _started(started: RunHandle) -> str:
    return f"Started {started.id}." if started.created else f"It was started before: {started.id}."


def tell(
    verb: str,
    run: str | None,
    which: Selection,
    change: Change,
    one: Callable[[RunHandle], Awaitable[str]],
    many: Callable[[AsyncClient, RunFilter], Awaitable[int]],
    preview: Callable[[AsyncClient, RunFilter], Awaitable[StepRuns]] | None = None,
) -> None:
    """Send a request to one run, or to all matching runs after confirmation.

    For requests to steps `preview` finds the runs of a rehearsal.
    """
    one_or_many(run, which)
    if run is not None:
        tell_one(verb, run, change, one)
    else:
        _tell_many(verb, which, change, many, preview)


def tell_one(
    verb: str, run: str, change: Change, order: Callable[[RunHandle], Awaitable[str]], what: str = ""
) -> None:
    """Send a request to one run."""
    word = verb.split(maxsplit=1)[0]

    async def act(client: AsyncClient) -> str:
        found = await _found(run, word)
        await order(client.run(found))
        return found

    change.make(
        f"{verb} {what}{run}",
        act,
        lambda found: f"Requested to {verb} {what}{found}.",
        facts=lambda found: {"run": found},
        asks=word in _FOR_GOOD,
    )


async def _found(written: str, verb: str) -> str:
    """Return the id of a run, unless the end of the run lets nothing change."""
    from stream_durable import operating
    from stream_durable.cli.lookup import find_in

    async with operating.views(load_settings()) as views:
        run = await find_in(views, written)
        row = await views.run_get(run)
    may_have_ended = _MAY_HAVE_ENDED.get(verb)
    if row is not None and row.ended is not None and not (may_have_ended and row.status in may_have_ended):
        raise RejectedError("has_ended", f"run {run!r} has ended as {row.status}: nothing would change")
    return run


def _tell_many(
    verb: str,
    which: Selection,
    change: Change,
    order: Callable[[AsyncClient, RunFilter], Awaitable[int]],
    preview: Callable[[AsyncClient, RunFilter], Awaitable[StepRuns]] | None,
) -> None:
    """Send the request to all matching runs after confirmation."""
    from stream_durable.client.rehearsal import Rehearsed
    from stream_durable.client.together import PAGE_RUNS

    chosen = which.filter()
    if preview is not None and change.dry_run:
        found = asyncio.run(change.through_client(lambda client: preview(client, chosen)))
        _would(verb, change, list(found.runs), has_more=not found.is_exact)
        return

    async def act(client: AsyncClient) -> int | None:
        if not (change.yes or change.dry_run):
            found = await client.count(chosen)
            number = found.found if found.is_exact else f"more than {found.found}"
            question = f"These conditions are met by {number} runs. {verb.capitalize()} those that can be?"
            if not await asyncio.to_thread(typer.confirm, question, err=True):
                return None
        return await order(client, chosen)

    try:
        count = asyncio.run(change.through_client(act))
    except Rehearsed as rehearsed:
        runs = [(one.key or b"").decode() for one in rehearsed.records]
        _would(verb, change, runs, has_more=len(runs) == PAGE_RUNS)
        return
    if change.dry_run:
        _would(verb, change, [], has_more=False)
    elif count is not None:
        number = "1 run" if count == 1 else f"{count} runs"
        change.made(f"{verb} {number}", f"Requested to {verb} {number}.", runs=count)


def _would(verb: str, change: Change, runs: list[str], *, has_more: bool) -> None:
    """Print the first runs of a rehearsal for many."""
    more = " or more" if has_more else ""
    number = "1 run" if len(runs) == 1 else f"{len(runs)}{more} runs"
    shown = f": {', '.join(runs[:_SHOWN])}{', …' if len(runs) > _SHOWN else ''}" if runs else ""
    if change.output is Format.TABLE:
        change.would(f"{verb} {number}{shown}")
    else:
        change.would(f"{verb} {number}", runs=runs)


def progress(told: int) -> None:
    """Print how many runs were asked so far."""
    typer.echo(f"{told:,} requested", err=True)
