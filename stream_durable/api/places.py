"""Names and ids within a path: a slash of theirs is written as `%2F`, and divides nothing.

Servers undo the writing before a route is looked for. So the path is read again as it was sent, and a slash
within a part of it stands as a NUL character until the part is read: no name and no id can hold one.
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import quote, unquote

from fastapi import Path
from pydantic import AfterValidator
from starlette.types import Scope

_SLASH: Final = "\x00"


def divided(scope: Scope) -> str:
    """Return the path of a request for looking up its route."""
    sent: bytes = scope.get("raw_path") or b""
    if b"%2" not in sent:
        path: str = scope["path"]
        return path
    parts = sent.split(b"?")[0].decode("ascii", "replace").split("/")
    return "/".join(unquote(part).replace("/", _SLASH) for part in parts)


def written(part: str) -> str:
    """Return a part of a divided path as browsers write it in an address."""
    return quote(_read(part), safe="!'()*")


def _read(part: str) -> str:
    return part.replace(_SLASH, "/")


def _part(description: str) -> Any:
    return Path(max_length=1_000, description=f"{description}; a slash is written as `%2F`.")


RunId = Annotated[str, _part("The id of the run"), AfterValidator(_read)]
StepName = Annotated[str, _part("The name of the step"), AfterValidator(_read)]
SignalName = Annotated[str, _part("The name of the signal"), AfterValidator(_read)]
Name = Annotated[str, _part("The name"), AfterValidator(_read)]
RecordId = Annotated[str, _part("The id that the list of dead records shows"), AfterValidator(_read)]
MessageId = Annotated[str, _part("The id that the list shows"), AfterValidator(_read)]
