"""`db` and `topics`, on the real ones."""

from __future__ import annotations

import pytest
from cli_world import Cli, Processes
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from stream_durable.cli.values import load_settings
from stream_durable.kafka.topics import Topics
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.process import wait_for

pytestmark = pytest.mark.real

DAY_MS = 86_400_000
INBOX, EVENTS, COMMANDS = "inbox", "events", "commands.default"


@pytest.fixture
def schema(monkeypatch: pytest.MonkeyPatch, empty_database: str) -> None:
    monkeypatch.setenv("STREAM_DURABLE_POSTGRES__DSN", empty_database)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch, kafka_broker: LocalKafka, prefix: str) -> str:
    """Configure the broker; return the prefix of the topics."""
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__BOOTSTRAP", kafka_broker.bootstrap)
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__REPLICATION", "1")
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__PARTITIONS", "2")
    monkeypatch.setenv("STREAM_DURABLE_PREFIX", prefix)
    return prefix


@pytest.mark.usefixtures("schema")
def test_a_schema_is_checked_migrated_and_then_up_to_date(cli: Cli) -> None:
    pending = cli.rows("db", "check", code=4)
    applied = cli.rows("db", "migrate")

    assert [row["migration"] for row in pending] == [row["migration"] for row in applied] != []
    assert cli.rows("db", "migrate") == []
    assert "up to date" in cli("db", "check").stdout


@pytest.mark.usefixtures("schema")
def test_a_schema_never_gets_another_number_of_partitions(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("db", "migrate")
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__PARTITIONS", "3")

    assert "8 partitions, not for 3" in cli("db", "migrate", code=1).stderr


def test_topics_are_planned_made_and_then_as_they_should_be(cli: Cli, broker: str) -> None:
    planned = cli.rows("topics", "plan", "--queue", "mail", code=4)
    made = cli.rows("topics", "apply", "--queue", "mail")

    assert planned == made
    assert {row["action"] for row in made} == {"create"}
    assert {
        f"{broker}.{name}" for name in (INBOX, EVENTS, COMMANDS, "commands.mail", "commands.mail.first")
    } <= {row["topic"] for row in made}
    assert {row["action"] for row in cli.rows("topics", "plan", "--queue", "mail")} == {"ok"}


def test_topics_of_users_are_made_once(cli: Cli, broker: str) -> None:
    names = (f"{broker}.mine", f"{broker}.yours")

    assert cli("topics", "make", names[0]).stdout == f"{names[0]} was created.\n"
    assert cli("topics", "make", *names, "--partitions", "3").stdout.splitlines() == [
        f"{names[0]} exists already.",
        f"{names[1]} was created.",
    ]
    assert "no / here" in cli("topics", "make", "no / here", code=1).stderr


@pytest.mark.usefixtures("broker")
def test_more_replicas_than_brokers_are_refused_by_the_name_of_the_setting(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAM_DURABLE_KAFKA__REPLICATION", "3")

    told = "kafka.replication is 3, and so many brokers answer: 1; set kafka.replication to that at most"
    assert told in cli("topics", "apply", code=4).stderr


def test_a_topic_with_another_number_of_partitions_is_refused_and_nothing_is_made(
    cli: Cli, broker: str, kafka_broker: LocalKafka
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0})
    for future in admin.create_topics([NewTopic(f"{broker}.{INBOX}", 3, 1)]).values():
        future.result()
    wait_for(
        lambda: f"{broker}.{INBOX}" in admin.list_topics(timeout=10).topics, seconds=10, what="the new topic"
    )

    result = cli("topics", "apply", code=4)

    assert f"{broker}.{INBOX}: it has 3 partitions, not 2" in result.stderr
    left = {row["topic"]: row["action"] for row in cli.rows("topics", "plan", code=4)}
    assert left[f"{broker}.{INBOX}"] == "refuse"
    assert left[f"{broker}.{EVENTS}"] == "create"


def test_properties_that_somebody_changed_are_said_and_mended_and_the_others_left_alone(
    cli: Cli, broker: str, kafka_broker: LocalKafka
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0})
    theirs = {"retention.ms": "2419200000", "max.message.bytes": "20000", "segment.ms": "7200000"}
    for future in admin.create_topics([NewTopic(f"{broker}.{COMMANDS}", 2, 1, config=theirs)]).values():
        future.result()
    wait_for(
        lambda: f"{broker}.{COMMANDS}" in admin.list_topics(timeout=10).topics, seconds=10, what="the topic"
    )

    planned = [row for row in cli.rows("topics", "plan", code=4) if row["topic"] == f"{broker}.{COMMANDS}"]
    cli("topics", "apply")

    assert [(row["action"], row["detail"].split(" ")[0]) for row in planned] == [
        ("change", "retention.ms"),
        ("change", "max.message.bytes"),
    ]
    assert {row["action"] for row in cli.rows("topics", "plan")} == {"ok"}
    resource = ConfigResource(ResourceType.TOPIC, f"{broker}.{COMMANDS}")
    config = admin.describe_configs([resource])[resource].result()
    found = {name: config[name].value for name in theirs}
    assert found == {"retention.ms": "432000000", "max.message.bytes": "5000000", "segment.ms": "7200000"}


def test_brokers_that_forget_groups_sooner_than_commands_are_kept_are_a_warning(
    cli: Cli, broker: str, kafka_broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brokers do not change it while they run: this one's is read, and another's is put in."""
    assert Topics(load_settings(), ())._offsets_kept_ms(1) == 7 * DAY_MS
    monkeypatch.setattr(Topics, "_offsets_kept_ms", lambda *_: DAY_MS)

    cli("topics", "apply")
    rows = {row["topic"]: row for row in cli.rows("topics", "plan", code=4)}

    resource = ConfigResource(ResourceType.TOPIC, f"{broker}.{COMMANDS}")
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0})
    kept = int(admin.describe_configs([resource])[resource].result()["retention.ms"].value)
    assert (rows["brokers"]["action"], kept) == ("warning", DAY_MS * 5 // 7)
    assert "offsets.retention.minutes is 1440, it should be above 7200" in rows["brokers"]["detail"]


@pytest.mark.usefixtures("broker", "schema")
def test_without_schema_or_topics_a_service_says_what_to_run(cli: Cli, processes: Processes) -> None:
    first = processes.start("reconciler")
    code = first.popen.wait(30)
    cli("db", "migrate")
    second = processes.start("reconciler")

    assert (code, second.popen.wait(30)) == (1, 1)
    assert "run `stream-durable db migrate`" in first.text()
    assert "run `stream-durable topics apply`" in second.text()
