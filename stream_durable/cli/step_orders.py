"""Commands that decide about steps: of a run by id, or of all runs matching the options."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from stream_durable.cli.change import By, Change, Reason, changes, who
from stream_durable.cli.orders import progress, tell
from stream_durable.cli.selection import OptionalRunId, Selection, selects
from stream_durable.cli.values import read_json

_EVERY: Final = "every held step"

#: After the run; without one, or without a run, see `--step`.
OptionalStep = Annotated[
    str | None, typer.Argument(metavar="[STEP]", help="Name of the step.", show_default=False)
]
ForMany = Annotated[
    str | None,
    typer.Option("--step", help="The step, for all runs matching the options.", show_default=_EVERY),
]


@selects
@changes
def skip(
    which: Selection,
    run: OptionalRunId = None,
    step: OptionalStep = None,
    many: ForMany = None,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Skip a step, or a group of steps; later steps go on. For a run, or for all runs matching the options.

    For many without `--step`, every held step is skipped, and every failed compensation accepted.

    Example: `stream-durable runs skip order-42 released --reason "released by phone"`
    """
    name = _named(run, step, many)
    tell(
        _verb("skip", name), run, which, change,
        lambda handle: handle.skip_step(name or "", reason, by=who(by)),
        lambda client, chosen: client.skip_all(chosen, name, reason, by=who(by), progress=progress),
        lambda client, chosen: client.find_steps("skip", chosen, name),
    )  # fmt: skip


@selects
@changes
def complete(
    which: Selection,
    run: OptionalRunId = None,
    step: OptionalStep = None,
    many: Annotated[str | None, typer.Option("--step", help="The held step, for many runs.")] = None,
    value: Annotated[str, typer.Option("--value", help="Its output: JSON, or @file, or -.")] = "null",
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Complete a held step with a value of the step's type; later steps go on.

    For a run, or with `--step` for all runs matching the options.

    Example: `stream-durable runs complete order-42 charge --value '{"number": "R-42"}' --by tom`
    """
    output, name = read_json(value, "--value"), _named(run, step, many)
    if name is None:
        raise typer.BadParameter("name the step by --step")
    tell(
        _verb("complete", name), run, which, change,
        lambda handle: handle.complete_step(name, output, by=who(by), reason=reason),
        lambda client, chosen: client.complete_all(
            chosen, name, output, reason, by=who(by), progress=progress
        ),
        lambda client, chosen: client.find_steps("complete", chosen, name, value=output),
    )  # fmt: skip


@selects
@changes
def fail(
    which: Selection,
    run: OptionalRunId = None,
    step: OptionalStep = None,
    many: ForMany = None,
    error: Annotated[
        str, typer.Option("--error", help="Why, in place of the failure that it is held for.")
    ] = "",
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Fail a held step, and so the run, or the group around the step; or those of all matching runs.

    Example: `stream-durable runs fail order-42 charge --reason "the card is stolen" --by tom`
    """
    name = _named(run, step, many)
    tell(
        _verb("fail", name), run, which, change,
        lambda handle: handle.fail_step(name or "", error, by=who(by), reason=reason),
        lambda client, chosen: client.fail_all(
            chosen, name, error, reason, by=who(by), progress=progress
        ),
        lambda client, chosen: client.find_steps("fail", chosen, name),
    )  # fmt: skip


def _named(run: str | None, step: str | None, many: str | None) -> str | None:
    """Return the named step; for one run there must be one, and only one name."""
    if run is not None and step is None:
        raise typer.BadParameter("name the step after the run; for many runs give conditions, and --step")
    if step is not None and many is not None:
        raise typer.BadParameter("name the step once")
    return step or many


def _verb(word: str, step: str | None) -> str:
    return f"{word} held steps of" if step is None else f"{word} {step} of"
