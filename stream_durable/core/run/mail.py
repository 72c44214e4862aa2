"""Signals of a run: seen, and kept for later."""

from __future__ import annotations

from collections.abc import Collection

#: Ids of remembered signals, so that repeats do nothing.
SEEN_MAX = 1_000


class Mail:
    """Signals of a run: ids already seen, and signals not yet taken by a wait or a reaction."""

    __slots__ = ("has_reactions", "kept", "last", "seen", "size", "touched")

    def __init__(self, *, has_reactions: bool = False) -> None:
        """Create an empty box."""
        #: Whether signals wait for their turn: the ids of kept ones are then remembered besides.
        self.has_reactions = has_reactions
        #: id -> position among all signals ever, oldest first.
        self.seen: dict[str, int] = {}
        #: position -> (id, signal, data), oldest first.
        self.kept: dict[int, tuple[str, str, bytes]] = {}
        #: Bytes of what is kept.
        self.size = 0
        self.last = 0
        #: Position and id of signals changed since the last save.
        self.touched: dict[int, str] = {}

    def add(self, signal_id: str, signal: str, data: bytes | None) -> None:
        """Record a signal, with the data if any."""
        self.last += 1
        self.seen[signal_id] = self.last
        self.touched[self.last] = signal_id
        if data is not None:
            self.kept[self.last] = (signal_id, signal, data)
            self.size += len(data)
        self._forget_oldest()

    def pull(self, signal: str) -> tuple[str, bytes] | None:
        """Remove and return id and data of the oldest signal of this name."""
        for position, (signal_id, name, _) in self.kept.items():
            if name == signal:
                return signal_id, self._remove(position)
        return None

    def holds(self, signal: str) -> bool:
        """Return whether a signal of this name is kept."""
        return any(name == signal for _, name, _ in self.kept.values())

    def drop(self, signals: Collection[str]) -> int:
        """Remove all signals of these names; return their bytes."""
        of_these = [position for position, (_, name, _) in self.kept.items() if name in signals]
        return sum(len(self._remove(position)) for position in of_these)

    def take(self, signals: Collection[str]) -> tuple[str, bytes] | None:
        """Remove and return name and data of the oldest matching signal."""
        for position, (_, name, _) in self.kept.items():
            if name in signals:
                return name, self._remove(position)
        return None

    def take_all(self, signals: Collection[str]) -> dict[str, bytes] | None:
        """Remove and return the data of the oldest of each of these signals; None: not all are there."""
        found: dict[str, int] = {}
        for position, (_, name, _) in self.kept.items():
            if name in signals:
                found.setdefault(name, position)
        if len(found) < len(signals):
            return None
        return {name: self._remove(position) for name, position in found.items()}

    def _remove(self, position: int) -> bytes:
        signal_id, _, data = self.kept.pop(position)
        self.size -= len(data)
        self.touched[position] = signal_id
        if self.has_reactions:
            self._forget_oldest()
        return data

    def _forget_oldest(self) -> None:
        """Forget the oldest id beyond what is remembered."""
        kept = self.kept if self.has_reactions else ()
        if len(self.seen) - len(kept) > SEEN_MAX:
            oldest = next(signal_id for signal_id, position in self.seen.items() if position not in kept)
            self.touched[self.seen.pop(oldest)] = oldest
