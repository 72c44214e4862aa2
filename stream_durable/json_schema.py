"""JSON Schema by a library: validity of schemas, and misfits of values. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec

from stream_durable.core.definition.schema import Misfit

#: Stands for the value in what the library says: a value may be a secret.
_VALUE = "it"
_MISFITS_MAX = 20
#: Names of fields come with the value, and what is allowed with the schema: either may be long.
_FIELD_LENGTH_MAX = 200
_TEXT_LENGTH_MAX = 500


def schema_fault(schema: str) -> str | None:
    """Return the fault of a schema's JSON text, or None."""
    try:
        _validator(schema)
    except (ValueError, msgspec.DecodeError) as error:
        return str(error).partition("\n")[0]
    return None


def misfits(schema: str, value: Any) -> list[Misfit]:
    """Return why a value does not fit the JSON text of a schema, field by field; nothing: it fits."""
    found: list[Misfit] = []
    for error in _validator(schema).iter_errors(value):
        found += _misfits(error)
        if len(found) >= _MISFITS_MAX:
            break
    return found


@lru_cache(256)
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        msgspec.json.decode(schema), validate_formats=True, mask=_VALUE, offline=True
    )


def _misfits(error: jsonschema_rs.ValidationError) -> Iterator[Misfit]:
    path = ".".join(map(str, error.instance_path))
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.Required(property=name):
            yield Misfit(_joined(path, name), "it is missing")
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties(unexpected=names):
            for name in names[:_MISFITS_MAX]:
                yield Misfit(_joined(path, name), "there is no such field")
        case _:
            yield Misfit(path[:_FIELD_LENGTH_MAX], error.message[:_TEXT_LENGTH_MAX])


def _joined(path: str, name: str) -> str:
    return (f"{path}.{name}" if path else name)[:_FIELD_LENGTH_MAX]
