"""Prints rows as a table for people, as JSON for programs, or as a JSON object per line for pipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stream_durable.cli.failures import Failed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Row = Mapping[str, Any]


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class Share:
    """How many of all: `1/3` for people, an object of two numbers for programs."""

    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.done}/{self.total}"


@dataclass(frozen=True, slots=True)
class Took:
    """The time between two moments in milliseconds; empty while a moment is unknown."""

    begin: int | None
    end: int | None

    @property
    def milliseconds(self) -> int | None:
        return None if self.begin is None or self.end is None else self.end - self.begin

    def __str__(self) -> str:
        return "" if self.milliseconds is None else _length(self.milliseconds)


Output = Annotated[
    Format, typer.Option("--output", "-o", help="A table, a JSON list, or a JSON object per line.")
]

#: Colours by the meaning of a status.
_COLOURS: Final = {
    "completed": "green", "failed": "red", "compensation_failed": "red", "merged": "dim",
    "cancelled": "yellow", "compensated": "yellow",
    "retrying": "yellow", "waiting": "blue", "running": "cyan", "ready": "cyan",
    "held": "magenta",
    "ok": "green", "create": "cyan", "change": "cyan", "warning": "yellow", "refuse": "red",
}  # fmt: skip
_NOTHING: Final = frozenset({"", "false", "0", "[]", "{}"})
#: On a terminal a longer value is shortened in the middle: the end distinguishes similar values.
_CELL_MAX: Final = 300


def console(*, stderr: bool = False) -> Console:
    """Return a console without colours and cuts when writing to a pipe."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        return Console(stderr=stderr, highlight=False)
    return Console(stderr=stderr, width=10_000, highlight=False, color_system=None)


def show(rows: Iterable[Row], columns: Sequence[str], output: Format, *, empty: str) -> None:
    """Print rows; the columns are those of the table, programs get all there is."""
    match output:
        case Format.JSON:
            typer.echo(json.dumps(to_json(list(rows)), indent=2))
        case Format.JSONL:
            for row in rows:
                typer.echo(json.dumps(to_json(row)))
        case Format.TABLE:
            _show_table(list(rows), columns, empty)


def show_one(row: Row, output: Format) -> None:
    """Print one object for programs, over several lines or on one."""
    typer.echo(json.dumps(to_json(row), indent=2 if output is Format.JSON else None))


def show_facts(row: Row, leave_out: Collection[str] = ()) -> None:
    """Print one object for people: a line for each field with a value."""
    for name, value in row.items():
        if name not in leave_out and (text := cell_text(value)) not in _NOTHING:
            typer.echo(f"{name.replace('_', ' '):<12} {text}")


def to_json(value: Any) -> Any:
    """Return a value as programs get it: times as ISO 8601 in UTC, lengths of time as `<name>_ms`, numbers
    as numbers."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case Took():
            return value.milliseconds
        case Share():
            return asdict(value)
        case Mapping():
            return dict(_entry(str(name), one) for name, one in value.items())
        case list() | tuple() | set() | frozenset():
            return [to_json(one) for one in value]
        case str() | int() | float() | None:
            return value
        case _:
            return str(value)


def _entry(name: str, value: Any) -> tuple[str, Any]:
    """Return a name with the unit, and the value."""
    return f"{name}_ms" if isinstance(value, Took) else name, to_json(value)


def _show_table(rows: list[Row], columns: Sequence[str], empty: str) -> None:
    from stream_durable.cli.table import print_table

    if not rows:
        typer.echo(empty)
        return
    print_table(console(), columns, [[_cell(row.get(column)) for column in columns] for row in rows])


def _cell(value: object) -> Text:
    from rich.text import Text

    text = cell_text(value, _CELL_MAX if sys.stdout.isatty() else None)
    return Text(text, style=_COLOURS.get(text, ""))


def cell_text(value: object, length_max: int | None = None) -> str:
    """Return a value as the text of a table cell: on one line, shortened in the middle to a width."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Share | Took):
        return str(value)
    text = str(value) if isinstance(value, str | Failed) else json.dumps(value, default=str)
    text = " ".join(text.split())
    if length_max is None or len(text) <= length_max:
        return text
    kept = length_max - 1
    return f"{text[: kept - kept // 2]}…{text[-(kept // 2) :]}"


def milliseconds(moment: datetime | None) -> int | None:
    """Return a moment as stored."""
    return None if moment is None else round(moment.timestamp() * 1_000)


def lasted(begin: int | None, end: int | None) -> str | None:
    """Return the time between two moments as text, in a suitable unit."""
    return str(Took(begin, end)) or None


def _length(milliseconds: int) -> str:
    seconds = milliseconds / 1_000
    if seconds < 1:
        return f"{milliseconds} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"
