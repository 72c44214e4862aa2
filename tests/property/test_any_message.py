"""Whatever reaches an entity is applied, known as a repeat, late, or refused: nothing else, ever."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from builders import RUN, everything, picture
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from property.world import MAY_ANSWER_AGAIN, World, fold_into, laws, lives
from stream_durable.core.admission.rule import BatchRule, DebounceRule, SingleRule
from stream_durable.core.failure import Failure
from stream_durable.core.gate.limits import GateChange, GateLimits, KeysChange
from stream_durable.core.messages import (
    MESSAGE_TYPES,
    AttemptCompleted,
    Attribute,
    Call,
    Change,
    CommandsLost,
    EmittedEvent,
    EmittedRecord,
    EmittedSignal,
    EmittedStart,
    EventPublished,
    Grafted,
    InnerWait,
    LogLine,
    Message,
    Plan,
    SignalRun,
)
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.schedule.rule import Rule
from stream_durable.core.status import Outcome
from stream_durable.wire.inbox import decode_message, encode

#: Each field of any message, by name: what makes sense now and then, and what never does.
ids = st.sampled_from(["s1", "e1", "start-1", "x" * 512, "'; drop table run", "\u2028", "a/b"])
names = st.sampled_from(["n0", "n1", "n2", "n3", "n4", "ghost", "", "input", "n0 ", "scan", "x" * 512])
raws = st.sampled_from(
    [b"null", b'{"id":1e999}', b"[[[[]]]]", b'{"id":"\\u0000"}', b'"\xf0\x9f\x8d\x95"',
     b"true", b"0", b"1e999", b"18446744073709551615", b'{"items":[1e999,{}],"kind":1e999,"done":1e999}',
     b'{"$blob":[0,1,2,"x"]}',     b'{"$blob":7}']
).map(Raw)  # fmt: skip
texts = st.sampled_from(["", "why", "\U0001f355", "\n"])
numbers = st.sampled_from([0, 1, 2, 30_000, 1 << 53])
helpers = st.sampled_from(["~on_failure", "n0~compensate", "n1[0]", "n1[0]~compensate", "n0~on_step_start"])
children = st.sampled_from(["run-1//n0", "run-1//n1", "run-1//n1@2", "run-1//n0/2", "x" * 512])
changes = st.builds(
    Change,
    st.sampled_from(["put", "merge", "merge_deep", "append", "increment", "delete"]),
    st.sampled_from(["", "n", "x" * 512]), raws,
)  # fmt: skip
grafted = st.builds(
    Grafted, of=names.filter(bool), name=st.sampled_from(["", "a", "0", "a[0]", "x" * 512]), item=raws,
    after=st.lists(st.sampled_from(["0", "a", "ghost"]), max_size=2).map(tuple),
)  # fmt: skip
waits = st.lists(
    st.builds(
        InnerWait, st.integers(1, 3),
        st.sampled_from([
            Raw(b'{"kind":"sleep","name":"n0/1","duration_ms":1000}'),
            Raw(b'{"kind":"signal","name":"n0/go","signals":["go"]}'),
            Raw(b'{"kind":"event","name":"n1/paid","event":"paid","key":"=\\"k1\\""}'),
            Raw(b"null"), Raw(b'{"kind":"sleep"}'),
        ]),
    ),
    min_size=1, max_size=3,
).map(tuple)  # fmt: skip
failures = st.builds(Failure, names, texts, st.booleans(), st.none() | st.integers(0, 9))
spans = st.none() | st.integers(1, 1 << 53)
emitted = st.sampled_from([
    EmittedRecord(topic="shop.parcels", record_key=b"k", value=b"1"), EmittedRecord(topic="x"),
    EmittedEvent(event="paid", event_key="k1"), EmittedSignal(run="run-2", signal="go", data=Raw(b"1")),
    EmittedStart(run="run-3", workflow="other", tags=("a",)),
])  # fmt: skip
changed_keys = st.builds(
    KeysChange, change=st.sampled_from([None, GateChange(at_once=2), GateChange(rate=3, burst=1)]),
    at=st.integers(0, 3), id=st.sampled_from(["a", "b"]),
)  # fmt: skip
ended, ended_late = (
    AttemptCompleted(key=RUN, step="a", attempt=n, worker="w", output=Raw(b"1")) for n in (1, 3)
)
KEYS = {"run": [RUN, RUN, RUN, "run-9"], "channel": ["paid/k1", "paid/7"], "log": ["log"],
        "gate": ["bank", "bank//", "bank//k1"],
        "later": ["event:paid/k1#e1"], "admission": ["wf//", "wf//k1", "wf"],
        "schedule": ["nightly", "nightly", "nightly", "shop//"]}  # fmt: skip
PLANS = [
    Plan(rule=Rule(every_ms=60_000), workflow="other"),
    Plan(rule=Rule(cron=("* * * * *",), zone="Mars"), workflow="other", overlap="queue_all", disable_after=1),
    Plan(rule=Rule(at=(1, 1 << 40), jitter_ms=9), workflow="x", overlap="cancel", catch_up_ms=0),
]
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "id": ids, "workflow": names, "fingerprint": names, "input": raws, "tags": st.just(("a",)),
    "trace": ids, "trigger": st.sampled_from(["", "event", "schedule"]),
    "reason": texts, "signal": st.sampled_from(["go", "never", "x" * 512]), "data": raws,
    "step": names.filter(bool) | helpers, "attempt": st.sampled_from([1, 2, 3, (1 << 31) - 1]),
    "worker": names, "returns": st.sampled_from([0, 1, (1 << 31) - 1]), "picks": st.just(("id", "items.0")),
    "lease_ms": numbers, "timeout_ms": numbers | st.none(), "percent": st.floats(0, 1e300), "label": names,
    "reply_to": st.sampled_from([None, 0, 3, (1 << 31) - 1]),
    "output": raws, "started": numbers, "finished": numbers, "delay_ms": numbers, "ttl_ms": numbers,
    "failure": failures,
    "at": st.none() | numbers, "queue": names.filter(bool), "priority": st.sampled_from([-100, 0, 100]),
    "metadata": st.none() | raws, "parent": ids, "parent_step": names,
    "depth": st.sampled_from([0, 99, 1_000]),
    "compensate": st.booleans(), "context": st.none() | raws, "whole": st.booleans(), "child": children,
    "status": st.sampled_from(["completed", "failed", "", "\U0001f355"]), "to": names.filter(bool),
    "changes": st.lists(changes, max_size=3).map(tuple), "logs": st.just((LogLine(1, "info", "x"),)),
    "steps": st.lists(grafted, max_size=3).map(tuple), "concurrency": st.sampled_from([None, 1, 10_000]),
    "complete_all": st.booleans(), "failures": st.sampled_from([1, 5]), "window_ms": numbers,
    "limits": st.sampled_from([
        GateLimits(at_once=1), GateLimits(rate=1, rate_ms=1_000_000_000, burst=2), GateLimits(),
        GateLimits(at_once=2, rate=10, weights={"k1": 3}),
    ]),
    "share": st.sampled_from(["", "k1", "k2"]), "units": st.sampled_from([None, 0, 1, 1_000_000_000]),
    "change": st.sampled_from([GateChange(at_once=1), GateChange(burst=0, weights={"k2": 9}), GateChange()]),
    "keys": st.none() | changed_keys, "SetGateKeys.keys": changed_keys,
    "is_held": st.booleans(), "PlaceGiven.gate": st.sampled_from(["bank//", "bank//k1"]),
    "reset_ms": numbers, "gate": names, "is_ok": st.sampled_from([None, True, False]),
    "format": st.sampled_from([1, 2, (1 << 31) - 1]), "since": numbers, "by": names, "answer": raws,
    "comment": texts, "role": names | st.none(), "after_ms": st.none() | numbers,
    "message": st.sampled_from(
        [SignalRun(key=RUN, id="s1", signal="go"), EventPublished(key="paid/k1", id="e1", ttl_ms=1)]
    ),
    "reaction": st.sampled_from(["~on_paid", "~ghost", "x"]), "ordinal": st.integers(1, 3),
    "number": st.integers(1, 4), "EventGiven.at": numbers, "more": st.integers(0, 3),
    "room": st.integers(1, 50),
    "EventDelivered.at": numbers, "EventOffered.at": numbers, "is_awaited": st.booleans(),
    "ScheduleNext.at": st.none() | st.sampled_from([0, 1 << 40]),
    "inquiry": st.sampled_from(["quote", "state", "price", "x" * 512]),
    "channel": st.sampled_from(KEYS["channel"]),
    "AttemptNoted.at": st.integers(1, 4), "StartRun.timeout_ms": spans,
    "StartWithSignal.timeout_ms": spans,
    "end": st.sampled_from([ended, ended_late]), "emissions": st.lists(emitted, max_size=3).map(tuple),
    "topic": st.sampled_from(["shop.parcels", "x" * 249]), "code": st.sampled_from(["", "too_large"]),
    "note": st.sampled_from(["page-1", "x"]), "is_checkpoint": st.booleans(), "value": raws,
    "call": st.none() | st.builds(Call, st.integers(0, 1), st.integers(0, 1), st.integers(0, 1)),
    "is_first": st.booleans(), "losses": st.integers(0, 2), "passes": st.integers(0, 2),
    "is_repeat": st.booleans(), "is_kept": st.booleans(), "waits": waits,
    "schedule": st.sampled_from(["nightly", "x" * 512]), "moment": st.sampled_from([0, 1 << 40]),
    "moments": st.lists(st.sampled_from([0, 1, 1 << 40]), min_size=1, max_size=3).map(tuple),
    "plan": st.sampled_from(PLANS), "is_new": st.booleans(), "app": st.sampled_from(["shop", "x"]),
    "names": st.just(("nightly",)), "pace_ms": st.sampled_from([1, 1_000]), "missed": st.integers(0, 2),
    "revision": st.integers(0, 2), "after": numbers, "StartScheduled.timeout_ms": spans,
    "on": st.sampled_from(["shop", "x" * 512]), "event": st.sampled_from(["paid", "x" * 512]),
    "due_ms": spans, "due_at": st.none() | numbers,
    "event_id": ids.filter(bool), "StartTriggered.failure": st.none() | failures,
    "StartTriggered.timeout_ms": spans,
    "is_not_carried": st.booleans(),
    "attributes": st.sampled_from([
        (), (Attribute("total", "number", 9.5),),
        (Attribute("total", "text", "x"), Attribute("paid", "truth", True)),
    ]),
    "spent": st.sampled_from([None, 0, 1, 1_000_000_000]),
    "ChangeHeld.input": st.none() | raws, "ChangeHeld.timeout_ms": spans, "total_ms": spans,
    "ChangeHeld.context": st.sampled_from([{}, {"n": Raw(b"1")}, {"a.b": Raw(b"{}"), "a..b": Raw(b"1e999")}]),
    "ChangeHeld.step": names, "attempts": st.sampled_from([None, 1, (1 << 31) - 1]),
    "retry": st.sampled_from([None, RetryPolicy()]),
    "rule": st.sampled_from([
        SingleRule(), SingleRule(busy="replace"), DebounceRule(quiet_ms=1, is_for_all=True),
        DebounceRule(quiet_ms=1 << 53, cap_ms=1), BatchRule(size=2, within_ms=1_000),
    ]),
    "is_again": st.booleans(), "is_single": st.booleans(), "asked": numbers, "RequestDoubted.after": numbers,
    "AdmissionAsked.input": st.none() | raws,
    "RunFollowed.parent": ids, "RunFollowed.parent_step": names.filter(bool),
    "admission": st.sampled_from(["wf//", "wf//k1"]), "into": st.sampled_from([RUN, "run-2"]),
    "inputs": st.lists(raws, max_size=3).map(tuple),
    "wait": names.filter(bool), "timer": names, "due": numbers, "run": st.sampled_from([RUN, "run-2"]),
}  # fmt: skip


@st.composite
def any_message(draw: Any) -> Message:
    """A message that can be read from the inbox, of any type and about anything."""
    kind = draw(st.sampled_from(MESSAGE_TYPES))
    key = draw(st.sampled_from(KEYS[kind.kind]))
    fields = {
        f.name: draw(FIELDS.get(f"{kind.__name__}.{f.name}", FIELDS[f.name]))
        for f in msgspec.structs.fields(kind)
        if f.name != "key"
    }
    if kind is CommandsLost:
        fields["queue"] = fields["queue"] or "q"
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

        if folded.outcome is not Outcome.APPLIED and not isinstance(message, MAY_ANSWER_AGAIN):
            assert not any(everything(folded.effects))
        if folded.outcome is not Outcome.APPLIED:
            assert entity is None or picture(entity) == before
        if folded.outcome is None:
            assert folded.code


@laws
@given(lives(size_max=5, moves_max=30), st.lists(any_message(), max_size=8))
def test_no_message_makes_a_run_that_cannot_be_asked_to_end(world: World, messages: list[Message]) -> None:
    for message in messages:
        world.tell(message)

    world.tell(decode_message(b'{"type":"run.cancel","run":"run-1","id":"at-last"}'))

    world.answer_everything()
    assert world.run.has_ended, world.stuck()


@pytest.mark.parametrize("kind", MESSAGE_TYPES, ids=lambda kind: kind.__name__)
def test_every_field_of_every_message_is_tried(kind: type[Message]) -> None:
    assert {f.name for f in msgspec.structs.fields(kind)} - {"key"} <= set(FIELDS)
