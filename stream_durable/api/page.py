"""The files of the page, built by `npm run build` in dashboard/."""

from __future__ import annotations

import re
from functools import cache
from mimetypes import guess_type
from pathlib import Path
from typing import Final

from fastapi.responses import Response
from starlette._utils import get_route_path
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from stream_durable.api.places import written

_HOME: Final = Path(__file__).parent / "page"
_API: Final = "api"
_INDEX: Final = "index.html"
#: Names of files below carry a hash of their content.
_ASSETS: Final = "assets/"
#: The page of a run.
_RUN: Final = re.compile("runs/([^/]+)")
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_MISSING: Final = """\
<!doctype html>
<html lang="en">
<title>stream-durable</title>
<h1>The page is not built</h1>
<p>The API works without it: see <a href="api/v1/openapi.json">its document</a>.</p>
<p>To build the page: <code>make page</code>, in the repository.</p>
</html>
"""


async def fallback(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer all other addresses: with a file of the page, or with the page itself."""
    if scope["type"] != "http":
        return
    path = get_route_path(scope).removeprefix("/")
    if scope["method"] not in ("GET", "HEAD") or path == _API or path.startswith(f"{_API}/"):
        raise HTTPException(404)
    await _answer(path, scope.get("root_path", ""))(scope, receive, send)


def _answer(path: str, base: str) -> Response:
    kind = guess_type(path)[0] or "application/octet-stream"
    if path.startswith(_ASSETS):
        found = _file(path)
        if found is None:
            raise HTTPException(404)
        return Response(found, media_type=kind, headers={"cache-control": _FOR_EVER})
    if path != _INDEX and (found := _file(path)) is not None:
        return Response(found, media_type=kind)
    headers = {"cache-control": "no-cache"}
    if run := _RUN.fullmatch(path):
        # The browser asks for the run at once, and has it when the page's own script asks.
        address = f"{base}/api/v1/runs/{written(run[1])}"
        headers["link"] = f"<{address}>; rel=preload; as=fetch; crossorigin=anonymous"
    return Response(_index(base), media_type="text/html", headers=headers)


def _index(base: str) -> bytes:
    found = _file(_INDEX)
    if found is None:
        return _MISSING.encode()
    return found.replace(b'<base href="/"', f'<base href="{base}/"'.encode())


@cache
def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _file(name: str) -> bytes | None:
    if "\x00" in name:
        return None
    path = (_HOME / name).resolve()
    return _read(path) if path.is_relative_to(_HOME.resolve()) else None
