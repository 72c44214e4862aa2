"""The files in `schemas/`, and Avro's single-object encoding.

A value is `C3 01`, the CRC-64-AVRO fingerprint of the writer's schema in little-endian order, and the record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from fastavro import parse_schema
from fastavro.schema import fingerprint, to_parsing_canonical_form

from stream_durable.core.errors import BrokenError

Schema = dict[str, Any]

MARKER: Final = b"\xc3\x01"
#: Bytes before the record: the marker and the fingerprint.
FRAME_LENGTH: Final = 10


def folder() -> Traversable:
    """Return the schemas' folder: in the installed package, or at the top of a source checkout."""
    installed = resources.files("stream_durable.wire") / "schemas"
    checkout = Path(__file__).parents[2] / "schemas"
    for found in (installed, checkout):
        if (found / "run_event.avsc").is_file():
            return found
    raise BrokenError(f"the Avro schemas are neither at {installed} nor at {checkout}: reinstall the package")


def files(name: str) -> Iterator[Traversable]:
    """Return the schemas of a folder, and the released ones in it."""
    inside = folder() / name
    yield from (file for file in inside.iterdir() if file.name.endswith(".avsc"))
    released = inside / "released"
    if released.is_dir():
        for release in released.iterdir():
            yield from release.iterdir()


def load(file: Traversable) -> Schema:
    """Return the schema in a file."""
    loaded: Schema = json.loads(file.read_bytes())
    return loaded


def frame_of(schema: Schema) -> bytes:
    """Return the first bytes of values under a schema."""
    return MARKER + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def parsed(schema: Schema) -> Schema:
    """Return a schema ready for reading; times stay numbers of milliseconds, as in the core."""
    found: Schema = parse_schema(_without_logical_types(schema))  # type: ignore[assignment]  # a record
    return found


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {k: _without_logical_types(v) for k, v in schema.items() if k != "logicalType"}
    if isinstance(schema, list):
        return [_without_logical_types(part) for part in schema]
    return schema
