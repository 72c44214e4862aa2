"""What is too large for its topic fails by name, and everything beside it goes on."""

import asyncio
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from instances import running, settings_of

from stream_durable import App, RunFailed, Workflow
from stream_durable.core.ids import partition_of
from stream_durable.local.kafka import LocalKafka

pytestmark = pytest.mark.real

calls: list[str] = []

plain = Workflow("plain")


@plain.step
def small(input: Any) -> str:  # noqa: A002
    calls.append(input["of"])
    return "said"


heavy = Workflow("heavy")


@heavy.step(queue="big")
def big(input: Any) -> str:  # noqa: A002
    calls.append(input["of"])
    return "said"


APP = App("sizes", workflows=[plain, heavy])


def compressed(kafka: LocalKafka, topic: str, partition: int, key: bytes) -> None:
    """Put 12 MB of one letter on a topic that takes 1 MB."""
    bomb = Producer({
        "bootstrap.servers": kafka.bootstrap, "log_level": 0, "compression.type": "gzip",
        "message.max.bytes": 20_000_000,
    })  # fmt: skip
    failed: list[Any] = []
    bomb.produce(topic, b"x" * 12_000_000, key, partition, lambda error, _: error and failed.append(error))
    assert not bomb.flush(30)
    assert not failed


async def test_a_compressed_bomb_stops_neither_ingress_nor_reconciler(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix).override({"worker.queues": ("default", "big")})
    async with running(settings, APP) as instance, asyncio.timeout(90):
        key = "bombed"
        home = partition_of(key, settings.kafka.partitions)
        for topic in ("events", "inbox"):
            await asyncio.to_thread(compressed, kafka_broker, f"{prefix}.{topic}", home, key.encode())
        await instance.emit({"start": "plain", "id": key, "input": {"of": key}}, key=key)

        letters = await instance.dead_letters(2)
        assert await (await instance.begun(key)).result() == "said"

    assert {letter.headers["sd_topic"] for letter in letters} == {b"events", b"inbox"}
    for letter in letters:
        assert letter.value is None
        assert letter.headers["sd_value_bytes"] == b"12000000"
        assert len(letter.headers["sd_value_sha256"]) == 64
        assert int(letter.headers["sd_partition"]) == home


async def shrink(kafka: LocalKafka, topic: str, size: int) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for changed in admin.incremental_alter_configs([resource]).values():
        await asyncio.to_thread(changed.result)


async def test_a_topic_made_smaller_fails_what_is_too_large_and_repeats_no_call(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix).override({"worker.queues": ("default", "big")})
    calls.clear()
    async with running(settings, APP) as instance, asyncio.timeout(120):
        await shrink(kafka_broker, f"{prefix}.commands.big.first", 20_000)

        others = [await instance.client.start(plain, {"of": f"a{n}"}, id=f"a{n}") for n in range(100)]
        refused = await instance.client.start(heavy, {"of": "b", "much": "x" * 50_000}, id="b")
        others += [await instance.client.start(plain, {"of": f"c{n}"}, id=f"c{n}") for n in range(100)]

        assert [await run.result() for run in others] == ["said"] * 200
        with pytest.raises(RunFailed, match="queue 'big' takes less") as raised:
            await refused.result()
        assert raised.value.failure.code == "input_too_large"

    assert sorted(calls) == sorted(f"{letter}{n}" for letter in "ac" for n in range(100))


async def test_what_neither_the_inbox_nor_the_dead_letters_take_is_kept_without_its_value(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix).override({"worker.queues": ("default", "big")})
    async with running(settings, APP) as instance, asyncio.timeout(90):
        for topic in ("inbox", "dead"):
            await shrink(kafka_broker, f"{prefix}.{topic}", 20_000)

        large = {"start": "plain", "id": "large", "input": {"of": "large", "much": "x" * 50_000}}
        await instance.emit(large, key="large")
        await instance.emit({"start": "plain", "id": "next", "input": {"of": "next"}}, key="large")

        [letter] = await instance.dead_letters(1)
        assert await (await instance.begun("next")).result() == "said"

    assert letter.value is None
    assert letter.headers["sd_topic"] == b"events"
    assert letter.headers["sd_code"] == b"refused_too_large"
    assert int(letter.headers["sd_value_bytes"]) > 50_000
