"""The local Kafka and Postgres: started, stopped, killed, frozen and started again."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stream_durable.local import process
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres
from stream_durable.local.process import Child, LocalServiceError, free_ports, wait_for

pytestmark = pytest.mark.real

Service = LocalKafka | LocalPostgres


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory nobody but us may enter, as under /root: the harder case for Postgres."""
    directory = Path(tempfile.mkdtemp(prefix="stream-durable-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def kafka(home: Path) -> Iterator[LocalKafka]:
    with LocalKafka(home) as broker:
        yield broker


@pytest.fixture
def postgres(home: Path) -> Iterator[LocalPostgres]:
    with LocalPostgres(home) as server:
        yield server


@pytest.fixture(params=[LocalKafka, LocalPostgres])
def make(request: pytest.FixtureRequest) -> Callable[..., Service]:
    """Either service, for what holds for both."""
    service: Callable[..., Service] = request.param
    return service


@pytest.fixture
def occupied_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_record_survives_a_kill_and_an_orderly_stop(kafka: LocalKafka) -> None:
    before = cluster_id(kafka)
    create_topic(kafka, "kept")
    produce(kafka, "kept", b"first")

    kafka.kill()
    kafka.start()
    produce(kafka, "kept", b"second")
    kafka.stop()
    kafka.start()

    assert consume(kafka, "kept", 2) == [b"first", b"second"]
    assert cluster_id(kafka) == before


def test_a_killed_broker_is_gone_and_its_successor_has_its_port(kafka: LocalKafka) -> None:
    bootstrap, pid = kafka.bootstrap, kafka.pid

    kafka.kill()

    assert not kafka.running
    assert not psutil.pid_exists(pid)
    kafka.start()
    assert kafka.bootstrap == bootstrap
    assert kafka.pid != pid


def test_a_paused_broker_answers_nothing_until_it_is_resumed(kafka: LocalKafka) -> None:
    kafka.pause()

    with pytest.raises(KafkaException):
        admin(kafka).list_topics(timeout=0.3)
    kafka.resume()
    assert admin(kafka).list_topics(timeout=10).brokers


def test_a_paused_broker_can_be_stopped(kafka: LocalKafka) -> None:
    kafka.pause()

    kafka.stop()

    assert not kafka.running


def test_two_brokers_have_different_cluster_ids(kafka: LocalKafka, kafka_broker: LocalKafka) -> None:
    assert cluster_id(kafka) != cluster_id(kafka_broker)


def test_a_broker_takes_records_of_the_default_size(kafka_broker: LocalKafka, prefix: str) -> None:
    create_topic(kafka_broker, prefix)

    produce(kafka_broker, prefix, bytes(999_000))

    assert [len(value) for value in consume(kafka_broker, prefix, 1)] == [999_000]


async def test_a_row_survives_a_kill_and_an_orderly_stop(postgres: LocalPostgres) -> None:
    await execute(postgres, "CREATE TABLE kept (word text)")
    await execute(postgres, "INSERT INTO kept VALUES ('first')")

    postgres.kill()
    postgres.start()
    await execute(postgres, "INSERT INTO kept VALUES ('second')")
    postgres.stop()
    postgres.start()

    assert await fetch(postgres, "SELECT word FROM kept") == ["first", "second"]


async def test_a_kill_takes_all_processes_of_a_busy_server(postgres: LocalPostgres) -> None:
    connection = await asyncpg.connect(postgres.dsn())
    backend = await connection.fetchval("SELECT pg_backend_pid()")
    pids = postgres.pids()
    assert backend in pids

    postgres.kill()

    connection.terminate()
    assert [pid for pid in pids if alive(pid)] == []
    postgres.start()


def test_a_pid_file_naming_an_unrelated_process_does_not_hinder_a_start(
    postgres: LocalPostgres, home: Path
) -> None:
    postgres.kill()
    pid_file = home / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    postgres.start()

    assert postgres.running


def test_a_second_server_on_the_same_data_is_refused(postgres: LocalPostgres, home: Path) -> None:
    with pytest.raises(LocalServiceError, match=r"runs already on .*data, process \d+"):
        LocalPostgres(home).start()

    assert postgres.running


async def test_the_settings_are_those_of_a_durable_server(postgres: LocalPostgres) -> None:
    rows = await fetch(
        postgres,
        "SELECT current_setting(name) FROM unnest(ARRAY['fsync', 'synchronous_commit',"
        " 'wal_compression', 'max_connections', 'listen_addresses', 'server_encoding',"
        " 'lc_messages', 'unix_socket_directories']) AS name",
    )

    assert rows == ["on", "on", "off", "100", "127.0.0.1", "UTF8", "C", ""]


@pytest.mark.parametrize("name", ["plain", 'with "quotes" and space', "--template0", "häuser/%41"])
async def test_a_database_may_have_any_name(postgres_server: LocalPostgres, name: str) -> None:
    postgres_server.create_database(name)

    connection = await asyncpg.connect(postgres_server.dsn(name))
    assert await connection.fetchval("SELECT current_database()") == name
    postgres_server.drop_database(name)

    connection.terminate()
    assert name not in await fetch(postgres_server, "SELECT datname FROM pg_database")


def test_a_database_that_exists_is_not_made_again(postgres_server: LocalPostgres) -> None:
    with pytest.raises(LocalServiceError, match='database "template1" already exists'):
        postgres_server.create_database("template1")


def test_a_taken_port_is_named(make: Callable[..., Service], home: Path, occupied_port: int) -> None:
    service = make(home, occupied_port)

    with pytest.raises(LocalServiceError, match=rf"127\.0\.0\.1:{occupied_port} \(Address already"):
        service.start()

    assert not service.running


def test_a_second_start_is_refused_and_a_second_stop_is_harmless(
    make: Callable[..., Service], home: Path
) -> None:
    with make(home) as service:
        with pytest.raises(LocalServiceError, match="runs already"):
            service.start()

        service.stop()


def test_a_service_outlives_the_thread_that_started_it(make: Callable[..., Service], home: Path) -> None:
    service = make(home)
    thread = threading.Thread(target=service.start)

    thread.start()
    thread.join()

    assert service.running
    service.kill()
    assert not service.running
    service.start()
    service.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the children of the dead")
def test_a_service_dies_with_its_parent(make: Callable[..., Service], home: Path) -> None:
    script = (
        f"from {make.__module__} import {make.__name__} as Service\n"
        "from pathlib import Path; import sys\n"
        "service = Service(Path(sys.argv[1])); service.start()\n"
        "print('started', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        family = [child.pid for child in psutil.Process(parent.pid).children(recursive=True)]
        assert family

        parent.kill()

        wait_for(lambda: not any(map(alive, family)), seconds=60, what="the orphans' end")


def test_a_child_that_ends_while_starting_shows_the_end_of_its_log(home: Path) -> None:
    command = [sys.executable, "-c", "print('no disk'); raise SystemExit(3)"]
    child = Child.spawn("Example", command, log=home / "log", cwd=home)

    with pytest.raises(LocalServiceError, match=r"(?s)Example ended with code 3 .*no disk"):
        child.wait_until(lambda: False, seconds=20)


def test_a_child_that_is_not_ready_in_time_is_ended(home: Path) -> None:
    with (home / "log").open("w") as log:
        log.write("of an earlier start\n")
    child = Child.spawn("Example", ["sleep", "60"], log=home / "log", cwd=home)

    with pytest.raises(LocalServiceError, match=r"not ready after 0 s. .*log:$"):
        child.wait_until(lambda: False, seconds=0)

    assert not child.running


def test_a_child_that_ignores_a_signal_is_killed(home: Path) -> None:
    child = Child.spawn("Example", ["sh", "-c", "trap '' TERM; sleep 60 & wait; wait"],
                        log=home / "log", cwd=home)  # fmt: skip

    child.end(signal.SIGTERM, seconds=0)

    assert not child.running


async def test_each_test_has_an_empty_database_of_its_own(
    database: str, postgres_server: LocalPostgres
) -> None:
    connection = await asyncpg.connect(database)

    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")

    await connection.close()
    assert tables == 0
    assert database != postgres_server.dsn()


def test_free_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20


def test_a_free_port_is_neither_taken_nor_one_that_a_connection_may_be_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (port,) = free_ports(1)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as connection,
    ):
        assert port < min(connection.getsockname()[1], server.getsockname()[1])

    with socket.create_server(("127.0.0.1", port)):
        monkeypatch.setattr(process, "_PORTS", range(port, port + 1))
        with pytest.raises(LocalServiceError, match=f"fewer than 1 of the ports {port} to {port} are free"):
            free_ports(1)


def test_what_is_missing_is_named_with_the_command_that_installs_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(home))
    assert "apt-get install openjdk-17-jre-headless" in (LocalKafka.available(home) or "")

    (home / "java").symlink_to(sys.executable)
    assert "apt-get install maven" in (LocalKafka.available(home) or "")


def alive(pid: int) -> bool:
    """Whether it runs: in some containers nobody collects the orphans that have ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def admin(kafka: LocalKafka) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})


def cluster_id(kafka: LocalKafka) -> str:
    client = admin(kafka)
    description = client.describe_cluster().result(10)
    assert description.cluster_id is not None
    return str(description.cluster_id)


def create_topic(kafka: LocalKafka, topic: str) -> None:
    client = admin(kafka)  # must outlive the request
    client.create_topics([NewTopic(topic, 1, 1)])[topic].result(10)


def produce(kafka: LocalKafka, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 0, "log_level": 0})
    producer.produce(topic, value)
    assert producer.flush(20) == 0


def consume(kafka: LocalKafka, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "test", "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, 0)])
    messages = consumer.consume(count, 20)
    consumer.close()
    return [message.value() or b"" for message in messages]


async def execute(postgres: LocalPostgres, statement: str) -> None:
    connection = await asyncpg.connect(postgres.dsn())
    await connection.execute(statement)
    await connection.close()


async def fetch(postgres: LocalPostgres, query: str) -> list[str]:
    connection = await asyncpg.connect(postgres.dsn())
    rows = await connection.fetch(query)
    await connection.close()
    return [row[0] for row in rows]
