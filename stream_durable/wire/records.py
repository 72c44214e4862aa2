"""Reads records of the events topic, or refuses them with a reason.

What a record holds is recognised by content, never guessed: JSON of one of the `forms`; the same in Avro, by
the fingerprint of a published schema; and CloudEvents, with the event's name as type, and attributes in
headers (binary mode) or around the data (structured mode). The CloudEvents type `stream_durable.message` has
as its data a message of any form.

A message is applied once per id: the id in the message, else that of the CloudEvent prefixed by its source
(ids are unique per source only), else an id derived from the record's position.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from msgspec import Raw

from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import clipped, fits
from stream_durable.core.messages import NULL, Text
from stream_durable.wire import avro
from stream_durable.wire.cloudevents import read_headers
from stream_durable.wire.events import FromOutside
from stream_durable.wire.form import Place, Titled, decode
from stream_durable.wire.forms import event, plain, read_form
from stream_durable.wire.inbox import VALUE_BYTES_MAX

#: The CloudEvents type whose data is a message of one of the forms.
MESSAGE: Final = "stream_durable.message"

RecordHeaders = Iterable[tuple[str, bytes | None]] | None


class _CloudEvent(Titled, kw_only=True):
    """Structured mode; foreign extensions are ignored."""

    title = "a CloudEvent"

    specversion: str
    type: Text
    id: Text
    source: str = ""
    subject: Text | None = None
    partitionkey: Text | None = None
    data: Raw = NULL


def read(
    key: bytes | None,
    value: bytes | None,
    headers: RecordHeaders,
    *,
    own_id: str,
    ttl_ms: int,
    time: int = 0,
) -> FromOutside:
    """Read a record of the events topic; `own_id` says where it stands, `ttl_ms` how long events are kept.

    `time` is that of the record, from which a start counts `after`.
    """
    if value is not None and len(value) > VALUE_BYTES_MAX:
        text = (
            f"the record has {len(value)} bytes, {VALUE_BYTES_MAX} are the most: pass large data by reference"
        )
        raise RejectedError("too_large", text)
    about = _attributes(headers)
    place = Place(key, own_id, ttl_ms, about.get("traceparent"), time)
    if "type" in about:
        return _binary(place, value, about)
    if value is None:
        raise RejectedError("unreadable", "the record has no value: write a message as JSON or Avro")
    if avro.is_framed(value):
        return read_form(avro.to_json(value), place)
    found = plain(value)
    if isinstance(found, dict) and "specversion" in found:
        return _structured(place, value, "data_base64" in found)
    return read_form(value, place)


def _attributes(headers: RecordHeaders) -> dict[str, str]:
    """Return the attributes in the headers; `ce_specversion` may be missing beside `ce_type`."""
    found = list(headers or ())
    if any(name == "ce_type" for name, _ in found):
        found.append(("ce_specversion", b"1.0"))
        return read_headers(found)
    for name, _ in found:
        if name in ("ce_id", "ce_source", "ce_specversion"):
            text = f"it is a CloudEvent, for it has the header {name}, but has no header ce_type"
            raise RejectedError("invalid", f"{text}: write the event's name there")
    for name, held in found:
        if name == "traceparent" and held is not None and held.isascii():
            return {"traceparent": held.decode()}
    return {}


def _binary(place: Place, value: bytes | None, about: dict[str, str]) -> FromOutside:
    identity = _qualified(about.get("source", ""), about["id"]) if about.get("id") else place.id
    place = place._replace(id=identity, by=clipped(about.get("source", "")))
    if about["type"] == MESSAGE:
        return _carried(place, value or b"")
    data = NULL
    if value:
        if avro.is_framed(value):
            text = (
                f"the data of event {about['type'][:128]!r} is Avro: send JSON, or a message of a published"
            )
            raise RejectedError("not_supported", f"{text} schema as a CloudEvent of the type {MESSAGE}")
        plain(value)
        data = Raw(value)
    return event(place, about["type"], about.get("subject") or about.get("partitionkey"), data, identity)


def _structured(place: Place, value: bytes, is_base64: bool) -> FromOutside:  # noqa: FBT001
    if is_base64:
        raise RejectedError("not_supported", "data_base64 is no JSON: send the data as JSON in 'data'")
    found = decode(value, _CloudEvent)
    identity = _qualified(found.source, found.id)
    place = place._replace(id=identity, by=clipped(found.source))
    if found.type == MESSAGE:
        return _carried(place, bytes(found.data))
    return event(place, found.type, found.subject or found.partitionkey, found.data, identity)


def _carried(place: Place, data: bytes) -> FromOutside:
    """Return the message that is the data of a CloudEvent."""
    return read_form(avro.to_json(data) if avro.is_framed(data) else data, place)


def _qualified(source: str, identity: str) -> str:
    """Return an id unique among all sources."""
    if not source or not fits(identity):
        return identity
    qualified = f"{source}#{identity}"
    if fits(qualified):
        return qualified
    return blake2b(qualified.encode("utf-8", "replace"), digest_size=20).hexdigest()
