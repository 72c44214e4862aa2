"""What a record of the definitions topic can hold, and what may be registered."""

import json

import pytest
from builders import step

from stream_durable.core.definition import reading
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.node_faults import Fault
from stream_durable.core.definition.nodes import Definition, encode_definition, fingerprint_of
from stream_durable.core.definition.reading import (
    Known,
    Newer,
    admitted,
    definition_key,
    read_definition,
)
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import FORMAT

ORDER = Definition(name="order", nodes=(step("reserve"), step("ship", "reserve")))
PLAIN = json.loads(encode_definition(ORDER))


def keyed(value: bytes, name: str = "order") -> bytes:
    return definition_key(name, fingerprint_of(value))


def data(**fields: object) -> bytes:
    return json.dumps({**PLAIN, **fields}).encode()


DEEP = b'{"name":"order","nodes":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
HUGE = str(10**30).encode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"garbage",
        b"\xff\xfe\x00",
        b'{"name":"order\xff","nodes":[]}',
        b"[" * 100_000,
        DEEP,
        b"null",
        b"[]",
        b'"order"',
        b'{"name":7,"nodes":[]}',
        b'{"name":"order","nodes":7}',
        b'{"name":"order","nodes":[{"kind":"dance","name":"a"}]}',
        b'{"name":"order","nodes":[{"kind":"step"}]}',
        b'{"name":"order","nodes":[{"kind":"step","name":"a","after":["nobody"]}]}',
        b'{"name":"order","nodes":[{"kind":"step","name":"a","timeout_ms":' + HUGE + b"}]}",
        b'{"name":"order","nodes":[{"kind":"step","name":"a","timeout_ms":-1}]}',
        b'{"name":"order","nodes":[{"kind":"step","name":"a","retry":{"attempts":' + HUGE + b"}}]}",
        b'{"name":"order","nodes":[],"timeout_ms":' + HUGE + b"}",
        b'{"name":"order","nodes":[],"format":0}',
        b'{"name":"order","nodes":[],"format":' + HUGE + b"}",
        data(dances=True),
        data(nodes=[{"kind": "step", "name": "a", "dances": True}]),
        data(restart={"dances": True}),
    ],
)
def test_whatever_it_is_it_is_refused_and_nothing_else_happens(value: bytes) -> None:
    with pytest.raises(RejectedError) as refused:
        read_definition(keyed(value), value)

    assert len(str(refused.value)) < 400


def test_a_record_under_another_key_is_not_learnt() -> None:
    value = encode_definition(ORDER)

    for key in (None, b"", b"order", b"\xff", keyed(value, "other"), b"order/0123456789abcdef"):
        with pytest.raises(RejectedError, match="fingerprint"):
            read_definition(key, value)


def test_what_was_accepted_once_is_read_though_it_would_not_be_now(monkeypatch: pytest.MonkeyPatch) -> None:
    value = admitted(ORDER)

    monkeypatch.setattr(reading, "validate", lambda definition: [Fault("ship", "ugly", "it is ugly")])

    found = read_definition(keyed(value), value)
    assert isinstance(found, Graph)
    assert found.names == ("reserve", "ship")
    with pytest.raises(RejectedError, match="it is ugly"):
        admitted(ORDER)


def test_what_could_not_be_read_back_is_not_registered() -> None:
    with pytest.raises(RejectedError, match="order"):
        admitted(Definition(name="order", nodes=(step("a", timeout_ms=10**30),)))


def test_a_definition_of_a_newer_format_is_known_by_name_whatever_else_is_in_it() -> None:
    value = data(format=FORMAT + 1, nodes=[{"kind": "dance"}])
    known = Known()

    known.keep(read_definition(keyed(encode_definition(ORDER)), encode_definition(ORDER)))
    found = read_definition(keyed(value), value)
    known.keep(found)

    assert found == Newer("order", fingerprint_of(value), FORMAT + 1)
    assert known.current == {"order": fingerprint_of(value)}
    assert known.graphs.keys() == {ORDER.fingerprint()}
    assert f"format {FORMAT + 1}" in known.lacking(fingerprint_of(value))
    assert "start a worker" in known.lacking("0123456789abcdef")


def test_a_definition_says_nothing_of_the_first_format() -> None:
    assert b"format" not in encode_definition(ORDER)
