"""What stands for a large value, and what would only be taken for it."""

from hashlib import sha256

import pytest
from msgspec import Raw

from stream_durable.core.reference import holds_reference, is_reference, parse, reference


def test_a_reference_says_where_its_value_is() -> None:
    made = reference(3, 70_000, b"[1,2]", {"input": Raw(b"1")})
    assert is_reference(made)
    found = parse(made)
    assert (found.partition, found.offset, found.size) == (3, 70_000, 5)
    assert found.digest == sha256(b"[1,2]").hexdigest()
    assert found.picked == {"input": 1}


@pytest.mark.parametrize(
    "data",
    [
        b'{"$blob":[0,0,10,"aa"]}',
        b'{"a":[{"$blob":[0,0,10,"aa"]}]}',
        b'{ "$blob" : [0, 0, 10, "aa"] }',
        b'{"other":1,"$blob":[0,0,10,"aa"]}',
        rb'{"\u0024blob":[0,0,10,"aa"]}',
        rb'[{"$\u0062l\u006Fb":[0,0,10,"aa"]}]',
    ],
)
def test_what_would_be_taken_for_one_is_found_however_it_is_written(data: bytes) -> None:
    assert holds_reference(data)


@pytest.mark.parametrize(
    "data",
    [
        b'"$blob"',
        b'{"blob":[0,0,10,"aa"]}',
        b'{"$blob":"a picture"}',
        b'{"a":"\\"$blob\\":[0,0,10]"}',
        rb'{"\u0024":1}',
    ],
)
def test_what_would_not_is_let_through(data: bytes) -> None:
    assert not holds_reference(data)
