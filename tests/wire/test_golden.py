"""What the engine writes to itself, held by files: the log is read by every later release.

A line that stands in a golden file stays as it is. A new field gets a new line.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden_values import COMMANDS, MESSAGES
from hypothesis import given
from hypothesis import strategies as st

from stream_durable.core.effects import CancelAttempt, Command
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import (
    MESSAGE_TYPES,
)
from stream_durable.wire.inbox import decode_command, decode_message, encode

GOLDEN = Path(__file__).with_name("golden")


def lines(name: str) -> list[bytes]:
    return (GOLDEN / name).read_bytes().splitlines()


PAIRS = [
    *zip(MESSAGES, lines("inbox.jsonl"), [decode_message] * len(MESSAGES), strict=True),
    *zip(COMMANDS, lines("commands.jsonl"), [decode_command] * len(COMMANDS), strict=True),
]
LINES = [(line, decode) for _, line, decode in PAIRS]
#: Lines as they were written once: their fields come in another order today, and they are read as ever.
ONCE = {lines("inbox.jsonl")[11], lines("inbox.jsonl")[13]}

pairs = pytest.mark.parametrize(
    ("value", "line", "decode"), PAIRS, ids=[f"{i}-{type(pair[0]).__name__}" for i, pair in enumerate(PAIRS)]
)


@pairs
def test_what_is_written_today_is_the_golden_line(value: Any, line: bytes, decode: Any) -> None:
    if line in ONCE:
        assert json.loads(encode(value)) == json.loads(line)
    else:
        assert encode(value) == line


@pairs
def test_the_golden_line_is_read_as_it_was_meant(value: Any, line: bytes, decode: Any) -> None:
    read = decode(line)

    assert type(read) is type(value)
    assert read == value


@pairs
def test_a_field_that_a_later_release_added_is_passed_over(value: Any, line: bytes, decode: Any) -> None:
    later = json.loads(line) | {"added_later": {"deep": [1, "two", None]}, "": 0}

    assert comparable(decode(json.dumps(later).encode())) == comparable(value)


def comparable(value: Any) -> Any:
    """A value whose payloads are compared as JSON, not by their spaces."""
    return msgspec.json.decode(encode(value))


def test_every_type_has_a_line_with_all_its_fields_and_one_with_no_more_than_it_needs() -> None:
    kinds = [*MESSAGE_TYPES, Command, CancelAttempt]

    for kind in kinds:
        told = [json.loads(line).keys() - {"type"} for value, line, _ in PAIRS if type(value) is kind]
        of_kind = msgspec.structs.fields(kind)
        assert {f.encode_name for f in of_kind} in told, kind
        assert {f.encode_name for f in of_kind if f.required} in told, kind


START = b'{"type":"run.start","run":"r","id":"i","workflow":"w","fingerprint":"f","input":%b}'
FAILED = b'{"type":"attempt.failed","run":"r","step":"s","attempt":1,"failure":%b}'
DEEP_LIST = b"[" * 100_000 + b"]" * 100_000
DEEP_DICT = b'{"a":' * 100_000 + b"1" + b"}" * 100_000

#: What no reader may take for a message or a command, and why.
BAD = {
    "nothing": b"",
    "a null": b"null",
    "a list": b"[]",
    "no type": b'{"run":"r","id":"i"}',
    "another type": b'{"type":"run.explode","run":"r","id":"i"}',
    "a type that is a number": b'{"type":1,"run":"r","id":"i"}',
    "no key": b'{"type":"run.cancel","id":"i"}',
    "a key that is a number": b'{"type":"run.cancel","run":1,"id":"i"}',
    "the key of another entity": b'{"type":"run.cancel","channel":"c","id":"i"}',
    "an attempt that is a text": b'{"type":"attempt.completed","run":"r","step":"s","attempt":"1"}',
    "an attempt that is a fraction": b'{"type":"attempt.completed","run":"r","step":"s","attempt":1.5}',
    "no attempt": b'{"type":"attempt","run":"r","step":"s","workflow":"w","fingerprint":"f","input":1}',
    "an attempt to cancel that is null": b'{"type":"cancel","run":"r","step":"s","attempt":null}',
    "a failure that is a text": FAILED % b'"x"',
    "a name that is no UTF-8": b'{"type":"run.cancel","run":"\xff","id":"i"}',
    "half a surrogate pair": b'{"type":"run.cancel","run":"\\ud800","id":"i"}',
    "a number that is none": START % b"NaN",
    "two values": b'{"type":"run.cancel","run":"r","id":"i"}{}',
    "a payload too deep": START % DEEP_LIST,
    "details too deep": FAILED % (b'{"code":"c","details":%b}' % DEEP_DICT),
    "an unknown field too deep": b'{"type":"run.cancel","run":"r","id":"i","x":%b}' % DEEP_LIST,
    "depth without an end": b"[" * 500_000,
}


@pytest.mark.parametrize("decode", [decode_message, decode_command])
@pytest.mark.parametrize("value", BAD.values(), ids=BAD.keys())
def test_what_is_bad_is_rejected(value: bytes, decode: Any) -> None:
    with pytest.raises(RejectedError) as rejected:
        decode(value)

    assert rejected.value.code == "unreadable"
    assert str(rejected.value)


@pytest.mark.parametrize(("line", "decode"), LINES)
def test_a_line_cut_short_is_rejected(line: bytes, decode: Any) -> None:
    for end in range(len(line)):
        with pytest.raises(RejectedError):
            decode(line[:end])


@pytest.mark.parametrize(("line", "decode"), LINES)
def test_a_field_of_another_kind_is_read_or_rejected(line: bytes, decode: Any) -> None:
    fields = json.loads(line)

    for name in fields:
        for other in (None, True, -1, 1.5, 10**30, "", "\x00", "x" * 5_000, [], [[]], {}, {"code": 1}):
            reads_or_rejects(decode, json.dumps(fields | {name: other}).encode())


@given(st.binary(), st.sampled_from([decode_message, decode_command]))
def test_random_bytes_are_rejected(value: bytes, decode: Any) -> None:
    with pytest.raises(RejectedError):
        decode(value)


@given(st.sampled_from(LINES), st.data())
def test_a_damaged_line_is_read_or_rejected(line: tuple[bytes, Any], data: st.DataObject) -> None:
    golden, decode = line
    at = data.draw(st.integers(0, len(golden) - 1))
    damage = data.draw(
        st.binary(max_size=3) | st.sampled_from([b'"', b"{", b"\\", b"\\u0000", b"1e999", b"-"])
    )

    reads_or_rejects(decode, golden[:at] + damage + golden[at + data.draw(st.integers(0, 3)) :])


def reads_or_rejects(decode: Any, value: bytes) -> None:
    """Nothing but a `RejectedError` may come out of a reader: it would stop the partition."""
    try:
        decode(value)
    except RejectedError as error:
        assert error.code in ("unreadable", "bad_id")
