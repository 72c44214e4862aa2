"""Whatever reaches an entity is applied, known as a repeat, late, or refused: nothing else, ever."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from builders import RUN, everything, picture
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from property.world import World, fold_into, laws, lives
from stream_durable.core.failure import Failure
from stream_durable.core.messages import MESSAGE_TYPES, Message
from stream_durable.core.status import Outcome
from stream_durable.wire.inbox import decode_message, encode

#: Each field of any message, by name: what makes sense now and then, and what never does.
ids = st.sampled_from(["s1", "e1", "start-1", "x" * 512, "'; drop table run", "\u2028", "a/b"])
names = st.sampled_from(["n0", "n1", "n2", "n3", "n4", "ghost", "", "input", "n0 ", "x" * 512])
raws = st.sampled_from(
    [b"null", b'{"id":1e999}', b"[[[[]]]]", b'{"id":"\\u0000"}', b'"\xf0\x9f\x8d\x95"']
).map(Raw)
texts = st.sampled_from(["", "why", "\U0001f355", "\n"])
numbers = st.sampled_from([0, 1, 2, 30_000, 1 << 53])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "id": ids, "workflow": names, "fingerprint": names, "input": raws, "tags": st.just(("a",)), "trace": ids,
    "reason": texts, "signal": st.sampled_from(["go", "never", "x" * 512]), "data": raws,
    "step": names.filter(bool), "attempt": st.sampled_from([1, 2, 3, (1 << 31) - 1]), "worker": names,
    "lease_ms": numbers, "timeout_ms": numbers | st.none(), "percent": st.floats(0, 1e300), "label": names,
    "output": raws, "started": numbers, "finished": numbers, "delay_ms": numbers, "ttl_ms": numbers,
    "failure": st.builds(Failure, names, texts, st.booleans(), st.none() | st.integers(0, 9)),
    "wait": names.filter(bool), "timer": names, "due": numbers, "run": st.sampled_from([RUN, "run-2"]),
}  # fmt: skip


@st.composite
def any_message(draw: Any) -> Message:
    """A message that can be read from the inbox, of any type and about anything."""
    kind = draw(st.sampled_from(MESSAGE_TYPES))
    key = draw(st.sampled_from([RUN, RUN, RUN, "run-9"] if kind.kind == "run" else ["paid/k1", "paid/7"]))
    fields = {f.name: draw(FIELDS[f.name]) for f in msgspec.structs.fields(kind) if f.name != "key"}
    return decode_message(encode(kind(key=key, **fields)))


@laws
@given(lives(size_max=5, moves_max=30), st.lists(any_message(), min_size=10, max_size=20))
def test_any_message_is_folded_or_refused_and_a_refused_one_changes_nothing(
    world: World, messages: list[Message]
) -> None:
    for message in messages:
        entity = world.entities.get(message.key)
        before = None if entity is None else picture(entity)

        folded = fold_into(world.entities, message, world.now, world.graph)

        if folded.outcome is not Outcome.APPLIED:
            assert not any(everything(folded.effects))
            assert entity is None or picture(entity) == before
        if folded.outcome is None:
            assert folded.code


@laws
@given(lives(size_max=5, moves_max=30), st.lists(any_message(), max_size=8))
def test_no_message_makes_a_run_that_cannot_be_asked_to_end(world: World, messages: list[Message]) -> None:
    for message in messages:
        world.tell(message)

    world.tell(decode_message(b'{"type":"run.cancel","run":"run-1","id":"at-last"}'))

    assert world.run.has_ended


@pytest.mark.parametrize("kind", MESSAGE_TYPES, ids=lambda kind: kind.__name__)
def test_every_field_of_every_message_is_tried(kind: type[Message]) -> None:
    assert {f.name for f in msgspec.structs.fields(kind)} - {"key"} <= set(FIELDS)
