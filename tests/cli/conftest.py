"""Fixtures for the tests of the command line."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_world import ROLES, SECONDS, Cli, Instance, Processes

from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let no setting of the machine in, from the environment or from a file."""
    for name in [name for name in os.environ if name.startswith("STREAM_DURABLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli() -> Cli:
    return Cli()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    started.kill_all()


@pytest.fixture(scope="module")
def instance(
    kafka_broker: LocalKafka, postgres_server: LocalPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Instance]:
    name = f"sd_{secrets.token_hex(4)}"
    postgres_server.create_database(name)
    environment = {
        "STREAM_DURABLE_PREFIX": name,
        "STREAM_DURABLE_KAFKA__BOOTSTRAP": kafka_broker.bootstrap,
        "STREAM_DURABLE_KAFKA__REPLICATION": "1",
        "STREAM_DURABLE_KAFKA__PARTITIONS": "2",
        "STREAM_DURABLE_KAFKA__SESSION_TIMEOUT_MS": "3000",
        "STREAM_DURABLE_KAFKA__HEARTBEAT_MS": "500",
        "STREAM_DURABLE_POSTGRES__DSN": postgres_server.dsn(name),
        "STREAM_DURABLE_WORKER__DRAIN_MS": "1000",
    }
    processes = Processes(tmp_path_factory.mktemp("services"))
    try:
        for command in (("db", "migrate"), ("topics", "apply")):
            assert processes.start(*command, environment=environment).popen.wait(SECONDS) == 0
        started = Instance(environment, processes)
        for role in ROLES:
            started.start(role)
        started.until_ready(*ROLES)
        yield started
    finally:
        # Also what did not become ready in time.
        processes.kill_all()
        postgres_server.drop_database(name)


@pytest.fixture
def on_instance(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> Instance:
    """Configure the commands of this process for the instance."""
    for name, value in instance.environment.items():
        monkeypatch.setenv(name, value)
    return instance
