"""Ids are derived; an entity lives in the partition that Kafka's own partitioner gives its key."""

from __future__ import annotations

import pytest

from stream_durable.core.ids import NAME, _murmur2, fraction, partition_of


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_keys_hash_as_kafka_hashes_them(key: str, hashed: int) -> None:
    """The values stand in the tests of the Java client."""
    assert _murmur2(key.encode()) == hashed & 0xFFFFFFFF


def test_keys_of_every_length_have_a_partition() -> None:
    assert {partition_of("ü" * n, 8) for n in range(300)} == set(range(8))


def test_chance_is_spread_evenly_and_told_apart_by_where_parts_end() -> None:
    drawn = [fraction("run", str(i)) for i in range(1_000)]

    assert all(0 <= f < 1 for f in drawn)
    assert 0.45 < sum(drawn) / len(drawn) < 0.55
    assert fraction("ab", "c") != fraction("a", "bc")


@pytest.mark.parametrize("name", ["a", "_a", "A.b:c-d", "a" * 128])
def test_a_name_may_be(name: str) -> None:
    assert NAME.match(name)


@pytest.mark.parametrize("name", ["", "1a", "a/b", "a b", "a\n", "é", 'a"', "a" * 129])
def test_a_name_may_not_be(name: str) -> None:
    assert not NAME.match(name)
