"""CloudEvents headers, written for the public topics and read from the events topic.

Binary mode of the Kafka binding: the attributes are headers named `ce_...`, the value is the data. The
content type is `application/avro`, framed as in `stream_durable.wire.lifecycle`. An event's id is derived,
`<run>/<step|run>/<sequence>`, so an event published twice has one id.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from stream_durable.core.errors import RejectedError
from stream_durable.core.lifecycle import RunEvent, StepEvent

#: The content of an event's headers: type, whether about a step, sequence, time, run, trace; for a shortened
#: event, the reason.
Meta = tuple[str, bool, int, int, str, str | None] | tuple[str, bool, int, int, str, str | None, str]
Header = tuple[str, bytes]

#: Marks an event without output or failure details, with the reason.
SHORTENED = "sd_shortened"

_SPECVERSION: Header = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Header = ("content-type", b"application/avro")


def meta(event: StepEvent | RunEvent) -> Meta:
    """Return the parts of an event besides the value needed for publishing later."""
    return event.type, type(event) is StepEvent, event.sequence, event.time, event.run, event.trace


def headers(event: StepEvent | RunEvent, source: str) -> list[Header]:
    """Return the headers of an event; `source` is a URI reference naming this installation."""
    return headers_from(meta(event), source)


def headers_from(meta: Meta, source: str) -> list[Header]:
    """Return the headers of an event from the stored `meta`."""
    kind, is_step, sequence, time, run, trace = meta[:6]
    made = [
        _SPECVERSION,
        ("ce_id", (f"{run}/step/{sequence}" if is_step else f"{run}/run/{sequence}").encode()),
        _source(source),
        _type(kind),
        ("ce_subject", run.encode()),
        _time(time),
        _CONTENT_TYPE,
    ]
    if trace:
        made.append(("traceparent", trace.encode()))
    if len(meta) > 6:
        made.append((SHORTENED, meta[6].encode()))
    return made


@lru_cache(maxsize=64)
def _source(source: str) -> Header:
    return "ce_source", source.encode()


@lru_cache(maxsize=256)
def _type(kind: str) -> Header:
    return "ce_type", f"stream_durable.{kind}".encode()


@lru_cache(maxsize=4_096)
def _time(time: int) -> Header:
    """RFC 3339. The events of one batch share few milliseconds, and fewer seconds."""
    second, millis = divmod(time, 1000)
    return "ce_time", f"{_second(second)}.{millis:03d}Z".encode()


@lru_cache(maxsize=256)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00")


_READ = {
    "ce_id": "id",
    "ce_type": "type",
    "ce_source": "source",
    "ce_subject": "subject",
    "ce_partitionkey": "partitionkey",
    "traceparent": "traceparent",
}


def read_headers(headers: Iterable[tuple[str, bytes | None]] | None) -> dict[str, str]:
    """Return the CloudEvents attributes in headers; empty if there are none.

    Keys are `id`, `type`, `source`, `subject`, `partitionkey` and `traceparent`, as far as present. Of a
    repeated header the last one counts.
    """
    found = dict(headers or ())
    if "ce_specversion" not in found:
        return {}
    read = {}
    for header, name in _READ.items():
        value = found.get(header)
        if value is not None:
            try:
                read[name] = value.decode()
            except UnicodeDecodeError as error:
                raise RejectedError("unreadable", f"the header {header} is not UTF-8") from error
    return read
