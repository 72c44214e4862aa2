"""A failure as written outside: a text, or an object with a code, a message and details."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Raw

from stream_durable.core.failure import MESSAGE_LENGTH_MAX, Failure
from stream_durable.wire.form import Titled, decode


class _Error(Titled, forbid_unknown_fields=True, kw_only=True):
    title = "an error"

    code: Annotated[str, Meta(min_length=1, max_length=128)] = "failed"
    message: Annotated[str, Meta(max_length=MESSAGE_LENGTH_MAX)] = ""
    details: Any = None


def read_failure(error: Raw) -> Failure:
    """Return the failure, or raise for another form."""
    data = bytes(error)
    found = decode(b'{"message":%b}' % data if data.startswith(b'"') else data, _Error)
    return Failure(found.code, found.message, retryable=False, details=found.details)
