"""Whether the bindings of a test have nothing left to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from stream_durable.core.declared import Declared
from stream_durable.engine.bound import BoundTopics, Reader
from stream_durable.engine.ingress import Ingress
from stream_durable.kafka.definitions import KafkaDefinitions
from stream_durable.ports import Catalogue

#: Returns the next offset of each partition of a binding's topic.
Ends = Callable[[Reader], Awaitable[Mapping[int, int]]]


async def has_bound_all(bound: BoundTopics, declared: Declared, ends: Ends) -> bool:
    """Return whether all bindings are served as declared, and all their records are on the inbox."""
    wanted = declared.bindings()
    if bound.readers.keys() != wanted.keys():
        return False
    for key, reader in bound.readers.items():
        if reader.binding != wanted[key] or reader.is_off != (key in declared.off):
            return False
        if reader.intake is None or reader.feed is None or not reader.intake.is_idle:
            return False
        feed = reader.feed.binding, reader.feed.skips
        if not reader.is_off and feed != (wanted[key], declared.skips.get(key, {})):
            return False
        if not reader.intake.goes_by(reader.feed, is_off=reader.is_off):
            return False
        reached, last = reader.intake.reached(), await ends(reader)
        if reached.keys() != last.keys() or any(at not in (None, last[p]) for p, at in reached.items()):
            return False
    return True


async def has_followed(ingress: Ingress, catalogue: Catalogue, ends: Ends) -> bool:
    """Return the same of an ingress on real services, for the declarations of a client."""
    bound = ingress._bound
    assert bound is not None
    follows = bound._catalogue
    assert isinstance(follows, KafkaDefinitions)
    assert isinstance(catalogue, KafkaDefinitions)
    return follows._seen >= catalogue._topic.position and await has_bound_all(bound, catalogue.declared, ends)
