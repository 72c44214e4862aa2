"""Settings: where they come from, what is refused, and that no secret is ever shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from stream_durable.machine import cache_bytes
from stream_durable.settings import (
    MASK,
    KafkaSettings,
    PostgresSettings,
    SettingRow,
    Settings,
    SettingsError,
    check_safety,
    describe,
    environment_name,
)
from stream_durable.settings.page import reference

SECRET = "hunter2"
DOCUMENT = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.upper().startswith("STREAM_DURABLE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "stream_durable.toml") -> Path:
    file = Path(name)
    file.write_text(text)
    return file


def problems(path: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.load(path)
    assert caught.value.code == "settings_invalid"
    return caught.value.problems


def row(settings: Settings, path: str) -> SettingRow:
    return next(row for row in describe(settings) if row.path == path)


def with_dsn(dsn: str) -> Settings:
    return Settings(postgres=PostgresSettings(dsn=SecretStr(dsn)))


def test_the_defaults_are_those_of_a_safe_production() -> None:
    settings = Settings.load()

    assert settings == Settings()
    assert (settings.prefix, settings.kafka.partitions, settings.kafka.replication) == ("sd", 8, 3)
    assert settings.engine.on_lost_log == "halt"
    assert 64 * 1024 * 1024 <= settings.engine.cache_bytes_max <= 1024 * 1024 * 1024
    assert settings.worker.queues == ("default",)
    assert settings.health.port is None
    assert not settings.security.insecure
    assert check_safety(settings) == []


def test_the_cache_fits_the_machine_until_somebody_says_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "engine.cache_bytes_max"
    default = row(Settings.load(), path)

    assert (default.value, default.origin) == (str(cache_bytes()), "memory of the machine")
    assert default.is_default
    assert row(Settings().override({"prefix": "x"}), path) == default
    monkeypatch.setenv("STREAM_DURABLE_ENGINE__CACHE_BYTES_MAX", "1048576")
    said = row(Settings.load(), path)
    assert (said.value, said.origin, said.is_default) == ("1048576", "env", False)


def test_the_tree_is_frozen() -> None:
    settings = Settings()

    with pytest.raises(ValidationError):
        settings.prefix = "x"
    with pytest.raises(ValidationError):
        settings.kafka.partitions = 1


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write('prefix = "shop"\n[kafka]\npartitions = 16\nreplication = 2\n[worker]\nqueues = ["a", "b"]')
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__PARTITIONS", "32")
    monkeypatch.setenv("stream_durable_security__insecure", "true")

    settings = Settings.load()

    assert (settings.prefix, settings.worker.queues) == ("shop", ("a", "b"))
    assert (settings.kafka.partitions, settings.kafka.replication) == (32, 2)
    assert settings.security.insecure
    origins = {row.path: row.origin for row in describe(settings)}
    assert origins["prefix"] == origins["worker.queues"] == origins["kafka.replication"] == "file"
    assert origins["kafka.partitions"] == origins["security.insecure"] == "env"
    assert origins["kafka.bootstrap"] == origins["postgres.dsn"] == "default"


def test_a_settings_made_by_hand_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    write('prefix = "file"')
    monkeypatch.setenv("STREAM_DURABLE_PREFIX", "env")

    assert Settings().prefix == "sd"
    assert row(Settings(prefix="mine"), "prefix").origin == "code"


def test_the_file_is_the_argument_else_the_variable_else_the_one_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write('prefix = "here"')
    named, given = write('prefix = "named"', "named.toml"), write('prefix = "given"', "given.toml")

    assert Settings.load().prefix == "here"
    monkeypatch.setenv("STREAM_DURABLE_CONFIG", str(named))
    assert Settings.load().prefix == "named"
    assert Settings.load(given).prefix == "given"


def test_a_named_file_that_is_missing_or_no_toml_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_DURABLE_CONFIG", "absent.toml")
    assert problems() == ("absent.toml: No such file or directory",)

    (problem,) = problems(write("prefix =", "broken.toml"))
    assert problem.startswith("broken.toml: not TOML: ")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("STREAM_DURABLE_KAFKA__BOOTSTRP", "STREAM_DURABLE_KAFKA__BOOTSTRAP"),
        ("STREAM_DURABLE_KAFKA_BOOTSTRAP", "STREAM_DURABLE_KAFKA__BOOTSTRAP"),
        ("STREAM_DURABLE_PREFX", "STREAM_DURABLE_PREFIX"),
        ("STREAM_DURABLE_WORKER__DSN", "STREAM_DURABLE_POSTGRES__DSN"),
        ("STREAM_DURABLE_POSTGRES__SCHEMA", "STREAM_DURABLE_POSTGRES__DB_SCHEMA"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, SECRET)

    assert problems() == (f"{name}: there is no such setting; the nearest is {nearest}",)


def test_all_unknown_keys_of_a_file_are_named_at_once() -> None:
    file = write("[kafka]\nboostrap = 'x'\n[worker.queues]\na = 1\n[wroker]\n[health]\nport = 0")

    assert problems(file) == (
        f"{file}: kafka.boostrap: there is no such setting; the nearest is kafka.bootstrap",
        f"{file}: worker.queues.a: there is no such setting; the nearest is worker.queues",
        f"{file}: wroker: there is no such setting; the nearest is worker.id",
    )


def test_a_value_where_a_table_belongs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__PROPERTIES__DEBUG", "all")

    file = write("kafka = 3")
    assert problems() == (f"{file}: kafka: it is not one setting but a table of them",)
    write("[kafka]\nproperties = 'x'")
    assert problems() == (f"{file}: kafka.properties: it is not one setting but a table of them",)


def test_a_wrong_value_is_named_by_where_it_stands_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(f"[worker]\nqueues = ['a', '{SECRET} !']\nconcurrency = 0")
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__PARTITIONS", SECRET)
    monkeypatch.setenv("STREAM_DURABLE_POSTGRES__DSN", f"mysql://u:{SECRET}@h/d")

    found = problems()

    labels = {problem.rpartition(": ")[0] for problem in found}
    assert {f"{file}: worker.queues", f"{file}: worker.concurrency"} <= labels
    assert any(problem.startswith("STREAM_DURABLE_KAFKA__PARTITIONS: ") for problem in found)
    assert "STREAM_DURABLE_POSTGRES__DSN: write postgresql://user:password@host:port/database" in found
    assert SECRET not in "".join(found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[kafka]\nheartbeat_ms = 5000", "kafka: heartbeat_ms may be a third of session_timeout_ms at most"),
        ("[worker]\nlease_ms = 15000", "worker: heartbeat_ms may be half of lease_ms at most"),
        (
            "[postgres]\nlock_timeout_ms = 30000",
            "postgres: lock_timeout_ms must be less than statement_timeout_ms",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(text: str, problem: str) -> None:
    assert problems(write(text)) == (problem,)


@pytest.mark.parametrize("bootstrap", ["", "a:1,", "SSL://a:1", "a b:1", "a:port", "u@h:1"])
def test_brokers_are_hosts_and_ports(bootstrap: str) -> None:
    with pytest.raises(ValidationError):
        KafkaSettings(bootstrap=bootstrap)


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://u:{SECRET}@x@h/d",
        f"postgresql://u:{SECRET}/x@h/d",
        f"postgresql://u:{SECRET}#x@h/d",
        f"postgresql://u:{SECRET}[@h/d",
        f"{SECRET}",
        "postgresql:///database",
    ],
)
def test_an_address_that_could_be_read_two_ways_is_refused_without_showing_it(dsn: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PostgresSettings(dsn=SecretStr(dsn))

    assert SECRET not in str(caught.value)


def test_queues_and_the_absence_of_a_port_can_be_written_in_a_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("[health]\nport = 8080\n[worker]\nid = 'w'")
    monkeypatch.setenv("STREAM_DURABLE_WORKER__QUEUES", "default, mail")
    monkeypatch.setenv("STREAM_DURABLE_HEALTH__PORT", "off")
    monkeypatch.setenv("STREAM_DURABLE_WORKER__ID", "")

    settings = Settings.load()

    assert settings.worker.queues == ("default", "mail")
    assert settings.health.port is None
    assert settings.worker.id == "w", "an empty variable counts as absent"


def test_properties_come_from_tables_json_and_single_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        "[kafka.properties]\n"
        "sasl.username = 'file'\n"
        "'ssl.ca.location' = '/ca'\n"
        "'socket.nagle.disable' = true\n"
        "'fetch.wait.max.ms' = 500\n"
    )
    whole = f'{{"sasl.username": "json", "sasl": {{"password": "{SECRET}"}}, "client.rack": "a"}}'
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__PROPERTIES", whole)
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__PROPERTIES__SASL_USERNAME", "single")

    settings = Settings.load()

    assert settings.kafka.properties == {
        "sasl.username": "single",
        "sasl.password": SECRET,
        "ssl.ca.location": "/ca",
        "socket.nagle.disable": "true",
        "fetch.wait.max.ms": "500",
        "client.rack": "a",
    }
    assert row(settings, "kafka.properties.sasl.username").origin == "env"
    assert row(settings, "kafka.properties.ssl.ca.location").origin == "file"


@pytest.mark.parametrize("text", ["sasl.username=x", "[]", '"x"'])
def test_properties_that_are_no_json_object_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__PROPERTIES", text)

    assert problems() == ('STREAM_DURABLE_KAFKA__PROPERTIES: write a JSON object, {"property": "value"}',)


def test_a_property_that_carries_a_guarantee_is_refused() -> None:
    (problem,) = problems(write("[kafka.properties]\n'enable.idempotence' = false\nacks = 1"))

    assert problem.startswith("kafka.properties: acks, enable.idempotence: set by stream_durable")


def test_no_secret_is_in_a_repr_or_a_row() -> None:
    secrets = {
        "sasl.password": SECRET,
        "ssl.key.pem": SECRET,
        "sasl.oauthbearer.client.secret": SECRET,
        "a.Token": SECRET,
    }
    settings = Settings(
        kafka=KafkaSettings(properties={"sasl.username": "me", **secrets}),
        postgres=PostgresSettings(
            dsn=SecretStr(f"postgresql://me:{SECRET}@h:1/d?sslmode=verify-full&sslpassword={SECRET}")
        ),
    )

    rows = {row.path: row.value for row in describe(settings)}

    assert rows["kafka.properties.sasl.username"] == "me"
    assert all(rows[f"kafka.properties.{key}"] == MASK for key in secrets)
    assert rows["postgres.dsn"] == f"postgresql://me:{MASK}@h:1/d?sslmode=verify-full&sslpassword={MASK}"
    assert SECRET not in repr(settings) + str(settings) + "".join(rows.values())


def test_every_setting_is_described_in_the_order_of_the_tree() -> None:
    rows = describe(Settings())

    assert [row.path for row in rows][:3] == ["prefix", "kafka.bootstrap", "kafka.partitions"]
    assert [row.path for row in rows if len(row.description) < 40] == []
    values = {row.path: row.value for row in rows}
    assert values["worker.queues"] == "default"
    assert values["health.port"] == "off"
    assert values["security.insecure"] == "false"
    assert values["postgres.dsn"] == "postgresql://127.0.0.1:5432/postgres"


def test_a_command_overrides_values_and_the_other_origins_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_DURABLE_PREFIX", "shop")
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__PROPERTIES__CLIENT_RACK", "a")
    loaded = Settings.load()

    dev = loaded.override(
        {
            "kafka.replication": 1,
            "postgres.dsn": "postgresql://localhost/x",
            "kafka.properties": {"debug": "all"},
        }
    )

    assert (loaded.kafka.replication, dev.kafka.replication, dev.prefix) == (3, 1, "shop")
    assert dev.postgres.dsn.get_secret_value() == "postgresql://localhost/x"
    assert dev.kafka.properties == {"client.rack": "a", "debug": "all"}
    origins = {row.path: row.origin for row in describe(dev)}
    assert origins["prefix"] == origins["kafka.properties.client.rack"] == "env"
    assert origins["kafka.replication"] == origins["kafka.properties.debug"] == "code"
    assert origins["kafka.partitions"] == "default"


@pytest.mark.parametrize("values", [{"kafka.replicas": 1}, {"kafka.replication": 0}])
def test_an_override_is_checked_like_anything_else(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(values))):
        Settings().override(values)


@pytest.mark.parametrize(
    ("bootstrap", "protocol", "is_refused"),
    [
        ("localhost:9092", None, False),
        ("127.0.0.1:1,[::1]:2", None, False),
        ("127.0.0.1:1,broker:9092", None, True),
        ("broker:9092", "SASL_PLAINTEXT", True),
        ("broker:9092", "SASL_SSL", False),
        ("broker:9092", "ssl", False),
        ("[2001:db8::1]:9092", None, True),
        ("0.0.0.0:9092", None, True),
        ("localhost.example:9092", None, True),
    ],
)
def test_kafka_beyond_this_machine_needs_tls(bootstrap: str, protocol: str | None, is_refused: bool) -> None:
    properties = {} if protocol is None else {"security.protocol": protocol}
    settings = Settings(kafka=KafkaSettings(bootstrap=bootstrap, properties=properties))

    if is_refused:
        with pytest.raises(SettingsError, match=r"kafka\.bootstrap: .* without TLS") as caught:
            check_safety(settings)
        assert caught.value.code == "settings_unsafe"
    else:
        assert check_safety(settings) == []


@pytest.mark.parametrize(
    ("dsn", "is_refused"),
    [
        ("postgresql://localhost/d", False),
        ("postgresql://[::1]:5432/d", False),
        ("postgresql://u@127.0.0.1:5432,127.0.0.2/d", False),
        ("postgresql:///d?host=/run/postgresql", False),
        ("postgresql://db/d", True),
        ("postgresql://db/d?sslmode=prefer", True),
        ("postgresql://localhost,db/d", True),
        ("postgresql:///d?host=db", True),
        (f"postgresql://localhost:{SECRET}@db/d", True),
        ("postgresql://db/d?sslmode=verify-full&sslmode=disable", True),
        ("postgresql://db/d?sslmode=verify-full", False),
    ],
)
def test_postgres_beyond_this_machine_needs_tls(dsn: str, is_refused: bool) -> None:
    if is_refused:
        with pytest.raises(SettingsError, match=r"postgres\.dsn: .* without TLS") as caught:
            check_safety(with_dsn(dsn))
        assert SECRET not in str(caught.value)
    else:
        assert check_safety(with_dsn(dsn)) == []


def test_what_is_insecure_on_purpose_becomes_a_note() -> None:
    settings = with_dsn("postgresql://db/d").override({"kafka.bootstrap": "broker:9092"})
    with pytest.raises(SettingsError, match="STREAM_DURABLE_SECURITY__INSECURE=true"):
        check_safety(settings)

    kafka, postgres = check_safety(settings.override({"security.insecure": True}))

    assert (kafka.partition(":")[0], postgres.partition(":")[0]) == ("kafka.bootstrap", "postgres.dsn")


@pytest.mark.parametrize(
    ("values", "about"),
    [
        ({"health.host": "0.0.0.0", "health.port": 8080}, "health.host"),
        ({"postgres.dsn": "postgresql://db/d?sslmode=require"}, "postgres.dsn"),
        ({"kafka.properties": {"ssl.endpoint.identification.algorithm": "none"}}, "kafka.properties"),
        ({"kafka.properties": {"enable.ssl.certificate.verification": "false"}}, "kafka.properties"),
        ({"kafka.properties": {"debug": "security"}}, "kafka.properties"),
    ],
)
def test_what_is_worth_a_second_look_is_noted(values: dict[str, object], about: str) -> None:
    (note,) = check_safety(Settings().override(values))

    assert note.startswith(f"{about}: ")


def test_a_health_server_that_is_off_is_not_noted() -> None:
    assert check_safety(Settings().override({"health.host": "0.0.0.0"})) == []


def test_every_setting_can_be_set_by_the_variable_that_is_documented_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [row for row in describe(Settings()) if row.path != "kafka.properties" and row.value]
    for one in rows:
        monkeypatch.setenv(environment_name(one.path), one.value)

    origins = {row.path: row.origin for row in describe(Settings.load())}

    assert [row.path for row in rows if origins[row.path] != "env"] == []


def test_the_reference_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == reference(), (
        "run: python -m stream_durable.settings > docs/reference/settings.md"
    )
