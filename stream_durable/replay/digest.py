"""Whether two states are equal, told by a digest of each table and partition.

A digest is taken in the database, in one pass over each table. It is a sum over hashes of whole
rows, so it needs neither an order nor memory. Two sets that differ by accident have the same digest
with a chance of 1 to 2^128; it is no defence against somebody who chooses rows to that end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from stream_durable.ports import Digest

Digests = Mapping[tuple[str, int], Digest]

_NOTHING = Digest(0, 0, 0)


class Difference(NamedTuple):
    """A table that is not the same in both states, in one partition."""

    table: str
    #: That of the run for its steps; -1 for steps of no run.
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
