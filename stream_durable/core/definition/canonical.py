"""The canonical form of a definition: equal definitions have equal bytes."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec


def canonical(value: Any) -> Any:
    """Return plain values without fields equal to their defaults.

    The library's `omit_defaults` compares by identity, so two equal definitions could differ.
    """
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        fields: dict[str, Any] = {} if config.tag is None else {str(config.tag_field): config.tag}
        for name, default in zip(value.__struct_fields__, _defaults(type(value)), strict=True):
            if (held := getattr(value, name)) != default:
                fields[name] = canonical(held)
        return fields
    if isinstance(value, tuple):
        return [canonical(one) for one in value]
    if isinstance(value, dict):
        return {name: canonical(one) for name, one in value.items()}
    return value


@cache
def _defaults(kind: type[msgspec.Struct]) -> tuple[Any, ...]:
    return tuple(
        field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        for field in msgspec.structs.fields(kind)
    )
