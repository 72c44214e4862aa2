"""What comes from outside: each form there is, and whatever else somebody may write."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from stream_durable.core.declared import Declared
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.messages import (
    AnswerInput,
    AssignInput,
    Attribute,
    CancelRun,
    ClaimInput,
    CommentInput,
    CompleteStep,
    EventPublished,
    EventUnkeyed,
    FailStep,
    HeartbeatStep,
    Message,
    SignalRun,
    StartRun,
    StartWithSignal,
)
from stream_durable.wire.ends import OutsideEnd
from stream_durable.wire.events import (
    Answer,
    FromOutside,
    Start,
    admit,
    check_taken,
    published,
    signalled,
)
from stream_durable.wire.inbox import decode_message
from stream_durable.wire.records import RecordHeaders, read
from stream_durable.wire.reviews import Completion
from stream_durable.wire.tokens import Tokens


def taken(
    value: bytes | dict[str, object] | None, *, key: bytes | None = None, headers: RecordHeaders = None
) -> FromOutside:
    data = msgspec.json.encode(value) if isinstance(value, dict) else value
    return read(key, data, headers, own_id="T-3-17", ttl_ms=60_000)


def refused(
    value: bytes | dict[str, object] | None, *, key: bytes | None = None, headers: RecordHeaders = None
) -> str:
    with pytest.raises(RejectedError) as error:
        taken(value, key=key, headers=headers)
    return f"{error.value.code}: {error.value}"


def test_an_event() -> None:
    value = b'{"type":"payment.captured","key":"42","data":{"amount": 9.50}}'

    assert taken(value) == EventPublished(
        key="payment.captured/42", id="T-3-17", data=Raw(b'{"amount": 9.50}'), ttl_ms=60_000
    )


def test_an_answer() -> None:
    value = b'{"answer":{"stars": 5},"run":"order-42","wait":"rating","by":"tom","comment":"nice"}'

    read = taken(value)
    assert isinstance(read, Answer)
    assert read.message() == AnswerInput(
        key="order-42", id="T-3-17", wait="rating", format=2, answer=Raw(b'{"stars": 5}'), by="tom",
        comment="nice",
    )  # fmt: skip
    short = taken({"answer": None, "wait": "rating", "message_id": "m1"}, key=b"order-42")
    assert isinstance(short, Answer)
    assert (short.run, short.id, bytes(short.answer)) == ("order-42", "m1", b"null")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"cancel": "the customer left", "compensate": True},
            CancelRun(key="order-42", id="m1", reason="the customer left", compensate=True),
        ),
        ({"cancel": ""}, CancelRun(key="order-42", id="m1")),
        (
            {"claim": "tom", "wait": "rating"},
            ClaimInput(key="order-42", id="m1", wait="rating", format=2, by="tom"),
        ),
        (
            {"assign": "ann", "wait": "rating", "by": "tom", "role": "office", "comment": "on holiday"},
            AssignInput(
                key="order-42", id="m1", wait="rating", format=2, to="ann", by="tom", role="office",
                comment="on holiday",
            ),
        ),
        (
            {"comment": "called twice", "wait": "rating", "by": "tom"},
            CommentInput(key="order-42", id="m1", wait="rating", format=2, comment="called twice", by="tom"),
        ),
    ],
)  # fmt: skip
def test_requests_to_a_run(fields: dict[str, object], message: Message) -> None:
    assert taken({**fields, "message_id": "m1"}, key=b"order-42") == message
    assert taken({**fields, "run": "order-42", "message_id": "m1"}, key=b"other") == message
    assert refused({**fields, "message_id": "m1"}).startswith("no_key: ")
    assert decode_message(admit(message)) == message


def test_ends_and_heartbeats_by_a_token() -> None:
    tokens = Tokens(["1" * 32])
    token = tokens.sign("order-42", "delivered", 3)
    about = {"key": "order-42", "id": "T-3-17", "step": "delivered", "format": 2, "attempt": 3}

    def message(value: dict[str, object]) -> Message:
        read = taken(value, key=b"whatever")
        assert isinstance(read, OutsideEnd)
        assert token not in repr(read)
        return read.message(tokens)

    assert message({"complete": token, "value": {"at": 1}, "by": "dhl"}) == CompleteStep(
        **about, output=Raw(b'{"at":1}'), by="dhl"
    )
    assert message({"complete": token}) == CompleteStep(**about)
    failed = {"code": "lost", "message": "on the way", "details": [7]}
    failure = Failure("lost", "on the way", False, [7])
    assert message({"fail": token, "error": failed}) == FailStep(**about, failure=failure)
    failure = Failure("failed", "gone", retryable=False)
    assert message({"fail": token, "error": "gone"}) == FailStep(**about, failure=failure)
    assert message({"heartbeat": token}) == HeartbeatStep(**about)
    assert message({"heartbeat": token, "message_id": "m1"}) == HeartbeatStep(**{**about, "id": "m1"})
    with pytest.raises(RejectedError) as caught:
        message({"complete": token[:-4] + "AAAA"})
    assert caught.value.code == "forged_token"


def test_an_event_with_an_id_of_its_own_happens_once() -> None:
    event = taken({"type": "a", "key": "42", "message_id": "m1"})

    assert isinstance(event, EventPublished)
    assert (event.id, bytes(event.data)) == ("m1", b"null")


@pytest.mark.parametrize("key", ["42", 42])
def test_a_key_may_be_a_number_as_in_a_wait(key: object) -> None:
    assert taken({"type": "a", "key": key}).key == "a/42"  # type: ignore[union-attr]  # an event


def test_the_key_of_the_record_stands_in() -> None:
    assert taken({"type": "a"}, key=b"42").key == "a/42"  # type: ignore[union-attr]  # an event
    assert taken({"type": "a", "key": "1"}, key=b"42").key == "a/1"  # type: ignore[union-attr]  # an event
    assert taken({"signal": "go"}, key=b"r").key == "r"  # type: ignore[union-attr]  # a signal


def test_a_signal() -> None:
    value = b'{"signal":"released","run":"order-42","data":{"by":"tom"}}'

    assert taken(value) == SignalRun(
        key="order-42", id="T-3-17", signal="released", data=Raw(b'{"by":"tom"}')
    )


def test_a_start_is_of_no_definition_until_it_is_given_one() -> None:
    start = taken(
        {"start": "order", "id": "order-43", "input": {"id": "43"}, "tags": ["vip"], "message_id": "m1"},
        headers=[("traceparent", b"00-1-2-01")],
    )

    assert isinstance(start, Start)
    assert start.of("f1") == StartRun(
        key="order-43",
        id="m1",
        workflow="order",
        fingerprint="f1",
        input=Raw(b'{"id":"43"}'),
        tags=("vip",),
        trace="00-1-2-01",
        trigger="event",
    )


def test_a_start_may_bring_a_signal() -> None:
    start = taken({"start": "order", "id": "order-43", "signal": "released", "data": [1], "message_id": "m1"})

    assert isinstance(start, Start)
    assert start.of("f1") == StartWithSignal(
        key="order-43", id="m1", workflow="order", fingerprint="f1", trigger="event", format=2,
        signal="released", data=Raw(b"[1]"),
    )  # fmt: skip


def test_a_start_says_all_that_a_client_may_say() -> None:
    start = taken({
        "start": "order", "id": "r", "timeout": "2h", "queue": "fast", "priority": -5, "metadata": {"a": 1},
        "attributes": {"region": "EU", "n": 3, "vip": True, "due": {"moment": "2030-01-31T09:00:00Z"}},
        "signal": "go", "ttl": "1m", "message_id": "m1",
    })  # fmt: skip

    assert isinstance(start, Start)
    assert start.of("f1") == StartWithSignal(
        key="r", id="m1", workflow="order", fingerprint="f1", trigger="event", format=2, timeout_ms=7_200_000,
        queue="fast", priority=-5, metadata=Raw(b'{"a":1}'), signal="go", ttl_ms=60_000,
        attributes=(
            Attribute("region", "text", "EU"), Attribute("n", "number", 3), Attribute("vip", "truth", True),
            Attribute("due", "moment", 1_896_080_400_000),
        ),
    )  # fmt: skip
    assert decode_message(admit(start.of("f1"))) == start.of("f1")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"timeout": "0s"}, "bad_duration: 'timeout' of a start is no time: '0s'"),
        ({"timeout": "soon"}, "bad_duration: 'timeout' is no duration"),
        ({"signal": "go", "ttl": "soon"}, "bad_duration: 'ttl' is no duration"),
        ({"ttl": "1h"}, "invalid: Object contains unknown field `ttl`"),
        ({"queue": "a queue"}, "bad_queue: 'a queue' is not a name for a queue"),
        ({"priority": 101}, "invalid: Expected `int` <= 100"),
        ({"metadata": [1]}, "invalid: 'metadata' has to be an object, not [1]"),
        ({"attributes": 7}, "invalid: 'attributes' has to be an object, not 7"),
        ({"attributes": {"1": "x"}}, "bad_attribute: '1' is no name of an attribute"),
        ({"attributes": {"a": None}}, "bad_attribute: attribute 'a': takes a text, a number"),
        ({"attributes": {"a": {"moment": "noon"}}}, "bad_attribute: attribute 'a' is no moment"),
        (
            {"attributes": {"a": {"moment": "2030-01-31T09:00:00"}}},
            "bad_attribute: attribute 'a' is no moment",
        ),
    ],
)
def test_what_a_start_cannot_say_is_refused_with_the_field(fields: dict[str, object], reason: str) -> None:
    assert refused({"start": "order", **fields}).startswith(reason)


@pytest.mark.parametrize(
    ("fields", "run"), [({}, "T-3-17"), ({"message_id": "m1"}, "m1"), ({"id": "r", "message_id": "m1"}, "r")]
)
def test_a_run_without_an_id_is_called_after_its_message(fields: dict[str, object], run: str) -> None:
    start = taken({"start": "order", **fields}, key=b"some key")

    assert isinstance(start, Start)
    assert start.run == run


def test_a_cloud_event_in_binary_mode() -> None:
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"com.example.paid"),
        ("ce_id", b"7"),
        ("ce_source", b"/bank"),
        ("ce_subject", b"42"),
        ("ce_unknown", b"\xff"),
    ]

    event = taken(b'{"type":"not this"}', key=b"other", headers=headers)

    assert event == EventPublished(
        key="com.example.paid/42",
        id="/bank#7",
        data=Raw(b'{"type":"not this"}'),
        ttl_ms=60_000,
        by="/bank",
    )


@pytest.mark.parametrize("value", [None, b""])
def test_a_cloud_event_needs_no_data_no_id_and_no_version(value: bytes | None) -> None:
    event = taken(value, key=b"42", headers=[("ce_type", b"paid")])

    assert event == EventPublished(key="paid/42", id="T-3-17", ttl_ms=60_000)


def test_a_cloud_event_in_structured_mode() -> None:
    event = {"specversion": "1.0", "type": "paid", "id": "7", "source": "/bank", "data": 1, "other": [1]}

    assert taken({**event, "subject": "42", "partitionkey": "43"}, key=b"44").key == "paid/42"  # type: ignore[union-attr]
    assert taken({**event, "partitionkey": "43"}, key=b"44").key == "paid/43"  # type: ignore[union-attr]
    assert taken(event, key=b"44") == EventPublished(
        key="paid/44", id="/bank#7", data=Raw(b"1"), ttl_ms=60_000, by="/bank"
    )


def test_a_cloud_event_may_carry_any_message_under_its_own_id() -> None:
    signal = b'{"signal":"go","run":"r","data":[1]}'
    headers = [("ce_type", b"stream_durable.message"), ("ce_id", b"7"), ("ce_source", b"/shop")]
    structured = {"specversion": "1.0", "type": "stream_durable.message", "id": "7", "source": "/shop"}

    expected = SignalRun(key="r", id="/shop#7", signal="go", data=Raw(b"[1]"), by="/shop")
    assert taken(signal, headers=headers) == expected
    assert taken({**structured, "data": Raw(signal)}) == expected
    assert taken(b'{"signal":"go","message_id":"m1"}', key=b"r", headers=headers).id == "m1"
    named = taken(b'{"signal":"go","run":"r","by":"tom"}', headers=headers)
    assert isinstance(named, SignalRun) and named.by == "tom", "the message itself knows better"
    assert refused(None, headers=headers).startswith("unreadable: not JSON")
    assert refused({**structured, "data": {"sygnal": "go"}}).startswith("unknown_form: ")


def test_who_sends_a_message_and_how_long_it_is_kept_may_stand_in_it() -> None:
    event = taken({"type": "paid", "key": "42", "by": "till 4", "ttl": "2h"})
    assert event == EventPublished(key="paid/42", id="T-3-17", ttl_ms=7_200_000, by="till 4")
    signal = taken({"signal": "go", "run": "r", "by": "tom", "ttl": "90s"})
    assert signal == SignalRun(key="r", id="T-3-17", signal="go", by="tom", ttl_ms=90_000)
    start = taken({"start": "order", "id": "r", "signal": "go", "by": "tom"})
    assert isinstance(start, Start)
    assert start.of("f").by == "tom"  # type: ignore[attr-defined]
    for message in ({"type": "paid", "key": "42"}, {"signal": "go", "run": "r"}):
        assert refused({**message, "ttl": "soon"}).startswith("bad_duration: 'ttl' is no duration")


def test_a_run_named_after_a_cloud_event_of_a_web_address_has_an_id_that_runs_may_have() -> None:
    headers = [("ce_type", b"stream_durable.message"), ("ce_id", b"7"), ("ce_source", b"https://shop")]

    start = taken(b'{"start":"order"}', headers=headers)

    assert isinstance(start, Start)
    assert start.id == "https://shop#7"
    assert "//" not in start.run
    assert admit(start.of("f"))
    assert taken(b'{"start":"order"}', headers=headers) == start


def test_a_cloud_event_without_a_type_is_one_all_the_same() -> None:
    reason = refused(b'{"signal":"go","run":"r"}', headers=[("ce_id", b"7"), ("ce_source", b"/shop")])

    assert reason == (
        "invalid: it is a CloudEvent, for it has the header ce_id, but has no header ce_type: "
        "write the event's name there"
    )
    assert refused({"specversion": "1.0", "id": "7"}).startswith(
        "invalid: Object missing required field `type`. A CloudEvent has the fields specversion, type, id,"
    )


def test_ids_of_two_sources_are_two_ids_however_long_they_are() -> None:
    def identity(source: str) -> str:
        event = taken({"specversion": "1.0", "type": "a", "id": "7", "source": source}, key=b"k")
        assert isinstance(event, EventPublished)
        return event.id

    sources = ["", "/a", "/b", "/" + "a" * 600, "/" + "b" * 600]

    assert len({identity(source) for source in sources}) == len(sources)
    assert all(len(identity(source)) <= 512 for source in sources)
    assert identity("/" + "a" * 600) == identity("/" + "a" * 600)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "unreadable: the record has no value"),
        (b"", "unreadable: not JSON: "),
        (b"{", "unreadable: not JSON: "),
        (b"[1]", "unknown_form: it is JSON, but a list, not an object"),
        (b"7", "unknown_form: it is JSON, but a int, not an object"),
        (b"null", "unknown_form: it is JSON, but null, not an object"),
        ({}, "unknown_form: no form of it is known"),
        ({"type": "a", "signal": "b"}, "ambiguous: it holds 'type' and 'signal'"),
        ({"answer": "yes", "run": "r"}, "invalid: Object missing required field `wait`"),
        ({"answer": "yes", "wait": "w"}, "no_key: an answer needs a run"),
        ({"start": "w", "data": 1}, "invalid: Object contains unknown field `data`"),
        ({"start": "w", "signal": "a b"}, "bad_name: 'a b' is not a name of a signal"),
        ({"start": "w", "signal": "go", "run": "r"}, "invalid: Object contains unknown field `run`"),
        ({"type": "a", "start": "w", "signal": "go"}, "ambiguous: it holds 'type' and 'signal' and 'start'"),
        ({"complete": "sdt_a", "values": 1}, "invalid: Object contains unknown field `values`"),
        ({"fail": "sdt_a"}, "invalid: Object missing required field `error`"),
        ({"fail": "sdt_a", "error": {"cod": 1}}, "invalid: Object contains unknown field `cod`"),
        ({"fail": "sdt_a", "error": 7}, "invalid: Expected `object`, got `int`"),
        ({"heartbeat": 7}, "invalid: Expected `str`, got `int`"),
        ({"complete": "a", "fail": "a"}, "ambiguous: it holds 'complete' and 'fail'"),
        ({"answer": "yes", "start": "w"}, "ambiguous: it holds 'start' and 'answer'"),
        ({"type": "a", "key": "1", "dta": 1}, "invalid: Object contains unknown field `dta`"),
        ({"type": "a", "key": []}, "invalid: Expected `int | str | null`, got `array` - at `$.key`"),
        ({"type": "a", "key": ""}, "invalid: Expected `str` of length >= 1 - at `$.key`"),
        ({"type": "a/b", "key": "1"}, "bad_name: 'a/b' is not a name of an event"),
        ({"signal": "a b", "run": "1"}, "bad_name: 'a b' is not a name of a signal"),
        ({"signal": "a"}, "no_key: a signal needs a run"),
        ({"type": "a", "key": "x" * 511}, "bad_key: "),
        ({"specversion": "1.0", "type": "a"}, "invalid: Object missing required field `id`"),
        (b'"' + b"x" * 999_999 + b'"', "too_large: the record has 1000001 bytes"),
    ],
)
def test_what_is_wrong_is_said(value: bytes | dict[str, object] | None, reason: str) -> None:
    assert refused(value).startswith(reason)


def test_an_event_without_a_key_is_one_for_triggers() -> None:
    found = read(None, b'{"type": "a"}', None, own_id="t-0-7", ttl_ms=1)

    assert isinstance(found, EventUnkeyed) and found == EventUnkeyed(key="a/t-0-7", id="t-0-7", format=2)
    with pytest.raises(RejectedError, match="event 'a' has no key, and no trigger takes it"):
        check_taken(found, Declared())


def test_no_reason_repeats_what_may_be_secret_or_long() -> None:
    assert len(refused({"type": "x" * 100_000, "key": "1"})) < 300
    assert "hunter2" not in refused({"type": "a", "key": "1", "tags": "hunter2"})


@pytest.mark.parametrize("text", ["a\x00b", "x" * 513])
def test_what_the_inbox_would_not_take_is_not_admitted(text: str) -> None:
    with pytest.raises(RejectedError) as error:
        admit(SignalRun(key=text, id="1", signal="go"))
    assert error.value.code == "invalid"


def test_a_payload_leaves_room_for_what_is_put_around_it() -> None:
    largest = Raw(b'"%b"' % (b"x" * (PAYLOAD_BYTES_MAX - 2)))
    larger = Raw(b'"%b"' % (b"x" * (PAYLOAD_BYTES_MAX - 1)))

    assert admit(published("a", "1", largest, id="1", ttl_ms=1))
    assert admit(StartRun(key="r", id="1", workflow="w", fingerprint="f", input=largest))
    for message in (
        published("a", "1", larger, id="1", ttl_ms=1),
        signalled("r", "go", larger, id="1"),
        StartRun(key="r", id="1", workflow="w", fingerprint="f", input=larger),
        StartRun(key="r", id="1", workflow="w", fingerprint="f", input=largest, tags=("\x01" * 512,) * 100),
    ):
        with pytest.raises(RejectedError, match="are the most") as error:
            admit(message)
        assert error.value.code == "too_large"


def for_the_inbox(message: FromOutside) -> Message:
    match message:
        case Start():
            return message.of("f")
        case Answer() | Completion():
            return message.message()
        case OutsideEnd():
            return CompleteStep(key="r", id=message.id, step="s", format=2, output=message.output)
        case _:
            return message


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    ["type", "key", "data", "signal", "run", "start", "id", "input", "tags", "answer", "wait", "message_id"]
    + ["complete", "fail", "heartbeat", "value", "error"]
    + ["cancel", "compensate", "claim", "assign", "role", "comment", "by", "review", "step", "reason"]
    + ["change", "context", "workflow", "attempts", "timeout", "total"]
    + ["specversion", "source", "subject", "partitionkey", "data_base64"]
)
forms = st.dictionaries(names, json | st.sampled_from(["a", "order", "1.0"]), max_size=6)
header_names = st.sampled_from(
    ["ce_specversion", "ce_type", "ce_id", "ce_source", "ce_subject", "traceparent"]
)
header_values = st.none() | st.binary(max_size=20) | st.text(max_size=20).map(
    lambda text: text.encode("utf-8", "replace")
)  # fmt: skip


@given(
    st.none() | st.binary(max_size=20) | st.sampled_from([b"42"]),
    st.none() | st.binary(max_size=50) | forms.map(msgspec.json.encode),
    st.none() | st.lists(st.tuples(header_names, header_values), max_size=6),
)
def test_whatever_comes_is_refused_with_a_code_or_can_be_read_by_the_inbox(
    key: bytes | None, value: bytes | None, headers: RecordHeaders
) -> None:
    try:
        message = taken(value, key=key, headers=headers)
        data = admit(for_the_inbox(message))
    except RejectedError as error:
        assert error.code
        assert str(error)
        assert len(str(error)) < 1_000
    else:
        assert decode_message(data).key.encode()
        assert msgspec.json.decode(data)
