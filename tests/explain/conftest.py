"""What the tests take that need the real services."""

from __future__ import annotations

import pytest
from instances import settings_of

from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import Settings


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    """Where an instance of this test's own finds its services."""
    return settings_of(kafka_broker, database, prefix)
