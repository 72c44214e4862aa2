"""What was really lived, with retries, waits, timers, repeats and garbage, comes out of the log again."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import asyncpg
import pytest
from confluent_kafka import Producer
from instances import Instance, running, settings_of
from msgspec import Raw

from stream_durable import App, Context, Fail, Retry, Workflow, bootstrap
from stream_durable.core.errors import BrokenError, RejectedError
from stream_durable.core.ids import channel_id
from stream_durable.core.messages import CancelRun, EventPublished, Message, SignalRun, StartRun
from stream_durable.kafka.reader import KafkaReader
from stream_durable.local.kafka import LocalKafka
from stream_durable.ports import Span
from stream_durable.replay.rebuild import Progress
from stream_durable.settings import Settings
from stream_durable.wire.inbox import encode

pytestmark = pytest.mark.real

orders = Workflow("order", timeout="3d", retry=Retry(3, base="20ms", jitter=0.5))


@orders.step
async def reserve(ctx: Context[Any]) -> str:
    if ctx.attempt == 1 and ctx.input["flaky"]:
        raise ConnectionError("not this time")
    return "reserved"


@orders.step(after=reserve)
async def charge(ctx: Context[Any]) -> int:
    if ctx.input["poor"]:
        raise Fail("declined", "no money", retryable=False)
    return 7


orders.sleep("rest", "30ms", after=charge)
orders.wait_signal("approved", after=reserve)
orders.wait_event("paid", "paid", key="input.id", after=reserve, timeout="1h")

naps = Workflow("nap")
naps.sleep("night", "8h")


@naps.step(after="night")
async def wake(ctx: Context[Any]) -> str:
    return "awake"


app = App("lived", workflows=[orders, naps])


class Inbox:
    """Anybody who can write to the inbox."""

    def __init__(self, settings: Settings) -> None:
        self._topic = f"{settings.prefix}.inbox"
        self._producer = Producer(
            {"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0, "partitioner": "murmur2_random"}
        )

    def add(self, *messages: Message) -> None:
        for message in messages:
            self._producer.produce(self._topic, encode(message), message.key)

    def put(self, key: str | None, value: bytes | None, partition: int = -1) -> None:
        self._producer.produce(self._topic, value, key, partition)

    async def sent(self) -> None:
        assert not await asyncio.to_thread(self._producer.flush, 30)


def start(name: str, workflow: Workflow, **given: Any) -> StartRun:
    values = {"id": name, "flaky": False, "poor": False, **given}
    text = ",".join(f'"{key}":{value!r}' for key, value in values.items())
    text = text.replace("'", '"').replace("True", "true").replace("False", "false")
    data = Raw(b"{%b}" % text.encode())
    return StartRun(
        key=name, id=name, workflow=workflow.name, fingerprint=workflow.fingerprint, input=data, tags=("t",)
    )


def load(inbox: Inbox, name: str, count: int) -> int:
    """Let everything happen to so many runs; return how many of them will end."""
    ends = 0
    for i in range(count):
        run = f"{name}-{i}"
        beginning = start(run, orders, flaky=i % 3 == 0, poor=i % 5 == 0)
        inbox.add(beginning, beginning)
        inbox.add(SignalRun(key=run, id="early", signal="approved", data=Raw(b'{"by":"me"}')))
        paid = EventPublished(key=channel_id("paid", run), id=f"p{i}", data=Raw(b"1"), ttl_ms=3_600_000)
        if i % 4:
            inbox.add(paid, paid)
        if i % 7 == 0:
            inbox.add(CancelRun(key=run, id=f"c{i}"))
        ends += bool(i % 4) or i % 5 == 0 or i % 7 == 0
        inbox.add(start(f"{run}-nap", naps))
        inbox.put(run, (b"garbage", b'{"type":"run.cancel","run":"other","id":"x"}', None, b"{}")[i % 4])
        inbox.put(None, b"\xff")
        inbox.put(f"{run}-nap", encode(CancelRun(key=f"{run}-nap", id="astray")), partition=i % 4)
    return ends


async def known(instance: Instance) -> None:
    """Have both definitions registered: who writes to the inbox himself has to see to that."""
    for workflow in (orders, naps):
        await instance.client.start(workflow, {"id": "first", "flaky": False, "poor": False})


async def ended(instance: Instance, count: int) -> None:
    """Wait until so many runs of orders have ended."""
    settings = instance.settings
    reader = KafkaReader(settings.kafka, f"{settings.prefix}.runs", client="test", records_max=1)
    spans = [Span(p, 0, 1 << 60) for p in range(settings.kafka.partitions)]
    runs: set[bytes | None] = set()
    try:
        async with asyncio.timeout(60), aclosing(reader.read(spans)) as batches:
            async for [record] in batches:
                said = record.value or b""
                is_end = any(end in said for end in (b"run.completed", b"run.failed", b"run.cancelled"))
                if is_end and not (record.key or b"").endswith(b"nap"):
                    runs.add(record.key)
                if len(runs) == count:
                    return
    except TimeoutError:
        stored = await query(settings, "select status, count(*) from live.run group by 1")
        refused = await query(settings, "select code, min(reason), count(*) from live.dead_letter group by 1")
        pytest.fail(f"{len(runs)} of {count} runs ended; stored {stored}; refused {refused}")


async def query(settings: Settings, text: str) -> list[Any]:
    connection = await asyncpg.connect(settings.postgres.dsn.get_secret_value())
    try:
        return [tuple(row) for row in await connection.fetch(text)]
    finally:
        await connection.close()


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, database, prefix).override({"postgres.db_schema": "live"})


async def test_what_was_lived_comes_out_of_the_log_again(settings: Settings) -> None:
    told: list[Progress] = []
    async with running(settings, app) as instance:
        await known(instance)
        inbox = Inbox(settings)
        count = load(inbox, "a", 60)
        await inbox.sent()
        await ended(instance, count)

        # More comes while it is compared.
        count += load(inbox, "b", 60)
        found, _ = await asyncio.gather(bootstrap.verify(settings, progress=told.append), inbox.sent())
        assert (found.is_equal, found.rows) == (True, [])
        assert told[-1].left == 0
        assert not await query(settings, "select nspname from pg_namespace where nspname like 'sd_verify%'")

        await ended(instance, count)
        found = await bootstrap.verify(settings, keep_as="kept")
    assert (found.is_equal, found.rows) == (True, [])
    assert found.records == sum(found.offsets.values())
    assert found.compared > 240

    run = "b-1"
    where = f"run_id = '{run}' and name = 'charge'"
    await query(settings, f"update live.step set worker = 'nobody' where {where}")
    found = await bootstrap.verify(settings, keep_as="kept")
    [row] = found.rows
    assert (row.table, row.key, row.column, row.live) == ("step", (run, "charge"), "worker", "nobody")
    # What was kept is gone on with.
    assert found.records < 200

    with pytest.raises(RejectedError, match="holds runs"):
        await bootstrap.rebuild(settings, "kept")
    with pytest.raises(RejectedError, match="in use by"):
        await bootstrap.rebuild(settings, "live", resume=True)


async def test_a_rebuild_goes_to_the_end_of_the_log_when_nothing_is_live(settings: Settings) -> None:
    async with running(settings, app) as instance:
        await known(instance)
        inbox = Inbox(settings)
        count = load(inbox, "a", 30)
        await inbox.sent()
        await ended(instance, count)
    await query(settings, "alter schema live rename to lived")

    done = await bootstrap.rebuild(settings, "live")
    found = await bootstrap.verify(settings.override({"postgres.db_schema": "lived"}), keep_as="live")

    assert done.records > 30 * 5
    assert (found.is_equal, found.rows) == (True, [])


async def test_a_stretch_that_is_not_in_the_log_is_an_error(settings: Settings) -> None:
    async with running(settings, app) as instance:
        await known(instance)
        inbox = Inbox(settings)
        load(inbox, "a", 4)
        await inbox.sent()
        reader = KafkaReader(settings.kafka, f"{settings.prefix}.inbox", client="test", records_max=3)
        bounds = await reader.bounds()
        with pytest.raises(BrokenError, match="no longer holds"):
            await anext(reader.read([Span(0, bounds[0].high + 100, bounds[0].high + 200)]))

        several = [Span(p, 0, b.high) for p, b in bounds.items()]
        async with aclosing(reader.read(several)) as batches:
            read = [record async for records in batches for record in records]

    assert {(r.partition, r.offset) for r in read} == {
        (s.partition, o) for s in several for o in range(s.end)
    }
    with pytest.raises(RejectedError, match="there is no topic"):
        await KafkaReader(settings.kafka, "nothing", client="test", records_max=1).bounds()
