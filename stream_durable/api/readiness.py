"""Whether Kafka and Postgres answer, for a load balancer that asks often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi import Response

from stream_durable.api import problems

if TYPE_CHECKING:
    from stream_durable.services.probes import Probe

#: How long a request waits for the answers; a server that is silent for longer counts as away.
_PATIENCE_SECONDS: Final = 2.0
#: How old an answer may be.
_FRESH_SECONDS: Final = 1.0

#: Makes the probes by name, with what closes them.
Make = Callable[[], tuple[Mapping[str, "Probe"], Callable[[], Awaitable[None]]]]


class Readiness:
    """Asks each server at most once a second for all callers, over one lasting connection to each."""

    def __init__(self, make: Make | None = None) -> None:
        """Ask nothing yet. Without probes everything is there."""
        self._make = make
        self._asked: dict[str, _Asked] | None = None
        self._close: Callable[[], Awaitable[None]] | None = None

    async def answer(self) -> Response:
        """Return 200, or 503 with the names of what does not answer; within about two seconds.

        The reasons are in the log of the process, since callers need no token.
        """
        asked = self._probes()
        found = await asyncio.gather(*(one.is_there() for one in asked.values()))
        missing = [name for name, is_there in zip(asked, found, strict=True) if not is_there]
        if not missing:
            return Response('{"status":"ok"}', media_type="application/json")
        do = "does" if len(missing) == 1 else "do"
        text = f"{' and '.join(missing)} {do} not answer: the log of this process gives the reason"
        return problems.problem(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", text, retry_after="1")

    async def close(self) -> None:
        """Close the connections."""
        asked, self._asked = self._asked or {}, None
        for one in asked.values():
            await one.end()
        if self._close is not None:
            await self._close()

    def _probes(self) -> dict[str, _Asked]:
        if self._asked is None:
            probes: Mapping[str, Probe] = {}
            if self._make is not None:
                probes, self._close = self._make()
            self._asked = {name: _Asked(probe) for name, probe in probes.items()}
        return self._asked


class _Asked:
    """A server and the question to it under way: there is one at a time, also while it is silent."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._task: asyncio.Task[None] | None = None
        self._at = 0.0

    async def is_there(self) -> bool:
        task = self._task
        if task is None or (task.done() and time.monotonic() - self._at > _FRESH_SECONDS):
            task = self._task = asyncio.create_task(self._look())
        done, _ = await asyncio.wait({task}, timeout=_PATIENCE_SECONDS)
        return bool(done) and self._probe.check() is None

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        try:
            await self._probe.look()
        finally:
            self._at = time.monotonic()
