"""CloudEvents headers, held to the specification by the SDK of its authors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st
from wire_events import RUN, STEP, Event, step_events

from stream_durable.core.errors import RejectedError
from stream_durable.wire.cloudevents import headers, headers_from, meta, read_headers
from stream_durable.wire.lifecycle import encode

SOURCE = "/stream-durable/sd"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_step_event_is_described() -> None:
    assert headers(STEP, SOURCE) == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"run-1/step/3"),
        ("ce_source", b"/stream-durable/sd"),
        ("ce_type", b"stream_durable.step.completed"),
        ("ce_subject", b"run-1"),
        ("ce_time", b"2025-11-24T16:00:00.123Z"),
        ("content-type", b"application/avro"),
    ]


def test_a_run_event_of_the_same_run_and_sequence_has_another_id() -> None:
    described = dict(headers(msgspec.structs.replace(RUN, sequence=STEP.sequence), SOURCE))

    assert described["ce_id"] == b"run-1/run/3"
    assert described["ce_type"] == b"stream_durable.run.failed"


def test_a_trace_is_passed_on_where_there_is_one() -> None:
    traced = msgspec.structs.replace(STEP, trace=TRACE)

    assert headers(traced, SOURCE) == [*headers(STEP, SOURCE), ("traceparent", TRACE.encode())]
    assert "traceparent" not in dict(headers(msgspec.structs.replace(STEP, trace=""), SOURCE))


@pytest.mark.parametrize("event", [STEP, RUN, msgspec.structs.replace(RUN, trace=TRACE)])
def test_what_is_kept_of_an_event_suffices_to_describe_it_again(event: Event) -> None:
    stored = msgspec.msgpack.encode(meta(event))

    assert headers_from(msgspec.msgpack.decode(stored), SOURCE) == headers(event, SOURCE)


# The specification wants a subject that is not empty; the inbox wants a run's id to be none either.
@given(step_events.filter(lambda event: event.run))
def test_the_sdk_reads_what_we_write(event: Event) -> None:
    message = KafkaMessage(dict(headers(event, SOURCE)), event.run.encode(), encode(event))

    read = from_binary_event(message)

    assert read.get_specversion() == "1.0"
    assert read.get_id() == f"{event.run}/step/{event.sequence}"
    assert read.get_source() == SOURCE
    assert read.get_type() == f"stream_durable.{event.type}"
    assert read.get_subject() == event.run
    assert read.get_time() == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=event.time)
    assert read.get_datacontenttype() == "application/avro"
    assert read.get_data() == encode(event)


def test_we_read_what_the_sdk_writes() -> None:
    attributes = {
        "id": "7",
        "type": "shop.paid",
        "source": "/shop",
        "subject": "Größe",
        "time": datetime.now(UTC),
    }
    message = to_binary_event(CloudEvent(attributes, {"total": 3}))

    assert read_headers(list(message.headers.items())) == {
        "id": "7",
        "type": "shop.paid",
        "source": "/shop",
        "subject": "Größe",
    }


def test_a_traceparent_beside_an_event_is_read() -> None:
    traced = headers(msgspec.structs.replace(STEP, trace=TRACE), SOURCE)

    assert read_headers(traced)["traceparent"] == TRACE


@pytest.mark.parametrize("others", [None, [], [("ce_id", b"1"), ("traceparent", TRACE.encode())]])
def test_records_that_are_no_cloudevents_say_nothing(others: list[tuple[str, bytes]] | None) -> None:
    assert read_headers(others) == {}


def test_headers_without_a_value_are_passed_over() -> None:
    assert read_headers([("ce_specversion", b"1.0"), ("ce_id", None), ("ce_type", b"paid")]) == {
        "type": "paid"
    }


@given(st.lists(st.tuples(st.sampled_from(["ce_id", "ce_subject", "x"]), st.none() | st.binary())))
def test_any_headers_are_read_or_refused(others: list[tuple[str, bytes | None]]) -> None:
    try:
        read = read_headers([("ce_specversion", b"1.0"), *others])
    except RejectedError as error:
        assert error.code == "unreadable"
    else:
        assert set(read) <= {"id", "subject"}


def test_a_header_that_is_no_text_is_refused_by_name() -> None:
    with pytest.raises(RejectedError, match="ce_id"):
        read_headers([("ce_specversion", b"1.0"), ("ce_id", b"\xff")])
