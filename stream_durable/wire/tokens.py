"""Tokens for steps ended from outside: unguessable texts that name a run, a step and an attempt.

A token carries what it names in readable form, and a signature (HMAC with SHA-256) by a secret of the
instance. Everybody who has it may end that attempt of that step, and nothing else.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from stream_durable.core.errors import RejectedError

#: Recognised by people, and by scanners that look for secrets in texts.
MARK: Final = "sdt_"
#: Longer than a token of the longest ids; what is longer is not looked at.
LENGTH_MAX: Final = 8_192

_decode = msgspec.json.Decoder(tuple[str, str, int]).decode
_encode = msgspec.json.Encoder().encode


class Named(NamedTuple):
    """What a token names."""

    run: str
    step: str
    attempt: int


class Tokens:
    """Signs and checks tokens; the first secret signs, and all are accepted."""

    __slots__ = ("_prefix", "_secrets")

    def __init__(self, secrets: Sequence[str] = (), prefix: str = "sd") -> None:
        """Take the secrets of an instance; the prefix of another makes other tokens of the same secret."""
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._prefix = prefix.encode()

    def __repr__(self) -> str:
        return f"<tokens of {len(self._secrets)} secrets>"

    @property
    def can_sign(self) -> bool:
        """Whether there is a secret."""
        return bool(self._secrets)

    def sign(self, run: str, step: str, attempt: int) -> str:
        """Return the token of an attempt of a step; always the same for the same secret."""
        if not self._secrets:
            raise no_secret()
        body = _text(_encode((run, step, attempt)))
        return f"{MARK}{body}.{_text(self._signature(self._secrets[0], body))}"

    def read(self, token: object) -> Named:
        """Return what a token names; raise `RejectedError` for anything that was not signed here.

        The error holds nothing of the token.
        """
        if not self._secrets:
            raise no_secret()
        if not isinstance(token, str) or not token.startswith(MARK) or len(token) > LENGTH_MAX:
            raise _not_a_token()
        body, _, signature = token.removeprefix(MARK).partition(".")
        try:
            signed, given = body.encode("ascii"), _bytes(signature)
        except ValueError:
            raise _not_a_token() from None
        # Every secret is compared, whichever fits: the time says nothing about which.
        fits = [hmac.compare_digest(self._signature(secret, body), given) for secret in self._secrets]
        if not any(fits):
            raise RejectedError(
                "forged_token",
                "the token's signature fits no secret of this instance: it was altered, comes from another "
                "instance, or its secret is gone from security.token_secrets. Pass it unchanged, or have a "
                "new one made: stream-durable tokens show RUN STEP",
            )
        try:
            return Named(*_decode(_bytes(signed.decode())))
        except (ValueError, msgspec.DecodeError):
            raise _not_a_token() from None

    def _signature(self, secret: bytes, body: str) -> bytes:
        signed = b"stream-durable token\x00%b\x00%b" % (self._prefix, body.encode())
        return hmac.digest(secret, signed, "sha256")


#: Of an instance without a secret: every use is refused.
NO_TOKENS: Final = Tokens()


def no_secret() -> RejectedError:
    """Return the refusal to sign or check tokens without a secret."""
    return RejectedError(
        "no_token_secret",
        "steps that end by a token need a secret, and security.token_secrets is empty: make one with "
        "`openssl rand -base64 48`, and set it for workers, ingresses and clients as "
        "STREAM_DURABLE_SECURITY__TOKEN_SECRETS",
    )


def _not_a_token() -> RejectedError:
    text = (
        "this is not a token: a token begins with sdt_, and is passed on unchanged as ctx.token() returned it"
    )
    return RejectedError("bad_token", text)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    # Strictly: what is ignored elsewhere would make several texts of one token.
    data = b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(data) != text:
        raise ValueError("the same bytes, written in another way")
    return data
