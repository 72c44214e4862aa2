"""Topics of others, as declared by an app: the type and the format of values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final, Generic, Literal, Protocol, TypeVar, get_args

import msgspec

from stream_durable.sdk.avro_schema import NoAvroError, avro_schema
from stream_durable.sdk.handover import Codecs, NoCodecError
from stream_durable.sdk.protobuf import NoMessageError, message_class, writer_of
from stream_durable.sdk.untyped import write_untyped

V = TypeVar("V")

TopicFormat = Literal["json", "avro", "protobuf"]
#: What Kafka takes as the name of a topic.
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
_CONTENT: Final = {"json": "application/json", "avro": "avro/binary", "protobuf": "application/x-protobuf"}


class Descriptors(Protocol):
    """A `FileDescriptorSet` of Protobuf."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - as Protobuf calls it
        """Return the set as bytes."""


class TopicError(ValueError):
    """A topic that cannot be declared like this."""


class Topic(Generic[V]):
    """An existing topic of the cluster, for `ctx.emit` and `app.on`.

    The name is the full one, without the instance's prefix. Values are checked against `value` and written as
    JSON; as Avro by `schema`, by default derived from `value`; or as Protobuf, where `value` is a generated
    class of messages, or the full name of a message in `schema`, a `FileDescriptorSet` or its bytes; then
    values may be dicts, too. Raises `TopicError` for an impossible declaration.

    >>> Topic("shop.parcels").encode({"id": 1})
    b'{"id":1}'
    """

    __slots__ = ("_schema", "_write", "content", "fingerprint", "format", "name", "schema", "value")

    def __init__(
        self,
        name: str,
        value: Any = Any,
        format: TopicFormat = "json",  # noqa: A002 - as Kafka users call it
        schema: Mapping[str, Any] | bytes | Descriptors | None = None,
    ) -> None:
        if not _TOPIC.match(str(name)) or name in (".", ".."):
            raise TopicError(
                f"{str(name)[:100]!r} is not a name for a topic: letters, digits and . _ - only, at most 249"
            )
        if format not in get_args(TopicFormat):
            raise TopicError(f"topic {name!r}: format= is 'json', 'avro' or 'protobuf', not {format!r}")
        self.name = name
        self.format = format
        #: The media type of a value.
        self.content = _CONTENT[format]
        #: The Avro schema as a dict, and its fingerprint; None and empty for others.
        self.schema = None
        try:
            if format == "protobuf":
                self.value = message_class(value, schema)
                self._write = writer_of(self.value, by_name=schema is not None)
            else:
                self.value = value
                self._write = write_untyped if value is Any else Codecs().of(value).write
                self.schema = _schema_of(name, value, format, schema)
        except NoMessageError as error:
            raise TopicError(f"topic {name!r}: for format='protobuf' {error}") from None
        except (NoCodecError, NoAvroError) as error:
            hint = "; say format='protobuf'" if hasattr(value, "DESCRIPTOR") else ""
            raise TopicError(
                f"topic {name!r}: values of {value!r} cannot be written: {error}{hint}"
            ) from None
        try:
            parsed: tuple[Any, str] = (None, "") if self.schema is None else _parsed(self.schema)
        except Exception as error:
            raise TopicError(f"topic {name!r}: schema= is no schema of Avro: {error}") from error
        self._schema, self.fingerprint = parsed

    def __repr__(self) -> str:
        return f"<topic {self.name!r}, {self.format}>"

    def encode(self, value: V) -> bytes:
        """Return a value as the bytes of a record, or raise an error of `handover.DOES_NOT_FIT`."""
        data = self._write(value)
        if self._schema is None:
            return data
        from fastavro import schemaless_writer  # noqa: PLC0415 - loaded with the schema

        body = BytesIO()
        schemaless_writer(body, self._schema, msgspec.json.decode(data))
        return body.getvalue()


def _schema_of(name: str, value: Any, format: TopicFormat, schema: object) -> Any:  # noqa: A002 - see above
    if format == "avro":
        if schema is not None and not isinstance(schema, Mapping):
            raise TopicError(f"topic {name!r}: for format='avro' schema= is a dict, not {schema!r:.100}")
        return avro_schema(name, value) if schema is None else dict(schema)
    if schema is not None:
        text = "schema= is that of Avro or Protobuf"
        raise TopicError(f"topic {name!r}: {text}, and its values are {format}")
    return None


def _parsed(schema: Any) -> tuple[Any, str]:
    """Return a schema for writing, and the CRC-64-AVRO fingerprint of the canonical form."""
    # Every command would load it, and few apps have a topic in Avro.
    from fastavro import parse_schema  # noqa: PLC0415
    from fastavro.schema import fingerprint, to_parsing_canonical_form  # noqa: PLC0415

    return parse_schema(schema), fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
