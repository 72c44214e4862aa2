"""The routes, by module, imported with the first request for a route.

With the routes come the client and the models of values, half of all imports of an API process. The page and
the probes do without.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Final

from fastapi import FastAPI
from starlette._utils import get_route_path
from starlette.types import ASGIApp, Receive, Scope, Send

#: Where all routes are.
PREFIX: Final = "/api/v1"
_API: Final = "/api/"
#: In the order of the document.
_MODULES: Final = (
    "runs", "early", "orders", "bulk", "workflows", "inputs", "waits", "schedules", "triggers", "bindings",
    "gates", "admissions", "queues", "instance", "dead", "doctor", "access", "live",
)  # fmt: skip


class Sections:
    """Passes requests on, after including the routes for the first request to a route."""

    def __init__(self, app: ASGIApp, *, owner: FastAPI) -> None:
        """Include nothing yet."""
        self._app = app
        self._owner = owner
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if (
            not _has_routes(self._owner)
            and scope["type"] == "http"
            and get_route_path(scope).startswith(_API)
        ):
            async with self._lock:
                if not _has_routes(self._owner):
                    # In a thread: probes are answered meanwhile.
                    await asyncio.to_thread(_load)
                    include(self._owner)
        await self._app(scope, receive, send)


def include(app: FastAPI) -> None:
    """Include all routes, unless included before; imports the modules."""
    if _has_routes(app):
        return
    for name in _MODULES:
        app.include_router(import_module(f"stream_durable.api.{name}").router, prefix=PREFIX)
    app.state.has_routes = True


def _has_routes(app: FastAPI) -> bool:
    return getattr(app.state, "has_routes", False)


def _load() -> None:
    for name in _MODULES:
        import_module(f"stream_durable.api.{name}")
