"""The promise to emitting steps: emissions of accepted attempts leave in order, and no others."""

from __future__ import annotations

from collections.abc import Iterator

from stream_durable.core.attributes import key_of
from stream_durable.core.lifecycle import STEP_CANCELLED, STEP_COMPLETED, STEP_FAILED, StepEvent
from stream_durable.core.messages import AttemptEnd, Attribute, EmittedRecord
from stream_durable.core.run.attribute_rows import AttributeRow, thaw_attributes
from stream_durable.simulation.oracle import Folded, Oracle
from stream_durable.simulation.world import World
from stream_durable.wire.topics import FOREIGN


def what_was_emitted_leaves(world: World, oracle: Oracle) -> Iterator[str]:
    """Each record of an accepted attempt is on its topic under its id, at first in order, and no other is."""
    expected = {each.id: each for each in oracle.publications}
    found: dict[str, None] = {}
    for topic in (name for name in world.broker.names() if name.startswith(FOREIGN)):
        for record in world.broker.topic(topic).records():
            identity = dict(record.headers or ())["sd-id"].decode()
            found[identity] = None
            one = expected.get(identity)
            if one is None:
                if not world.lives.has_losses:
                    yield f"{identity} is on {topic}, and no attempt that counts has emitted it"
            elif record.value != one.record.value or record.key != one.record.record_key:
                yield f"{identity} is on {topic} with {record.value!r}, and {one.record.value!r} was emitted"
    if missing := [identity for identity in expected if identity not in found]:
        yield f"{len(missing)} emitted records never left: {missing[:5]}"
    order = {identity: at for at, identity in enumerate(found)}
    for key, ids in _by_key(oracle).items():
        places = [order[identity] for identity in ids if identity in order]
        if places != sorted(places) and not world.lives.has_losses:
            yield f"the records with key {key!r} left in another order: {ids}"


def what_completes_emits(world: World, oracle: Oracle) -> Iterator[str]:
    """Every attempt with a completed step leaves all emissions, once."""
    left = [each.id for each in oracle.publications]
    if len(left) > len(set(left)):
        yield f"emissions left twice by the fold: {sorted({x for x in left if left.count(x) > 1})}"
    messages = {message.id for message in oracle.messages if hasattr(message, "id")}
    for run in oracle.runs():
        for folded in oracle.applied.get(run.id, ()):
            end = folded.message
            if not folded.emissions or not isinstance(end, AttemptEnd):
                continue
            said = {event.type for event in folded.events if getattr(event, "step", "") == end.step}
            for position, emission in enumerate(folded.emissions, 1):
                identity = f"{run.id}//{end.step}/{end.attempt}/{position}"
                has_left = identity in (left if isinstance(emission, EmittedRecord) else messages)
                if STEP_COMPLETED in said and not has_left:
                    yield f"{identity} was emitted by an attempt that counts, and did not leave"


def what_completes_sets_attributes(world: World, oracle: Oracle) -> Iterator[str]:
    """The attributes of a run are those of its start and of completed steps, in order, in both places."""
    rows = world.store.tables.rows[AttributeRow]
    expected: dict[tuple[str, str], AttributeRow] = {}
    for run in oracle.runs():
        held: dict[str, Attribute] = {}
        for folded in oracle.applied.get(run.id, ()):
            if not folded.attributes or _failed(folded):
                continue
            held |= {one.name: one for one in folded.attributes}
        stored = world.store.tables.runs.get(run.id)
        if stored is not None and thaw_attributes(stored.attributes) != tuple(held.values()):
            yield f"run {run.id} has attributes {stored.attributes!r}, and its steps have set {held}"
        for name, one in held.items():
            row = AttributeRow(run.id, name, run.partition, run.graph.name, key_of(one))
            expected[row[:2]] = row
    if rows != expected:
        yield f"attributes in lists differ from those of runs: {set(rows.items()) ^ set(expected.items())}"


#: What is said of a step whose attempt counts for nothing.
_LOST = (STEP_FAILED, STEP_CANCELLED)


def _failed(folded: Folded) -> bool:
    end = folded.message
    return isinstance(end, AttemptEnd) and any(
        isinstance(event, StepEvent)
        and event.step == end.step
        and event.type in (STEP_FAILED, STEP_CANCELLED)
        for event in folded.events
    )


def _by_key(oracle: Oracle) -> dict[bytes | None, list[str]]:
    found: dict[bytes | None, list[str]] = {}
    for each in oracle.publications:
        record: EmittedRecord = each.record
        found.setdefault(record.record_key, []).append(each.id)
    return found


EMITTED = (what_was_emitted_leaves, what_completes_emits, what_completes_sets_attributes)
