"""Verdicts: decisions about inbox records not implied by the inbox alone.

Examples: a record killing the folding process, a record failing in the fold or unfit for the database, a
start with an unregistered definition, a record set aside by an operator. Every later fold of the log, in a
rebuild or after a restore, must decide in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from stream_durable.core.errors import RejectedError

CRASHES: Final = "crashes"
UNFOLDABLE: Final = "unfoldable"
UNSTORABLE: Final = "unstorable"
BURIED: Final = "buried"
#: Refusals not implied by the log alone. Every other refusal is repeated by each fold.
VERDICT_CODES: Final = frozenset({CRASHES, UNFOLDABLE, UNSTORABLE, BURIED, "unknown_workflow"})


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The refusal of a record; stored in the partition of the same number."""

    offset: Annotated[int, Meta(ge=0, le=1 << 62)]
    #: Of the record: another one at the same offset, in a log that was made anew, is not meant.
    fingerprint: Annotated[int, Meta(ge=0, lt=1 << 32)]
    code: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    reason: Annotated[str, Meta(max_length=1_000)]

    def error(self) -> RejectedError:
        """Return the refusal."""
        return RejectedError(self.code, self.reason)


#: (partition, offset) of the inbox -> how it was refused.
Verdicts = Mapping[tuple[int, int], Verdict]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Verdict).decode


def encode_verdict(verdict: Verdict) -> bytes:
    """Return a verdict as the value of a record."""
    return _encode(verdict)


def decode_verdict(value: bytes | None) -> Verdict:
    """Decode a verdict, or raise with the reason."""
    try:
        return _decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RejectedError("unreadable", f"not a verdict: {error}") from error
