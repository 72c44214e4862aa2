"""Messages of the events topic in Avro: what any library writes by the published schemas is the JSON form."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastavro import parse_schema, schemaless_writer, writer
from fastavro.schema import fingerprint, to_parsing_canonical_form
from hypothesis import given
from hypothesis import strategies as st
from wire_events import RUN

from stream_durable.core.errors import RejectedError
from stream_durable.wire.events import FromOutside
from stream_durable.wire.form import Form
from stream_durable.wire.forms import FORMS
from stream_durable.wire.lifecycle import encode
from stream_durable.wire.records import RecordHeaders, read
from stream_durable.wire.starts import StartWithSignalForm

SCHEMAS = Path(__file__).parents[2] / "schemas" / "events_topic"
NAMES = sorted(file.stem for file in SCHEMAS.glob("*.avsc"))


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SCHEMAS / f"{name}.avsc").read_text())
    return loaded


def framed(name: str, fields: dict[str, Any], under: dict[str, Any] | None = None) -> bytes:
    """What a program with nothing of ours writes."""
    written = under or schema(name)
    body = BytesIO()
    body.write(bytes.fromhex("c301" + fingerprint(to_parsing_canonical_form(written), "CRC-64-AVRO")))
    schemaless_writer(body, parse_schema(written), fields)
    return body.getvalue()


def taken(value: bytes, headers: RecordHeaders = None, key: bytes | None = b"k") -> FromOutside:
    return read(key, value, headers, own_id="T-3-17", ttl_ms=60_000)


def refused(value: bytes, headers: RecordHeaders = None) -> str:
    with pytest.raises(RejectedError) as error:
        taken(value, headers)
    return f"{error.value.code}: {error.value}"


#: The longest message of each form. What is any JSON is text in Avro.
WHOLE: dict[str, dict[str, Any]] = {
    "event": {"type": "paid", "key": "42", "data": {"amount": 9.5}, "message_id": "m",
              "at": "2026-12-24T18:00:00+01:00", "after": None, "by": "till 4", "ttl": "3d"},
    "signal": {"signal": "go", "run": "r", "data": [1, "ü"], "message_id": "m", "at": None, "after": "2h",
               "by": "tom", "ttl": "90s"},
    "start": {
        "start": "order", "id": "r", "input": {"id": "1"}, "tags": ["vip", "eu"], "signal": "go",
        "data": None, "message_id": "m", "at": None, "after": "1h30m", "by": "tom", "timeout": "2d",
        "queue": "fast", "priority": 7, "metadata": {"by": "shop"}, "ttl": "1h",
        "attributes": {"region": "EU", "total": 9.5, "vip": True, "due": {"moment": "2030-01-31T09:00:00Z"}},
    },
    "cancel_later": {"cancel_later": "event:reminder/42#r1", "message_id": "m"},
    "cancel": {"cancel": "the customer left", "run": "r", "compensate": True, "by": "tom",
               "message_id": "m"},
    "review": {"review": "complete", "run": "r", "step": "charge", "value": {"n": 1}, "error": None,
               "reason": "looked up", "by": "tom", "message_id": "m"},
    "change": {"change": "a wrong account", "run": "r", "workflow": "order", "input": {"id": "1"},
               "context": {"order.total": 5}, "step": "charge", "attempts": 5, "timeout": "2m", "total": "1h",
               "by": "tom", "message_id": "m"},
    "answer": {"answer": {"stars": 5}, "run": "r", "wait": "w", "by": "tom", "comment": "c",
               "message_id": "m"},
    "claim": {"claim": "tom", "run": "r", "wait": "w", "message_id": "m"},
    "assign": {
        "assign": "ann", "run": "r", "wait": "w", "role": "office", "by": "tom",
        "comment": "c", "message_id": "m",
    },
    "complete": {"complete": "sdt_a", "value": {"at": 1}, "by": "dhl", "message_id": "m"},
    "fail": {"fail": "sdt_a", "error": {"code": "lost", "message": "on the way", "details": [7]},
             "by": "dhl", "message_id": "m"},
    "heartbeat": {"heartbeat": "sdt_a", "message_id": "m"},
    "comment": {"comment": "c", "run": "r", "wait": "w", "by": "tom", "message_id": "m"},
}  # fmt: skip
JSONS = {"data", "input", "answer", "value", "error", "metadata", "attributes", "context"}


def in_avro(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: msgspec.json.encode(held).decode() if name in JSONS and held is not None else held
        for name, held in fields.items()
    }


def form_of(name: str) -> type[Form]:
    return {**FORMS, "event": FORMS["type"], "start": StartWithSignalForm}[name]


def test_every_form_has_a_schema_with_all_its_fields() -> None:
    marks = {"event" if mark == "type" else mark for mark in FORMS}

    assert set(NAMES) == marks
    for name in NAMES:
        fields = {field["name"] for field in schema(name)["fields"]}
        assert fields == set(form_of(name).__struct_fields__), name


@pytest.mark.parametrize("name", NAMES)
def test_a_message_in_avro_is_the_same_as_in_json(name: str) -> None:
    fields = WHOLE[name]

    assert set(fields) == set(form_of(name).__struct_fields__)
    assert taken(framed(name, in_avro(fields))) == taken(msgspec.json.encode(fields))


@pytest.mark.parametrize("name", NAMES)
def test_what_avro_leaves_out_is_as_in_json(name: str) -> None:
    fields = {
        field["name"]: WHOLE[name][field["name"]]
        for field in schema(name)["fields"]
        if "default" not in field
    }
    mark = next(iter(WHOLE[name]))
    short = {mark: "", **fields}

    assert taken(framed(name, in_avro(fields))) == taken(msgspec.json.encode(short))


def test_a_cloud_event_may_carry_avro() -> None:
    headers = [("ce_type", b"stream_durable.message"), ("ce_id", b"7"), ("ce_source", b"/shop")]
    value = framed("signal", {"signal": "go", "run": "r"})

    assert taken(value, headers).id == "/shop#7"
    assert refused(value, [("ce_type", b"paid")]).startswith(
        "not_supported: the data of event 'paid' is Avro"
    )


def test_a_schema_of_a_later_release_is_unknown_and_named() -> None:
    later = schema("signal")
    later["fields"].append({"name": "later", "type": "string", "default": ""})
    crc = fingerprint(to_parsing_canonical_form(later), "CRC-64-AVRO")

    reason = refused(framed("signal", {"signal": "go"}, later))

    assert reason.startswith(
        f"unknown_schema: no schema of a message has the fingerprint '{crc}'; there are: "
    )
    assert "stream_durable.v1.Signal" in reason
    assert "schemas/events_topic" in reason


def test_other_framings_are_called_by_name() -> None:
    container = BytesIO()
    writer(container, parse_schema(schema("signal")), [{"signal": "go"}])
    body = framed("signal", {"signal": "go"})[10:]

    assert refused(container.getvalue()).startswith("unknown_schema: it is an Avro container file; ")
    assert refused(b"\x00\x00\x00\x00\x11" + body).startswith("unknown_schema: it is framed for a schema reg")
    assert refused(encode(RUN)).startswith("unknown_schema: no schema of a message has the fingerprint")


@pytest.mark.parametrize("name", NAMES)
def test_every_message_that_is_cut_short_or_too_long_is_refused(name: str) -> None:
    whole = framed(name, in_avro(WHOLE[name]))

    for length in range(10, len(whole)):
        reason = refused(whole[:length])
        assert reason.startswith(("unreadable: not Avro of the schema stream_durable.v1.", "unreadable: the"))
    assert "3 bytes follow the end of stream_durable.v1." in refused(whole + b"abc")


def test_json_inside_is_judged_by_its_field() -> None:
    reason = refused(framed("signal", {"signal": "go", "run": "r", "data": "{"}))

    assert reason.startswith("unreadable: the field 'data' of stream_durable.v1.Signal is not JSON: ")
    assert reason.endswith("Write JSON as text there")


@given(st.sampled_from(NAMES), st.binary(max_size=40))
def test_whatever_follows_a_schema_is_refused_or_a_message(name: str, body: bytes) -> None:
    head = framed(name, in_avro(WHOLE[name]))[:10]
    try:
        taken(head + body)
    except RejectedError as error:
        assert error.code
        assert len(str(error)) < 1_000
