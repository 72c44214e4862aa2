"""The control topic, as a worker follows it: with few questions to the broker."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from stream_durable.kafka import compacted
from stream_durable.kafka.control import KafkaControl
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import KafkaSettings
from stream_durable.wire.control import QueuePause, encode_control, queue_key
from stream_durable.wire.topics import CONTROL, full_name

_LOOKS = 20


@pytest.mark.real
async def test_an_idle_follower_asks_a_few_times_a_second_and_hears_of_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    looks: asyncio.Queue[tuple[float, int]] = asyncio.Queue()

    def look(text: str) -> None:
        said = json.loads(text)
        asked = sum(broker.get("req", {}).get("Fetch", 0) for broker in said["brokers"].values())
        loop.call_soon_threadsafe(looks.put_nowait, (said["ts"] / 1_000_000, asked))

    def consumer(properties: dict[str, Any]) -> Consumer:
        return Consumer({**properties, "statistics.interval.ms": 100, "stats_cb": look})

    monkeypatch.setattr(compacted, "Consumer", consumer)
    with LocalKafka(tmp_path) as broker:
        settings = KafkaSettings(bootstrap=broker.bootstrap)
        topic = full_name("sd", CONTROL)
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
        control = KafkaControl(settings, "sd", client="worker", is_followed=True)
        await control.catch_up()
        heard = asyncio.create_task(control.more())
        async with asyncio.timeout(120):
            found = [await looks.get() for _ in range(_LOOKS)]
            producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
            producer.produce(topic, encode_control(QueuePause(at=1, by="ann")), queue_key("default"), 0)
            producer.flush()
            await heard
        await control.close()

    assert list(control.state.paused) == ["default"]
    (began, before), (ended, after) = found[0], found[-1]
    # With fetches held for 10 ms it was about 60 a second.
    assert (after - before) / (ended - began) <= 8
