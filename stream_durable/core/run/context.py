"""The run's context: values left by steps for all later steps, key by key."""

from __future__ import annotations

from typing import Any, assert_never

import msgspec
from msgspec import Raw

from stream_durable.core.failure import Failure
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.merging import merged
from stream_durable.core.messages import Change
from stream_durable.core.reference import is_reference
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
