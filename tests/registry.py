"""A schema registry in this process: the few requests that clients of ours make, over real HTTP."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Registry:
    """Schemas by number, and what is asked of them."""

    def __init__(self, port: int = 0) -> None:
        self.schemas: dict[int, dict[str, Any]] = {}
        self.subjects: dict[str, list[int]] = {}
        #: Subjects whose schemas are refused.
        self.closed: set[str] = set()
        self.credentials = ""
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, subject: str, schema: Any, references: list[dict[str, Any]] | None = None) -> int:
        """Register a schema; return the number."""
        text = json.dumps(schema)
        known = next((n for n, one in self.schemas.items() if one["schema"] == text), None)
        number = known or len(self.schemas) + 1
        self.schemas[number] = {"schema": text, "references": references or []}
        self.subjects.setdefault(subject, []).append(number)
        return number

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(registry._found(self.path.partition("?")[0]))

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(size))
                subject = self.path.partition("?")[0].split("/")[2]
                if subject in registry.closed:
                    self._answer((409, {"error_code": 409, "message": "incompatible"}))
                    return
                self._answer((200, {"id": registry.add(subject, json.loads(body["schema"]))}))

            def _answer(self, told: tuple[int, Any]) -> None:
                registry.asked.append(self.path.partition("?")[0])
                wanted = base64.b64encode(registry.credentials.encode()).decode()
                if registry.credentials and self.headers.get("Authorization") != f"Basic {wanted}":
                    told = 401, {"error_code": 401, "message": "who are you"}
                data = json.dumps(told[1]).encode()
                self.send_response(told[0])
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

    def _found(self, path: str) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        if parts[:2] == ["schemas", "ids"] and int(parts[2]) in self.schemas:
            return 200, self.schemas[int(parts[2])]
        if parts[0] == "subjects" and parts[1] in self.subjects:
            number = self.subjects[parts[1]][int(parts[3]) - 1]
            return 200, {"subject": parts[1], "version": int(parts[3]), "id": number} | self.schemas[number]
        return 404, {"error_code": 40403, "message": "Schema not found"}


@contextmanager
def serving() -> Iterator[Registry]:
    """Serve a registry for the block."""
    registry = Registry()
    try:
        yield registry
    finally:
        registry.close()
