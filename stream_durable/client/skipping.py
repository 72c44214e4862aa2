"""Lets a binding go past its blocking record."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from stream_durable.client.edge import Edge
from stream_durable.client.filter import since_epoch
from stream_durable.client.replaying import topic_views
from stream_durable.core.bindings import Binding, Skip
from stream_durable.core.declared import ordered, rule_key, skipped
from stream_durable.core.errors import RejectedError
from stream_durable.core.orders import Order
from stream_durable.ports import TopicPlace
from stream_durable.wire.positions import read_position
from stream_durable.wire.topics import BINDING, FOREIGN


class SkippedRecord(NamedTuple):
    """A record skipped by a binding."""

    partition: int
    offset: int
    #: Why the record cannot be taken; empty: the binding is past the record.
    stopped: str
    #: Whether this asked for it: somebody may have done so before.
    is_ordered: bool


def remedy(name: str, partition: int, offset: int | None) -> str:
    """Return the remedy for a stopped binding."""
    where = f"--partition {partition} --offset {offset}"
    return (
        "correct the binding or what it needs and resume it, or let it go past the record by "
        f"`stream-durable bindings skip {shlex.quote(name)} {where}`"
    )


async def skip_record(
    edge: Edge, binding: Binding, partition: int | None, offset: int | None, *, reason: str, by: str
) -> SkippedRecord:
    """Declare that a binding may go past a record; see `AsyncClient.skip_record`."""
    views = topic_views(edge)
    places = await edge.ask(
        lambda: views.partitions(FOREIGN + binding.topic, BINDING + binding.name),
        f"look at topic {binding.topic!r}",
    )
    place = _place(binding.name, places, partition)
    position = read_position(place.metadata)
    at = place.offset or 0
    if offset is not None and offset < at:
        return SkippedRecord(place.partition, offset, "", is_ordered=False)
    if not position.stopped or offset not in (None, at):
        where = f"stands at offset {at}" if position.stopped else "stands at no record"
        wish = "" if offset is None else f", and offset {offset} was meant"
        raise _not_stopped(f"binding {binding.name!r} {where} in partition {place.partition}{wish}")
    key = rule_key("binding", binding.name)
    known = edge.ports.catalogue.declared.skips.get(key, {}).get(place.partition)
    is_asked = known is not None and (known.topic, known.offset) == (position.topic, at)
    if not is_asked:
        order = Order(since_epoch("now", edge.now()), by, reason)
        skip = skipped(key, place.partition, Skip(position.topic, at, order))
        await edge.ask(
            lambda: edge.ports.catalogue.declare([ordered(key, "skip", order), skip]),
            f"let binding {binding.name!r} go past a record",
        )
    return SkippedRecord(place.partition, at, position.stopped, is_ordered=not is_asked)


def _place(name: str, places: Sequence[TopicPlace], partition: int | None) -> TopicPlace:
    if partition is not None:
        for place in places:
            if place.partition == partition:
                return place
        text = f"the topic of binding {name!r} has no partition {partition}: it has 0 to {len(places) - 1}"
        raise RejectedError("unknown_partition", text)
    stopped = [place for place in places if read_position(place.metadata).stopped]
    if not stopped:
        raise _not_stopped(f"binding {name!r} stands at no record")
    if len(stopped) > 1:
        several = ", ".join(str(place.partition) for place in stopped)
        text = f"binding {name!r} stands in several partitions, {several}: say which one"
        raise RejectedError("unclear_partition", text)
    return stopped[0]


def _not_stopped(what: str) -> RejectedError:
    return RejectedError("not_stopped", f"{what}: `stream-durable bindings show` says where it stands")
