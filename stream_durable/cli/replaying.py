"""Options of commands for past records."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from stream_durable.cli.selection import read_time

if TYPE_CHECKING:
    from stream_durable.client.replaying import ReplayOptions

Since = Annotated[str, typer.Option("--since", help="From this time, as 2030-01-31T09:00, or offset.")]
Until = Annotated[
    str | None, typer.Option("--until", help="Before this time or offset, instead of the present end.")
]
Partition = Annotated[int | None, typer.Option("--partition", help="This partition alone.")]
Pace = Annotated[str, typer.Option("--pace", help="The time between one record and the next.")]


def replay_of(
    since: str, until: str | None, partition: int | None, pace: str, *, preview: bool
) -> tuple[datetime | int, datetime | int | None, ReplayOptions]:
    """Return the places and options of a replay."""
    options: ReplayOptions = {"pace": pace, "preview": preview}
    if partition is not None:
        options["partition"] = partition
    return _place(since, "--since"), None if until is None else _place(until, "--until"), options


def _place(text: str, option: str) -> datetime | int:
    return int(text) if text.isdecimal() else read_time(text, option)
