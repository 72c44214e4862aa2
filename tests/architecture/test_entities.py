"""A kind of entity is complete when each of its tables is written, loaded, compared and numbered."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from stream_durable.core.entities import ENTITIES, RARE_ROWS, SELDOM_ROWS, TABLES, USUAL_ROWS, Entity
from stream_durable.core.messages import MESSAGE_TYPES, Kind
from stream_durable.core.tables import Table
from stream_durable.postgres.queries import queries, usual, without_rare

#: Shares, outbox marks, timers, dead letters; and, seldom, held commands and their marks.
OTHERS, RARE_OTHERS = 4, 2


def test_every_kind_has_its_entry() -> None:
    assert set(ENTITIES) == set(get_args(Kind))
    # A gate is one of two: a circuit breaker, or what limits passages.
    assert len(get_args(Entity)) == len(ENTITIES) + 1


def test_every_kind_takes_the_messages_that_are_for_it() -> None:
    for kind, entry in ENTITIES.items():
        assert set(entry.handlers) == {message for message in MESSAGE_TYPES if message.kind == kind}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_can_be_written_loaded_and_compared(table: Table) -> None:
    names = {f"digest_{table.name}", f"mark_{table.name}", f"row_{table.name}"}
    if table.is_loaded:
        names.add(f"{table.name}_load")

    assert names <= set(queries())
    assert re.search(rf"insert into {table.name} \(", queries()["batch_commit"])
    assert len(table.row._fields) > table.key
    assert not table.needs or table.needs in table.row._fields[table.key :]


def test_the_statement_takes_as_many_arrays_as_are_handed_to_it() -> None:
    whole = queries()["batch_commit"]
    count = len(USUAL_ROWS) + len(SELDOM_ROWS) + OTHERS
    rare = len(RARE_ROWS) + RARE_OTHERS

    body = "\n".join(line for line in whole.splitlines() if not line.startswith("--"))
    assert {int(number) for number in re.findall(r"\$(\d+)", body)} == set(range(1, count + rare + 1))
    most = "\n".join(line for line in without_rare(whole).splitlines() if not line.startswith("--"))
    assert {int(number) for number in re.findall(r"\$(\d+)", most)} == set(range(1, count + 1))
    short = "\n".join(line for line in usual(whole).splitlines() if not line.startswith("--"))
    assert {int(number) for number in re.findall(r"\$(\d+)", short)} == set(range(1, len(USUAL_ROWS) + 3))
