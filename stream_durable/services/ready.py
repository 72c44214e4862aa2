"""Asks a process on this machine for readiness."""

from __future__ import annotations

import asyncio
from typing import Final

from stream_durable.local.process import LOOPBACK

_LOOK_SECONDS: Final = 0.05


async def until_ready(port: int) -> None:
    """Wait until `/readyz` on this port is good; without a limit."""
    while True:
        if await _is_ready(port):
            return
        await asyncio.sleep(_LOOK_SECONDS)


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\n\r\n")
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
