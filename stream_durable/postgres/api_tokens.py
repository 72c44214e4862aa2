"""The tokens of the HTTP API, in Postgres: what is revoked by one process is refused by all."""

from __future__ import annotations

from typing import Any

import asyncpg

from stream_durable.ports import StoredApiToken
from stream_durable.postgres.connection import Lane
from stream_durable.postgres.queries import queries
from stream_durable.settings import PostgresSettings


class PostgresApiTokens:
    """Reads and writes tokens."""

    def __init__(self, settings: PostgresSettings, *, is_read_only: bool = False) -> None:
        """Connect when first asked."""
        self._lane = Lane(settings, keyed_plans=False, is_read_only=is_read_only)

    async def find(self, digest: bytes) -> StoredApiToken | None:
        """Return the token of a secret's hash, be it expired or revoked; None: there is none."""
        found = await self._fetch("api_token_find", digest)
        return StoredApiToken._make(found[0]) if found else None

    async def all(self) -> list[StoredApiToken]:
        """Return all tokens, by name."""
        return list(map(StoredApiToken._make, await self._fetch("api_token_list")))

    async def add(self, digest: bytes, token: StoredApiToken) -> bool:
        """Keep a token; false, and nothing kept: the name is taken."""
        return bool(await self._fetch("api_token_add", digest, *token))

    async def revoke(self, name: str, now: int) -> bool:
        """Revoke a token; false: there is none of this name that is not revoked."""
        return bool(await self._fetch("api_token_revoke", name, now))

    async def close(self) -> None:
        """Let go of the connection."""
        await self._lane.close()

    async def _fetch(self, name: str, *values: Any) -> list[asyncpg.Record]:
        async with self._lane.use() as connection:
            found: list[asyncpg.Record] = await connection.fetch(queries()[name], *values)
        return found
