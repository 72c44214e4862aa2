"""The engine on the services that the whole test run shares, where a test asks for the real one."""

from __future__ import annotations

import pytest
from instances import settings_of

from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres
from stream_durable.settings import Settings


@pytest.fixture(scope="session")
def stream_durable_services(kafka_broker: LocalKafka, postgres_server: LocalPostgres) -> Settings:
    return settings_of(kafka_broker, postgres_server.dsn(), "unused")
