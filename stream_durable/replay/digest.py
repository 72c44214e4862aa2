"""Equality of two states, by a digest of each table and partition.

A digest is taken in the database, in one pass over each table. A sum over hashes of whole rows needs neither
an order nor memory. Two sets differing by accident have the same digest with a chance of 1 to 2^128; against
deliberately chosen rows there is no defence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from stream_durable.ports import Digest

Digests = Mapping[tuple[str, int], Digest]

_NOTHING = Digest(0, 0, 0)


class Difference(NamedTuple):
    """A table with different content in one partition."""

    table: str
    #: The run's partition for steps; -1 for steps without a run.
    partition: int
    live: Digest
    rebuilt: Digest


def compare(live: Digests, rebuilt: Digests) -> list[Difference]:
    """Return where two states differ, table by table."""
    return [
        Difference(*place, live.get(place, _NOTHING), rebuilt.get(place, _NOTHING))
        for place in {**live, **rebuilt}
        if live.get(place, _NOTHING) != rebuilt.get(place, _NOTHING)
    ]
