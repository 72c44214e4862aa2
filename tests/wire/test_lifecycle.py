"""Lifecycle events as bytes: the hand-made encoder against a general library, and what a reader refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import to_parsing_canonical_form
from hypothesis import example, given
from hypothesis import strategies as st
from wire_events import RUN, STEP, TIME_MAX, Event, events

from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.wire import lifecycle
from stream_durable.wire.lifecycle import FRAME_LENGTH, decode, encode, frame, schema

SCHEMAS: dict[type, Any] = {kind: parse_schema(schema(kind)) for kind in (StepEvent, RunEvent)}
#: The schemas of the first release, under which all is written that it can say.
_RELEASED = Path(__file__).parents[2] / "schemas" / "released" / "1"
FIRST: dict[type, Any] = {
    kind: parse_schema(json.loads((_RELEASED / name).read_text()))
    for kind, name in ((StepEvent, "step_event.avsc"), (RunEvent, "run_event.avsc"))
}
FIRST_FRAME: dict[type, bytes] = {type(event): encode(event)[:FRAME_LENGTH] for event in (STEP, RUN)}


def record(event: Event) -> dict[str, Any]:
    """An event as the general library takes it."""
    fields = msgspec.structs.asdict(event)
    if event.output is not None:
        fields["output"] = event.output.decode()
    if isinstance(event, StepEvent) and event.asked is not None:
        fields["asked"] = event.asked.decode()
    if isinstance(event, RunEvent) and event.steps is not None:
        fields["steps"] = list(event.steps)
    if event.failure is not None:
        details = event.failure.details
        fields["failure"] = {
            "code": event.failure.code,
            "message": event.failure.message,
            "retryable": event.failure.retryable,
            "details": None if details is None else msgspec.json.encode(details).decode(),
            "step": event.failure.step,
        }
    return fields


def says_more(event: Event) -> bool:
    """Whether an event says what the first release had no field for."""
    if isinstance(event, StepEvent):
        return event.asked is not None
    return (event.trigger, event.parent, event.steps) != (None, None, None)


def written_by_library(event: Event) -> bytes:
    body = BytesIO()
    kind, is_first = type(event), not says_more(event)
    schemaless_writer(body, (FIRST if is_first else SCHEMAS)[kind], record(event))
    return (FIRST_FRAME[kind] if is_first else frame(kind)) + body.getvalue()


def crc_64_avro(data: bytes) -> int:
    """The fingerprint as the specification gives it, bit by bit."""
    crc = 0xC15D213AA4D7A795
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xC15D213AA4D7A795 if crc & 1 else 0)
    return crc


@given(events)
@example(STEP)
@example(RUN)
@example(msgspec.structs.replace(STEP, output=None, started=None, finished=None, worker=None))
@example(msgspec.structs.replace(STEP, output=b"", worker="", trace="", run=""))
@example(msgspec.structs.replace(STEP, sequence=(1 << 63) - 1, attempt=-(1 << 63), started=TIME_MAX))
@example(msgspec.structs.replace(RUN, run="Größe/日本/🙂", output='"é\U0010ffff"'.encode()))
def test_our_bytes_are_those_of_the_library_and_come_back_as_they_were(event: Event) -> None:
    value = encode(event)

    assert value == written_by_library(event)
    assert decode(value) == event


@pytest.mark.parametrize("length", [0, 1, 63, 64, 8191, 8192, 300_000])
def test_texts_of_any_length_are_written_as_the_library_does(length: int) -> None:
    event = msgspec.structs.replace(STEP, output=b'"' + b"x" * length + b'"', run="é" * length)

    assert encode(event) == written_by_library(event)
    assert decode(encode(event)) == event


def test_more_names_workers_and_times_than_are_remembered_stay_right() -> None:
    for i in range(10_000):
        event = msgspec.structs.replace(
            STEP, step=f"step_{i % 5_000}", time=STEP.time + i, started=i + 1, worker=f"worker-{i % 5_000}"
        )

        assert encode(event) == written_by_library(event)
    assert 0 < len(lifecycle._worker_time) <= lifecycle._CACHE_MAX


def test_readers_elsewhere_see_times_as_times() -> None:
    read = schemaless_reader(BytesIO(encode(STEP)[FRAME_LENGTH:]), FIRST[StepEvent])

    assert read["time"] == datetime(2025, 11, 24, 16, 0, 0, 123_000, tzinfo=UTC)
    assert read["finished"] == datetime(2025, 11, 24, 16, 0, 0, 120_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "event",
    [msgspec.structs.replace(STEP, asked=b'{"prompt":"?"}'), msgspec.structs.replace(RUN, steps=("b", "a"))],
    ids=["step", "run"],
)
def test_a_value_begins_with_the_marker_and_the_fingerprint_of_its_schema(event: Event) -> None:
    canonical = to_parsing_canonical_form(schema(type(event))).encode()

    assert crc_64_avro(b'"int"') == 0x7275D51A3F395C8F  # a vector that is known
    assert encode(event)[:FRAME_LENGTH] == b"\xc3\x01" + crc_64_avro(canonical).to_bytes(8, "little")


def test_step_and_run_events_are_told_apart_by_their_frames() -> None:
    assert frame(StepEvent) != frame(RunEvent)


@pytest.mark.parametrize("kind", [StepEvent, RunEvent])
def test_the_schema_says_all_that_the_core_says(kind: type[StepEvent | RunEvent]) -> None:
    assert {field["name"] for field in schema(kind)["fields"]} == set(kind.__struct_fields__)


def test_a_stack_trace_is_not_published() -> None:
    failure = Failure("ValueError", "no such card", trace="Traceback: secret.py")
    value = encode(msgspec.structs.replace(STEP, failure=failure))

    assert b"secret.py" not in value
    assert decode(value).failure == Failure("ValueError", "no such card")


def test_a_payload_that_is_no_text_is_mended_so_that_others_can_read_the_event() -> None:
    value = encode(msgspec.structs.replace(STEP, output=b'"\xff\xc3\xa9"'))

    assert decode(value).output == '"\N{REPLACEMENT CHARACTER}é"'.encode()


@pytest.mark.parametrize("time", [0, -1, TIME_MAX + 1, 1 << 62, 10**30])
def test_a_workers_clock_that_tells_no_time_is_left_out(time: int) -> None:
    event = decode(encode(msgspec.structs.replace(STEP, started=time, finished=time)))

    assert event == msgspec.structs.replace(STEP, started=None, finished=None)


@pytest.mark.parametrize("event", [STEP, RUN], ids=["step", "run"])
def test_a_value_cut_short_or_run_on_is_refused(event: Event) -> None:
    value = encode(event)

    for cut in [*(value[:end] for end in range(len(value))), value + b"\x00"]:
        with pytest.raises(RejectedError):
            decode(cut)


@given(st.binary(), st.sampled_from([b"", b"\xc3\x01", frame(StepEvent), frame(RunEvent)]))
def test_random_bytes_are_read_or_refused(body: bytes, begin: bytes) -> None:
    try:
        decode(begin + body)
    except RejectedError:
        return
    assert begin[FRAME_LENGTH - 1 :]


@given(events, st.data())
def test_a_damaged_value_is_read_or_refused(event: Event, data: st.DataObject) -> None:
    value = bytearray(encode(event))
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(FRAME_LENGTH, len(value) - 1))] = data.draw(st.integers(0, 255))

    try:
        decode(bytes(value))
    except RejectedError as error:
        assert error.code == "unreadable"


def test_what_the_first_release_can_say_is_read_by_its_readers() -> None:
    assert encode(RUN)[2:FRAME_LENGTH].hex() == "bd43ed17a13cde0c"
    assert encode(msgspec.structs.replace(RUN, trigger="event"))[:FRAME_LENGTH] == frame(RunEvent)
    assert frame(RunEvent) != FIRST_FRAME


def test_an_unknown_schema_is_refused_by_its_fingerprint() -> None:
    with pytest.raises(RejectedError, match="0102030405060708") as refused:
        decode(b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08" + encode(STEP)[FRAME_LENGTH:])

    assert refused.value.code == "unknown_schema"


def test_another_framing_is_refused() -> None:
    with pytest.raises(RejectedError) as refused:
        decode(b"\x00\x00\x00\x00\x07" + encode(STEP)[FRAME_LENGTH:])

    assert refused.value.code == "unreadable"


@pytest.mark.parametrize("details", ["", "{", "[" * 100_000, "[" * 100_000 + "]" * 100_000])
def test_details_that_are_no_json_are_refused(details: str) -> None:
    fields = record(RUN)
    fields["failure"]["details"] = details
    body = BytesIO()
    schemaless_writer(body, SCHEMAS[RunEvent], fields)

    with pytest.raises(RejectedError) as refused:
        decode(frame(RunEvent) + body.getvalue())

    assert refused.value.code == "unreadable"


@pytest.mark.parametrize(
    ("event", "value"),
    [
        (
            STEP,
            (
                "c301b6c43848113f6f771c737465702e636f6d706c657465640a6f726465722030313233343536373839616263646566"
                "0c6368617267650a72756e2d310602f6a1bfe9d66602167b226f6b223a747275657d0002c8a1bfe9d66602f0a1bfe9d6"
                "660210776f726b65722d3100"
            ),
        ),
        (
            RUN,
            (
                "c301bd43ed17a13cde0c1472756e2e6661696c65640a6f726465722030313233343536373839616263646566"
                "0a72756e2d31040ef6a1bfe9d666126d6573736167652d3100021456616c75654572726f72186e6f207375636820"
                "636172640002147b2263617264223a347d020c63686172676500"
            ),
        ),
    ],
    ids=["step", "run"],
)
def test_what_release_1_wrote_is_read(event: Event, value: str) -> None:
    assert decode(bytes.fromhex(value)) == event
