"""The run's context: values left by steps for all later steps, key by key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, assert_never

import msgspec
from msgspec import Raw

from stream_durable.core.definition.paths import value_at
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.merging import merged
from stream_durable.core.messages import NULL, Change
from stream_durable.core.reference import holds_reference, is_reference
from stream_durable.core.run.state import Context, Run

_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def merge(run: Run, data: bytes) -> Failure | None:
    """Merge an object into the context."""
    return change(run, (), data)


def change(run: Run, changes: tuple[Change, ...], output: bytes | None = None) -> Failure | None:
    """Merge a step's output, if an object and kept inline, then apply the requested changes.

    Applies all or nothing.
    """
    is_merged = output is not None and output.startswith(b"{") and not is_reference(output)
    if not changes and not is_merged:
        return None
    context = _context(run)
    before = dict(context.fields)
    try:
        if is_merged and output is not None:
            context.fields.update(_fields(output))
        for one in changes:
            _apply(context.fields, one)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        context.fields = before
        return Failure("bad_change", str(error), retryable=False)
    return _settle(run, context, before)


def put(run: Run, values: Mapping[str, Raw]) -> Failure | None:
    """Put values at paths such as `order.total`; objects on the way are made. Puts all or nothing."""
    context = _context(run)
    before = dict(context.fields)
    try:
        for path, value in values.items():
            _put_at(context.fields, path.split("."), value)
    except (TypeError, ValueError, IndexError, RecursionError, msgspec.MsgspecError) as error:
        context.fields = before
        return Failure("bad_change", f"nothing can be put there: {error}", retryable=False)
    return _settle(run, context, before)


def values_at(run: Run, paths: Iterable[str]) -> dict[str, Any]:
    """Return the values at paths of the context; paths to nothing are left out."""
    fields = {} if run.context is None else run.context.fields
    found = {}
    for path in paths:
        key, _, rest = path.partition(".")
        with suppress(KeyError, RejectedError):
            found[path] = fields[key] if not rest else value_at(path, bytes(fields[key]))
    return found


def _put_at(fields: dict[str, Raw], parts: list[str], value: Raw) -> None:
    if not all(parts):
        raise ValueError(f"{'.'.join(parts)!r} is no path: write one such as order.total")
    key, *rest = parts
    if not rest:
        fields[key] = Raw(bytes(value))
        return
    if holds_reference(bytes(fields.get(key, NULL))):
        raise ValueError(f"the value of {key!r} is a large one, kept apart: change it as a whole")
    whole = msgspec.json.decode(fields[key]) if key in fields else {}
    place: Any = whole
    for part in rest[:-1]:
        place = place.setdefault(part, {}) if isinstance(place, dict) else place[_number_in(place, part)]
    last = rest[-1]
    place[last if isinstance(place, dict) else _number_in(place, last)] = msgspec.json.decode(value)
    fields[key] = Raw(_encode(whole))


def _number_in(place: Any, part: str) -> int:
    if not isinstance(place, list) or not part.isdecimal():
        raise TypeError(f"{part!r} leads into what is neither an object nor a list with that place")
    return int(part)


def _context(run: Run) -> Context:
    if run.context is None:
        run.context = Context()
    return run.context


def _settle(run: Run, context: Context, before: dict[str, Raw]) -> Failure | None:
    size = sum(len(bytes(value)) + len(key) + 4 for key, value in context.fields.items())
    if size > PAYLOAD_BYTES_MAX:
        context.fields = before
        text = f"the run's context would have {size} bytes of JSON; {PAYLOAD_BYTES_MAX} are the most"
        return Failure("context_too_large", text, retryable=False)
    run.payload += size - context.size
    context.size = size
    context.is_dirty = True
    return None


def _apply(fields: dict[str, Raw], one: Change) -> None:
    key = one.key
    if one.kind == "delete":
        fields.pop(key, None)
    elif one.kind == "put":
        fields[key] = Raw(bytes(one.value))
    elif one.kind == "merge" or one.kind == "merge_deep":
        _merge(fields, key, _fields(bytes(one.value)), deep=one.kind == "merge_deep")
    elif one.kind == "append":
        fields[key] = Raw(_encode([*_present(fields, key, list, []), Raw(bytes(one.value))]))
    elif one.kind == "increment":
        by = msgspec.json.decode(one.value)
        fields[key] = Raw(_encode(_number(key, fields.get(key)) + by))
    else:
        assert_never(one.kind)


def _merge(fields: dict[str, Raw], key: str, given: dict[str, Raw], *, deep: bool) -> None:
    if not key:
        fields.update(merged(fields, given, deep=deep))
        return
    _present(fields, key, dict, {})
    there = _fields(fields[key]) if key in fields else {}
    fields[key] = Raw(_encode(merged(there, given, deep=deep)))


def _present(fields: dict[str, Raw], key: str, kind: type, default: Any) -> Any:
    held = fields.get(key)
    if held is None:
        return default
    value = msgspec.json.decode(held)
    if not isinstance(value, kind):
        name = "an object" if kind is dict else "a list"
        raise TypeError(f"what the context holds under {key!r} is not {name}")
    return value


def _number(key: str, held: Raw | None) -> Any:
    value = 0 if held is None else msgspec.json.decode(held)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"what the context holds under {key!r} is not a number")
    return value
