"""What the doctor finds wrong with an instance on a real Kafka and Postgres, and what it repairs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from channels import forget
from confluent_kafka.admin import AdminClient
from instances import Instance, another_worker, running, settings_of
from waiting import eventually

from stream_durable import App, Workflow
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.process import free_ports
from stream_durable.postgres.migrate import migrate
from stream_durable.services.doctor.checks import findings
from stream_durable.services.doctor.finding import Finding
from stream_durable.services.doctor.looking import diagnose
from stream_durable.services.doctor.repairing import repair, repairs_of
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

HOUR_MS = 3_600_000
SECONDS = 60

order = Workflow("order")
order.wait_event("paid", "paid", key="input.id")
#: Needs a worker, though it waits.
packing = Workflow("packing")
packing.wait_signal("go")


@packing.step(after="go")
async def pack() -> None:
    """Is never called."""


app = App("doctor", workflows=[order, packing])


async def found(settings: Settings, later_ms: int = 0) -> list[Finding]:
    return findings(await diagnose(settings, lambda: time.time_ns() // 1_000_000 + later_ms))


def of(check: str, faults: list[Finding]) -> list[Finding]:
    return [fault for fault in faults if fault.check == check]


async def repaired(settings: Settings) -> list[str]:
    seen = await diagnose(settings)
    return [await repair(seen, one, lambda _: None) for one in repairs_of(findings(seen))]


@pytest.fixture
def settings(kafka_broker: LocalKafka, empty_database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, empty_database, prefix)


@pytest.fixture
async def instance(settings: Settings) -> AsyncIterator[Instance]:
    """A run waits for an event, and nothing is wrong."""
    async with running(settings, app) as started:
        await started.client.start(order, {"id": "seven"}, id="order-7")
        await eventually(lambda: _waits(settings), "the run waits on its channel", seconds=SECONDS)
        yield started


async def _connected(settings: Settings) -> asyncpg.Connection:
    return await asyncpg.connect(
        settings.postgres.dsn.get_secret_value(),
        server_settings={"search_path": settings.postgres.db_schema},
    )


async def do(settings: Settings, query: str, *arguments: Any) -> Any:
    connection = await _connected(settings)
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def _waits(settings: Settings) -> bool:
    return bool(await do(settings, "select count(*) from channel_wait"))


async def test_an_instance_is_made_from_nothing_by_its_repairs(settings: Settings) -> None:
    before = await found(settings)
    assert [fault.repair for fault in of("schema", before)] == ["migrate"]
    topics = of("topics", before)
    assert len(topics) > 8
    assert {fault.repair for fault in topics} == {"apply_topics"}

    applied, created = await repaired(settings)
    assert "0001_expand_state" in applied
    assert f"{settings.prefix}.inbox" in created

    (left,) = [fault for fault in await found(settings) if fault.severity == "problem"]
    assert (left.check, left.thing) == ("partitions", "all partitions")
    assert left.remedy == "start a reconciler: `stream-durable reconciler`"


async def test_services_that_do_not_answer_are_named(settings: Settings) -> None:
    await migrate(settings.postgres, settings.kafka.partitions)
    away = settings.override({"kafka.bootstrap": f"127.0.0.1:{free_ports(1)[0]}"})

    (fault,) = [fault for fault in await found(away) if fault.check == "services"]

    assert (fault.thing, fault.severity) == ("Kafka", "problem")
    assert "does not answer" in fault.cause


async def test_nothing_is_wrong_and_then_each_of_these_is(instance: Instance) -> None:
    settings = instance.settings
    assert await found(settings) == []

    # A channel that has forgotten a wait, and keeps the event for it.
    await do(settings, "delete from channel_wait")
    kept = "insert into channel_event (channel, id, partition, data, expires) values ($1, 'e', 0, 'null', $2)"
    await do(settings, kept, "paid/seven", 1 << 52)
    (fault,) = await found(settings)
    assert (fault.check, fault.thing, fault.repair) == ("waits", "run order-7, step paid", "reopen_waits")
    assert fault.cause == "waits on paid/seven, which keeps an event for it"

    # Records of the last day that could not be applied.
    await instance.client.signal("order-8", "go")
    await eventually(lambda: _has_dead(settings), "the dead letter", seconds=SECONDS)
    assert [one.severity for one in of("records", await found(settings))] == ["warning"]

    # Two releases of the log's format, and a log whose time is ahead.
    await do(settings, "update partition set owner_format = 1, format = 1")
    (old,) = of("versions", await found(settings))
    assert "older release" in old.cause
    ahead = time.time_ns() // 1_000_000 + HOUR_MS
    await do(settings, "update partition set log_clock = $1 where id = 0", ahead)
    (clock,) = of("clocks", await found(settings))
    assert clock.thing == "time of the log"

    # By a clock of ours that is an hour ahead.
    (skew,) = [one for one in of("clocks", await found(settings, HOUR_MS)) if "Postgres" in one.thing]
    assert skew.cause.endswith("behind the clock of this machine")

    # A log that was lost.
    await do(settings, "update partition set lost_reason = 'truncated' where id = 1")
    (lost,) = of("partitions", await found(settings))
    assert (lost.thing, lost.cause) == ("partition 1", "stands still: truncated")


async def _until_forgotten(settings: Settings) -> None:
    """Take the wait from its channel."""
    await forget(settings, "paid/seven", run="order-7", wait="paid")

    async def is_forgotten() -> bool:
        return not await _waits(settings)

    await eventually(is_forgotten, "the channel has forgotten", seconds=SECONDS)


async def _has_dead(settings: Settings) -> bool:
    return bool(await do(settings, "select count(*) from dead_letter"))


async def test_a_run_that_a_channel_forgot_goes_on_after_the_repair(instance: Instance) -> None:
    settings = instance.settings
    await _until_forgotten(settings)
    assert [one.thing for one in of("waits", await found(settings))] == ["run order-7, step paid"]

    assert await repaired(settings) == ["let runs ask their channels again, 1 requests in all"]

    await eventually(lambda: _waits(settings), "the channel knows the wait", seconds=SECONDS)
    assert of("waits", await found(settings)) == []
    await instance.client.publish("paid", key="seven", data={"amount": 1})
    assert await instance.client.run("order-7").result(timeout=f"{SECONDS}s") == {"amount": 1}


async def test_topics_that_drifted_are_set_right(instance: Instance, kafka_broker: LocalKafka) -> None:
    settings = instance.settings
    name = f"{settings.prefix}.commands.default"
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0})
    entry = ConfigEntry("retention.ms", "2419200000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()

    async def drifted() -> bool:
        return [fault.thing for fault in of("topics", await found(settings))] == [name]

    await eventually(drifted, "the changed retention is seen", seconds=SECONDS)
    assert await repaired(settings) == [f"created or corrected {name}"]


async def test_workers_of_two_versions_and_a_queue_and_a_workflow_without_one(settings: Settings) -> None:
    newer = Workflow("order")
    newer.wait_event("paid", "paid", key="input.id")
    newer.sleep("rest", "1h", after="paid")
    async with running(settings, app) as started:
        await started.client.start(order, {"id": "seven"}, id="order-7")
        await started.client.start(packing, id="packing-7")
        await started.begun("packing-7")
        await eventually(lambda: _waits(settings), "the run waits on its channel", seconds=SECONDS)
        other = settings.override({"worker.id": "worker-of-the-newer"})
        async with another_worker(other, App("doctor", workflows=[newer])):

            async def are_two() -> bool:
                return bool(of("versions", await found(settings)))

            await eventually(are_two, "both workers are present", seconds=SECONDS)
            (mixed,) = of("versions", await found(settings))
            assert mixed.thing == "workflow order"
            assert "is carried in 2 versions" in mixed.cause
            assert "worker-of-the-newer" in mixed.cause
    # Nobody is left; the run stays.
    faults = await found(settings)
    assert [one.thing for one in of("partitions", faults)] == ["all partitions"]
    (queue,) = of("queues", faults)
    assert (queue.thing, queue.remedy) == (
        "queue default", "start one: `stream-durable worker APP --queue default`",
    )  # fmt: skip


async def test_a_backlog_of_events_without_an_ingress(settings: Settings) -> None:
    async with running(settings, app) as started:
        await eventually(lambda: _is_ready(started), "the instance", seconds=SECONDS)
    # Written after all have gone.
    await started.emit({"type": "paid", "key": "seven", "data": 1})

    (events,) = [fault for fault in of("lag", await found(settings)) if fault.thing == "events topic"]

    assert events.cause == "has 1 record and no ingress"
    assert events.remedy == "start one: `stream-durable ingress`"


async def _is_ready(started: Instance) -> bool:
    await started.client.workflows()
    return True
