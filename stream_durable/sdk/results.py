"""The results of the members of a group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from stream_durable.core.failure import Failure
from stream_durable.core.status import CANCELLED, COMPLETED, FAILED, SKIPPED
from stream_durable.sdk.handover import Read

if TYPE_CHECKING:
    # The default is for type checkers only, so that a bare `Results` is as good as `Results[Any]`.
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")


class Outcome(NamedTuple):
    """The result of a member."""

    name: str
    #: `completed`, `failed`, `skipped` or `cancelled`.
    status: str
    output: Any = None
    failure: Failure | None = None


class Results(Mapping[str, "T | Failure | None"]):
    """Results by member: the value, the failure of a failed member, or None for a skipped member.

    A parameter named like a group gets this, and a parameter with this annotation named like an `each` or an
    expanding step, with members such as `resize[0]`. `Results[Receipt]` has values of type `Receipt`. Tests
    construct their own.

    >>> checks = Results({"stock": 3}, failed={"fraud": Failure(code="suspect")}, skipped=["address"])
    >>> checks["stock"], checks["fraud"].code, checks["address"]
    (3, 'suspect', None)
    >>> sorted(checks), list(checks.failed), checks.skipped
    (['address', 'fraud', 'stock'], ['fraud'], ('address',))
    >>> [(outcome.name, outcome.status) for outcome in checks.members]
    [('stock', 'completed'), ('fraud', 'failed'), ('address', 'skipped')]
    """

    __slots__ = ("_statuses", "failed", "ok", "skipped")

    def __init__(
        self,
        ok: Mapping[str, T] | None = None,
        *,
        failed: Mapping[str, Failure] | None = None,
        skipped: Iterable[str] = (),
    ) -> None:
        #: The values of completed members.
        self.ok: dict[str, T] = dict(ok or {})
        self.failed: dict[str, Failure] = dict(failed or {})
        #: The members skipped or cancelled.
        self.skipped = tuple(skipped)
        self._statuses = {
            **dict.fromkeys(self.ok, COMPLETED),
            **dict.fromkeys(self.failed, FAILED),
            **dict.fromkeys(self.skipped, SKIPPED),
        }

    @property
    def members(self) -> list[Outcome]:
        """The outcome of each member, in order of members, or of items for members made from a list."""
        ok, failed = self.ok, self.failed
        return [
            Outcome(name, status, ok.get(name), failed.get(name)) for name, status in self._statuses.items()
        ]

    def __repr__(self) -> str:
        return f"Results(ok={self.ok!r}, failed={self.failed!r}, skipped={self.skipped!r})"

    def __getitem__(self, member: str) -> T | Failure | None:
        if member in self.ok:
            return self.ok[member]
        if member in self.failed:
            return self.failed[member]
        if member in self._statuses:
            return None
        raise KeyError(member)

    def __iter__(self) -> Iterator[str]:
        return iter(self._statuses)

    def __len__(self) -> int:
        return len(self._statuses)


class _Member(msgspec.Struct):
    """A member within the output of a group."""

    output: Raw | UnsetType = UNSET
    failure: Failure | None = None
    skipped: bool = False

    @property
    def status(self) -> str:
        if self.failure is not None:
            return FAILED
        if not isinstance(self.output, UnsetType):
            return COMPLETED
        return SKIPPED if self.skipped else CANCELLED


_decode = msgspec.json.Decoder(dict[str, _Member]).decode


def read_results(read: Read, data: bytes) -> Results[Any]:
    """Read the output of a group, each value with `read`."""
    ok: dict[str, Any] = {}
    failed: dict[str, Failure] = {}
    skipped: list[str] = []
    members = _decode(data)
    for name, member in members.items():
        if member.failure is not None:
            failed[name] = member.failure
        elif isinstance(member.output, UnsetType):
            skipped.append(name)
        else:
            ok[name] = read(member.output)
    results = Results(ok, failed=failed, skipped=skipped)
    results._statuses = {name: member.status for name, member in members.items()}
    return results


def read_results_or_none(read: Read, data: bytes) -> Results[Any] | None:
    """Read the same where the group may have none."""
    return None if data == b"null" else read_results(read, data)
