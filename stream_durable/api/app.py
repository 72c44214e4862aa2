"""The application: every route under one gate, as an ASGI app of its own or within another one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi

from stream_durable.api import page, problems
from stream_durable.api.callers import role_for
from stream_durable.api.connection import Connect, Connection
from stream_durable.api.guard import Find, Guard
from stream_durable.api.readiness import Readiness
from stream_durable.api.sections import PREFIX, Sections, include
from stream_durable.core.errors import BrokenError

if TYPE_CHECKING:
    from stream_durable.api.world import World

_DESCRIPTION = """\
Every verb of the client over HTTP: state is read from Postgres, and writes are put on the log like those of
any client. A write is acknowledged on the log when it is answered, and applied in turn.

Errors are problem details (RFC 9457) with `code`, `cause` and `remedy`. Lists are pages: `after` takes
`following` of the page before. Counts stop at `at_most`, and say by `is_exact` whether they did. Writes with
an `Idempotency-Key` may be repeated. `x-role` of each operation is the least role that it takes.
"""


def make_app(
    connect: Connect,
    *,
    find: Find | None = None,
    is_open: bool = True,
    is_local: bool = True,
    base_path: str = "",
    readiness: Readiness | None = None,
) -> FastAPI:
    """Return the application on a world opened by the first request."""
    connection, ready = Connection(connect), readiness or Readiness()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await ready.close()
        await connection.close()

    app = FastAPI(
        title="stream-durable",
        version=version("stream-durable"),
        description=_DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.connection = connection
    app.state.find = find
    app.state.is_open = is_open
    app.add_api_route("/healthz", _healthy, include_in_schema=False)
    app.add_api_route("/readyz", ready.answer, include_in_schema=False)
    app.router.default = page.fallback
    problems.answer_errors(app)
    app.add_middleware(Sections, owner=app)
    app.add_middleware(Guard, find=find, is_open=is_open, is_local=is_local, base_path=base_path)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document."""
    include(app)
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, openapi_version="3.1.0", description=app.description,
            routes=app.routes, separate_input_output_schemas=False,
        )  # fmt: skip
        for path, methods in made["paths"].items():
            for method, operation in methods.items():
                operation["x-role"] = role_for(method.upper(), path)
        known = made["components"]["schemas"] | problems.schemas()
        made["components"]["schemas"] = dict(sorted(known.items()))
        made["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": "stream_durable_token"},
        }
        made["security"] = [{}, {"token": []}, {"cookie": []}]
        app.openapi_schema = made
    return app.openapi_schema


def written() -> str:
    """Return the OpenAPI document as text, the same for every instance."""

    def connect() -> AbstractAsyncContextManager[World]:
        raise BrokenError("a document is made without a request")

    return json.dumps(document(make_app(connect)), indent=1, ensure_ascii=False)


async def _healthy() -> Response:
    """Answer: the process works."""
    return Response('{"status":"ok"}', media_type="application/json")
