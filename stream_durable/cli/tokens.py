"""Commands for steps ended from outside, by token or by run and step."""

from __future__ import annotations

import asyncio
import getpass
import sys
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from stream_durable.cli.change import Change, changes
from stream_durable.cli.errors import UsageError
from stream_durable.cli.history import ask_run
from stream_durable.cli.output import Format, Output, show_one
from stream_durable.cli.selection import RunId
from stream_durable.cli.values import load_settings, read_json

if TYPE_CHECKING:
    pass

app = typer.Typer(help="Steps ended from outside by a token.", no_args_is_help=True)

Token = Annotated[
    str | None,
    typer.Argument(
        metavar="[TOKEN]",
        help="The token, or - to read it from standard input, where no list of processes shows it.",
        show_default=False,
    ),
]
OfRun = Annotated[
    str | None,
    typer.Option("--run", help="Instead of a token: the run, or a unique beginning of its id, with --step."),
]
OfStep = Annotated[str | None, typer.Option("--step", help="The step of --run.")]
By = Annotated[str | None, typer.Option("--by", help="Who does it.", show_default="the user's name")]


class _Meant(NamedTuple):
    """A step by token, or by run and name."""

    token: str | None
    run: str | None
    step: str | None


@app.callback()
def _tokens() -> None:
    """Steps ended from outside by a token."""


@app.command("complete")
@changes
def complete(
    token: Token = None,
    value: Annotated[str, typer.Option("--value", help="The step's output: JSON, or @file, or -.")] = "null",
    run: OfRun = None,
    step: OfStep = None,
    by: By = None,
    *,
    change: Change,
) -> None:
    """Complete a step that ends by a token, with a value as its output.

    Example: `stream-durable tokens complete - --value '{"at": "10:40"}' < token.txt`
    """
    meant, given = _meant(token, run, step), read_json(value, "--value")
    change.make(
        "complete the step",
        lambda client: client.complete(meant.token, given, run=meant.run, step=meant.step, by=_by(by)),
        "Requested to complete the step.",
    )


@app.command("fail")
@changes
def fail(
    token: Token = None,
    message: Annotated[str, typer.Option("--message", "-m", help="For people: what went wrong.")] = "",
    code: Annotated[str, typer.Option("--code", help="For programs: what went wrong.")] = "failed",
    run: OfRun = None,
    step: OfStep = None,
    by: By = None,
    *,
    change: Change,
) -> None:
    """Fail a step that ends by a token.

    Example: `stream-durable tokens fail --run order-42 --step delivered --code lost -m "lost on the way"`
    """
    from stream_durable.sdk.answers import Fail

    meant, error = _meant(token, run, step), Fail(code, message, retryable=False)
    change.make(
        "fail the step",
        lambda client: client.fail(meant.token, error, run=meant.run, step=meant.step, by=_by(by)),
        "Requested to fail the step.",
        asks=True,
    )


@app.command("heartbeat")
@changes
def heartbeat(token: Token = None, run: OfRun = None, step: OfStep = None, *, change: Change) -> None:
    """Say that what a step waits for is still under way.

    Example: `stream-durable tokens heartbeat --run order-42 --step delivered`
    """
    meant = _meant(token, run, step)
    change.make(
        "send a heartbeat for the step",
        lambda client: client.heartbeat(meant.token, run=meant.run, step=meant.step),
        "Sent a heartbeat for the step.",
    )


@app.command("show")
def show_token(
    run: RunId,
    step: Annotated[str, typer.Argument(metavar="STEP", help="Name of the step.", show_default=False)],
    output: Output = Format.TABLE,
) -> None:
    """Print the token of a step, as the functions of its run get it. It is a secret.

    Example: `stream-durable tokens show order-42 delivered`
    """
    found, token = asyncio.run(ask_run(run, lambda handle: handle.token(step)))
    if output is Format.TABLE:
        typer.echo(token)
    else:
        show_one({"run": found, "step": step, "token": token}, output)


def _meant(token: str | None, run: str | None, step: str | None) -> _Meant:
    from stream_durable.cli.lookup import find_run

    if (token is None) == (run is None) or (run is None) != (step is None):
        raise UsageError("give a token, or --run and --step")
    if run is not None:
        run = asyncio.run(find_run(load_settings(), run))
    is_typed = token == "-"  # noqa: S105 - no token, but the word for standard input
    return _Meant(sys.stdin.readline().strip() if is_typed else token, run, step)


def _by(given: str | None) -> str:
    return given or getpass.getuser()
