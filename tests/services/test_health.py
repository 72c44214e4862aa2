"""The health server, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import json
from typing import NamedTuple

import pytest

from stream_durable.metrics import Metrics
from stream_durable.services.health import CONNECTIONS_MAX, REQUEST_BYTES_MAX, Health


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def port_of(health: Health) -> int:
    assert health.port is not None
    return health.port


async def connect(health: Health) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port_of(health))


async def send(health: Health, request: bytes) -> bytes:
    """Send bytes and return all that comes until the server closes."""
    reader, writer = await connect(health)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()


async def get(health: Health, path: str, *, method: str = "GET") -> Response:
    raw = await send(health, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    return Response(
        int(status.split()[1]), {k.lower(): v for k, v in (h.split(": ", 1) for h in headers)}, body
    )


async def test_a_process_is_alive_while_its_loop_answers_and_it_says_so() -> None:
    alive = [True]

    async with Health({"kafka": lambda: "away"}, is_alive=lambda: alive[0]) as health:
        good = await get(health, "/livez")
        alive[0] = False
        bad = await get(health, "/livez")

    assert (good.status, json.loads(good.body)) == (200, {"alive": True})
    assert (bad.status, json.loads(bad.body)) == (503, {"alive": False})


async def test_a_process_is_ready_when_every_check_is_good() -> None:
    reasons: dict[str, str | None] = {"kafka": None, "postgres": "no connection"}

    async with Health({name: lambda name=name: reasons[name] for name in reasons}) as health:
        bad = await get(health, "/readyz")
        reasons["postgres"] = None
        good = await get(health, "/readyz?verbose")

    assert bad.status == 503
    assert json.loads(bad.body) == {"ready": False, "checks": {"kafka": "ok", "postgres": "no connection"}}
    assert good.status == 200
    assert json.loads(good.body) == {"ready": True, "checks": {"kafka": "ok", "postgres": "ok"}}


async def test_a_check_that_raises_is_not_good_and_hides_no_other() -> None:
    def broken() -> str | None:
        raise LookupError("hunter2")

    async with Health({"broken": broken, "kafka": lambda: None}) as health:
        response = await get(health, "/readyz")

    assert response.status == 503
    assert json.loads(response.body)["checks"] == {"broken": "the check failed: LookupError", "kafka": "ok"}


async def test_a_reason_without_words_is_still_a_reason() -> None:
    async with Health({"kafka": lambda: ""}) as health:
        response = await get(health, "/readyz")

    assert response.status == 503


async def test_metrics_are_shown_if_there_are_any() -> None:
    metrics = Metrics()
    metrics.batches.value += 3

    async with Health({}, metrics=metrics) as health:
        shown = await get(health, "/metrics")
    async with Health({}) as health:
        absent = await get(health, "/metrics")

    assert shown.status == 200
    assert shown.headers["content-type"].startswith("text/plain; version=")
    assert b"\nstream_durable_batches_total 3.0\n" in shown.body
    assert absent.status == 404


async def test_a_response_says_how_long_it_is_and_that_it_is_the_last() -> None:
    async with Health({}) as health:
        response = await get(health, "/livez")

    assert int(response.headers["content-length"]) == len(response.body)
    assert response.headers["connection"] == "close"
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "HEAD", "DELETE"])
async def test_only_get_is_answered(method: str) -> None:
    async with Health({}) as health:
        response = await get(health, "/livez", method=method)

    assert response.status == 405
    assert response.headers["allow"] == "GET"


@pytest.mark.parametrize("path", ["/", "/livez/", "/../etc/passwd", "*", "http://x/livez"])
async def test_anything_else_is_not_found(path: str) -> None:
    async with Health({}) as health:
        assert (await get(health, path)).status == 404


@pytest.mark.parametrize("request_", [b"\r\n\r\n", b"GET /livez\r\n\r\n", b"\x16\x03\x01\xff\r\n\r\n"])
async def test_what_is_not_http_is_refused(request_: bytes) -> None:
    async with Health({}) as health:
        assert (await send(health, request_)).startswith(b"HTTP/1.1 400 ")


async def test_a_request_without_end_is_refused() -> None:
    async with Health({}) as health:
        answer = await send(health, b"GET /livez HTTP/1.1\r\nX: ".ljust(REQUEST_BYTES_MAX + 8, b"x"))

    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_request_that_does_not_come_is_given_up() -> None:
    async with Health({}, request_seconds=0.05) as health:
        answer = await send(health, b"GET /livez HTTP/1.1\r\n")

    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_peer_that_leaves_early_disturbs_nobody() -> None:
    async with Health({}) as health:
        for request in (b"", b"GET /live"):
            _, writer = await connect(health)
            writer.write(request)
            writer.close()
            await writer.wait_closed()

        assert (await get(health, "/livez")).status == 200


async def test_too_many_connections_are_refused_and_room_is_made_again() -> None:
    async with Health({}) as health:
        open_ones = [await connect(health) for _ in range(CONNECTIONS_MAX)]

        reader, writer = await connect(health)
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        writer.close()

        for one, other in open_ones:
            other.write(b"GET /livez HTTP/1.1\r\n\r\n")
            assert (await one.read()).startswith(b"HTTP/1.1 200 ")
            other.close()
        assert (await get(health, "/livez")).status == 200


async def test_closing_ends_open_connections_and_stops_listening() -> None:
    async with Health({}) as health:
        port = port_of(health)
        assert (await get(health, "/livez")).status == 200
        reader, writer = await connect(health)

    assert await reader.read() == b""
    writer.close()
    assert health.port is None
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_without_a_port_it_is_off() -> None:
    async with Health({}, port=None) as health:
        assert health.port is None
