"""Triggers in the notation of authors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import NAME
from stream_durable.core.triggers import ROOTS, Trigger
from stream_durable.sdk.rules import RuleOptions, check_name, check_path
from stream_durable.sdk.untyped import write_untyped
from stream_durable.sdk.workflow import Workflow

#: Longest trigger as JSON: all of them are in the memory of each reconciler.
_BYTES_MAX: Final = 20_000
_OPTIONS: Final = frozenset({"start", "id", "input"})


def trigger_of(
    app: str, event: str, options: RuleOptions, match: Mapping[str, Any] | None, name: str | None
) -> Trigger:
    """Return a checked trigger, or raise for impossible options."""
    if strange := options.keys() - _OPTIONS:
        text = f"a trigger on event {str(event)[:128]!r} takes no {sorted(strange)[0]}="
        raise RejectedError("bad_option", f"{text}: a binding does, `app.on(app.topic(...))`")
    if not isinstance(start := options.get("start"), Workflow):
        raise RejectedError("bad_workflow", f"start= takes a workflow, not {start!r}")
    workflow, given = start.name, options.get("input", "data")
    named = f"{event}:{workflow}" if name is None else name
    check_name("a trigger", named)
    if not NAME.match(str(event)):
        raise RejectedError("bad_name", f"trigger {named!r}: {str(event)[:128]!r} is no name of an event")
    made = Trigger(
        name=named, app=app, event=event, workflow=workflow, id=str(options.get("id", "")),
        input=given if isinstance(given, str) else dict(given),
        match=msgspec.json.decode(write_untyped(dict(match or {}))),
    )  # fmt: skip
    paths = [("input=", made.input)] if isinstance(made.input, str) else list(_of(made.input))
    for option, path in [
        *paths,
        *([("id=", made.id)] if made.id else []),
        *(("match=", p) for p in made.match),
    ]:
        check_path(f"trigger {named!r}", option, path, ROOTS)
    if (size := len(msgspec.json.encode(made))) > _BYTES_MAX:
        text = f"trigger {named!r} has {size} bytes as JSON, {_BYTES_MAX} are the most: match less"
        raise RejectedError("too_large", text)
    return made


def _of(mapping: dict[str, str]) -> list[tuple[str, str]]:
    return [(f"input[{field!r}]", path) for field, path in mapping.items()]
