"""The tools of the routes: a client, the state of the instance, and rights."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from stream_durable.api.connection import Connection
from stream_durable.api.examining import Doctor
from stream_durable.api.hub import Hub
from stream_durable.api.operations import Operations
from stream_durable.client import AsyncClient
from stream_durable.client.edge import Edge, Ports
from stream_durable.core.errors import RejectedError
from stream_durable.ports import ApiTokens
from stream_durable.sdk.given import run_id
from stream_durable.services.status import Status
from stream_durable.settings import Settings


@dataclass(frozen=True, slots=True)
class World:
    """The open connections of one process of the API."""

    settings: Settings
    client: AsyncClient
    ports: Ports
    edge: Edge
    operations: Operations
    hub: Hub
    #: To read: the role of the database behind it may be one that writes nothing.
    tokens: ApiTokens
    #: The same tokens, to write.
    kept_tokens: ApiTokens
    #: Asks Postgres and Kafka how the instance stands.
    status: Callable[[], Awaitable[Status]]
    doctor: Doctor

    async def known(self, run: str) -> None:
        """Refuse an unknown run: a request to it would be late, without an answer."""
        views = self.ports.views
        if await self.edge.ask(lambda: views.run_get(run_id(run)), f"read run {run!r}") is None:
            raise RejectedError("unknown_run", f"there is no run {run[:128]!r}: check the id")


async def _world(request: Request) -> World:
    connection: Connection = request.app.state.connection
    return await connection.world()


#: The parameter of a route that works with the world.
TheWorld = Annotated[World, Depends(_world)]
