"""Kafka and Postgres on a laptop, kept in a directory, with the topics and the schema made.

What is configured is used. Else Postgres is a local server, and Kafka a local broker where Java is there
and librdkafka's mock where it is not. The mock forgets when it ends; the state in Postgres then finds a
new log, goes on with it and asks again for what was under way. It forgets the definitions too, so
`definitions.py` keeps them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stream_durable.core.errors import RejectedError
from stream_durable.kafka.mock import MOCK_PARTITIONS, MockKafka
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres
from stream_durable.postgres import migrate
from stream_durable.services.roles import make_topics
from stream_durable.services.running import is_configured
from stream_durable.settings import Settings, environment_name

KafkaChoice = Literal["auto", "configured", "local", "mock"]


@dataclass(frozen=True, slots=True)
class Laptop:
    """What was started, and how to reach it."""

    settings: Settings
    #: What differs from the settings it was made from, by path.
    values: Mapping[str, str]
    #: One line each, for people.
    postgres: str
    kafka: str
    #: Migrations that were applied.
    applied: tuple[str, ...]
    topic_count: int
    is_mock: bool

    @property
    def environment(self) -> dict[str, str]:
        """The values as a child process is given them."""
        return {environment_name(path): value for path, value in self.values.items()}


@dataclass(frozen=True, slots=True)
class _Started:
    line: str
    values: Mapping[str, str]


@contextmanager
def laptop(home: Path, settings: Settings, kafka: KafkaChoice, queues: tuple[str, ...]) -> Iterator[Laptop]:
    """Start what is not configured; end it with the context."""
    chosen = _choose(kafka, settings)
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with ThreadPoolExecutor(2, thread_name_prefix="laptop") as threads:
            starts = (
                threads.submit(_start_postgres, home, settings, stack),
                threads.submit(_start_kafka, home, settings, chosen, stack),
            )
        postgres, broker = (start.result() for start in starts)
        values = {**_sized(settings, chosen), **postgres.values, **broker.values}
        ours = settings.override(values)
        applied, topic_count = asyncio.run(_prepare(ours, queues))
        yield Laptop(ours, values, postgres.line, broker.line, tuple(applied), topic_count, chosen == "mock")


def _choose(kafka: KafkaChoice, settings: Settings) -> KafkaChoice:
    """Resolve `auto`, and refuse what cannot be had."""
    if kafka == "auto":
        if is_configured(settings, "kafka.bootstrap"):
            return "configured"
        return "mock" if LocalKafka.available() else "local"
    if kafka == "local" and (missing := LocalKafka.available()):
        raise RejectedError("no_local_kafka", missing)
    return kafka


def _sized(settings: Settings, chosen: KafkaChoice) -> dict[str, str]:
    """Return what suits one machine and one person, where nobody said otherwise."""
    suited = {"kafka.replication": "1"}
    if not (chosen == "configured" and is_configured(settings, "postgres.dsn")):
        # The same for all kinds of Kafka, so that the kept database goes with each of them.
        suited["kafka.partitions"] = str(MOCK_PARTITIONS)
        suited["engine.on_lost_log"] = "continue_earliest"
    if chosen != "configured":
        # Whoever tries out what a crash does is watching.
        suited |= {"kafka.session_timeout_ms": "3000", "kafka.heartbeat_ms": "500"}
    return {path: value for path, value in suited.items() if not is_configured(settings, path)}


def _start_postgres(home: Path, settings: Settings, stack: ExitStack) -> _Started:
    if is_configured(settings, "postgres.dsn"):
        return _Started("the configured one", {})
    server = LocalPostgres(home / "postgres")
    server.start()
    stack.callback(server.stop)
    return _Started(f"{server.dsn()}, kept in {home / 'postgres'}", {"postgres.dsn": server.dsn()})


def _start_kafka(home: Path, settings: Settings, chosen: KafkaChoice, stack: ExitStack) -> _Started:
    if chosen == "configured":
        return _Started(f"{settings.kafka.bootstrap}, as configured", {})
    if chosen == "local":
        broker = LocalKafka(home / "kafka")
        broker.start()
        stack.callback(broker.stop)
        line = f"Apache Kafka on {broker.bootstrap}, kept in {home / 'kafka'}"
        return _Started(line, {"kafka.bootstrap": broker.bootstrap})
    mock = MockKafka()
    stack.callback(mock.close)
    line = f"librdkafka's mock broker on {mock.bootstrap}: it forgets when this ends, Postgres does not"
    return _Started(line, {"kafka.bootstrap": mock.bootstrap})


async def _prepare(settings: Settings, queues: tuple[str, ...]) -> tuple[list[str], int]:
    applied = await migrate.migrate(settings.postgres, settings.kafka.partitions)
    return applied, len(await make_topics(settings, queues))
