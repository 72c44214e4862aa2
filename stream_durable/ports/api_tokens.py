"""Tokens of the API."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol


class StoredApiToken(NamedTuple):
    """A token of the API, without its secret. Times are milliseconds."""

    #: Written beside whatever its holder does.
    name: str
    role: Literal["viewer", "operator", "admin"]
    may_see_payloads: bool
    created: int
    #: None: it does not expire.
    expires: int | None
    revoked: int | None


class ApiTokens(Protocol):
    """The tokens of the API, by the hashes of their secrets."""

    async def find(self, digest: bytes) -> StoredApiToken | None:
        """Return the token of a secret's hash, be it expired or revoked; None: there is none."""

    async def all(self) -> list[StoredApiToken]:
        """Return all tokens, by name."""

    async def add(self, digest: bytes, token: StoredApiToken) -> bool:
        """Keep a token; false, and nothing kept: the name is taken."""

    async def revoke(self, name: str, now: int) -> bool:
        """Revoke a token; false: there is none of this name that is not revoked."""

    async def close(self) -> None:
        """Let go of the connections."""
