"""The command for changing a run with held steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.change import By, Change, Reason, changes, who
from stream_durable.cli.errors import UsageError
from stream_durable.cli.orders import tell_one
from stream_durable.cli.selection import RunId
from stream_durable.cli.values import read_json

if TYPE_CHECKING:
    from stream_durable.client.changing import ChangeOptions


@changes
def change(
    run: RunId,
    value: Annotated[
        str | None, typer.Option("--input", "-i", help="The new input: JSON, or @file, or -.")
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option("--context", help="A value in the context, as order.total=5; may be repeated."),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option("--step", help="The held step of --attempts, --timeout and --total."),
    ] = None,
    attempts: Annotated[int | None, typer.Option("--attempts", min=1, help="How many it has in all.")] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", help='Of an attempt, or of the wait, as "2m".')
    ] = None,
    total: Annotated[str | None, typer.Option("--total", help="Of all attempts together.")] = None,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Change a run with held steps, before a decision.

    Example: `stream-durable runs change order-42 --context order.account=DE1 --step charge --timeout 2m`
    """
    what: ChangeOptions = {}
    if value is not None:
        what["input"] = read_json(value, "--input")
    if context:
        what["context"] = dict(map(_at_path, context))
    if step is not None:
        what["step"] = step
    if attempts is not None:
        what["attempts"] = attempts
    if timeout is not None:
        what["timeout"] = timeout
    if total is not None:
        what["total"] = total
    tell_one("change", run, change, lambda handle: handle.change(reason=reason, by=who(by), **what))


def _at_path(text: str) -> tuple[str, Any]:
    """Return a path and a value; anything but JSON is a text."""
    path, is_given, value = text.partition("=")
    if not is_given:
        raise UsageError(f"--context takes a path and a value, as order.total=5, not {text!r}")
    try:
        return path, json.loads(value)
    except ValueError:
        return path, value
