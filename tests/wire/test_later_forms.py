"""Messages on the events topic that are meant for later."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import CancelLater, CancelRun, EventPublished, SendLater, SignalRun
from stream_durable.wire.events import Start, admit
from stream_durable.wire.inbox import decode_message
from stream_durable.wire.records import read

EVENT = {"type": "paid", "key": "42", "message_id": "m"}
SIGNAL = {"signal": "go", "run": "r", "message_id": "m"}
START = {"start": "order", "id": "r"}
AT_MS = 1_798_131_600_000


def taken(**fields: Any) -> Any:
    return read(b"k", msgspec.json.encode(fields), None, own_id="T-3-17", ttl_ms=60_000, time=1_000)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({"at": "2026-12-24T18:00:00+01:00"}, (AT_MS, None)),
        ({"at": "2026-12-24T17:00:00Z"}, (AT_MS, None)),
        ({"at": "1960-01-01T00:00:00Z"}, (0, None)),
        ({"after": "1h30m"}, (None, 5_400_000)),
    ],
)
def test_an_event_and_a_signal_are_sent_later(when: Any, expected: Any) -> None:
    event, signal = taken(**EVENT, **when), taken(**SIGNAL, **when)

    assert isinstance(event, SendLater)
    assert (event.key, event.at, event.after_ms) == ("event:paid/42#m", *expected)
    assert event.message == EventPublished(key="paid/42", id="m", ttl_ms=60_000)
    assert (signal.key, signal.at, signal.after_ms) == ("signal:r/go#m", *expected)
    assert signal.message == SignalRun(key="r", id="m", signal="go")
    assert decode_message(admit(event)) == event


def test_a_start_begins_at_a_moment_or_so_long_after_its_record() -> None:
    at, after = taken(**START, at="2026-12-24T17:00:00Z"), taken(**START, after="2s")
    assert isinstance(at, Start)
    assert (at.of("f").at, after.of("f").at, taken(**START).of("f").at) == (AT_MS, 3_000, None)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"at": "2026-12-24T17:00:00Z", "after": "1h"}, "contradiction"),
        ({"at": "2026-12-24T17:00:00"}, "timezone"),
        ({"at": "tomorrow"}, "at"),
        ({"after": "soon"}, "bad_duration"),
        ({"after": "999999999d"}, "bad_duration"),
    ],
)
@pytest.mark.parametrize("fields", [EVENT, SIGNAL, START])
def test_what_is_no_moment_is_refused(fields: Any, when: Any, said: str) -> None:
    with pytest.raises(RejectedError) as error:
        taken(**fields, **when)
    assert said in f"{error.value.code}: {error.value}"


def test_names_in_it_are_judged_as_they_are_alone() -> None:
    bad = SendLater(key="k", format=2, message=SignalRun(key="r\0", id="m", signal="go"), after_ms=1)
    with pytest.raises(RejectedError, match="holds a NUL"):
        admit(bad)


@pytest.mark.parametrize("name", ["event:paid/42#m", "signal:r/go#m"])
def test_what_is_sent_later_is_cancelled_by_its_id(name: str) -> None:
    fields = EVENT if name.startswith("event") else SIGNAL
    sent = taken(**fields, after="1h")
    cancel = taken(cancel_later=name, message_id="c")
    assert cancel == CancelLater(key=sent.key, id="c", format=2)
    assert decode_message(admit(cancel)) == cancel
    assert taken(cancel_later=name).id == "T-3-17", "a repeat by the ingress does nothing"


def test_a_start_for_later_is_cancelled_as_a_run() -> None:
    cancel = taken(cancel_later="start:order-43", message_id="c")
    assert cancel == CancelRun(key="order-43", id="c", reason="its start was cancelled")


def test_a_cancel_of_a_message_for_later_in_other_forms() -> None:
    value = msgspec.json.encode({"cancel_later": "event:paid/42#m"})
    expected = CancelLater(key="event:paid/42#m", id="/shop#7", format=2)
    headers = [("ce_type", b"stream_durable.message"), ("ce_id", b"7"), ("ce_source", b"/shop")]
    assert read(None, value, headers, own_id="T-3-17", ttl_ms=1) == expected
    structured = {"specversion": "1.0", "type": "stream_durable.message", "id": "7", "source": "/shop"}
    data = msgspec.json.encode({**structured, "data": msgspec.Raw(value)})
    assert read(None, data, None, own_id="T-3-17", ttl_ms=1) == expected
    for wrong in (
        {"cancel_later": ""},
        {"cancel_later": 7},
        {"cancel_later": "a", "cancel": "b", "run": "r"},
    ):
        with pytest.raises(RejectedError):
            taken(**wrong)
