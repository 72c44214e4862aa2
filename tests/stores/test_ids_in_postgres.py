"""What may be an id can be stored: wherever an id is part of a key, and however wide its characters are."""

import random
import string
import unicodedata
from collections.abc import Iterator
from uuid import uuid4

import asyncpg
import pytest
from stores.store_contract import run_row, share, step_row

from stream_durable.core.attributes import NAME_BYTES_MAX, TEXT_BYTES_MAX
from stream_durable.core.channel.rows import EventRow, ExpiredRow, WaitRow
from stream_durable.core.gate.rows import PlaceRow
from stream_durable.core.ids import ID_BYTES_MAX, byte_length, clipped, fits
from stream_durable.core.later.rows import LaterRow
from stream_durable.core.run.attribute_rows import AttributeRow
from stream_durable.core.run.rows import AttemptRow, RunRow, StepRow
from stream_durable.core.schedule.rows import FiringRow, ScheduleRow
from stream_durable.ports import TimerRow
from stream_durable.postgres.migrate import migrate
from stream_durable.postgres.store import PostgresStore
from stream_durable.settings import PostgresSettings

pytestmark = pytest.mark.real

#: Of each, one point per class that it holds: letters of one to four bytes, marks, digits, signs, spaces.
CLASSES: dict[str, list[str]] = {}
for point in (*range(1, 0x3000), *range(0x4E00, 0x5200), *range(0x1F300, 0x1F700)):
    CLASSES.setdefault(unicodedata.category(chr(point)), []).append(chr(point))
#: Around every length at which something changes.
LENGTHS = (1, 127, 128, 129, 170, 171, 256, 257, 511, 512, 513)


def texts() -> Iterator[str]:
    """Random, so that the server cannot compress them."""
    drawn = random.Random(20260601)
    for characters in CLASSES.values():
        for length in LENGTHS:
            yield "".join(drawn.choices(characters, k=length))
    for bytes_of_one in range(1, 5):
        wide = [c for held in CLASSES.values() for c in held if len(c.encode()) == bytes_of_one]
        yield "".join(drawn.choices(wide, k=ID_BYTES_MAX // bytes_of_one))


def test_a_text_fits_by_its_bytes() -> None:
    taken = [text for text in texts() if fits(text)]

    assert all(len(text.encode()) <= ID_BYTES_MAX for text in taken)
    assert all(len(text.encode()) > ID_BYTES_MAX for text in texts() if text not in taken)
    assert {byte_length(text) for text in taken if not text.isascii()} >= {ID_BYTES_MAX}
    assert len(taken) > 100


def test_what_is_clipped_fits_and_is_a_beginning() -> None:
    for text in texts():
        short = clipped(text)
        assert fits(short)
        assert text.startswith(short)
        assert short == text or byte_length(short) > ID_BYTES_MAX - 4


def wide_text(text: str) -> str:
    """Return as long a value of an attribute as there is, which the server cannot compress."""
    drawn = random.Random(text).choices(string.ascii_letters + string.digits, k=TEXT_BYTES_MAX)
    return "".join(drawn)


async def test_every_id_that_is_taken_can_be_part_of_every_key(database: str) -> None:
    settings = PostgresSettings(dsn=database, db_schema="ids")
    await migrate(settings, 1)
    store = PostgresStore(settings)
    token = uuid4()
    await store.claim(0, "owner", token)
    found = share(token)
    taken = list(dict.fromkeys(text for text in texts() if fits(text)))
    for text in taken:
        found.rows.of(RunRow).append(run_row(text)._replace(parent=text, workflow=text))
        found.rows.of(StepRow).append(step_row(text, text))
        found.rows.of(AttemptRow).append(AttemptRow(text, text, 1, 0, "failed", 1, 2, text, b"{}", b"[]"))
        found.rows.of(EventRow).append(EventRow(text, text, 0, b"1", 10))
        found.rows.of(ExpiredRow).append(ExpiredRow(text, text, 0, 10))
        found.rows.of(WaitRow).append(WaitRow(text, text, text, 0, 1, 1))
        found.timers.append(TimerRow("channel", text, text, 0, 10))
        found.rows.of(LaterRow).append(LaterRow(text, 0, 10, 10, "", b"{}"))
        found.rows.of(ScheduleRow).append(ScheduleRow(text, 0, b"{}"))
        found.rows.of(FiringRow).append(FiringRow(text, text, 0, 10))
        found.rows.of(AttributeRow).append(AttributeRow(text, "a" * 64, 0, text, "t" + wide_text(text)))
        found.rows.of(PlaceRow).append(PlaceRow(text, text, text, 0, 1, 1, True))

    assert await store.commit([found])

    loaded = await store.load({"run": taken, "channel": taken, "gate": taken})
    await store.close()
    assert {row[0] for row in loaded[RunRow]} == {row[1] for row in loaded[StepRow]} == set(taken)
    assert {tuple(row)[:3] for row in loaded[WaitRow]} == {(text, text, text) for text in taken}


async def test_the_widest_key_of_the_schema_is_measured(database: str) -> None:
    """Three ids are the most that a key is made of: with a fourth the bound would have to be another.

    The index of attributes has two, besides a name and a value, which are bounded by themselves.
    """
    settings = PostgresSettings(dsn=database, db_schema="ids")
    await migrate(settings, 1)
    connection = await asyncpg.connect(database, server_settings={"search_path": "ids"})

    widest = await connection.fetchval(
        "select max((select count(*) from pg_attribute a where a.attrelid = i.indexrelid"
        " and a.atttypid = 'text'::regtype)) from pg_index i join pg_class c on c.oid = i.indrelid"
        " where c.relnamespace = 'ids'::regnamespace and c.relname <> 'run_attribute'"
    )

    await connection.close()
    assert widest == 3
    assert widest * (ID_BYTES_MAX + 8) + 32 <= 2_704
    assert 2 * (ID_BYTES_MAX + 8) + NAME_BYTES_MAX + 8 + TEXT_BYTES_MAX + 1 + 8 + 32 <= 2_704
