"""The caller, with rights."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from fastapi import Depends, Request
from fastapi.responses import Response

from stream_durable.core.errors import RejectedError

Role = Literal["viewer", "operator", "admin"]

#: From the one that may do least.
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "admin")
#: Methods that change nothing.
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Paths of which nothing is for others, whatever the method.
ADMINS: Final = ("/api/v1/tokens", "/api/v1/settings", "/api/v1/doctor/repair")
#: Where a caller signs in and out.
SESSION: Final = "/api/v1/session"
#: Paths of which nothing is for viewers.
OPERATORS: Final = ("/api/v1/doctor",)


class Caller(NamedTuple):
    """The caller of a request."""

    #: Written beside everything that the caller does.
    name: str
    role: Role
    may_see_payloads: bool

    def answer(self, value: Any, status: int = 200) -> Response:
        """Return a value as JSON, without payloads hidden from the caller."""
        from stream_durable.api.shown import plain  # noqa: PLC0415 - the client, which the guard does without

        return as_json(plain(value, may_see=self.may_see_payloads), status)

    def payload(self, value: Any) -> Any:
        """Return a value of a user, or a note of type and size."""
        from stream_durable.api.shown import hidden  # noqa: PLC0415 - as above

        return value if self.may_see_payloads else hidden(value)

    def check_sight(self, what: str | None) -> None:
        """Refuse a question about payloads, if there is one: matches would reveal them letter by letter."""
        if what is not None and not self.may_see_payloads:
            text = f"{what} needs a token that may see payloads: `stream-durable api-tokens create` makes one"
            raise RejectedError("forbidden", text)


def as_json(shown: Any, status: int = 200) -> Response:
    """Return as JSON what has passed the gate for payloads already."""
    return Response(msgspec.json.encode(shown), status, media_type="application/json")


def role_for(method: str, path: str) -> Role:
    """Return the least role for a request."""
    if path.startswith(ADMINS):
        return "admin"
    if path == SESSION:
        return "viewer"
    return "viewer" if method in SAFE and not path.startswith(OPERATORS) else "operator"


async def _caller(request: Request) -> Caller:
    found: Caller = request.scope["stream_durable.caller"]
    return found


#: The parameter of a route that answers or writes.
TheCaller = Annotated[Caller, Depends(_caller)]
