"""Converts attributes of a run to rows of the index for lists, and stored attributes back."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from stream_durable.core.attributes import key_of
from stream_durable.core.messages import Attribute
from stream_durable.core.run.state import Run

_decode = msgspec.json.Decoder(tuple[Attribute, ...]).decode


class AttributeRow(NamedTuple):
    """An attribute of a run, as lists find it."""

    run: str
    name: str
    partition: int
    workflow: str
    #: The kind and the value as a text that sorts.
    value: str


def attribute_rows(run: Run) -> list[AttributeRow]:
    """Return the rows of changed attributes."""
    if run.attributes is None:
        return []
    held = run.attributes.held
    return [
        AttributeRow(run.id, name, run.partition, run.graph.name, key_of(held[name]))
        for name in run.attributes.touched
    ]


def thaw_attributes(stored: bytes | None) -> tuple[Attribute, ...]:
    """Return the attributes stored in a run's row."""
    return () if stored is None else _decode(stored)


def attribute_keys(stored: bytes | None) -> dict[str, str]:
    """Return the keys of stored attributes, by name."""
    return {one.name: key_of(one) for one in thaw_attributes(stored)}
