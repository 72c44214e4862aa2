"""The notation of authors for triggers and bindings: common parts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from stream_durable.core.bindings import Bad
from stream_durable.core.definition.paths import root_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import NAME, clipped
from stream_durable.sdk.workflow import Workflow

#: A path, or one for each field.
Paths = str | Mapping[str, str]


class RuleOptions(TypedDict, total=False):
    """Options of a rule beside the name and conditions."""

    start: Workflow[Any, Any]
    event: str
    signal: str
    answer: str
    id: str
    key: str
    run: str
    input: Paths
    data: Paths
    since: str | datetime
    bad: Bad


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
