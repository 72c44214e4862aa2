"""What Faust is given of our settings, and what is refused."""

from pathlib import Path

import pytest
from faust.exceptions import AlreadyConfiguredWarning

from stream_durable.core.errors import RejectedError
from stream_durable.kafka.config import MESSAGE_BYTES_MAX
from stream_durable.settings import Settings, SettingsError
from stream_durable.streams import Start, StreamApp
from stream_durable.streams.options import REQUEST_BYTES_MAX, faust_options
from stream_durable.streams.outcomes import Writer


def settings(**kafka: object) -> Settings:
    return Settings().override(
        {"prefix": "shop", **{f"kafka.{name}": value for name, value in kafka.items()}}
    )


def test_all_brokers_and_our_names() -> None:
    app = StreamApp("audit", settings=settings(bootstrap="a:1,b:2", partitions=3, replication=2))

    assert [str(url) for url in app.conf.broker] == ["kafka://a:1", "kafka://b:2"]
    assert app.conf.id == "shop.streams.audit"
    assert (app.conf.topic_partitions, app.conf.topic_replication_factor) == (3, 2)
    assert not app.conf.web_enabled
    assert str(app.steps) == "shop.steps"
    assert str(app.runs) == "shop.runs"


def test_the_web_server_stays_off_although_the_worker_turns_it_on() -> None:
    app = StreamApp("audit", settings=settings())
    app.conf.web_enabled = True  # as `faust worker` does

    assert not app.conf.web_enabled
    assert app.boot_strategy.web_server() == []


def test_the_web_server_is_on_for_those_who_ask_for_it_until_the_worker_is_told_otherwise() -> None:
    app = StreamApp("audit", settings=settings(), web_enabled=True)

    app.conf.web_enabled = True
    assert app.conf.web_enabled
    with pytest.warns(AlreadyConfiguredWarning):
        app.conf.web_enabled = False
    assert not app.conf.web_enabled


def test_a_data_directory_of_the_users(tmp_path: Path) -> None:
    assert StreamApp("audit", settings=settings(), datadir=str(tmp_path)).conf.datadir == tmp_path


def test_dead_letters_are_as_large_as_elsewhere() -> None:
    assert REQUEST_BYTES_MAX == MESSAGE_BYTES_MAX


def test_a_password_is_mapped() -> None:
    properties = {
        "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "u",
        "sasl.password": "p", "linger.ms": "5",
    }  # fmt: skip

    found = faust_options(settings(properties=properties), {})["broker_credentials"]

    assert (found.protocol.value, found.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (found.username, found.password) == ("u", "p")
    assert found.ssl_context.check_hostname


@pytest.mark.parametrize(
    "properties",
    [
        {"security.protocol": "ssl", "enable.ssl.certificate.verification": "false"},
        {"ssl.endpoint.identification.algorithm": "none"},
        {"security.protocol": "sasl_ssl"},
        {"security.protocol": "sasl_ssl", "sasl.mechanism": "OAUTHBEARER"},
        {"security.protocol": "quic"},
        {"security.protocol": "ssl", "ssl.ca.location": "/nowhere/ca.pem"},
    ],
)
def test_security_that_cannot_be_honoured_is_refused(properties: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"kafka\.properties\."):
        StreamApp("audit", settings=settings(properties=properties))


@pytest.mark.parametrize(
    "option", [{"broker": "confluent://a"}, {"value_serializer": "pickle"}, {"key_serializer": "json|pickle"}]
)
def test_options_against_ours_are_refused(option: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(option))):
        StreamApp("audit", settings=settings(), **option)


def test_nothing_is_read_as_pickle() -> None:
    app = StreamApp("audit", settings=settings())

    with pytest.raises(RejectedError, match="pickle"):
        app.topic("any", value_serializer="pickle")


def test_a_run_without_an_id_is_named_by_its_message() -> None:
    writer = Writer()

    [one] = writer.write(Start("order"), "place")
    [same, other] = writer.write([Start("order"), Start("order")], "place")

    assert (one.key, same.key, other.key) == (b"place", b"place-0", b"place-1")
