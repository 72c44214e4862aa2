"""Large values, stored and read back: references are replaced by values.

A reference may stand for a whole value, or for parts of a value composed from outputs of several steps. A
value without references is searched once for the mark, and passed on unchanged.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256

import msgspec
from msgspec import Raw

from stream_durable.core.definition.paths import read_path
from stream_durable.core.errors import RejectedError
from stream_durable.core.reference import MARK, Reference, is_reference, parse, reference
from stream_durable.ports import Blobs
from stream_durable.retrying import retry_transient

#: The longest value that is kept by reference.
STORED_BYTES_MAX = 4_000_000
#: Groups within groups nest their members' outputs; deeper a mark is the author's own.
_DEPTH_MAX = 8


class PayloadLostError(RejectedError):
    """A value stored by reference is no longer available."""

    def __init__(self, where: Reference, cause: str) -> None:
        super().__init__(
            "payload_lost",
            f"a value of {where.size} bytes is not where it was kept, at offset {where.offset} of partition "
            f"{where.partition} of topic blobs: {cause}. Keep that topic for longer than runs last; to make "
            "the value anew, retry the run from the step whose output it is",
        )


class Payloads:
    """The topic of large values, with recently used values in memory."""

    def __init__(self, blobs: Blobs, *, cache_bytes_max: int = 64 * 1024 * 1024) -> None:
        """Hold nothing yet."""
        self._blobs = blobs
        self._cache_bytes_max = cache_bytes_max
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._cached_bytes = 0

    async def stored(self, key: str, data: bytes, picks: Sequence[str] = ()) -> bytes:
        """Store a value and return a reference, with the parts at paths read by the reconciler."""
        picked = _picked(data, picks)
        partition, offset = await retry_transient(lambda: self._blobs.put(key, data), "store a large value")
        made = reference(partition, offset, data, picked)
        self._remember(parse(made).digest, data)
        return made

    async def resolved(self, data: bytes) -> bytes:
        """Return a JSON value with all references replaced by values."""
        return await self._resolved(data, _DEPTH_MAX) if MARK in data else data

    async def _resolved(self, data: bytes, depth: int) -> bytes:
        if is_reference(data):
            try:
                where = parse(data)
            except msgspec.DecodeError:
                return data  # the author's own, which only looks like one
            return await self._value(where)
        if depth and data.startswith(b"["):
            items = msgspec.json.decode(data, type=list[Raw])
            return msgspec.json.encode([await self._part(item, depth) for item in items])
        if depth and data.startswith(b"{"):
            fields = msgspec.json.decode(data, type=dict[str, Raw])
            return msgspec.json.encode({name: await self._part(item, depth) for name, item in fields.items()})
        return data

    async def _part(self, part: Raw, depth: int) -> Raw:
        data = bytes(part)
        return Raw(await self._resolved(data, depth - 1)) if MARK in data else part

    async def _value(self, where: Reference) -> bytes:
        data = self._cache.get(where.digest)
        if data is not None:
            self._cache.move_to_end(where.digest)
            return data
        data = await retry_transient(
            lambda: self._blobs.get(where.partition, where.offset), "read a large value"
        )
        if data is None:
            raise PayloadLostError(where, "the record is gone")
        if len(data) != where.size or sha256(data).hexdigest() != where.digest:
            raise PayloadLostError(where, "another record is there, so the topic was recreated")
        self._remember(where.digest, data)
        return data

    def _remember(self, digest: str, data: bytes) -> None:
        if digest in self._cache or len(data) > self._cache_bytes_max:
            return
        self._cache[digest] = data
        self._cached_bytes += len(data)
        while self._cached_bytes > self._cache_bytes_max:
            _, oldest = self._cache.popitem(last=False)
            self._cached_bytes -= len(oldest)


def _picked(data: bytes, picks: Sequence[str]) -> dict[str, Raw]:
    """Return the parts at these paths, where present."""
    if not picks:
        return {}
    value = msgspec.json.decode(data)
    picked: dict[str, Raw] = {}
    for path in picks:
        try:
            picked[path] = Raw(msgspec.json.encode(read_path(f"output.{path}" if path else "output", value)))
        except RejectedError:
            continue  # whoever reads it will find it missing, as it would in the value itself
    return picked
