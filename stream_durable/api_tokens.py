"""Secrets of the HTTP API: made, hashed, and found again.

A secret is 256 random bits, so one round of SHA-256 is enough: the number of secrets makes guessing hopeless,
not the price of a try, as with passwords chosen by people.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from stream_durable.core.errors import RejectedError
from stream_durable.ports import ApiTokens, StoredApiToken

#: Lets scanners of repositories recognise a secret.
_PREFIX: Final = "sdt_"
#: How long a token is trusted without asking again: a revocation takes so long everywhere.
FRESH_MS: Final = 5_000
#: Unknown secrets are remembered, too: guessing must not become queries.
_REMEMBERED_MAX: Final = 1_000


def digest_of(secret: str) -> bytes:
    """Return the stored hash of a secret."""
    return sha256(secret.encode()).digest()


async def create(tokens: ApiTokens, token: StoredApiToken) -> str:
    """Keep a token and return the secret, readable only now."""
    if not 1 <= len(token.name) <= 100 or not token.name.isprintable():
        raise RejectedError("bad_name", f"{token.name[:128]!r} is no name of a token: 1 to 100 characters")
    secret = _PREFIX + secrets.token_urlsafe(32)
    if not await tokens.add(digest_of(secret), token):
        text = f"there is a token {token.name!r} already: revoke it first, or take another name"
        raise RejectedError("token_exists", text)
    return secret


class Finder:
    """Finds tokens by secret, each asked for again after some seconds."""

    def __init__(self, tokens: ApiTokens, now: Callable[[], int]) -> None:
        """Remember nothing yet; `now` returns milliseconds."""
        self._tokens = tokens
        self._now = now
        self._found: OrderedDict[bytes, tuple[int, StoredApiToken | None]] = OrderedDict()

    async def find(self, secret: str) -> StoredApiToken | None:
        """Return the token of a secret, if it is good now."""
        digest, now = digest_of(secret), self._now()
        at, token = self._found.get(digest, (now - FRESH_MS, None))
        if now - at >= FRESH_MS:
            token = await self._tokens.find(digest)
            self._found[digest] = now, token
            while len(self._found) > _REMEMBERED_MAX:
                self._found.popitem(last=False)
        if token is None or token.revoked is not None:
            return None
        return token if token.expires is None or token.expires > now else None
