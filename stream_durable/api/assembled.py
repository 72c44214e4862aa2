"""The world of a process of the API, on the instance in the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial

from stream_durable.api.callers import Caller
from stream_durable.api.examining import Doctor
from stream_durable.api.guard import Find
from stream_durable.api.hub import Hub
from stream_durable.api.operations import Operations
from stream_durable.api.world import World
from stream_durable.api_tokens import Finder
from stream_durable.client import AsyncClient
from stream_durable.client.edge import Edge
from stream_durable.connecting import SystemClock, client_ports, process_name
from stream_durable.ports import ApiTokens
from stream_durable.postgres.api_tokens import PostgresApiTokens
from stream_durable.presence import present
from stream_durable.services.doctor.finding import Finding, Repaired
from stream_durable.services.status import status
from stream_durable.settings import Settings


def finding(tokens: ApiTokens) -> Find:
    """Return a function to find callers by the secrets of tokens."""
    finder = Finder(tokens, SystemClock().now)

    async def find(secret: str) -> Caller | None:
        token = await finder.find(secret)
        return None if token is None else Caller(token.name, token.role, token.may_see_payloads)

    return find


@asynccontextmanager
async def connected(settings: Settings, repairing: Settings, tokens: ApiTokens) -> AsyncIterator[World]:
    """Open the connections: `settings` are those of the API, `repairing` for repairs and tokens."""
    async with (
        client_ports(settings, name="api") as ports,
        present(ports.publisher, SystemClock(), "api", process_name(settings, "api")),
    ):
        client = AsyncClient(lambda: nullcontext(ports))
        operations, edge = Operations(), Edge(ports)
        hub, kept = Hub(edge), PostgresApiTokens(repairing.postgres)
        async with client:
            try:
                yield World(
                    settings, client, ports, edge, operations, hub, tokens, kept, partial(status, settings),
                    Doctor(partial(_examine, settings), partial(_repair, repairing)),
                )  # fmt: skip
            finally:
                await hub.close()
                await operations.close()
                await tokens.close()
                await kept.close()


async def _examine(settings: Settings) -> list[Finding]:
    from stream_durable.services.doctor.looking import examine  # noqa: PLC0415 - many modules

    _, found = await examine(settings)
    return found


async def _repair(settings: Settings) -> Repaired:
    from stream_durable.services.doctor.repairing import repair_all  # noqa: PLC0415 - many modules

    return await repair_all(settings, lambda _: None)
