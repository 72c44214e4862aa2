"""What is said when no broker can be reached: by errors, and not by the client on standard error."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from waiting import eventually

from stream_durable.client.edge import Edge
from stream_durable.core.errors import TransientError
from stream_durable.kafka.config import _complaints, transient
from stream_durable.kafka.log import GroupLog
from stream_durable.kafka.orders import Orders
from stream_durable.kafka.probe import KafkaProbe
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.kafka.reader import KafkaReader
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.process import free_ports
from stream_durable.ports import Outgoing, Span
from stream_durable.settings import KafkaSettings


@pytest.fixture
def nobody() -> KafkaSettings:
    return KafkaSettings(bootstrap=f"127.0.0.1:{free_ports(1)[0]}")


def reason(settings: KafkaSettings) -> str:
    return str(transient(KafkaError(KafkaError._TRANSPORT), settings))


async def test_an_error_names_the_brokers_the_setting_and_the_cause(nobody: KafkaSettings) -> None:
    with pytest.raises(TransientError) as raised:
        await KafkaProbe(nobody, "sd.inbox", client="probe").ask()

    text = str(raised.value)
    assert text.startswith(f"Kafka at {nobody.bootstrap} (kafka.bootstrap): ")
    assert text.endswith(f"Connect to ipv4#{nobody.bootstrap} failed: Connection refused")


async def test_clients_write_nothing_by_themselves(
    nobody: KafkaSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    publisher = KafkaPublisher(nobody, "sd", client="publisher")
    log = GroupLog(nobody, "sd.inbox", "sd.reconciler", client="log")
    log.open()
    publishing = asyncio.create_task(publisher.publish([(Outgoing("inbox", None, b"k", b"v"), None)]))

    async def is_heard() -> bool:
        return "Connection refused" in reason(nobody)

    await eventually(is_heard, "a complaint of one of the clients", seconds=60)
    publishing.cancel()
    await asyncio.gather(publishing, log.close(), return_exceptions=True)

    assert capfd.readouterr().err == ""


async def test_what_was_not_acknowledged_may_still_happen_and_the_error_says_so(
    nobody: KafkaSettings, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = KafkaPublisher(nobody, "sd", client="client")
    ports: Any = SimpleNamespace(publisher=publisher, blobs=None, where="here")

    with pytest.raises(TransientError, match=r"could not publish it within 0\.1 s; .*under the same id"):
        await Edge(ports, patience_seconds=0.1).put([Outgoing("inbox", None, b"k", b"v")], "publish it")
    await publisher.close()
    for _ in range(5):
        await asyncio.sleep(0)

    # What is abandoned at the close is no news.
    assert "Purged" not in caplog.text


async def test_a_hasty_reading_ends_where_nobody_answers(
    nobody: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream_durable.kafka.reader.CALL_SECONDS", 0.2)
    reader = KafkaReader(nobody, "sd.inbox", client="test", records_max=1, is_hasty=True)

    with pytest.raises(TransientError, match=r"kafka\.bootstrap.*no answer for sd\.inbox"):
        async with asyncio.timeout(30), aclosing(reader.read([Span(0, 0, 1)])) as batches:
            await anext(batches)


async def test_a_client_that_gave_up_does_not_wait_for_what_it_gave_up(nobody: KafkaSettings) -> None:
    publisher = KafkaPublisher(nobody, "sd", client="client")
    sent = asyncio.create_task(publisher.publish([(Outgoing("inbox", None, b"k", b"v"), None)]))
    await asyncio.sleep(0)
    sent.cancel()

    # A service would wait for ten seconds.
    async with asyncio.timeout(9):
        await publisher.close()


def test_without_a_complaint_the_error_says_what_is_known(nobody: KafkaSettings) -> None:
    assert reason(nobody).endswith("(kafka.bootstrap): no broker could be reached")


@pytest.mark.real
async def test_a_complaint_from_before_an_answer_explains_nothing_after_it(kafka_broker: LocalKafka) -> None:
    settings = KafkaSettings(bootstrap=kafka_broker.bootstrap)
    _complaints.note(settings.bootstrap, KafkaError(KafkaError._TRANSPORT, "Connection refused"))
    assert reason(settings).endswith("Connection refused")

    await KafkaProbe(settings, "sd.inbox", client="probe").ask()

    assert reason(settings).endswith("(kafka.bootstrap): no broker could be reached")


async def test_an_error_of_a_call_keeps_no_client(nobody: KafkaSettings) -> None:
    class Client:
        def ask(self) -> None:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    orders, client = Orders(nobody, lambda function, *given: function(*given)), Client()
    kept = weakref.ref(client)
    asked = asyncio.ensure_future(orders.outcome(client.ask))
    del client
    gc.disable()
    try:
        await asyncio.sleep(0)
        orders.follow()
        with pytest.raises(TransientError):
            await asked
        del asked
        assert kept() is None
    finally:
        gc.enable()
