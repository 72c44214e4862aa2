"""The tokens of the HTTP API, in memory."""

from __future__ import annotations

from stream_durable.ports import StoredApiToken


class MemoryApiTokens:
    """Reads and writes tokens."""

    def __init__(self) -> None:
        """Begin without any."""
        self._tokens: dict[str, tuple[bytes, StoredApiToken]] = {}

    async def find(self, digest: bytes) -> StoredApiToken | None:
        """Return the token of a secret's hash, be it expired or revoked; None: there is none."""
        return next((token for kept, token in self._tokens.values() if kept == digest), None)

    async def all(self) -> list[StoredApiToken]:
        """Return all tokens, by name."""
        return [self._tokens[name][1] for name in sorted(self._tokens)]

    async def add(self, digest: bytes, token: StoredApiToken) -> bool:
        """Keep a token; false, and nothing kept: the name is taken."""
        kept = self._tokens.get(token.name)
        if kept is not None and kept[1].revoked is None:
            return False
        self._tokens[token.name] = digest, token
        return True

    async def revoke(self, name: str, now: int) -> bool:
        """Revoke a token; false: there is none of this name that is not revoked."""
        digest, token = self._tokens.get(name, (b"", None))
        if token is None or token.revoked is not None:
            return False
        self._tokens[name] = digest, token._replace(revoked=now)
        return True

    async def close(self) -> None:
        """Nothing is held."""
