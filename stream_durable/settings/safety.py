"""Refusals and warnings at start-up: connections readable in transit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from stream_durable.settings.addresses import address_of, host_of, hosts_of, is_loopback, ssl_mode
from stream_durable.settings.branches import KafkaSettings, PostgresSettings
from stream_durable.settings.registry import RegistrySettings
from stream_durable.settings.sources import PROPERTIES, SettingsError, environment_name
from stream_durable.settings.tree import Settings

_ENCRYPTED_PROTOCOLS: Final = ("ssl", "sasl_ssl")
_ENCRYPTED_MODES: Final = ("require", "verify-ca", "verify-full")


def check_safety(settings: Settings) -> list[str]:
    """Refuse connections readable in transit; return notes on questionable settings.

    With `security.insecure` the refusals are among the notes.
    """
    dangers = [
        *_kafka_dangers(settings.kafka),
        *_postgres_dangers(settings.postgres),
        *_registry_dangers(settings.registry),
    ]
    if dangers and not settings.security.insecure:
        advice = f"to allow it all the same: {environment_name('security.insecure')}=true"
        raise SettingsError("settings_unsafe", [*dangers, advice])
    return [*dangers, *_notes(settings)]


def far_brokers(kafka: KafkaSettings) -> list[str]:
    """Return the brokers on other machines."""
    return [broker for broker in kafka.bootstrap.split(",") if not is_loopback(host_of(broker))]


def far_database(postgres: PostgresSettings) -> list[str]:
    """Return the hosts of the database on other machines."""
    return [host for host in hosts_of(postgres.dsn) if not is_loopback(host)]


def database_address(postgres: PostgresSettings) -> str:
    """Return where the database is, without the user, the password and the rest."""
    return address_of(postgres.dsn)


def _kafka_dangers(kafka: KafkaSettings) -> list[str]:
    protocol = kafka.properties.get("security.protocol", "plaintext")
    far = far_brokers(kafka)
    if not far or protocol.lower() in _ENCRYPTED_PROTOCOLS:
        return []
    return [
        (
            f"kafka.bootstrap: {', '.join(far)} would be reached without TLS ({protocol}); "
            "set security.protocol to SSL or SASL_SSL in kafka.properties"
        )
    ]


def _postgres_dangers(postgres: PostgresSettings) -> list[str]:
    far, mode = far_database(postgres), ssl_mode(postgres.dsn)
    if not far or mode in _ENCRYPTED_MODES:
        return []
    return [
        (
            f"postgres.dsn: {', '.join(far)} could be reached without TLS (sslmode={mode}); "
            "add ?sslmode=verify-full"
        )
    ]


def _registry_dangers(registry: RegistrySettings) -> list[str]:
    host = urlsplit(registry.url).hostname or ""
    if not registry.url.startswith("http:") or is_loopback(host):
        return []
    return [f"registry.url: {host} would be reached without TLS; write https://"]


def _notes(settings: Settings) -> Iterator[str]:
    if settings.health.port is not None and not is_loopback(settings.health.host):
        yield f"health.host: {settings.health.host} shows metrics and failing checks to the network"
    if ssl_mode(settings.postgres.dsn) in ("require", "verify-ca"):
        yield "postgres.dsn: TLS does not verify who answers; verify-full does"
    properties = {key: value.lower() for key, value in settings.kafka.properties.items()}
    if (
        properties.get("enable.ssl.certificate.verification") in ("false", "f", "0")
        or properties.get("ssl.endpoint.identification.algorithm") == "none"
    ):
        yield f"{PROPERTIES}: TLS does not verify who answers"
    if "debug" in properties:
        yield f"{PROPERTIES}: debug makes librdkafka write much, without masking secrets"
