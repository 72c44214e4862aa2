"""The guard before every route: checks host, caller and rights.

Open to this machine alone, or to token holders. Where it is open, a page of another site must not reach
it through the browser of this machine: names other than loopback are refused, against DNS rebinding, as are
writes from another origin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from starlette._utils import get_route_path
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_durable.api import problems
from stream_durable.api.callers import ROLES, SAFE, SESSION, Caller, role_for
from stream_durable.api.places import divided
from stream_durable.core.errors import RejectedError, StreamDurableError
from stream_durable.settings import host_of, is_loopback

#: Finds the caller by the secret that was sent; None: there is no such token, or no more.
Find = Callable[[str], Awaitable[Caller | None]]

#: Holds a token for a browser, out of reach of scripts.
COOKIE: Final = "stream_durable_token"
#: What a script of our page sends with each write; one of another site cannot.
PAGE_HEADER: Final = "x-stream-durable"
#: Whoever is on this machine.
LOCAL: Final = Caller("local", "admin", may_see_payloads=True)

_API: Final = "/api/"
_POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; base-uri 'self'; object-src 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Lets a request pass to the app, with its caller."""

    def __init__(
        self, app: ASGIApp, *, find: Find | None, is_open: bool, is_local: bool, base_path: str = ""
    ) -> None:
        """Guard an app.

        Without a token, `LOCAL` is the caller where the app `is_open`; with `is_local` only for requests from
        this machine. `base_path` is the prefix at a proxy, passed on or not.
        """
        self._base_path = base_path
        self._app = app
        self._find = find
        self._is_open = is_open
        self._is_local = is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = divided(scope)
        scope["root_path"] = scope.get("root_path") or self._base_path
        path = get_route_path(scope)
        try:
            headers = Headers(scope=scope)
            self._check_host(scope, headers)
            if path.startswith(_API):
                check = partial(self._caller, scope, headers, path)
                scope["stream_durable.caller"] = await check()
                # A stream asks again from time to time.
                scope["stream_durable.check"] = check
        except StreamDurableError as error:
            await problems.of(error)(scope, receive, _shielded(send, path))
            return
        await self._app(scope, receive, _shielded(send, path))

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        if not (self._is_open and self._is_local) or _secret(headers) is not None:
            return
        name, client = host_of(headers.get("host", "")), scope.get("client")
        if not is_loopback(name) or (client is not None and not is_loopback(client[0])):
            text = f"this API answers to this machine alone, and was asked as {name[:128]!r}: ask localhost"
            raise RejectedError("wrong_host", text)

    async def _caller(self, scope: Scope, headers: Headers, path: str) -> Caller:
        secret, method = _secret(headers), scope["method"]
        bearer = _bearer(headers)
        if bearer is None and method not in SAFE:
            _check_origin(headers)
        caller = None
        if secret is not None and self._find is not None:
            caller = await self._find(secret)
            if bearer is None and caller is not None and method not in SAFE and PAGE_HEADER not in headers:
                text = "a write by cookie came from no page of ours: send the header x-stream-durable, too"
                raise RejectedError("forbidden", text)
        # Answered to anybody, as the page's files are: without it nobody could sign in.
        if caller is None and path == SESSION:
            return LOCAL if self._is_open else Caller("", "viewer", may_see_payloads=False)
        if caller is None and self._is_open and bearer is None:
            caller = LOCAL
        if caller is None:
            text = "there is no such token, or it has expired" if secret else "this needs a token"
            remedy = "`stream-durable api-tokens create` makes one, for `Authorization: Bearer TOKEN`"
            raise RejectedError("not_signed_in", f"{text}: {remedy}")
        needed = role_for(method, path)
        if ROLES.index(caller.role) < ROLES.index(needed):
            text = f"token {caller.name!r} has role {caller.role}, and this takes {needed}"
            remedy = "`stream-durable api-tokens create` makes one with another role"
            raise RejectedError("forbidden", f"{text}: {remedy}")
        return caller


def _check_origin(headers: Headers) -> None:
    """Refuse a write sent by a browser for another site."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    is_foreign = site is not None and site not in ("same-origin", "none")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        is_foreign = True
    if is_foreign:
        raise RejectedError("forbidden", "the write comes from a page of another site: send it from here")


def _bearer(headers: Headers) -> str | None:
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def _secret(headers: Headers) -> str | None:
    """Return the secret in the header or the cookie."""
    if (bearer := _bearer(headers)) is not None:
        return bearer
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if morsel is None or not morsel.value else morsel.value


def _shielded(send: Send, path: str) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if path.startswith(_API):
                headers.setdefault("cache-control", "no-store")
        await send(message)

    return sent
