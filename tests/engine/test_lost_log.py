"""The inbox is made anew under a live instance's state: noticed, held or continued, nothing stuck."""

import asyncio

import asyncpg
import pytest
from confluent_kafka.admin import AdminClient
from instances import running, settings_of
from waiting import eventually

from stream_durable import App, Breaker, Retry, Workflow
from stream_durable.kafka.topics import Topics
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

approvals = Workflow("approval")
approvals.wait_signal("go")


@approvals.step
async def close(go: str) -> str:
    return f"closed by {go}"


payments = Workflow("payment")
down = asyncio.Event()


@payments.step(breaker=Breaker("bank", failures=1, reset="2s"), retry=Retry(9, base="10ms"))
async def charge() -> str:
    if down.is_set():
        raise ConnectionError("the bank does not answer")
    return "charged"


APP = App("lost", workflows=[approvals, payments])


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, database, prefix)


async def left_waiting(settings: Settings) -> None:
    """Bring one run to its wait, and end all services."""
    async with running(settings, APP) as instance:
        run = await instance.client.start(approvals, id="order-1")
        async for event in run.watch():
            if event.type == "step.waiting":
                break


async def inbox_made_anew(settings: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
    topic = f"{settings.prefix}.inbox"
    admin.delete_topics([topic])[topic].result(10)

    async def gone() -> bool:
        return topic not in admin.list_topics(timeout=10).topics

    await eventually(gone, "the topic is gone", seconds=60)
    await Topics(settings, settings.worker.queues).apply()


async def rows(settings: Settings, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(settings.postgres.dsn.get_secret_value())
    try:
        await connection.execute(f"set search_path = {settings.postgres.db_schema}")
        return await connection.fetch(query)
    finally:
        await connection.close()


async def test_a_log_made_anew_holds_its_partitions_and_says_why(settings: Settings) -> None:
    await left_waiting(settings)
    await inbox_made_anew(settings)

    async with running(settings, APP):

        async def held() -> bool:
            found = await rows(settings, "select lost_reason from partition")
            return all("recreated" in (row["lost_reason"] or "") for row in found)

        await eventually(held, "all partitions say why they stand still", seconds=60)

    assert [row["status"] for row in await rows(settings, "select status from run")] == ["waiting"]


async def test_a_log_made_anew_is_gone_on_with_when_told_to(settings: Settings) -> None:
    await left_waiting(settings)
    await inbox_made_anew(settings)
    told = settings.override({"engine.on_lost_log": "continue_earliest"})

    async with running(told, APP) as instance:
        await instance.client.signal("order-1", "go", "tom")
        assert await instance.client.run("order-1").result(timeout="90s") == "closed by tom"
        fresh = await instance.client.start(approvals, id="order-2")
        await fresh.cancel()

    found = await rows(settings, "select generation, must_redrive from partition")
    assert {(row["generation"], row["must_redrive"]) for row in found} == {(1, False)}


async def test_an_attempt_whose_answer_was_on_the_lost_log_is_asked_for_again(settings: Settings) -> None:
    """The worker had answered, but the answer was folded by nobody before the log went away."""
    async with running(settings, APP) as instance:
        run = await instance.client.start(approvals, id="order-1")
        async for event in run.watch():
            if event.type == "step.waiting":
                break
    # As if the signal had been folded and the step asked for, and the answer lost with the log.
    await rows(settings, "update step set status = 'completed', output = '\"tom\"' where name = 'go'")
    await rows(settings, "update run set status = 'running', done = 1")
    await inbox_made_anew(settings)

    async with running(settings.override({"engine.on_lost_log": "continue_latest"}), APP) as instance:
        assert await instance.client.run("order-1").result(timeout="90s") == "closed by tom"


async def test_a_gate_that_was_open_is_so_still_and_who_waited_passes_in_the_end(settings: Settings) -> None:
    down.set()
    async with running(settings, APP) as instance:
        for number in range(3):
            await instance.client.start(payments, id=f"payment-{number}")

        async def is_held() -> bool:
            gates = await instance.ports.views.gate_list()
            return [(gate.state, gate.waiting) for gate in gates] == [("open", 3)]

        await eventually(is_held, "the gate is open and all of them wait", seconds=60)
    down.clear()
    await inbox_made_anew(settings)
    assert len(await rows(settings, "select 1 from gate_place")) == 3

    async with running(settings.override({"engine.on_lost_log": "continue_latest"}), APP) as instance:
        results = [await instance.client.run(f"payment-{n}").result(timeout="90s") for n in range(3)]

    assert results == ["charged"] * 3
