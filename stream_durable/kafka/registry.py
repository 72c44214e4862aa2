"""Schemas of topics of others, kept by a registry of Confluent's kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from stream_durable.core.errors import RejectedError, TransientError
from stream_durable.settings import RegistrySettings
from stream_durable.wire.foreign import RegisteredSchema

R = TypeVar("R")

_CALL_SECONDS: Final = 10
#: What the registry answers about a schema that is not there, or that it does not take.
_MISSING, _REFUSALS = 404, (409, 422)
_NOT_ALLOWED: Final = (401, 403)


def registry_of(settings: RegistrySettings) -> SchemaRegistry | None:
    """Return the configured registry, if any."""
    return SchemaRegistry(settings) if settings.url else None


class SchemaRegistry:
    """A registry, asked when needed; answers are kept by the client library."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Connect to nothing yet. Raises `RejectedError` without the client library."""
        try:
            from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415 - an extra
        except ImportError as error:
            text = f"registry.url is set, and the registry's client is not installed ({error})"
            raise RejectedError("no_registry", f"{text}: install stream-durable[registry]") from error
        given: dict[str, Any] = {"url": settings.url, "timeout": _CALL_SECONDS, "max.retries": 0}
        if settings.credentials is not None:
            given["basic.auth.user.info"] = settings.credentials.get_secret_value()
        if settings.ca_location:
            given["ssl.ca.location"] = settings.ca_location
        self._url = settings.url
        self._client = SchemaRegistryClient(given)

    async def schema(self, number: int) -> RegisteredSchema:
        """Return a schema with all referenced schemas."""
        return await asyncio.to_thread(self._ask, lambda: self._schema(number), f"schema {number}")

    async def register(self, topic: str, schema: str) -> int:
        """Return the number of the schema of a topic's values, registered if it is new."""
        return await asyncio.to_thread(
            self._ask, lambda: self._register(topic, schema), f"the schema of topic {topic!r}"
        )

    def _schema(self, number: int) -> RegisteredSchema:
        found = self._client.get_schema(number)
        texts: dict[str, str] = {}
        self._refer(found, texts)
        return RegisteredSchema(found.schema_type or "AVRO", found.schema_str or "", tuple(texts.values()))

    def _refer(self, schema: Any, texts: dict[str, str]) -> None:
        """Add the texts of referenced schemas, those without references of their own first."""
        for reference in schema.references or ():
            if reference.name not in texts:
                found = self._client.get_version(reference.subject, reference.version).schema
                self._refer(found, texts)
                texts[reference.name] = found.schema_str or ""

    def _register(self, topic: str, schema: str) -> int:
        from confluent_kafka.schema_registry import Schema  # noqa: PLC0415 - an extra

        return int(self._client.register_schema(f"{topic}-value", Schema(schema, "AVRO")))

    def _ask(self, call: Callable[[], R], what: str) -> R:
        """Call; raise the error of the registry, or of the way there."""
        from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415 - an extra

        where = f"the registry at {self._url} (registry.url)"
        try:
            return call()
        except SchemaRegistryError as error:
            said = f"{error.error_message} ({error.http_status_code})"
            if error.http_status_code == _MISSING:
                text = f"{where} has no {what}: register the schema there, or correct the address"
                raise RejectedError("unknown_schema", text) from error
            if error.http_status_code in _REFUSALS:
                text = f"{where} does not take {what}: {said}"
                raise RejectedError("schema_refused", text) from error
            remedy = ": check registry.credentials" if error.http_status_code in _NOT_ALLOWED else ""
            raise TransientError(f"{where} does not give {what}: {said}{remedy}") from error
        except Exception as error:
            # Of the way there: by which HTTP library, depends on the version of the client.
            raise TransientError(f"{where} does not answer about {what}: {error}") from error
