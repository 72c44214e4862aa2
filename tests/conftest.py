"""Fixtures every test may use: the real services, a fresh database, a prefix for topics."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import side_by_side
from databases import Databases
from hypothesis import settings
from instances import PARTITIONS

from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres
from stream_durable.postgres.migrate import migrate
from stream_durable.settings import PostgresSettings

#: Folders and modules that try many cases, or run whole instances in memory: not for every few minutes.
SLOW = (
    "bench", "chaos", "docs", "features", "fuzz", "ported", "property", "replay", "simulation", "testing_kit",
    "sdk/test_public.py", "sdk/test_schemas.py", "sdk/test_shapes.py",
    "wire/test_cloudevents.py", "wire/test_compatibility.py", "wire/test_packaging.py",
    "worker/test_processes.py",
)  # fmt: skip


#: The same examples in each run. `make laws` seeks others.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(side_by_side)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make quick` leaves out."""
    tests = Path(__file__).parent
    for item in items:
        if any(item.path.is_relative_to(tests / slow) for slow in SLOW):
            item.add_marker(pytest.mark.slow)


@dataclass(frozen=True)
class Services:
    """What a session starts once, when the first test asks for it."""

    kafka: LocalKafka
    postgres: LocalPostgres


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """Start both at the same time; without them the session fails, for a skip would hide it."""
    missing = [what for what in (LocalKafka.available(), LocalPostgres.available()) if what]
    if missing:
        pytest.exit("\n".join(["the real services cannot be started:", *missing]), returncode=1)

    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="stream-durable-"))
        stack.callback(shutil.rmtree, home)
        kafka, postgres = LocalKafka(home / "kafka"), LocalPostgres(home / "postgres", is_synced=False)
        stack.callback(kafka.stop)
        stack.callback(postgres.stop)
        with ThreadPoolExecutor() as threads:
            starts = [threads.submit(service.start) for service in (kafka, postgres)]
        for start in starts:
            start.result()
        yield Services(kafka, postgres)


@pytest.fixture(scope="session")
def kafka_broker(services: Services) -> LocalKafka:
    return services.kafka


@pytest.fixture(scope="session")
def postgres_server(services: Services) -> LocalPostgres:
    return services.postgres


@pytest.fixture(scope="session")
def databases(postgres_server: LocalPostgres) -> Databases:
    return Databases(postgres_server)


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """The DSN of a database which is this test's own, with the schema of an instance, as it was made."""
    name = databases.copy("an instance", lambda dsn: migrate(PostgresSettings(dsn=dsn), PARTITIONS))
    yield databases.dsn(name)
    databases.drop(name)


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[str]:
    """The DSN of an empty database which is this test's own."""
    name = databases.empty()
    yield databases.dsn(name)
    databases.drop(name)


@pytest.fixture
def prefix() -> str:
    """What this test's topics begin with, so that tests can share one broker."""
    return f"sd_{secrets.token_hex(4)}"
