"""Records of the log without evidence are found, and evidence that was removed by age is no fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import msgspec
import pytest
from instances import running, settings_of
from replay.replay_world import MemoryLog
from waiting import eventually

from stream_durable import App, Workflow, bootstrap
from stream_durable.local.kafka import LocalKafka
from stream_durable.ports import LogBounds, PartitionState, Record
from stream_durable.replay.holes import Hole, LeftOut, Uneven, left_out
from stream_durable.services.doctor.checks import findings
from stream_durable.services.doctor.looking import diagnose
from stream_durable.settings import Settings

order = Workflow("order")
order.wait_event("paid", "paid", key="input.id")
app = App("holes", workflows=[order])


class Inbox(MemoryLog):
    """A log of one partition with records at these offsets."""

    def __init__(self, offsets: Sequence[int], low: int = 0, topic_id: str = "t") -> None:
        super().__init__()
        self.low, self.topic_id = low, topic_id
        self.at = offsets

    async def bounds(self) -> dict[int, LogBounds]:
        return {0: LogBounds(self.topic_id, self.low, self.at[-1] + 1)}

    async def read(self, spans: Any) -> Any:
        for span in spans:
            yield [Record(0, at, 0, b"k", b"v") for at in self.at if span.start <= at < span.end]


def look_at(*stretches: Uneven) -> Any:
    class State:
        async def partitions(self) -> list[PartitionState]:
            return [PartitionState(0, "o", 100, 0, 0, 0, "t")]

        async def uneven(self, batches: int, limit: int) -> list[Uneven]:
            return list(stretches[:limit])

    @asynccontextmanager
    async def look() -> AsyncIterator[State]:
        yield State()

    return look


async def test_offsets_without_evidence_are_holes_where_the_log_has_records() -> None:
    look = look_at(Uneven(0, 10, 20, [11, 12, 15, 18, 19]))
    inbox = Inbox([at for at in range(30) if at not in (13, 16, 17)])

    assert (await left_out(look, inbox)).holes == [Hole(0, 10, 10, 1), Hole(0, 14, 14, 1)]


async def test_several_records_in_a_row_are_one_hole() -> None:
    found = await left_out(look_at(Uneven(0, 10, 20, [10, 18])), Inbox(range(30)))

    assert found == LeftOut([Hole(0, 11, 17, 7), Hole(0, 19, 19, 1)])


async def test_more_stretches_than_are_looked_at_are_said_to_be_there() -> None:
    stretches = [Uneven(0, at, at + 2, [at]) for at in (10, 20, 30)]

    found = await left_out(look_at(*stretches), Inbox(range(40)), limit=2)

    assert found == LeftOut([Hole(0, 11, 11, 1), Hole(0, 21, 21, 1)], has_more=True)


async def test_what_the_log_no_longer_holds_is_not_looked_for() -> None:
    stretch = Uneven(0, 10, 20, [10, 18])

    assert (await left_out(look_at(stretch), Inbox(range(30), low=16))).holes == [
        Hole(0, 16, 17, 2), Hole(0, 19, 19, 1),
    ]  # fmt: skip
    assert (await left_out(look_at(stretch), Inbox(range(30), topic_id="another"))).holes == []


@pytest.mark.real
async def test_a_record_left_out_is_told_by_verify_and_by_the_doctor(
    kafka_broker: LocalKafka, empty_database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, empty_database, prefix)
    async with running(settings, app) as instance:
        # Several batches: one is taken out of the middle below.
        for begin in range(0, 60, 20):
            ids = [f"order-{i}" for i in range(begin, begin + 20)]
            await asyncio.gather(*(instance.client.start(order, {"id": one}, id=one) for one in ids))
            await eventually(partial(_are_waiting, settings, begin + 20), "all is folded", seconds=60)
        assert await bootstrap.left_out(settings) == LeftOut([])

        rows = await _rows(settings)
        oldest, *rest = [row for row in rows if row["partition"] == rows[0]["partition"]]
        await _change(settings, oldest, None)
        assert await bootstrap.left_out(settings) == LeftOut([])

        newest = rest.pop()
        await _change(settings, newest, None)
        assert len((await bootstrap.left_out(settings)).holes) == 1
        await _insert(settings, newest)

        row = rest[len(rest) // 2]
        first, last = row["from_offset"], row["to_offset"] - 1
        await _change(settings, row, None)
        hole = Hole(row["partition"], first, last, last - first + 1)
        assert await bootstrap.left_out(settings) == LeftOut([hole])
        assert (await bootstrap.verify(settings)).left_out == LeftOut([hole])
        [fault] = [one for one in findings(await diagnose(settings)) if one.check == "records"]
        assert (fault.severity, fault.thing) == ("problem", f"partition {row['partition']}")
        assert f"offset{'s' * (first != last)} {first}" in fault.cause
        await _insert(settings, row)

        # Within a batch.
        row = next(row for row in (*rest, newest) if row["to_offset"] - row["from_offset"] > 1)
        records = msgspec.json.decode(row["records"])
        gone = records["offsets"].pop(0)
        await _change(settings, row, msgspec.json.encode(records))
        assert (await bootstrap.left_out(settings)).holes == [Hole(row["partition"], gone, gone, 1)]


async def _query(settings: Settings, text: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(
        settings.postgres.dsn.get_secret_value(),
        server_settings={"search_path": settings.postgres.db_schema},
    )
    try:
        found: list[asyncpg.Record] = await connection.fetch(text, *arguments)
        return found
    finally:
        await connection.close()


async def _rows(settings: Settings) -> list[asyncpg.Record]:
    """Return the evidence of the partition with most of it, the oldest first."""
    text = (
        "select * from evidence where partition = "
        "(select partition from evidence group by 1 order by count(*) desc, 1 limit 1) order by from_offset"
    )
    return await _query(settings, text)


async def _are_waiting(settings: Settings, runs: int) -> bool:
    [row] = await _query(settings, "select count(*) from channel_wait")
    return bool(row[0] == runs)


async def _change(settings: Settings, row: asyncpg.Record, records: bytes | None) -> None:
    place = "where partition = $1 and generation = $2 and from_offset = $3"
    key = row["partition"], row["generation"], row["from_offset"]
    if records is None:
        await _query(settings, f"delete from evidence {place}", *key)
    else:
        await _query(settings, f"update evidence set records = $4 {place}", *key, records)


async def _insert(settings: Settings, row: asyncpg.Record) -> None:
    await _query(settings, "insert into evidence values ($1, $2, $3, $4, $5, $6, $7)", *row.values())
