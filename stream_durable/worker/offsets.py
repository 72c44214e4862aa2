"""Tracks the completed command offsets of one assigned partition, so that only the rest runs again.

A worker finishes commands out of order, but Kafka keeps one number per partition. So the commit is `base`,
the lowest unfinished offset, and its metadata lists the unfinished offsets between `base` and the highest
finished one. Nobody else writes that field. A `DoneOffsets` belongs to one assignment and one thread and is
dropped with the assignment: a completion from an older assignment must never reach a newer `DoneOffsets`.

The guarantee: an unfinished offset is never skipped. Every failure errs towards running a command twice.

- Metadata missing, foreign, damaged, or of another base or topic: ignored, all from base runs.
- The map does not fit into a commit: base is committed alone.
- Offsets missing from the log (compaction, transaction markers, retention) count as done.
- The first offset polled lies above base: entries below it are dropped.
- An offset arrives at or below an earlier one (the log was cut or the position moved back): all offsets from
  there on run again, whatever was recorded. Completions from before and after cannot be distinguished; a
  caller with a way to distinguish them starts a new `DoneOffsets`.

A commit of a running worker includes an upper bound of the commands begun before its next commit: a successor
suspects those of having killed the worker. After an orderly shutdown the commit has no such bound.

Metadata is ASCII: perhaps `u`, the bound and `:`; then the format's version, the codec, then base64 of a
CRC-32 and the payload. The checksum also covers the codec, base and topic id, which are not written.
"""

from __future__ import annotations

import base64
import zlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

#: The broker takes 4095 characters and refuses the partition's whole commit beyond.
METADATA_MAX = 4_000

#: What base64 leaves of METADATA_MAX after the two tags and the checksum, in bytes. Times eight it
#: is the longest window, 23,952 offsets, that fits whatever is unfinished in it.
PAYLOAD_MAX = (METADATA_MAX - 2) * 6 // 8 - 4

#: How many offsets from the lowest unfinished one to the highest received, when nothing else is said.
WINDOW_MAX = 24_000

#: Deltas before compression, in bytes: five times a full window. Bounds what a commit unpacks to.
DELTAS_MAX = 256 * 1024

#: The share of the window that may fill before we stop taking; the rest is for what is in flight.
FULL_AT = 0.75

_VERSION = "1"
_BITSET = "b"
_DELTAS = "d"
_AT_WORK = "u"
_NOTHING_YET = -2  # a highest offset that is no offset, nor one before the first


@dataclass(frozen=True, slots=True)
class Commit:
    """The offset and metadata to commit, with the version covered."""

    offset: int
    metadata: str
    version: int


