"""A message to a run writes what it brings, whatever the run keeps."""

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count

import asyncpg
import pytest
from builders import RUN, Play, signal, step
from stores.store_contract import owned, share

from stream_durable.core.messages import SignalRun
from stream_durable.core.run.mail import Mail
from stream_durable.core.run.rows import RunRow, thaw_run, write
from stream_durable.core.run.signal_rows import SignalRow
from stream_durable.ports import Share
from stream_durable.postgres.migrate import migrate
from stream_durable.postgres.store import PostgresStore
from stream_durable.settings import PostgresSettings

pytestmark = pytest.mark.real

DATA = b'"%b"' % (b"x" * 3_900)


@pytest.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    settings = PostgresSettings(dsn=database, db_schema="signals")
    await migrate(settings, 1)
    store = PostgresStore(settings)
    yield store
    await store.close()


class Saver:
    """Commits a run as the reconciler does, and says how many bytes of the write-ahead log that took."""

    def __init__(
        self, store: PostgresStore, server: asyncpg.Connection, next_share: Callable[[], Share]
    ) -> None:
        self.store, self.server, self.next_share = store, server, next_share

    async def save(self, play: Play) -> int:
        run, made = play.run, self.next_share()
        write(run, made.rows)
        # The first write to a page after a checkpoint writes all of it: that is not what is measured.
        before = await self.server.fetchval("select pg_current_wal_insert_lsn()")
        assert await self.store.commit([made])
        written: int = await self.server.fetchval(
            "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1)::bigint", before
        )
        return written


@pytest.fixture
async def saver(store: PostgresStore, database: str) -> AsyncIterator[Saver]:
    token, _ = await owned(store)
    offsets: Iterator[int] = count()

    def next_share() -> Share:
        at = next(offsets)
        return share(token, at, at + 1)

    server = await asyncpg.connect(database, server_settings={"search_path": "signals"})
    yield Saver(store, server, next_share)
    await server.close()


def keeping(number: int) -> Play:
    play = Play(step("a"), step("b"), signal("w", "a", signals=("go",)))
    for i in range(number):
        play.tell(SignalRun(key=RUN, id=f"early-{i}", signal="later", data=DATA))  # type: ignore[arg-type]
    return play


async def test_a_message_writes_no_more_to_a_run_that_keeps_900_signals(saver: Saver) -> None:
    play = keeping(900)
    await saver.save(play)
    await saver.server.execute("vacuum")

    for_one_more, for_a_result = [], []
    for i in range(10):
        play.tell(SignalRun(key=RUN, id=f"more-{i}", signal="later", data=DATA))  # type: ignore[arg-type]
        for_one_more.append(await saver.save(play))
        for_a_result.append(await saver.save(play))

    # Others write to the log too, and pages are written whole now and then: most must be small, not all.
    assert sorted(for_one_more)[5] < 30_000
    assert sorted(for_a_result)[5] < 10_000
    assert await saver.server.fetchval("select count(*) from run_signal") == 910


async def test_what_is_kept_comes_back_in_its_order_and_is_taken_once(
    saver: Saver, store: PostgresStore
) -> None:
    play = Play(step("a"), signal("w", "a"), signal("v", "w"))
    for name in ("other", "go", "other", "go"):
        play.signalled(name, id=f"s{len(play.run.mail.seen) if play.run.mail else 0}")
    await saver.save(play)
    play.completed("a")
    await saver.save(play)

    loaded = await store.load({"run": [RUN]})
    run = thaw_run(loaded[RunRow][0], [], play.run.graph, loaded.get(SignalRow, []))

    assert play.run.mail is not None
    assert run.mail is not None
    assert pictured(run.mail) == pictured(play.run.mail)
    assert list(run.mail.seen) == ["s0", "s1", "s2", "s3"]
    assert [kept.name for kept in run.mail.kept.values()] == ["other", "other"]
    assert loaded[RunRow][0]["mail"] == b""


async def test_a_run_without_signals_has_no_row_of_them_and_asks_for_none(
    saver: Saver, store: PostgresStore
) -> None:
    await saver.save(Play(step("a")))

    loaded = await store.load({"run": [RUN]})

    assert loaded[RunRow][0]["mail"] is None
    assert loaded.get(SignalRow, []) == []


async def test_what_an_older_release_kept_in_the_row_of_the_run_moves_to_rows(
    saver: Saver, store: PostgresStore
) -> None:
    play = Play(step("a"), signal("w", "a"))
    await saver.save(play)
    await saver.server.execute(
        "update run set mail = $1", b'[["s1","s2","s3"],[["s0","go",0],["s2","go",{"a":1.50}]]]'
    )
    loaded = await store.load({"run": [RUN]})

    play.run = thaw_run(loaded[RunRow][0], [], play.run.graph, loaded.get(SignalRow, []))
    await saver.save(play)

    loaded = await store.load({"run": [RUN]})
    assert loaded[RunRow][0]["mail"] == b""
    assert [tuple(row)[1:] for row in sorted(loaded.get(SignalRow, []))] == [
        (1, "s0", "go", b"0", None, None, None), (2, "s1", None, None, None, None, None),
        (3, "s2", "go", b'{"a":1.50}', None, None, None), (4, "s3", None, None, None, None, None),
    ]  # fmt: skip


def pictured(mail: Mail) -> object:
    return list(mail.seen.items()), list(mail.kept.items()), mail.size, mail.last
