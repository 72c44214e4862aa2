"""Connects clients: settings in, a client out. Nothing but wiring.

Apart from `bootstrap`: its import brings every processor along.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from stream_durable.client import AsyncClient, BlockingClient
from stream_durable.client.edge import Ports
from stream_durable.client.rehearsal import RehearsingPublisher
from stream_durable.kafka.blobs import KafkaBlobs
from stream_durable.kafka.control import KafkaControl
from stream_durable.kafka.definitions import KafkaDefinitions
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.kafka.registry import registry_of
from stream_durable.kafka.tail import KafkaRunEvents
from stream_durable.kafka.topic_views import KafkaTopicViews
from stream_durable.kafka.traffic import KafkaTraffic
from stream_durable.ports import PlacingPublisher
from stream_durable.postgres.views import PostgresViews
from stream_durable.running import with_running
from stream_durable.settings import Settings, check_safety, masked
from stream_durable.wire.tokens import Tokens


class SystemClock:
    """The clock of the machine."""

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


def process_name(settings: Settings, role: str) -> str:
    """Return the name under which a process of ours appears in rows, logs and groups."""
    return settings.worker.id or f"{role}-{socket.gethostname()}-{os.getpid()}"


@asynccontextmanager
async def client_ports(
    settings: Settings | Path | None, *, name: str = "client", rehearsing: bool = False
) -> AsyncIterator[Ports]:
    """Assemble the ports of a client called `name`; `settings` may also be the path of a file.

    Without addresses of Kafka and Postgres, a `dev` running in this directory is used. With `rehearsing`
    nothing is published: see `RehearsingPublisher`.
    """
    settings = settings if isinstance(settings, Settings) else with_running(Settings.load(settings))
    check_safety(settings)
    name = process_name(settings, name)
    publisher: PlacingPublisher = (
        RehearsingPublisher() if rehearsing else KafkaPublisher(settings.kafka, settings.prefix, client=name)
    )
    definitions = KafkaDefinitions(settings.kafka, settings.prefix, publisher, client=name)
    views = PostgresViews(settings.postgres)
    events = KafkaRunEvents(settings.kafka, settings.prefix, client=name)
    blobs = KafkaBlobs(settings.kafka, settings.prefix, publisher, client=name)
    control = KafkaControl(settings.kafka, settings.prefix, client=name)
    shown = masked(settings)
    where = f"Kafka at {shown['kafka.bootstrap']}, Postgres at {shown['postgres.dsn']}"
    try:
        yield Ports(
            publisher, definitions, views, events, blobs, control, settings.engine.event_ttl_ms, where,
            tokens=tokens_of(settings),
            traffic=KafkaTraffic(settings.kafka, settings.prefix, client=name),
            topics=KafkaTopicViews(settings.kafka, settings.prefix, client=name),
            registry=registry_of(settings.registry),
        )  # fmt: skip
    finally:
        await control.close()
        await blobs.close()
        await events.close()
        await publisher.close()
        await definitions.close()
        await views.close()


def tokens_of(settings: Settings) -> Tokens:
    """Return what signs and checks tokens by the secrets of the settings."""
    secrets = [secret.get_secret_value() for secret in settings.security.token_secrets]
    return Tokens(secrets, settings.prefix)


class Client(AsyncClient):
    """The client of the instance in the settings: starts runs, sends signals, publishes events, reads state.

    Settings are passed, read from a passed path, or found by `Settings.load`. Without addresses of Kafka and
    Postgres, a `dev` running in the working directory is used.
    """

    def __init__(self, settings: Settings | Path | None = None) -> None:
        """Connect to nothing yet: `async with` does."""
        super().__init__(partial(client_ports, settings))

    @classmethod
    def sync(cls, settings: Settings | Path | None = None) -> BlockingClient:
        """Return the same for programs without a loop: `with Client.sync() as client`."""
        return BlockingClient(cls(settings))


def client(settings: Settings, *, rehearsing: bool = False) -> AsyncClient:
    """Assemble a client, connected within `async with`.

    With `rehearsing` it changes nothing: each change is checked, then ends as `Rehearsed`.
    """
    return AsyncClient(partial(client_ports, settings, rehearsing=rehearsing))
