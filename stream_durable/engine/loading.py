"""Rows to entities: what a batch concerns and is not in memory, fetched with one query per table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stream_durable.core.channel.rows import thaw_channel
from stream_durable.core.gate.rows import thaw_gate
from stream_durable.core.ids import partition_of
from stream_durable.core.run.rows import RunRow, thaw_run
from stream_durable.engine.cache import Cache
from stream_durable.ports import Definitions, Keys, Loaded, Store


async def load_entities(
    store: Store,
    definitions: Definitions,
    cache: Cache,
    keys: Keys,
    partition_count: int,
) -> dict[str, str]:
    """Bring these entities into the cache; those that do not exist stay away.

    Returns the runs whose definition is not known here, with its fingerprint: these stay away too.
    """
    loaded = await store.load(*keys)
    lacking = _thaw_runs(loaded, definitions, cache)
    events, waits = _by_entity(loaded.events), _by_entity(loaded.waits)
    for key in {**events, **waits}:
        home = partition_of(key, partition_count)
        rows = ((row[1:] for row in held.get(key, ())) for held in (events, waits))
        cache.keep("channel", thaw_channel(key, home, *rows))
    places = _by_entity(loaded.places)
    for key, body in loaded.gates:
        held = (row[1:] for row in places.get(key, ()))
        cache.keep("gate", thaw_gate(key, partition_of(key, partition_count), body, held))
    return lacking


def _by_entity(rows: Sequence[Sequence[Any]]) -> dict[str, list[Sequence[Any]]]:
    """Sort rows by the entity that they begin with."""
    found: dict[str, list[Sequence[Any]]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return found


def _thaw_runs(loaded: Loaded, definitions: Definitions, cache: Cache) -> dict[str, str]:
    steps, signals = _by_entity(loaded.steps), _by_entity(loaded.signals)
    lacking: dict[str, str] = {}
    for row in loaded.runs:
        stored = RunRow._make(row)
        graph = definitions.graph(stored.fingerprint)
        if graph is None:
            lacking[stored.id] = stored.fingerprint
        else:
            cache.keep("run", thaw_run(row, steps.get(stored.id, ()), graph, signals.get(stored.id, ())))
    return lacking
