"""Triggers in the notation of authors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stream_durable.core.definition.paths import root_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import NAME, clipped
from stream_durable.core.triggers import ROOTS, Trigger
from stream_durable.sdk.untyped import write_untyped

#: Longest trigger as JSON: all of them are in the memory of each reconciler.
_BYTES_MAX: Final = 20_000


def trigger_of(
    app: str,
    event: str,
    workflow: str,
    *,
    id: str,  # noqa: A002 - the word for it everywhere
    input: str | Mapping[str, str],  # noqa: A002 - see above
    match: Mapping[str, Any] | None,
    name: str | None,
) -> Trigger:
    """Return a checked trigger, or raise for impossible options."""
    named = f"{event}:{workflow}" if name is None else name
    check_name("a trigger", named)
    if not NAME.match(str(event)):
        raise RejectedError("bad_name", f"trigger {named!r}: {str(event)[:128]!r} is no name of an event")
    made = Trigger(
        name=named, app=app, event=event, workflow=workflow, id=str(id),
        input=input if isinstance(input, str) else dict(input),
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


def check_name(what: str, name: str) -> None:
    """Raise for an impossible name."""
    if not NAME.match(str(name)):
        text = f"{clipped(str(name), 128)!r} is no name of {what}"
        raise RejectedError(
            "bad_name", f"{text}: give name= with letters, digits and _ . : - only, at most 128"
        )


def check_path(what: str, option: str, path: object, roots: tuple[str, ...]) -> None:
    """Raise for a path that can lead nowhere."""
    if not isinstance(path, str) or root_of(path) not in roots or "" in path.split("."):
        shown = ", ".join(roots)
        text = f"{what}: {option} takes a path, and {path!r} is none: it begins with one of {shown}"
        raise RejectedError("bad_path", f"{text}, as in 'data.id'")


def _of(mapping: dict[str, str]) -> list[tuple[str, str]]:
    return [(f"input[{field!r}]", path) for field, path in mapping.items()]
