"""Triggers as data: events, with the runs, ids and inputs made of them."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from stream_durable.core.definition.paths import read_path
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.format import TRIGGERS, Format
from stream_durable.core.ids import (
    ID_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    RESERVED_RULE,
    child_id,
    clipped,
    fits,
    is_derived,
)
from stream_durable.core.messages import EventPublished, EventUnkeyed, StartTriggered, Text

#: What a path of a trigger may begin with.
ROOTS: Final = ("data", "key", "id", "event", "by")
_encode = msgspec.json.Encoder().encode

#: The path of the whole input, or a path for each of its fields.
Mapping = str | dict[str, str]


class Trigger(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="trigger", tag_field="kind"):
    """A rule for starting a run of a workflow by an event, in the current version."""

    #: Releases without this format cannot read it.
    format: Format = TRIGGERS
    name: Text
    app: Text
    event: Text
    workflow: Text
    #: The path of the run's id; empty: derived from trigger and event.
    id: str = ""
    input: Mapping = "data"
    #: By path: the value that has to be there, or several of which one has to be.
    match: dict[str, Any] = {}


def start_of(trigger: Trigger, event: EventPublished | EventUnkeyed) -> StartTriggered | None:
    """Return the start of a run by an event, with a failure if there can be none; None without a match.

    The definition is still to be decided.
    """
    name, _, key = event.key.partition("/")
    has_key = isinstance(event, EventPublished)
    values = {
        "data": msgspec.json.decode(event.data), "key": key if has_key else None, "id": event.id,
        "event": name, "by": event.by,
    }  # fmt: skip
    if not matches(trigger.match, values):
        return None
    run, data, failure = (
        child_id(trigger.name, f"{key}#{event.id}" if has_key else event.id),
        Raw(b"null"),
        None,
    )
    try:
        data = mapped(trigger.input, values)
        if trigger.id:
            run = id_at(trigger.id, values)
    except RejectedError as error:
        failure = Failure(error.code, str(error), retryable=False)
    return StartTriggered(
        key=run, id=clipped(f"{trigger.name}/{event.id}"), format=TRIGGERS, workflow=trigger.workflow,
        fingerprint="", input=data, trigger=clipped(f"event {name}, trigger {trigger.name}"),
        on=trigger.name, event=name, event_id=event.id, failure=failure,
    )  # fmt: skip


def matches(wanted: dict[str, Any], values: dict[str, Any]) -> bool:
    """Return whether each path has its value, or one of several."""
    for path, value in wanted.items():
        try:
            found = value_of(path, values)
        except RejectedError:
            return False
        if not any(_is_same(found, each) for each in (value if isinstance(value, list) else [value])):
            return False
    return True


def mapped(mapping: Mapping, values: dict[str, Any]) -> Raw:
    """Return what a path, or a path for each field, leads to; raise if nothing is there, or too much."""
    if isinstance(mapping, str):
        found = value_of(mapping, values) if mapping else values
    else:
        found = {field: value_of(path, values) for field, path in mapping.items()}
    try:
        data = _encode(found)
    except UnicodeEncodeError as error:
        raise RejectedError("bad_json", "a text in it is not valid Unicode") from error
    if len(data) > PAYLOAD_BYTES_MAX:
        text = f"it has {len(data)} bytes of JSON, {PAYLOAD_BYTES_MAX} are the most"
        raise RejectedError("too_large", f"{text}: map what is needed, or pass large data by reference")
    return Raw(data)


def text_at(path: str, values: dict[str, Any]) -> str:
    """Return the text or whole number at a path as text; raise for anything else."""
    found = value_of(path, values)
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise RejectedError("bad_id", f"at {path!r} there is no text and no whole number: take another path")
    text = str(found)
    if not fits(text):
        raise RejectedError(
            "bad_id", f"at {path!r} there are more than {ID_BYTES_MAX} bytes: take another path"
        )
    return text


def id_at(path: str, values: dict[str, Any]) -> str:
    """Return the id of a run at a path; raise if it cannot be one."""
    text = text_at(path, values)
    if is_derived(text):
        raise RejectedError(
            "reserved_id", f"{text[:128]!r}, at {path!r}, cannot be a run's id: {RESERVED_RULE}"
        )
    return text


def value_of(path: str, values: dict[str, Any]) -> Any:
    """Return the value at a path; raise if there is none."""
    return read_path(f"it.{path}", values)


def _is_same(found: Any, wanted: Any) -> bool:
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)
