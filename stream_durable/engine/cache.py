"""Entities in memory, bounded by bytes.

The content equals the stored state, or the state about to be stored by the batch under way. So any doubt
about a partition (fenced, or a fold went wrong) is settled by forgetting the partition's entities.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from stream_durable.core.entities import RESTS, Entity
from stream_durable.core.messages import KINDS, Kind


class Cache:
    """Entities by kind and id, the least recently used forgotten first."""

    def __init__(self, bytes_max: int) -> None:
        """Create an empty cache for about this many bytes between batches."""
        self.bytes_max = bytes_max
        self.bytes = 0
        # A plain dict finds its first key slowly once many before it are gone.
        self._entities: dict[Kind, OrderedDict[str, Entity]] = {kind: OrderedDict() for kind in KINDS}
        self._weights: dict[Kind, dict[str, int]] = {kind: {} for kind in KINDS}
        self._awaited: set[tuple[Kind, str]] = set()

    def of(self, kind: Kind) -> dict[str, Entity]:
        """Return the entities of a kind, for reading."""
        return self._entities[kind]

    def keep(self, kind: Kind, entity: Entity) -> None:
        """Hold an entity, as the most recently used."""
        entities, weights, key = self._entities[kind], self._weights[kind], entity.id
        entities[key] = entity
        entities.move_to_end(key)
        weight = entity.weight()
        self.bytes += weight - weights.get(key, 0)
        weights[key] = weight
        if self._awaited:
            self._awaited.discard((kind, key))

    def awaiting(self, kind: Kind, keys: Iterable[str]) -> list[str]:
        """Return the keys not in memory, to be loaded beside the batches and handed to `keep_awaited`."""
        absent = dict.fromkeys(key for key in keys if key not in self._entities[kind])
        self._awaited = {(kind, key) for key in absent}
        return list(absent)

    def keep_awaited(self, kind: Kind, entities: Iterable[Entity]) -> None:
        """Hold loaded entities, except entities held by a batch since `awaiting`, possibly newer."""
        for entity in entities:
            if (kind, entity.id) in self._awaited:
                self.keep(kind, entity)
        self._awaited.clear()

    def carry_over(self, touched: Mapping[tuple[Kind, str], Entity]) -> None:
        """Keep the entities touched by a stored batch, except finished and resting ones."""
        for (kind, key), entity in touched.items():
            if entity.is_over or ((rests := RESTS.get(kind)) is not None and rests(entity)):
                self.forget(kind, key)
            else:
                self.keep(kind, entity)

    def hold(self, unsaved: Iterable[Mapping[tuple[Kind, str], Entity]]) -> None:
        """Keep entities changed by records not saved yet, also if the save before has let go of some.

        Their stored state is old: a load before the save would bring back that state.
        """
        for touched in unsaved:
            for (kind, key), entity in touched.items():
                if key not in self._entities[kind]:
                    self.keep(kind, entity)

    def forget(self, kind: Kind, key: str) -> None:
        """Let an entity go."""
        self._entities[kind].pop(key, None)
        self.bytes -= self._weights[kind].pop(key, 0)

    def forget_partitions(self, partitions: Iterable[int]) -> None:
        """Drop all entities of these partitions."""
        gone = set(partitions)
        self._awaited.clear()
        for kind, entities in self._entities.items():
            for key in [key for key, entity in entities.items() if entity.partition in gone]:
                self.forget(kind, key)

    def shrink(self) -> None:
        """Let the least recently used go until the bound holds. Only between batches."""
        for kind, entities in self._entities.items():
            while self.bytes > self.bytes_max and entities:
                self.forget(kind, next(iter(entities)))

    def thin_out(self) -> None:
        """Let entities go evenly, old and new, until the bound holds; for who goes around a log.

        Where many runs go on side by side, the least recently used is always the one needed next.
        """
        excess = self.bytes - self.bytes_max
        if excess <= 0:
            return
        share, due = excess / self.bytes, 0.0
        for kind, entities in self._entities.items():
            for key in list(entities):
                due += share
                if due >= 1.0:
                    due -= 1.0
                    self.forget(kind, key)
        # Weights differ, so a little may be left.
        self.shrink()
