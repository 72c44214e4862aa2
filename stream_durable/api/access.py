"""The caller, the sign-in of a browser, and the tokens."""

from __future__ import annotations

import time
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from stream_durable.api.bodies import Span
from stream_durable.api.callers import Caller, Role, TheCaller
from stream_durable.api.conditions import Conditions, Id
from stream_durable.api.guard import COOKIE, LOCAL
from stream_durable.api.places import Name
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, model, shape
from stream_durable.api.world import TheWorld
from stream_durable.api_tokens import create
from stream_durable.core.errors import RejectedError
from stream_durable.core.moments import moment
from stream_durable.ports import StoredApiToken
from stream_durable.sdk.durations import milliseconds

router = APIRouter(tags=["access"], responses=documented(400, 401, 403, 404, 409, 422, 503))


class Me(NamedTuple):
    """The caller."""

    name: str
    role: str
    may_see_payloads: bool


_Times: dict[str, Any] = {"created": datetime, "expires": datetime | None, "revoked": datetime | None}
ApiTokenList = model("ApiTokenList", tokens=many(StoredApiToken, "ApiToken", **_Times))
ApiTokenMade = model("ApiTokenMade", secret=str)
ApiTokenRevoked = model("ApiTokenRevoked", name=str)


class SessionBody(Conditions):
    """The secret of a token."""

    token: Annotated[str, Field(min_length=1, max_length=200)]


class ApiTokenBody(Conditions):
    """A token to make."""

    name: Id
    role: Role = "viewer"
    payloads: Annotated[bool, Field(description="Whether it shows values of users.")] = False
    expires: Annotated[Span | None, Field(description="After this time; null: never.")] = None


@router.get("/me", response_model=shape(Me))
async def get_me(caller: TheCaller) -> Response:
    """Return the caller, with rights."""
    return caller.answer(Me(*caller))


@router.post("/session", response_model=shape(Me))
async def sign_in(request: Request, body: SessionBody) -> Response:
    """Sign a browser in: the token is kept in a cookie, out of reach of scripts, until the browser ends."""
    caller: Caller | None = await request.app.state.find(body.token) if request.app.state.find else None
    if caller is None:
        text = "there is no such token, or it has expired: `stream-durable api-tokens create` makes one"
        raise RejectedError("not_signed_in", text)
    answer = caller.answer(Me(*caller))
    answer.set_cookie(
        COOKIE, body.token, httponly=True, samesite="strict", secure=request.url.scheme == "https",
        path=request.scope.get("root_path") or "/",
    )  # fmt: skip
    return answer


@router.delete("/session", response_model=shape(Me))
async def sign_out(request: Request) -> Response:
    """Sign a browser out; the token itself stays good."""
    nobody = LOCAL if request.app.state.is_open else Caller("", "viewer", may_see_payloads=False)
    answer = nobody.answer(Me(*nobody))
    answer.delete_cookie(COOKIE, path=request.scope.get("root_path") or "/")
    return answer


@router.get("/tokens", response_model=ApiTokenList)
async def list_tokens(world: TheWorld, caller: TheCaller) -> Response:
    """List the tokens of this API, without secrets."""
    return caller.answer({"tokens": [_token(one) for one in await world.tokens.all()]})


@router.post("/tokens", response_model=ApiTokenMade, status_code=201)
async def make_token(world: TheWorld, caller: TheCaller, body: ApiTokenBody) -> Response:
    """Make a token, and return its secret, which is readable only now."""
    now = _now()
    until = None if body.expires is None else now + milliseconds(body.expires)
    token = StoredApiToken(body.name, body.role, body.payloads, now, until, None)
    return caller.answer({"secret": await create(world.kept_tokens, token)}, HTTPStatus.CREATED)


@router.delete("/tokens/{name}", response_model=ApiTokenRevoked)
async def revoke_token(world: TheWorld, caller: TheCaller, name: Name) -> Response:
    """Revoke a token: every process refuses it within five seconds."""
    if not await world.kept_tokens.revoke(name, _now()):
        text = f"there is no token {name[:128]!r} that is not revoked: the list of tokens shows them"
        raise RejectedError("unknown_token", text)
    return caller.answer({"name": name})


def _now() -> int:
    return time.time_ns() // 1_000_000


def _token(one: StoredApiToken) -> dict[str, Any]:
    return one._asdict() | {
        "created": moment(one.created),
        "expires": moment(one.expires),
        "revoked": moment(one.revoked),
    }
