"""Signals of a run: seen, and kept for later."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

#: Ids of remembered signals, so that repeats do nothing.
SEEN_MAX = 1_000


class KeptSignal(NamedTuple):
    """A signal not yet taken by a wait or a reaction."""

    id: str
    name: str
    data: bytes
    #: Log time of its arrival; 0: kept by an older release.
    at: int = 0
    #: Who sent it.
    by: str = ""
    #: When it is kept no longer, in log time; None: with the end of the run.
    expires: int | None = None

    def is_over(self, now: int) -> bool:
        """Return whether the time to live is over."""
        return self.expires is not None and self.expires <= now


class Mail:
    """Signals of a run: ids already seen, and signals not yet taken by a wait or a reaction."""

    __slots__ = ("expired", "expiry", "has_reactions", "kept", "last", "seen", "size", "touched")

    def __init__(self, *, has_reactions: bool = False) -> None:
        """Create an empty box."""
        #: Whether signals wait for their turn: the ids of kept ones are then remembered besides.
        self.has_reactions = has_reactions
        #: id -> position among all signals ever, oldest first.
        self.seen: dict[str, int] = {}
        #: By position, oldest first.
        self.kept: dict[int, KeptSignal] = {}
        #: Those that expired before anything took them, without data.
        self.expired: dict[int, KeptSignal] = {}
        #: When the next one expires; None: none does.
        self.expiry: int | None = None
        #: Bytes of what is kept.
        self.size = 0
        self.last = 0
        #: Position and id of signals changed since the last save.
        self.touched: dict[int, str] = {}

    def add(self, signal_id: str, kept: KeptSignal | None) -> None:
        """Record a signal, and keep the given one."""
        self.last += 1
        self.seen[signal_id] = self.last
        self.touched[self.last] = signal_id
        if kept is not None:
            self.keep(self.last, kept)
        self._forget_oldest()

    def keep(self, position: int, kept: KeptSignal) -> None:
        """Keep a signal at its position."""
        self.kept[position] = kept
        self.size += len(kept.data)
        if kept.expires is not None:
            self.expiry = kept.expires if self.expiry is None else min(self.expiry, kept.expires)

    def expire(self, now: int) -> int:
        """Drop the data of expired signals; return their bytes."""
        if self.expiry is None or self.expiry > now:
            return 0
        over = [position for position, kept in self.kept.items() if kept.is_over(now)]
        size = 0
        for position in over:
            kept = self._remove(position)
            size += len(kept.data)
            if kept.id in self.seen:
                self.expired[position] = kept._replace(data=b"")
        self.expiry = min((kept.expires for kept in self.kept.values() if kept.expires), default=None)
        return size

    def room(self, now: int) -> tuple[int, int]:
        """Return number and bytes of the kept signals without expired ones."""
        if self.expiry is None or self.expiry > now:
            return len(self.kept), self.size
        sizes = [len(kept.data) for kept in self.kept.values() if not kept.is_over(now)]
        return len(sizes), sum(sizes)

    def holds(self, signal: str, now: int) -> bool:
        """Return whether a signal of this name is kept."""
        return any(kept.name == signal and not kept.is_over(now) for kept in self.kept.values())

    def drop(self, signals: Collection[str]) -> int:
        """Remove all signals of these names; return their bytes."""
        of_these = [position for position, kept in self.kept.items() if kept.name in signals]
        return sum(len(self._remove(position).data) for position in of_these)

    def take(self, signals: Collection[str], now: int) -> KeptSignal | None:
        """Remove and return the oldest matching signal."""
        for position, kept in self.kept.items():
            if kept.name in signals and not kept.is_over(now):
                return self._remove(position)
        return None

    def take_all(self, signals: Collection[str], now: int) -> dict[str, KeptSignal] | None:
        """Remove and return the oldest of each of these signals; None: not all are there."""
        found: dict[str, int] = {}
        for position, kept in self.kept.items():
            if kept.name in signals and not kept.is_over(now):
                found.setdefault(kept.name, position)
        if len(found) < len(signals):
            return None
        return {name: self._remove(position) for name, position in found.items()}

    def _remove(self, position: int) -> KeptSignal:
        kept = self.kept.pop(position)
        self.size -= len(kept.data)
        self.touched[position] = kept.id
        if self.has_reactions:
            self._forget_oldest()
        return kept

    def _forget_oldest(self) -> None:
        """Forget the oldest id beyond what is remembered."""
        kept = self.kept if self.has_reactions else ()
        if len(self.seen) - len(kept) > SEEN_MAX:
            oldest = next(signal_id for signal_id, position in self.seen.items() if position not in kept)
            position = self.seen.pop(oldest)
            self.touched[position] = oldest
            self.expired.pop(position, None)
