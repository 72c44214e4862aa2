"""What the members of a group came to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from stream_durable.core.failure import Failure
from stream_durable.sdk.handover import Read

if TYPE_CHECKING:
    # The default is for type checkers only, so that a bare `Results` is as good as `Results[Any]`.
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")


class Results(Mapping[str, "T | Failure | None"]):
    """By name, each member's value, or the failure of one that failed; None of one that was skipped.

    A parameter that is named like a group gets it; `Results[Receipt]` has every value as a `Receipt`. A test
    makes its own.

    >>> checks = Results({"stock": 3}, failed={"fraud": Failure(code="suspect")}, skipped=["address"])
    >>> checks["stock"], checks["fraud"].code, checks["address"]
    (3, 'suspect', None)
    >>> sorted(checks), list(checks.failed), checks.skipped
    (['address', 'fraud', 'stock'], ['fraud'], ('address',))
    """

    __slots__ = ("failed", "ok", "skipped")

    def __init__(
        self,
        ok: Mapping[str, T] | None = None,
        *,
        failed: Mapping[str, Failure] | None = None,
        skipped: Iterable[str] = (),
    ) -> None:
        #: The values of those that completed.
        self.ok: dict[str, T] = dict(ok or {})
        self.failed: dict[str, Failure] = dict(failed or {})
        self.skipped = tuple(skipped)

    def __repr__(self) -> str:
        return f"Results(ok={self.ok!r}, failed={self.failed!r}, skipped={self.skipped!r})"

    def __getitem__(self, member: str) -> T | Failure | None:
        if member in self.ok:
            return self.ok[member]
        if member in self.failed:
            return self.failed[member]
        if member in self.skipped:
            return None
        raise KeyError(member)

    def __iter__(self) -> Iterator[str]:
        yield from self.ok
        yield from self.failed
        yield from self.skipped

    def __len__(self) -> int:
        return len(self.ok) + len(self.failed) + len(self.skipped)


class _Member(msgspec.Struct):
    """One member, as the output of a group has it."""

    output: Raw | UnsetType = UNSET
    failure: Failure | None = None
    skipped: bool = False


_decode = msgspec.json.Decoder(dict[str, _Member]).decode


def read_results(read: Read, data: bytes) -> Results[Any]:
    """Read the output of a group, each value with `read`."""
    ok: dict[str, Any] = {}
    failed: dict[str, Failure] = {}
    skipped: list[str] = []
    for name, member in _decode(data).items():
        if member.failure is not None:
            failed[name] = member.failure
        elif isinstance(member.output, UnsetType):
            skipped.append(name)
        else:
            ok[name] = read(member.output)
    return Results(ok, failed=failed, skipped=skipped)


def read_results_or_none(read: Read, data: bytes) -> Results[Any] | None:
    """Read the same where the group may have none."""
    return None if data == b"null" else read_results(read, data)
