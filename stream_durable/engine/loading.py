"""Rows to entities: missing entities of a batch, fetched with one query per table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from stream_durable.core.entities import ENTITIES
from stream_durable.core.messages import Kind
from stream_durable.core.run.rows import UnknownDefinition
from stream_durable.engine.batch import Read
from stream_durable.engine.cache import Cache
from stream_durable.ports import NOTHING_OWNED, Definitions, Keys, Owned, Store

#: A batch loads at once what fills this part of the cache, and little more.
LOAD_SHARE: Final = 4
#: How many entities the first portion has; each further one has twice as many.
_FIRST_COUNT = 128


class Loads:
    """Entities to load, in portions: what they weigh is known only once they are here."""

    def __init__(self, keys: Keys) -> None:
        """Begin with the first of these keys."""
        self._left: list[tuple[Kind, str]] = [(kind, key) for kind, wanted in keys.items() for key in wanted]
        self._count = _FIRST_COUNT

    def __len__(self) -> int:
        return len(self._left)

    def take(self) -> Keys:
        """Return the next portion."""
        portion, self._left = self._left[: self._count], self._left[self._count :]
        self._count *= 2
        keys: dict[Kind, list[str]] = {}
        for kind, key in portion:
            keys.setdefault(kind, []).append(key)
        return keys

    def before(self, reads: Sequence[Read]) -> int:
        """Return how many records come before the first one for an entity left to load."""
        left = set(self._left)
        for i, (_, message) in enumerate(reads):
            if not isinstance(message, Exception) and (message.kind, message.key) in left:
                return i
        return len(reads)


async def load_entities(
    store: Store,
    definitions: Definitions,
    cache: Cache,
    keys: Keys,
    partition_count: int,
    owned: Owned = NOTHING_OWNED,
) -> dict[str, str]:
    """Load entities into the cache; nonexistent entities are left out.

    Returns the runs with an unknown definition, by fingerprint; these are left out too.
    """
    loaded = await store.load(keys, owned)
    lacking: dict[str, str] = {}
    for kind, wanted in keys.items():
        entry = ENTITIES[kind]
        tables = [_by_entity(loaded.get(table.row, ())) for table in entry.tables if table.is_loaded]
        for key in wanted:
            parts = [rows.get(key, ()) for rows in tables]
            if not any(parts):
                continue
            try:
                entity = entry.thaw(key, entry.home(key, partition_count), parts, definitions.graph)
            except UnknownDefinition as error:
                lacking[key] = error.fingerprint
            else:
                if entity is not None:
                    cache.keep(kind, entity)
    return lacking


def _by_entity(rows: Sequence[Sequence[Any]]) -> dict[str, list[Sequence[Any]]]:
    """Group rows by the entity in the first columns."""
    found: dict[str, list[Sequence[Any]]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return found
