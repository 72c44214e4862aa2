"""The state folded anew: equal however it is cut, resumed where it stood, refused where it would be wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import pytest
from replay_world import ORDER, PARTITIONS, MemoryLog, a_story, schema, start, world

from stream_durable.core.errors import BrokenError, NewerFormatError, RejectedError
from stream_durable.core.format import FORMAT, FORMATS_AHEAD_MAX
from stream_durable.core.ids import partition_of
from stream_durable.core.messages import AttemptCompleted
from stream_durable.engine import loading, outbox
from stream_durable.engine.folding import Folder
from stream_durable.engine.loading import Loads
from stream_durable.engine.outbox import format_record
from stream_durable.ports import Keys, PartitionState, Record
from stream_durable.postgres.snapshot import TABLES, snapshot
from stream_durable.replay import rebuild as rebuilding
from stream_durable.replay.rebuild import Progress, rebuild
from stream_durable.replay.verify import verify

pytestmark = pytest.mark.real


async def rows(dsn: str, query: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def standing(dsn: str, name: str) -> list[PartitionState]:
    async with snapshot(schema(dsn, name)) as look:
        return await look.partitions()


@pytest.mark.parametrize("batch", [1, 7])
async def test_it_is_the_same_state_however_the_log_is_cut(database: str, batch: int) -> None:
    log = a_story(padding=200_000)
    live = await world(schema(database, "live"), log)
    await rebuild(live)
    log.batch = batch

    # So little memory that entities are forgotten and read again all the time.
    again = await world(schema(database, "again"), log, cache_bytes_max=1024 * 1024)
    found = await verify(again, live.look)

    assert found.is_equal
    assert found.records == sum(map(len, log.records.values()))


async def test_a_batch_with_large_entities_is_folded_in_portions(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = a_story(padding=200_000)
    live = await world(schema(database, "live"), log)
    await rebuild(live)
    log.batch = 7
    left: list[int] = []
    load = Folder.load

    async def noted(self: Folder, keys: Keys, bytes_max: int) -> tuple[dict[str, str], Loads]:
        found = await load(self, keys, bytes_max)
        left.append(len(found[1]))
        return found

    monkeypatch.setattr(Folder, "load", noted)
    monkeypatch.setattr(loading, "_FIRST_COUNT", 1)
    monkeypatch.setattr(rebuilding, "LOAD_SHARE", 1_000)
    again = await world(schema(database, "again"), log, cache_bytes_max=1024 * 1024)
    found = await verify(again, live.look)

    assert any(left)
    assert found.is_equal
    assert found.records == sum(map(len, log.records.values()))


async def test_every_table_has_rows_in_the_story(database: str) -> None:
    live = await world(schema(database, "live"), a_story())
    await rebuild(live)

    count = 0
    for table in TABLES:
        [[of_table]] = await rows(database, f"select count(*)::int from live.{table}")
        assert isinstance(of_table, int)
        assert of_table
        count += of_table
    assert (await verify(live, live.look)).compared == count


async def test_nothing_is_left_to_be_said(database: str) -> None:
    await rebuild(await world(schema(database, "live"), a_story()))

    assert not await rows(database, "select 1 from live.outbox")


async def test_it_says_how_far_it_is(database: str) -> None:
    log = a_story(batch=10)
    told: list[Progress] = []

    done = await rebuild(await world(schema(database, "live"), log), progress=told.append)

    total = sum(map(len, log.records.values()))
    assert (told[0].records, told[0].left) == (0, total)
    assert (told[-1].records, told[-1].left) == (total, 0)
    assert {p: reached.target for p, reached in told[-1].partitions.items()} == {
        p: len(records) for p, records in log.records.items()
    }
    assert told[-1].records_per_s > 0
    assert [t.records for t in told] == sorted(t.records for t in told)
    assert (done.records, dict(done.offsets)) == (total, {p: len(r) for p, r in log.records.items()})


async def test_it_stops_where_the_live_state_stands(database: str) -> None:
    log = a_story()
    live = await world(schema(database, "live"), log)
    await rebuild(live)
    stood = await standing(database, "live")
    log.add(*map(start, range(100, 140)))

    done = await rebuild(await world(schema(database, "again"), log), stood)

    assert dict(done.offsets) == {state.partition: state.next_offset for state in stood}


@pytest.mark.parametrize("saved", [1, 5, 20])
async def test_it_goes_on_where_it_was_interrupted(database: str, saved: int) -> None:
    log = a_story(batch=5)
    live = await world(schema(database, "live"), log)
    await rebuild(live)
    again = await world(schema(database, "again"), log)
    calls = 0

    def interrupt(progress: Progress) -> None:
        nonlocal calls
        calls += 1
        if calls == saved + 1:
            under_way.cancel()

    under_way = asyncio.ensure_future(rebuild(again, progress=interrupt))
    with pytest.raises(asyncio.CancelledError):
        await under_way
    told: list[Progress] = []
    done = await rebuild(again, resume=True, progress=told.append)

    total = sum(map(len, log.records.values()))
    assert 0 < done.records <= total - 5 * (saved - 1)
    assert (told[0].records, told[-1].left) == (0, 0)
    assert (await verify(again, live.look)).is_equal


async def test_what_is_done_is_not_done_again(database: str) -> None:
    log = a_story()
    again = await world(schema(database, "again"), log)
    await rebuild(again)

    done = await rebuild(again, resume=True)

    assert done.records == 0


async def test_a_schema_that_holds_runs_is_refused(database: str) -> None:
    target = await world(schema(database, "live"), a_story())
    await rebuild(target)
    before = await standing(database, "live")

    with pytest.raises(RejectedError, match="holds runs") as refused:
        await rebuild(target)

    assert refused.value.code == "not_empty"
    assert await standing(database, "live") == before


@pytest.mark.parametrize("resume", [False, True])
async def test_a_schema_that_somebody_works_on_is_refused(database: str, resume: bool) -> None:
    target = await world(schema(database, "live"), a_story())
    await rows(database, "update live.partition set owner = 'reconciler-1' where id = 2")

    with pytest.raises(RejectedError, match="in use by reconciler-1"):
        await rebuild(target, resume=resume)


async def test_a_second_rebuild_into_the_same_schema_ends_the_first(database: str) -> None:
    log = a_story(batch=5)
    target = await world(schema(database, "again"), log)
    seconds: list[asyncio.Task[object]] = []

    def begin_another(progress: Progress) -> None:
        if progress.records and not seconds:
            seconds.append(asyncio.ensure_future(rebuild(target, resume=True)))

    first = asyncio.ensure_future(rebuild(target, progress=begin_another))
    results = [*await asyncio.gather(first, return_exceptions=True)]
    results += await asyncio.gather(*seconds, return_exceptions=True)
    await rebuild(target, resume=True)

    refused = [r for r in results if isinstance(r, RejectedError)]
    assert all(error.code == "not_ours" for error in refused)
    live = await world(schema(database, "live"), log)
    await rebuild(live)
    assert (await verify(target, live.look)).is_equal


def expired(log: MemoryLog) -> None:
    log.low = 3


def made_anew(log: MemoryLog) -> None:
    log.topic_id = "second"


def cut(log: MemoryLog) -> None:
    log.records = {p: records[:2] for p, records in log.records.items()}


@pytest.mark.parametrize(
    ("change", "code"), [(expired, "log_expired"), (made_anew, "other_log"), (cut, "other_log")]
)
async def test_a_log_that_is_not_the_one_that_was_folded_is_refused(
    database: str, change: Callable[[MemoryLog], None], code: str
) -> None:
    log = a_story()
    await rebuild(await world(schema(database, "live"), log))
    stood = await standing(database, "live")
    change(log)

    with pytest.raises(RejectedError) as refused:
        await rebuild(await world(schema(database, "again"), log), stood)

    assert refused.value.code == code


async def test_a_partition_that_went_on_with_another_log_is_refused(database: str) -> None:
    log = a_story()
    await rebuild(await world(schema(database, "live"), log))
    await rows(database, "update live.partition set generation = 1 where id = 1")

    with pytest.raises(RejectedError, match="partition 1 went on with another log"):
        await rebuild(await world(schema(database, "again"), log), await standing(database, "live"))


async def test_it_does_not_resume_on_other_records_at_the_same_offsets(database: str) -> None:
    log = a_story()
    again = await world(schema(database, "again"), log)
    await rebuild(again)
    for partition in range(PARTITIONS):
        last = log.records[partition][-1]
        log.records[partition][-1] = last._replace(value=b"another")
    log.add(*map(start, range(100, 140)))

    with pytest.raises(BrokenError, match="another log at the same offsets"):
        await rebuild(again, resume=True)


async def test_what_the_database_refuses_ends_it_with_the_place_and_the_reason(database: str) -> None:
    log = a_story()
    refusing = await world(schema(database, "again"), log)
    await rows(database, "alter table again.run add constraint nosy check (id <> 'run-7')")

    with pytest.raises(RejectedError) as refused:
        await rebuild(refusing)

    home = partition_of("run-7", PARTITIONS)
    place = next(r.offset for r in log.records[home] if r.key == b"run-7")
    assert refused.value.code == "refused_by_store"
    assert str(refused.value).startswith(f"partition {home}, offset {place}: ")
    assert "23514" in str(refused.value)
    [stands] = await rows(database, f"select next_offset from again.partition where id = {home}")
    assert stands[0] == place, "what was before it is saved"

    await rows(database, "alter table again.run drop constraint nosy")
    await rebuild(refusing, resume=True)
    assert len(await rows(database, "select 1 from again.run where id like 'run-%'")) == 24


async def test_a_record_that_killed_the_process_is_skipped_as_it_was_when_it_was_lived(database: str) -> None:
    log, verdicts = MemoryLog(), MemoryLog()
    log.add(start(1))
    done = AttemptCompleted(key="run-1", step="reserve", attempt=1)
    log.add(done)
    [deadly] = [r for records in log.records.values() for r in records if b"attempt.completed" in r.value]
    put(verdicts, deadly, "crashes", "it died")
    put(verdicts, deadly, "unfoldable", "said once more")
    another = deadly._replace(offset=0)
    put(verdicts, another, "crashes", "a record of a log that was here before")
    verdicts.put("x", b"garbage", partition=deadly.partition)
    verdicts.put("x", None, partition=deadly.partition)

    told = await rebuild(await world(schema(database, "live"), log, verdicts=verdicts))

    assert told.exceptions == 1
    assert await rows(database, "select code, reason, log_offset from live.dead_letter") == [
        ("crashes", "it died", deadly.offset)
    ]
    assert await rows(database, "select status, done from live.run") == [("running", 0)]


async def test_what_others_may_write_decides_nothing(database: str) -> None:
    log, dead = MemoryLog(), MemoryLog()
    log.add(start(1))
    [early] = [r for records in log.records.values() for r in records]
    origin = {
        "sd_code": "crashes", "sd_reason": "no", "sd_topic": "inbox",
        "sd_partition": str(early.partition), "sd_offset": "0",
    }  # fmt: skip
    dead.put("run-1", early.value, headers=origin)

    told = await rebuild(await world(schema(database, "live"), log, verdicts=dead))

    assert told.exceptions == 0


async def test_a_start_that_was_refused_stays_refused_when_its_definition_came_later(database: str) -> None:
    log, verdicts = MemoryLog(), MemoryLog()
    log.add(start(1))
    [early] = [r for records in log.records.values() for r in records]
    live = await world(schema(database, "live"), log, known=())
    await rebuild(live)
    [[reason]] = await rows(database, "select reason from live.dead_letter")
    put(verdicts, early, "unknown_workflow", str(reason))

    again = await world(schema(database, "again"), log, verdicts=verdicts, known=[ORDER])

    assert (await verify(again, live.look)).is_equal
    assert not await rows(database, "select 1 from again.run")


def put(verdicts: MemoryLog, record: Record, code: str, reason: str) -> None:
    found = outbox.verdict(record, code, reason)
    assert found.key is not None
    verdicts.put(found.key.decode(), found.value, partition=found.partition)


async def test_a_format_that_no_release_will_have_is_refused_as_it_was_when_it_was_lived(
    database: str,
) -> None:
    log = MemoryLog()
    log.put("0", format_record(0, FORMAT + FORMATS_AHEAD_MAX + 1).value, partition=0)
    log.add(start(1))

    done = await rebuild(await world(schema(database, "live"), log))

    assert (done.records, done.exceptions) == (2, 1)
    assert await rows(database, "select code from live.dead_letter") == [("unreadable",)]


async def test_it_goes_no_further_than_to_the_record_that_raises_the_format_beyond_ours(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = MemoryLog()
    for partition in range(PARTITIONS):
        record = format_record(partition, FORMAT + 1)
        assert record.key is not None
        log.put(record.key.decode(), record.value, partition=partition)
    live = await world(schema(database, "live"), log)

    with pytest.raises(NewerFormatError, match=f"format {FORMAT + 1}"):
        await rebuild(live)
    assert {state.next_offset for state in await standing(database, "live")} == {0}

    monkeypatch.setattr(rebuilding, "FORMAT", FORMAT + 1)
    await rebuild(live, resume=True)
    assert {state.format for state in await standing(database, "live")} == {FORMAT + 1}
