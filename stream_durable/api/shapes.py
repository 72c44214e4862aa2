"""The models of the document, derived from the values of the client.

A value has one declaration: client and API have the same fields, under the same names.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec
from pydantic import BaseModel, ConfigDict, Field, create_model

#: Names of models whose class shares its name with another one.
_NAMES: Final = {
    "stream_durable.core.definition.difference.Change": "DefinitionChange",
    "stream_durable.client.questions.Change": "QuestionChange",
}
_CONFIG: Final = ConfigDict(extra="forbid", defer_build=True)

_made: dict[tuple[type, str], type[BaseModel]] = {}


def shape(kind: type, name: str = "", /, **others: Any) -> type[BaseModel]:
    """Return the model of a plain value; `others` are fields added by the API, or shown in another form."""
    key = kind, name
    if key not in _made:
        hints = {field: of(hint) for field, hint in hints_of(kind).items()} | others
        called = name or _NAMES.get(f"{kind.__module__}.{kind.__name__}", kind.__name__)
        _made[key] = model(called, **hints)
    return _made[key]


def model(name: str, /, **hints: Any) -> type[BaseModel]:
    """Return a model with these fields, all required."""
    given: dict[str, Any] = {}
    for field, hint in hints.items():
        # A few names, such as `schema`, are methods of every model.
        is_taken = hasattr(BaseModel, field)
        given[f"{field}_" if is_taken else field] = (hint, Field(alias=field) if is_taken else ...)
    made: type[BaseModel] = create_model(name, __config__=_CONFIG, **given)
    return made


def of(hint: Any) -> Any:
    """Return a type with models in place of plain values."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return Union[tuple(map(of, parts))]  # noqa: UP007 - of types that are found here
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return types.GenericAlias(dict, (parts[0], of(parts[1])))
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return many(parts[0])
    return shape(hint) if isinstance(hint, type) and is_plain(hint) else hint


def many(kind: Any, name: str = "", /, **others: Any) -> Any:
    """Return the type of a list of plain values, or of models."""
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    return types.GenericAlias(
        list, (kind if is_model else shape(kind, name, **others) if name else of(kind),)
    )


def is_plain(kind: type) -> bool:
    """Return whether instances of a class are values with named fields."""
    return hasattr(kind, "_fields") or is_dataclass(kind) or issubclass(kind, msgspec.Struct)


def hints_of(kind: type) -> dict[str, Any]:
    """Return the types of a plain value's fields, in order."""
    hints = get_type_hints(kind)
    if issubclass(kind, msgspec.Struct):
        return {name: hints[name] for name in kind.__struct_fields__}
    if is_dataclass(kind):
        return {field.name: hints[field.name] for field in fields(kind)}
    return {name: hints[name] for name in kind._fields}  # type: ignore[attr-defined]