class DoneOffsets:
    """The offsets of one assignment of one partition: taken, done, and worth committing."""

    __slots__ = (
        "_ahead",
        "_confirmed",
        "_highest",
        "_map",
        "_pending",
        "_taken",
        "_top",
        "_topic_id",
        "_version",
        "_window",
        "begun_at",
        "commit_at",
        "suspect_below",
    )

    def __init__(self, *, window_max: int | None = None, topic_id: str = "") -> None:
        self._window = (WINDOW_MAX if window_max is None else window_max) * FULL_AT
        self._topic_id = topic_id
        self._highest = _NOTHING_YET  # highest offset received
        self._pending: set[int] = set()  # taken and not done
        self._taken: deque[int] = deque()  # ascending; its head may be done already, see base
        self._top = -1  # highest offset known to be done
        self._map = _Map(-1, frozenset())  # what the last owner of the partition told us
        self._version = 0
        self._confirmed = 0
        #: What a worker before us may have begun and not told the end of.
        self.suspect_below = 0
        #: The end of the partition when it was assigned: what is before it was perhaps delivered to others.
        self.begun_at = 0
        #: From this offset on a commit is due, since what the last one said we may begin is nearly used up.
        self.commit_at = 0
        self._ahead = 0

    @classmethod
    def resume(
        cls,
        committed: int | None,
        metadata: str | None,
        *,
        window_max: int | None = None,
        topic_id: str = "",
    ) -> DoneOffsets:
        """Go on from the group's commit; a negative or missing offset means there is none."""
        offsets = cls(window_max=window_max, topic_id=topic_id)
        if committed is not None and committed >= 0:
            offsets._highest = committed - 1
            offsets.commit_at = committed - 1
            offsets.suspect_below, metadata = _split(metadata or "")
            offsets._map = _decode(committed, metadata, topic_id)
            offsets._top = offsets._map.top
        return offsets

    def take(self, offset: int) -> bool:
        """Record a received offset; return whether to run or to skip the command."""
        if offset <= self._highest:
            self._rewind(offset)
        self._highest = offset
        known = self._map
        if offset <= known.top and offset not in known.unfinished:
            self._version += 1  # base may have moved
            return False
        self._pending.add(offset)
        self._taken.append(offset)
        return True

    def done(self, offset: int) -> None:
        """Record an acknowledged result; unknown and repeated offsets do nothing."""
        if offset in self._pending:
            self._pending.remove(offset)
            if offset > self._top:
                self._top = offset
            self._version += 1

    @property
    def base(self) -> int | None:
        """The lowest unfinished offset received, else the one after the highest received."""
        taken, pending = self._taken, self._pending
        while taken and taken[0] not in pending:
            taken.popleft()
        if taken:
            return taken[0]
        return None if self._highest == _NOTHING_YET else self._highest + 1

    @property
    def is_full(self) -> bool:
        """Whether to stop taking new offsets until the lowest ones are done."""
        base = self.base
        return base is not None and self._highest - base >= self._window

    @property
    def unfinished(self) -> int:
        """How many offsets were taken and are not done."""
        return len(self._pending)

    @property
    def is_dirty(self) -> bool:
        """Whether anything was done or skipped that the last confirmed commit does not say."""
        return self._version != self._confirmed

    def snapshot(self, *, ahead: int = 0) -> Commit:
        """Return the commit due now; requires a base, implied by dirty.

        While commands are still taken, the commit also states the number of further commands before the next
        commit.
        """
        base = self.base
        assert base is not None, "nothing was committed or received, so nothing can be committed"
        metadata = ""
        if self._top >= base:
            metadata = _encode(base, self._top, self._unfinished(), self._topic_id)
        # What a worker before us may have begun stays suspect until it is done, whoever has it then.
        suspect = self.suspect_below if base < self.suspect_below else 0
        if ahead:
            suspect = max(suspect, self._say_ahead(ahead))
        if suspect:
            metadata = f"{_AT_WORK}{suspect}:{metadata}"
        return Commit(base, metadata, self._version)

    def _say_ahead(self, ahead: int) -> int:
        # Twice as many as came since the last commit: at a steady rate no commit comes due before its time.
        ahead = max(ahead, 2 * (self._highest - self._ahead)) if self._ahead else ahead
        self._ahead = self._highest
        self.commit_at = self._highest + ahead * 3 // 4 + 1
        return self._highest + ahead + 1

    @property
    def is_due(self) -> bool:
        """Whether a commit is due early, or none was made in this assignment."""
        return self._highest >= self.commit_at

    @property
    def version(self) -> int:
        """Grows with every change worth a commit."""
        return self._version

    @property
    def confirmed_version(self) -> int:
        """The version covered by the last stored commit."""
        return self._confirmed

    def confirmed(self, commit: Commit) -> None:
        """Record a stored commit; changes since the snapshot stay dirty."""
        self._confirmed = commit.version

    def refused(self) -> None:
        """Record a refused commit: another is due, since the stored metadata is unknown."""
        self.commit_at = self._highest

    def _unfinished(self) -> list[int]:
        """Yield unfinished offsets in ascending order: pending, then known but not yet received."""
        known, top = self._map, self._top
        ahead = frozenset(offset for offset in known.unfinished if offset > self._highest)
        self._map = _Map(known.top, ahead)
        return sorted([offset for offset in self._pending if offset <= top] + list(ahead))

    def _rewind(self, offset: int) -> None:
        """Forget everything from this offset on."""
        while self._taken and self._taken[-1] >= offset:
            self._pending.discard(self._taken.pop())
        self._map = _Map(-1, frozenset())
        self._top = min(self._top, offset - 1)
        self._version += 1


@dataclass(frozen=True, slots=True)
class _Map:
    """Of the offsets from base to `top`, all but the unfinished are done."""

    top: int
    unfinished: frozenset[int]


