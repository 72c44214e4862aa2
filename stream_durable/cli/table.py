"""Lays rows out on a terminal: ids and times unbroken, sentences with room or on a separate line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

#: A longer value may be wrapped even if it is no sentence.
_WORD_MAX: Final = 40
#: A column of sentences gets no fewer characters.
_SENTENCE_MIN: Final = 24
#: Between two columns, and where there is little room.
_GAP: Final = 3
_GAP_MIN: Final = 2


class _Column(NamedTuple):
    """A column with the cells of all rows."""

    name: str
    cells: list[Text]
    #: The longest cell, or the head.
    longest: int
    is_sentence: bool

    @property
    def least(self) -> int:
        """The least width to be read in."""
        return _SENTENCE_MIN if self.is_sentence else self.longest


def print_table(console: Console, names: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
    """Print rows as a table; sentences without room, and then the last columns, go below the row."""
    columns = [_column(name, [row[i] for row in rows]) for i, name in enumerate(names)]
    for gap in (_GAP, _GAP_MIN):
        if _fit(columns, console.width, gap):
            console.print(_table(columns, gap))
            return
    above = [column for column in columns if not column.is_sentence]
    while above and not _fit(above, console.width, _GAP_MIN):
        above.pop()
    if above:
        _print_below(console, above, [column for column in columns if column not in above], len(rows))
    else:
        console.print(_table([column._replace(is_sentence=True) for column in columns], _GAP_MIN))


def _column(name: str, cells: list[Text]) -> _Column:
    head = name.replace("_", " ")
    longest = max([len(head), *(len(cell) for cell in cells)])
    has_spaces = any(" " in cell.plain for cell in cells)
    is_sentence = longest > (_SENTENCE_MIN if has_spaces else _WORD_MAX)
    return _Column(head, cells, longest, is_sentence)


def _fit(columns: Sequence[_Column], width: int, gap: int) -> bool:
    return sum(column.least for column in columns) + gap * (len(columns) - 1) <= width


def _table(columns: Sequence[_Column], gap: int) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    # Between two columns the box has a space of its own.
    padding = (0, 1, 0, gap - 2)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", padding=padding)
    for column in columns:
        least = None if column.is_sentence else column.least
        table.add_column(column.name, no_wrap=not column.is_sentence, min_width=least, overflow="fold")
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return table


def _print_below(console: Console, above: Sequence[_Column], below: Sequence[_Column], rows: int) -> None:
    """Print the columns without room below each row."""
    from rich.padding import Padding
    from rich.segment import Segment, Segments

    lines = console.render_lines(_table(above, _GAP_MIN), pad=False)
    head = len(lines) - rows
    for i, line in enumerate(lines):
        console.print(Segments([*line, Segment.line()]))
        if i >= head and (text := _said(below, i - head)):
            console.print(Padding(text, (0, 0, 0, 2)))


def _said(columns: Sequence[_Column], row: int) -> Text:
    """Return the text below a row, with the name of each column; sentences last."""
    from rich.text import Text

    ordered = sorted(columns, key=lambda column: column.is_sentence)
    said = [
        Text.assemble((f"{column.name}: ", "dim"), cell) for column in ordered if (cell := column.cells[row])
    ]
    return Text("   ", overflow="fold").join(said)
