"""What a process may do beyond its role is said at its start; nothing, where a broker checks no rights."""

import logging

import pytest
from confluent_kafka.admin import AclOperation

from stream_durable.kafka import rights
from stream_durable.kafka.rights import beyond, excess
from stream_durable.kafka.topics import Topics
from stream_durable.local.kafka import LocalKafka
from stream_durable.services.rights import question_rights
from stream_durable.settings import Settings
from stream_durable.wire.topics import WRITES

ALL = frozenset(AclOperation)
READ = frozenset({AclOperation.READ, AclOperation.DESCRIBE})
WRITE = READ | {AclOperation.WRITE}


def given(role: str, **more: frozenset[AclOperation]) -> dict[str, frozenset[AclOperation]]:
    return {topic: WRITE if topic in WRITES[role] else READ for topic in rights._ASKED} | more


@pytest.mark.parametrize("role", WRITES)
def test_what_a_role_needs_is_not_questioned(role: str) -> None:
    assert beyond(role, given(role)) == []


@pytest.mark.parametrize(
    ("role", "topic"),
    [("worker", "verdicts"), ("worker", "runs"), ("ingress", "definitions"), ("reconciler", "definitions")],
)
def test_a_right_too_many_is_named(role: str, topic: str) -> None:
    assert beyond(role, given(role, **{topic: WRITE})) == [topic]


def test_where_everybody_may_do_everything_nothing_is_said() -> None:
    assert beyond("worker", dict.fromkeys(rights._ASKED, ALL)) == []


async def test_it_is_said_in_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def two(settings: Settings, role: str) -> list[str]:
        return ["definitions", "verdicts"]

    monkeypatch.setattr("stream_durable.services.rights.excess", two)
    caplog.set_level(logging.WARNING, "stream_durable")

    await question_rights(Settings(), "ingress")

    (said,) = caplog.records
    assert "ingress" in said.getMessage()
    assert "sd.definitions, sd.verdicts" in said.getMessage()


@pytest.mark.real
async def test_a_broker_without_an_authorizer_lets_everybody_do_everything(
    kafka_broker: LocalKafka, prefix: str
) -> None:
    settings = Settings().override(
        {"prefix": prefix, "kafka.bootstrap": kafka_broker.bootstrap, "kafka.replication": 1}
    )
    await Topics(settings, ("default",)).apply()

    assert await excess(settings, "worker") == []