def _encode(base: int, top: int, unfinished: list[int], topic_id: str) -> str:
    """Return the smallest text for the map, or none if no codec fits."""
    payloads = {
        _BITSET: _to_bitset(base, top, unfinished),
        _DELTAS: _to_deltas(base, top, unfinished),
    }
    fitting = [(len(p), codec, p) for codec, p in payloads.items() if p and len(p) <= PAYLOAD_MAX]
    if not fitting:
        return ""
    _, codec, payload = min(fitting)
    body = base64.urlsafe_b64encode(_checksum(codec, base, topic_id, payload) + payload)
    return _VERSION + codec + body.decode("ascii").rstrip("=")


def _split(metadata: str) -> tuple[int, str]:
    """Return up to where a worker that did not leave in good order may have begun, and the rest."""
    mark, colon, rest = metadata.partition(":")
    if not colon or not mark.startswith(_AT_WORK) or not mark[1:].isdecimal():
        return 0, metadata
    return int(mark[1:]), rest


def _decode(base: int, metadata: str | None, topic_id: str) -> _Map:
    """Decode the map; a foreign or damaged text counts as empty."""
    try:
        return _read(base, metadata or "", topic_id)
    except (ValueError, zlib.error):
        return _Map(-1, frozenset())


def _read(base: int, metadata: str, topic_id: str) -> _Map:
    version, codec, text = metadata[:1], metadata[1:2], metadata[2:]
    if version != _VERSION:
        raise ValueError("not our format")
    body = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    checksum, payload = body[:4], body[4:]
    if checksum != _checksum(codec, base, topic_id, payload):
        raise ValueError("damaged, or of another base or topic")
    if codec == _BITSET:
        return _from_bitset(base, payload)
    if codec == _DELTAS:
        return _from_deltas(base, payload)
    raise ValueError("unknown codec")


def _checksum(codec: str, base: int, topic_id: str, payload: bytes) -> bytes:
    about = f"{codec}:{base}:{topic_id}".encode("utf-8", "surrogatepass")
    return zlib.crc32(payload, zlib.crc32(about)).to_bytes(4, "big")


def _to_bitset(base: int, top: int, unfinished: Iterable[int]) -> bytes | None:
    """Bit `i`, lowest first, is set if `base + i` is done; top is the highest one set."""
    span = top - base + 1
    if span > PAYLOAD_MAX * 8:
        return None
    bits = bytearray(((1 << span) - 1).to_bytes((span + 7) // 8, "little"))
    for offset in unfinished:
        bits[(offset - base) >> 3] ^= 1 << ((offset - base) & 7)
    return bytes(bits)


def _from_bitset(base: int, payload: bytes) -> _Map:
    bits = bin(int.from_bytes(payload, "little"))[:1:-1]
    unfinished = frozenset(base + i for i, bit in enumerate(bits) if bit == "0")
    return _Map(base + len(bits) - 1, unfinished)


def _to_deltas(base: int, top: int, unfinished: Iterable[int]) -> bytes | None:
    """Deflated varints: the top above base, then each unfinished offset above the one before."""
    raw = bytearray()
    _write_varint(raw, top - base)
    for offset in unfinished:
        _write_varint(raw, offset - base)
        base = offset
    if len(raw) > DELTAS_MAX:
        return None
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(raw) + deflate.flush()


def _from_deltas(base: int, payload: bytes) -> _Map:
    inflate = zlib.decompressobj(wbits=-15)
    raw = inflate.decompress(payload, DELTAS_MAX)
    if not inflate.eof:
        raise ValueError("cut off, or longer than we write")
    top, *deltas = _read_varints(raw)
    top += base
    unfinished = []
    for delta in deltas:
        base += delta
        unfinished.append(base)
    return _Map(top, frozenset(unfinished))


def _write_varint(raw: bytearray, number: int) -> None:
    while number > 0x7F:
        raw.append(number & 0x7F | 0x80)
        number >>= 7
    raw.append(number)


def _read_varints(raw: bytes) -> list[int]:
    numbers, number, shift = [], 0, 0
    for byte in raw:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
        elif shift >= 63:
            raise ValueError("longer than any offset")
    if shift:
        raise ValueError("ends within a number")
    return numbers
