"""Programs that publish on the events topic with nothing of ours: one in Python, one in another language."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest
from confluent_kafka import Producer
from fastavro import parse_schema, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form
from instances import SECONDS

NODE = Path(__file__).parent / "ingress" / "node"
SCHEMAS = Path(__file__).parents[1] / "schemas" / "events_topic"
#: How a message may be written.
MODES = ("json", "avro", "binary", "binary avro", "structured")
#: JSON as text in Avro.
_JSONS = ("data", "input", "answer", "value", "error", "metadata", "attributes")


class Sent(NamedTuple):
    """A message, before it is written in a mode."""

    mode: str
    form: str
    key: str
    id: str
    fields: dict[str, Any]


class Sender(Protocol):
    async def send(self, messages: Sequence[Sent]) -> None:
        """Publish in order, and return when all are acknowledged."""


class PythonSender:
    def __init__(self, bootstrap: str, topic: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
        self._topic = topic

    async def send(self, messages: Sequence[Sent]) -> None:
        for message in messages:
            value, headers = record_of(message)
            self._producer.produce(self._topic, value, message.key, headers=list(headers.items()))
        assert not await asyncio.to_thread(self._producer.flush, SECONDS)


class NodeSender:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def send(self, messages: Sequence[Sent]) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([one._asdict() for one in messages]).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), SECONDS)
        assert line == b"sent\n", f"node ended with {await self._process.wait()}"


@asynccontextmanager
async def sending(language: str, bootstrap: str, topic: str, home: Path) -> AsyncIterator[Sender]:
    if language == "python":
        yield PythonSender(bootstrap, topic)
        return
    await _install(home)
    process = await asyncio.create_subprocess_exec(
        "node", "send.js", bootstrap, topic, str(SCHEMAS), cwd=home,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    try:
        yield NodeSender(process)
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), SECONDS)


async def _install(home: Path) -> None:
    """Fetch two packages of the registry, or skip with the reason."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("needs node and npm")
    for file in NODE.iterdir():
        if file.is_file():
            shutil.copy(file, home)
    install = await asyncio.create_subprocess_exec(
        "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0", cwd=home,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await install.communicate()
    if install.returncode:
        pytest.skip(f"npm reaches no registry: {said.decode()[-300:]}")


def record_of(message: Sent) -> tuple[bytes, dict[str, str | bytes | None]]:
    """Return the value and the headers of a message in its mode."""
    mode, form, _, identity, fields = message
    if mode == "json":
        return json.dumps({**fields, "message_id": identity}).encode(), {}
    if mode == "avro":
        return _avro(form, {**fields, "message_id": identity}), {}
    about = {"specversion": "1.0", "id": identity, "source": "/shop", "type": "stream_durable.message"}
    data: Any = fields
    if form == "event":
        about |= {"type": fields["type"], "subject": fields["key"]}
        data = fields["data"]
    if mode == "structured":
        return json.dumps({**about, "data": data}).encode(), {"content-type": "application/cloudevents+json"}
    headers: dict[str, str | bytes | None] = {f"ce_{name}": held for name, held in about.items()}
    if mode == "binary avro" and form != "event":
        return _avro(form, data), {**headers, "content-type": "application/avro"}
    return json.dumps(data).encode(), {**headers, "content-type": "application/json"}


def _avro(form: str, fields: dict[str, Any]) -> bytes:
    schema = json.loads((SCHEMAS / f"{form}.avsc").read_text())
    body = BytesIO()
    body.write(bytes.fromhex("c301" + fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")))
    texts = {name: json.dumps(held) if name in _JSONS else held for name, held in fields.items()}
    schemaless_writer(body, parse_schema(schema), texts)
    return body.getvalue()
