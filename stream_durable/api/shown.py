"""The visible part of a value: the one gate for payloads.

Every answer passes here. Without the right to see payloads, type and size stand in place of each value
of a user; texts of functions become a note of length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import msgspec

from stream_durable.client import (
    Changed,
    DeadRecord,
    Happening,
    KeptEvent,
    LogEntry,
    OpenInput,
    Planned,
    Question,
    RecordHeader,
    Redriven,
    Replayed,
    RunEntry,
    RunState,
    ScheduleState,
    StepState,
)
from stream_durable.client.attention import Need
from stream_durable.client.questions import Change
from stream_durable.client.waiting import WaitsFor
from stream_durable.core.failure import Failure
from stream_durable.explain.checks import Check
from stream_durable.explain.explained import Explanation

#: Fields with values of users, by the class that carries them.
PAYLOADS: Final[Mapping[type, frozenset[str]]] = {
    RunState: frozenset({"input", "output", "context", "metadata", "attributes"}),
    RunEntry: frozenset({"metadata", "reason", "attributes"}),
    # A sentence may quote what a function or a person wrote.
    Explanation: frozenset({"sentence", "evidence"}),
    Check: frozenset({"text"}),
    StepState: frozenset({"output", "clause", "label"}),
    Happening: frozenset({"text"}),
    WaitsFor: frozenset({"about", "text"}),
    Failure: frozenset({"message", "details", "trace"}),
    LogEntry: frozenset({"text"}),
    KeptEvent: frozenset({"data"}),
    Planned: frozenset({"data"}),
    ScheduleState: frozenset({"input"}),
    Question: frozenset({"prompt", "metadata"}),
    Change: frozenset({"comment"}),
    Changed: frozenset({"before", "after"}),
    OpenInput: frozenset({"prompt"}),
    Replayed: frozenset({"reasons"}),
    Need: frozenset({"sentence", "evidence"}),
    DeadRecord: frozenset({"reason"}),
    Redriven: frozenset({"reasons"}),
    RecordHeader: frozenset({"value"}),
}
_NOTHING: Final = frozenset[str]()
#: Types that the encoder writes as they are, and nearly all of what is shown.
SCALARS: Final = frozenset({type(None), str, int, float, bool, datetime})


def plain(value: Any, *, may_see: bool) -> Any:
    """Return a value as JSON's types, and dates, for which the encoder has a form."""
    kind: type = type(value)
    if kind in SCALARS:
        return value
    if kind is dict:
        return {
            key: one if type(one) in SCALARS else plain(one, may_see=may_see) for key, one in value.items()
        }
    if kind is tuple or kind is list:
        return (
            [one if type(one) in SCALARS else plain(one, may_see=may_see) for one in value] if value else []
        )
    names = _names(kind)
    if names is not None:
        return _named(value, names, may_see=may_see)
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: plain(one, may_see=may_see) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one, may_see=may_see) for one in value]
    return msgspec.to_builtins(value)


def hidden(value: Any) -> Any:
    """Return type and size in place of a value, or of each of several."""
    if value is None:
        return None
    if isinstance(value, str):
        return f"hidden: {len(value)} characters"
    if isinstance(value, tuple):
        return [hidden(one) for one in value]
    size = len(msgspec.json.encode(value, enc_hook=str))
    return {"hidden": "object" if isinstance(value, Mapping) else type(value).__name__, "bytes": size}


def _named(value: Any, names: tuple[str, ...], *, may_see: bool) -> dict[str, Any]:
    secret = _NOTHING if may_see else PAYLOADS.get(type(value), _NOTHING)
    values = value if isinstance(value, tuple) else [getattr(value, name) for name in names]
    if not secret:
        return {
            name: one if type(one) in SCALARS else plain(one, may_see=may_see)
            for name, one in zip(names, values, strict=True)
        }
    return {
        name: hidden(one) if name in secret else plain(one, may_see=may_see)
        for name, one in zip(names, values, strict=True)
    }


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    """Return the names of a value's fields, or None."""
    if hasattr(kind, "_fields"):
        found = tuple(kind._fields)
    elif issubclass(kind, msgspec.Struct):
        found = tuple(kind.__struct_fields__)
    elif is_dataclass(kind):
        found = tuple(field.name for field in fields(kind))
    else:
        return None
    return found
