"""Translates settings for Faust and refuses options Faust would not honour."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final

from faust import SASLCredentials, SSLCredentials

from stream_durable.settings import KafkaSettings, Settings, SettingsError

#: What is decided here: by our settings, or because the rest does not work or loses data.
_OURS: Final = frozenset(
    {
        "broker",
        "broker_consumer",
        "broker_credentials",
        "broker_producer",
        "consumer_auto_offset_reset",
        "id",
        "processing_guarantee",
        "producer_acks",
        "ssl_context",
        "topic_disable_leader",
    }
)
_SECURITY: Final = ("enable.sasl.", "enable.ssl.", "https.", "sasl.", "security.", "ssl.")
_MAPPED: Final = frozenset(
    {
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.password",
        "sasl.username",
        "security.protocol",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
        "ssl.key.password",
    }
)
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
#: Faust's own default, in seconds; the driver wants more than the session's time-out.
_REQUEST_SECONDS: Final = 90.0
#: As large as the topic of dead letters takes.
REQUEST_BYTES_MAX: Final = 10_000_000


def faust_options(settings: Settings, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `faust.App` is made with; `given` is the user's, and may not be against ours."""
    problems = [
        *(f"{name}: set by stream_durable, not as an option" for name in sorted(_OURS & given.keys())),
        *_codec_problems(given),
        *_security_problems(settings.kafka),
    ]
    if problems:
        raise SettingsError("settings_invalid", problems)
    kafka = settings.kafka
    session = kafka.session_timeout_ms / 1000
    options = {
        # The other driver hangs at start.
        "broker": ";".join(f"kafka://{broker}" for broker in kafka.bootstrap.split(",")),
        "broker_credentials": _credentials(kafka),
        "broker_heartbeat_interval": kafka.heartbeat_ms / 1000,
        "broker_request_timeout": max(_REQUEST_SECONDS, session + 5),
        "broker_session_timeout": session,
        "consumer_auto_offset_reset": "earliest",
        "key_serializer": "raw",
        "producer_acks": -1,
        "producer_max_request_size": REQUEST_BYTES_MAX,
        "store": "memory://",
        "topic_disable_leader": True,
        "topic_partitions": kafka.partitions,
        "topic_replication_factor": kafka.replication,
        "value_serializer": "json",
        "web_enabled": False,
    }
    return {**options, **given}


def is_pickle(codec: object) -> bool:
    """Return whether a codec executes code while reading; names may be joined as in `json|binary`."""
    return "pickle" in str(codec).lower()


def _codec_problems(given: Mapping[str, Any]) -> list[str]:
    named = [name for name in ("key_serializer", "value_serializer") if is_pickle(given.get(name))]
    return [f"{name}: pickle executes its input, so writers to a topic could run code" for name in named]


def _security_problems(kafka: KafkaSettings) -> list[str]:
    found = kafka.properties
    problems = [
        f"kafka.properties.{name}: stream processors cannot honour it; they know {', '.join(sorted(_MAPPED))}"
        for name in found
        if name.startswith(_SECURITY) and name not in _MAPPED
    ]
    protocol = _protocol(kafka)
    if protocol not in ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"):
        problems.append("kafka.properties.security.protocol: plaintext, ssl, sasl_plaintext or sasl_ssl")
    if protocol.startswith("sasl") and _mechanism(kafka) not in _MECHANISMS:
        problems.append(
            f"kafka.properties.sasl.mechanism: stream processors know {', '.join(_MECHANISMS)}; "
            "the default of Kafka's clients, GSSAPI, is none of them"
        )
    return problems


def _credentials(kafka: KafkaSettings) -> Any:
    protocol, found = _protocol(kafka), kafka.properties
    context = _context(found) if protocol.endswith("ssl") else None
    if protocol.startswith("sasl"):
        return SASLCredentials(
            username=found.get("sasl.username"),
            password=found.get("sasl.password"),
            mechanism=_mechanism(kafka),
            ssl_context=context,
        )
    return None if context is None else SSLCredentials(context)


def _protocol(kafka: KafkaSettings) -> str:
    return kafka.properties.get("security.protocol", "plaintext").lower()


def _mechanism(kafka: KafkaSettings) -> str:
    found = kafka.properties
    return found.get("sasl.mechanism", found.get("sasl.mechanisms", "GSSAPI")).upper()


def _context(found: Mapping[str, str]) -> ssl.SSLContext:
    """Return a TLS context verifying the brokers, by name too, with our certificate if there is one."""
    try:
        context = ssl.create_default_context(cafile=found.get("ssl.ca.location"))
        if certificate := found.get("ssl.certificate.location"):
            context.load_cert_chain(certificate, found.get("ssl.key.location"), found.get("ssl.key.password"))
    except OSError as error:
        text = f"kafka.properties.ssl.*: a certificate or key cannot be used: {error.strerror or error}"
        raise SettingsError("settings_invalid", [text]) from error
    return context
