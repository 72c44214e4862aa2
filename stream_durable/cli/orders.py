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
    from stream_durable.client import AsyncClient, RunFilter, RunHandle

#: Requests without a way back, confirmed at a terminal.
_FOR_GOOD: Final = frozenset({"cancel", "skip", "fail"})
#: Runs named by a rehearsal for many.
_SHOWN: Final = 10

Step = Annotated[str, typer.Argument(help="Name of the step, or of a group of steps.")]


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
    """Cancel a run, a step of a run, or all runs matching the options.

    Running attempts are asked to stop, children are cancelled too, and the run's clean-up is done.

    Example: `stream-durable runs cancel order-42 --reason "ordered twice"`
    """
    if step is not None:
        if run is None or compensate:
            raise typer.BadParameter("--step is for one run, and without --compensate")
        tell_one(
            "cancel",
            run,
            change,
            lambda handle: handle.cancel_step(step, reason, by=who(by)),
            f"{step} of ",
        )
        return
    _tell(
        "cancel", run, which, change,
        lambda handle: handle.cancel(reason, compensate=compensate, by=who(by)),
        lambda client, chosen: client.cancel_all(
            chosen, reason, compensate=compensate, by=who(by), progress=_progress
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
    _tell(
        "pause", run, which, change,
        lambda handle: handle.pause(reason, by=who(by)),
        lambda client, chosen: client.pause_all(chosen, reason, by=who(by), progress=_progress),
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
    _tell(
        "resume", run, which, change,
        lambda handle: handle.resume(reason, context=merged, by=who(by)),
        lambda client, chosen: client.resume_all(
            chosen, reason, context=merged, by=who(by), progress=_progress
        ),
    )  # fmt: skip


@changes
def skip(run: RunId, step: Step, reason: Reason = "", by: By = None, *, change: Change) -> None:
    """Skip a step, or a group of steps; later steps go on.

    Example: `stream-durable runs skip order-42 released --reason "released by phone"`
    """
    tell_one("skip", run, change, lambda handle: handle.skip_step(step, reason, by=who(by)), f"{step} of ")


@changes
def complete(
    run: RunId,
    step: Annotated[str, typer.Argument(help="Name of the held step.")],
    value: Annotated[str, typer.Option("--value", help="Its output: JSON, or @file, or -.")] = "null",
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Complete a held step with a value of the step's type; later steps go on.

    Example: `stream-durable runs complete order-42 charge --value '{"number": "R-42"}' --by tom`
    """
    output = read_json(value, "--value")
    tell_one(
        "complete",
        run,
        change,
        lambda handle: handle.complete_step(step, output, by=who(by), reason=reason),
        f"{step} of ",
    )


@changes
def fail(
    run: RunId,
    step: Annotated[str, typer.Argument(help="Name of the held step.")],
    error: Annotated[
        str, typer.Option("--error", help="Why, in place of the failure that it is held for.")
    ] = "",
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Fail a held step, and so the run, or the group around the step.

    Example: `stream-durable runs fail order-42 charge --reason "the card is stolen" --by tom`
    """
    tell_one(
        "fail",
        run,
        change,
        lambda handle: handle.fail_step(step, error, by=who(by), reason=reason),
        f"{step} of ",
    )


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
        if run is None:
            raise typer.BadParameter("--step is for one run")
        tell_one(
            "retry", run, change, lambda handle: handle.retry(step, whole=whole, reason=reason, by=who(by)),
            f"{step} of ",
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
    _tell(
        "retry", run, which, change,
        lambda handle: handle.retry(whole=whole, reason=reason, by=who(by)),
        lambda client, chosen: client.retry_all(
            chosen, whole=whole, reason=reason, by=who(by), progress=_progress
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
    _tell(
        "review", run, which, change,
        lambda handle: handle.mark_reviewed(reason, by=who(by)),
        lambda client, chosen: client.mark_all_reviewed(chosen, reason, by=who(by), progress=_progress),
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
        return await client.run(await _found(run, may_have_ended=True)).start_again(id=run_id, **given)

    change.make(
        f"start {run} again", start, _started, facts=lambda made: {"id": made.id, "created": made.created}
    )


def _started(started: RunHandle) -> str:
    return f"Started {started.id}." if started.created else f"It was started before: {started.id}."


def _tell(
    verb: str,
    run: str | None,
    which: Selection,
    change: Change,
    one: Callable[[RunHandle], Awaitable[str]],
    many: Callable[[AsyncClient, RunFilter], Awaitable[int]],
) -> None:
    one_or_many(run, which)
    if run is not None:
        tell_one(verb, run, change, one)
    else:
        _tell_many(verb, which, change, many)


def tell_one(
    verb: str, run: str, change: Change, order: Callable[[RunHandle], Awaitable[str]], what: str = ""
) -> None:
    async def act(client: AsyncClient) -> str:
        found = await _found(run, may_have_ended=verb in ("retry", "review"))
        await order(client.run(found))
        return found

    change.make(
        f"{verb} {what}{run}",
        act,
        lambda found: f"Requested to {verb} {what}{found}.",
        facts=lambda found: {"run": found},
        asks=verb in _FOR_GOOD,
    )


async def _found(written: str, *, may_have_ended: bool) -> str:
    """Return the id of a run, unless it has ended, so that nothing would change."""
    from stream_durable import operating
    from stream_durable.cli.lookup import find_in

    async with operating.views(load_settings()) as views:
        run = await find_in(views, written)
        row = await views.run_get(run)
    if row is not None and row.ended is not None and not may_have_ended:
        raise RejectedError("has_ended", f"run {run!r} has ended as {row.status}: nothing would change")
    return run


def _tell_many(
    verb: str,
    which: Selection,
    change: Change,
    order: Callable[[AsyncClient, RunFilter], Awaitable[int]],
) -> None:
    """Send the request to all matching runs after confirmation."""
    from stream_durable.client.rehearsal import Rehearsed

    chosen = which.filter()

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
        _would(verb, change, [(one.key or b"").decode() for one in rehearsed.records])
        return
    if change.dry_run:
        _would(verb, change, [])
    elif count is not None:
        runs = "1 run" if count == 1 else f"{count} runs"
        change.made(f"{verb} {runs}", f"Requested to {verb} {runs}.", runs=count)


def _would(verb: str, change: Change, runs: list[str]) -> None:
    """Print the first runs of a rehearsal for many."""
    from stream_durable.client.together import PAGE_RUNS

    more = " or more" if len(runs) == PAGE_RUNS else ""
    number = "1 run" if len(runs) == 1 else f"{len(runs)}{more} runs"
    shown = f": {', '.join(runs[:_SHOWN])}{', …' if len(runs) > _SHOWN else ''}" if runs else ""
    if change.output is Format.TABLE:
        change.would(f"{verb} {number}{shown}")
    else:
        change.would(f"{verb} {number}", runs=runs)


def _progress(told: int) -> None:
    typer.echo(f"{told:,} requested", err=True)
