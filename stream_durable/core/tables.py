"""The tables of entities, and rows for writing and loading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

R = TypeVar("R", bound=tuple[Any, ...])


class Table(NamedTuple):
    """A table that holds a part of each entity of a kind."""

    #: As it is called in the database.
    name: str
    #: The class of a row for writing, column by column.
    row: type[Any]
    #: How many columns make up the key, from the first on, which is the id of the entity.
    key: int
    #: A column; a row with nothing in it deletes the stored row.
    needs: str = ""
    #: Whether entities are loaded from it; otherwise it is for people alone.
    is_loaded: bool = True


class Rows(dict[type[Any], list[Any]]):
    """Rows to write, by class."""

    def of(self, row: type[R]) -> list[R]:
        """Return the rows of a class, to be added to."""
        found = self.get(row)
        if found is None:
            found = self[row] = []
        return found


#: Loaded rows of one entity, one list for each table.
Parts = Sequence[Sequence[Sequence[Any]]]
