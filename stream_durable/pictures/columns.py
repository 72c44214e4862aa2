"""Aligned rows of text, for pictures on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stream_durable.pictures.colours import COLOURS

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Line(NamedTuple):
    """Cells of a row, with the status for the colour of a cell."""

    cells: tuple[str, ...]
    status: str | None = None
    coloured: int = -1


def laid_out(lines: Sequence[Line], *, is_coloured: bool, right: Iterable[int] = ()) -> list[str]:
    """Return the rows with aligned cells; empty columns take no room."""
    rows = [Line(tuple(_CONTROL.sub(" ", cell) for cell in line.cells), *line[1:]) for line in lines]
    count = max((len(row.cells) for row in rows), default=0)
    widths = [max((len(row.cells[c]) for row in rows if c < len(row.cells)), default=0) for c in range(count)]
    to_right = set(right)
    return [_row(row, widths, to_right, is_coloured=is_coloured) for row in rows]


def _row(row: Line, widths: Sequence[int], right: set[int], *, is_coloured: bool) -> str:
    last = max((c for c, cell in enumerate(row.cells) if cell), default=-1)
    parts = []
    for c, cell in enumerate(row.cells[: last + 1]):
        if not widths[c]:
            continue
        padded = cell.rjust(widths[c]) if c in right else cell.ljust(widths[c] if c < last else 0)
        if is_coloured and c == row.coloured and row.status in COLOURS and cell:
            code = COLOURS[row.status].terminal
            padded = padded.replace(cell, f"\x1b[{code}m{cell}\x1b[0m", 1)
        parts.append(padded)
    return "  ".join(parts)
