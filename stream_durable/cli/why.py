"""`why`: explains a standstill."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.output import Format, Output, show_one
from stream_durable.cli.selection import RunId
from stream_durable.cli.values import load_settings

if TYPE_CHECKING:
    from stream_durable.explain.explained import Explanation
    from stream_durable.settings import Settings

StepName = Annotated[str | None, typer.Argument(help="Name of a step.", show_default="the run")]

_MARKS = {"passed": "✓", "holds": "→", "open": "–"}


def why(run: RunId, step: StepName = None, output: Output = Format.TABLE) -> None:
    """Say why a run or a step is not moving: since when, until when, and what happens next.

    For a step, all checks up to the first unmet one are printed. Programs get a code from a closed set, and
    the facts.

    Example: `stream-durable why order-42 charge`
    """
    _explain(run, step, output)


def runs_why(run: RunId, step: StepName = None, output: Output = Format.TABLE) -> None:
    """Say why a run or a step is not moving, as `stream-durable why` does.

    Example: `stream-durable runs why order-42 charge`
    """
    _explain(run, step, output)


def _explain(run: str, step: str | None, output: Format) -> None:
    found = asyncio.run(_why(load_settings(), run, step))
    if output is Format.TABLE:
        for line in _lines(found):
            typer.echo(line)
    else:
        show_one(_row(found), output)


async def _why(settings: Settings, written: str, step: str | None) -> Explanation:
    from stream_durable import connecting
    from stream_durable.cli.lookup import find_run
    from stream_durable.core.errors import TransientError

    try:
        run = await find_run(settings, written)
    except TransientError:
        # Postgres does not answer: that is an explanation, too, for an id written out.
        run = written
    async with connecting.client(settings) as client:
        return await client.run(run).why(step)


def _lines(found: Explanation) -> Iterator[str]:
    yield f"{found.word}: {found.sentence}"
    if found.others:
        others = ", ".join(f"{count} {word}" for word, count in found.others.items())
        yield f"Other steps: {others}."
    for check in found.checks:
        yield f"  {_MARKS[check.state]} {check.name:<8}  {check.text}"


def _row(found: Explanation) -> dict[str, Any]:
    return {**found._asdict(), "checks": [check._asdict() for check in found.checks]}
