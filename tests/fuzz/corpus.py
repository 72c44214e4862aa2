"""Records as they should be, drawn from a seed: every message, command, form, event and definition."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from fuzz.workflows import victims
from stream_durable.core.definition.nodes import encode_definition
from stream_durable.core.effects import CancelAttempt, Command
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.messages import (
    MESSAGE_TYPES,
    Change,
    EventPublished,
    Grafted,
    LogLine,
    Message,
    Plan,
)
from stream_durable.core.schedule.rule import Rule
from stream_durable.wire import lifecycle
from stream_durable.wire.cloudevents import headers as event_headers
from stream_durable.wire.inbox import encode

#: Whatever is a payload says this, so that it is recognised wherever it appears.
MARKER = "PAYLOADthatNOBODYlogs"
#: Runs that records are about: few, so that many records meet the same one.
_RUNS = 400
_MILLIS = 1_764_000_000_000
_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Headers = list[tuple[str, bytes | None]]


class Record(NamedTuple):
    """What is put on a topic; `partition` -1: where the key belongs."""

    key: bytes | None
    value: bytes | None
    headers: Headers = []
    partition: int = -1
    codec: str = "none"


def valid(topic: str, rng: Random) -> Record:
    """Draw a record that this topic takes."""
    return _TOPICS[topic](rng)


def payload(rng: Random) -> Any:
    """Draw a JSON value."""
    plain = (
        MARKER, None, True, 0, -1, 1 << 53, 1.5, "", [MARKER, 1], {"id": _run(rng), "text": MARKER},
        {"n": {"done": rng.random() < 0.5, "page": [{"next": MARKER}]}},
    )  # fmt: skip
    return _input(rng) if rng.random() < 0.5 else rng.choice(plain)


def _input(rng: Random) -> dict[str, Any]:
    """What the victims make something of."""
    return {
        "id": _run(rng), "group": f"g{rng.randrange(3)}", "trouble": rng.choice((0.0, 0.1, 0.5)),
        "kind": rng.choice("abc"), "items": [{"n": n, "text": MARKER} for n in range(rng.randrange(4))],
        "rounds": rng.randint(1, 3), "text": MARKER,
    }  # fmt: skip


def _run(rng: Random) -> str:
    return f"victim-{rng.randrange(_RUNS)}"


def _raw(rng: Random) -> Raw:
    return Raw(json.dumps(payload(rng)).encode())


class _About(NamedTuple):
    """The run that a record is about, and what goes with it."""

    run: str
    workflow: str
    fingerprint: str
    steps: tuple[str, ...]


@cache
def _victim(number: int) -> _About:
    workflow = victims[number % len(victims)]
    names = tuple(node.name for node in workflow.definition().nodes)
    return _About(f"victim-{number}", workflow.name, workflow.fingerprint, names)


@cache
def _encoded_definition(number: int) -> tuple[bytes, bytes]:
    workflow = victims[number]
    key = f"{workflow.name}/{workflow.fingerprint}".encode()
    return key, encode_definition(workflow.definition())


def _about(rng: Random) -> _About:
    return _victim(rng.randrange(_RUNS))


def _step(rng: Random, about: _About) -> str:
    step = rng.choice(about.steps)
    tail = rng.choice(("", "", "", "", f"[{rng.randrange(3)}]", "~compensate", "~when"))
    return f"{step}{tail}"


def _failure(rng: Random) -> Failure:
    details = payload(rng) if rng.random() < 0.3 else None
    return Failure(
        rng.choice(("no_way", "timeout", "ConnectionError")), "went wrong", rng.random() < 0.8, details
    )


#: How a field of a message is filled, by its name in Python.
_FIELDS: dict[str, Callable[[Random, _About], Any]] = {
    "id": lambda r, _: f"m-{r.randrange(2_000)}",
    "workflow": lambda _, a: a.workflow,
    "fingerprint": lambda _, a: a.fingerprint,
    "input": lambda r, _: Raw(json.dumps(_input(r)).encode()),
    "tags": lambda r, _: ("fuzzed",) * r.randrange(3),
    "trace": lambda *_: _TRACE,
    "queue": lambda r, _: r.choice(("", "default")),
    "priority": lambda r, _: r.randint(-5, 5),
    "metadata": lambda *_: Raw(b'{"by":"%b"}' % MARKER.encode()),
    "parent": lambda r, _: r.choice(("", _run(r))),
    "parent_step": lambda *_: "family",
    "depth": lambda r, _: r.randrange(4),
    "picks": lambda *_: ("done",),
    "reason": lambda *_: "somebody asked",
    "compensate": lambda r, _: r.random() < 0.5,
    "context": lambda *_: Raw(b'{"limit":"%b"}' % MARKER.encode()),
    "step": _step,
    "whole": lambda r, _: r.random() < 0.3,
    "child": lambda r, a: f"{a.run}/{r.choice(a.steps)}",
    "status": lambda r, _: r.choice(("completed", "failed", "cancelled")),
    "output": lambda r, _: _raw(r),
    "failure": lambda r, _: _failure(r),
    "signal": lambda r, _: r.choice(("go", "yes", "no", "other")),
    "data": lambda r, _: _raw(r),
    "attempt": lambda r, _: r.choice((1, 1, 1, 2, 3)),
    "worker": lambda *_: "worker-1",
    "lease_ms": lambda r, _: r.choice((1_000, 30_000)),
    "timeout_ms": lambda r, _: r.choice((1_000, 60_000)),
    "percent": lambda r, _: r.random() * 100,
    "label": lambda *_: "page 3",
    "started": lambda *_: _MILLIS,
    "finished": lambda *_: _MILLIS + 20,
    "changes": lambda r, _: tuple(
        Change(
            r.choice(("put", "merge", "merge_deep", "append", "increment", "delete")),
            r.choice(("", "card")),
            _raw(r),
        )
        for _ in range(r.randrange(3))
    ),
    "logs": lambda *_: (LogLine(_MILLIS, "INFO", MARKER),),
    "delay_ms": lambda r, _: r.choice((0, 200)),
    "returns": lambda r, _: r.randrange(3),
    "to": lambda r, a: r.choice(a.steps),
    "steps": lambda r, a: tuple(
        Grafted(of=r.choice(a.steps), name=r.choice(("", "box")), item=_raw(r)) for _ in range(r.randrange(4))
    ),
    "concurrency": lambda r, _: r.randint(1, 3),
    "complete_all": lambda r, _: r.random() < 0.5,
    "wait": lambda r, a: r.choice(a.steps),
    "timer": lambda r, a: r.choice(("", *a.steps)),
    "due": lambda r, _: _MILLIS + r.randrange(10),
    "ttl_ms": lambda r, _: r.choice((1_000, 6_000)),
    "run": lambda _, a: a.run,
    "failures": lambda r, _: r.randint(1, 5),
    "window_ms": lambda *_: 5_000,
    "reset_ms": lambda *_: 400,
    "is_ok": lambda r, _: r.random() < 0.5,
    "gate": lambda *_: "bank",
    "message": lambda r, a: EventPublished(
        key=_key("channel", r, a), id=f"later {r.randrange(3)}", ttl_ms=1_000
    ),
    "at": lambda r, _: _MILLIS + r.randrange(10),
    "channel": lambda r, a: _key("channel", r, a),
    "plan": lambda r, a: Plan(
        rule=Rule(every_ms=r.choice((1_000, 60_000))),
        workflow=a.workflow,
        overlap=r.choice(("skip", "allow")),
    ),
    "schedule": lambda *_: "nightly",
    "moments": lambda r, _: (_MILLIS - r.randrange(10),),
    "moment": lambda *_: _MILLIS,
    "app": lambda *_: "fuzzed",
    "outputs": lambda r, a: {name: _raw(r) for name in a.steps[: r.randrange(3)]},
    "function": lambda r, a: r.choice(("", *a.steps)),
    "item": lambda r, _: _raw(r),
    "happened": lambda *_: Raw(b'{"run":"r","step":"s","status":"failed"}'),
    "ordinal": lambda r, _: r.randrange(1, 3),
    "must_answer": lambda r, _: r.random() < 0.5,
}


def _key(kind: str, rng: Random, about: _About) -> str:
    if kind == "run":
        return about.run
    if kind == "gate":
        return "bank"
    if kind == "schedule":
        return rng.choice(("nightly", "fuzzed//"))
    if kind == "later":
        return f"event:payment/{about.run}#later"
    return rng.choice((f"payment/{about.run}", f"shared/g{rng.randrange(2)}", f"sight/{about.run}"))


def _filled(type_: type[msgspec.Struct], rng: Random, about: _About, given: Mapping[str, Any]) -> Any:
    """Fill what is required, and some of the rest."""
    fields = dict(given)
    kinds = msgspec.inspect.type_info(type_)
    assert isinstance(kinds, msgspec.inspect.StructType)
    for field, kind in zip(msgspec.structs.fields(type_), kinds.fields, strict=True):
        if field.name in fields or (not field.required and rng.random() < 0.5):
            continue
        if field.name in _FIELDS:
            fields[field.name] = _FIELDS[field.name](rng, about)
        elif field.required:
            fields[field.name] = _any(kind.type, rng)
    return type_(**fields)


def _any(kind: msgspec.inspect.Type, rng: Random) -> Any:
    """Draw a value for a field that has come since, by its type alone."""
    match kind:
        case msgspec.inspect.IntType():
            return rng.randint(kind.ge or 0, (kind.ge or 0) + 3)
        case msgspec.inspect.StrType():
            return rng.choice(("one", "two"))
        case msgspec.inspect.BoolType():
            return rng.random() < 0.5
        case msgspec.inspect.RawType():
            return _raw(rng)
    return None


def message(rng: Random) -> Message:
    """Draw a message of any type."""
    about = _about(rng)
    type_ = rng.choice(MESSAGE_TYPES)
    made: Message = _filled(type_, rng, about, {"key": _key(type_.kind, rng, about)})
    return made


def _inbox(rng: Random) -> Record:
    made = message(rng)
    return Record(made.key.encode(), encode(made))


def _commands(rng: Random) -> Record:
    about = _about(rng)
    type_ = rng.choice((Command, Command, CancelAttempt))
    return Record(about.run.encode(), encode(_filled(type_, rng, about, {})))


def _events(rng: Random) -> Record:
    about = _about(rng)
    form = rng.randrange(7)
    key, named = about.run.encode(), {"message_id": f"e-{rng.randrange(2_000)}"} if rng.random() < 0.5 else {}
    trace: Headers = [("traceparent", _TRACE.encode())]
    if form == 0:
        start = {"start": about.workflow, "id": about.run, "input": _input(rng), "tags": ["fuzzed"], **named}
        return Record(key, _json(start), trace)
    if form == 1:
        signal = {"signal": rng.choice(("go", "yes")), "run": about.run, "data": payload(rng), **named}
        return Record(key, _json(signal), trace)
    if form == 2:
        return Record(key, _json({"type": "payment", "key": about.run, "data": payload(rng), **named}))
    if form == 3:
        wait, answer = rng.choice((("agreed", "yes"), ("agreed", payload(rng)), ("stars", 5), ("ghost", 1)))
        return Record(key, _json({"answer": answer, "run": about.run, "wait": wait, "by": MARKER, **named}))
    attributes = {
        "specversion": "1.0",
        "type": "payment",
        "id": f"c-{rng.randrange(2_000)}",
        "source": "/fuzz",
    }
    if form == 4:
        return Record(key, _json({**attributes, "subject": about.run, "data": payload(rng)}))
    binary: Headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
    binary += [("ce_subject", key), ("content-type", b"application/json")]
    if form == 5:
        return Record(key, _json(payload(rng)), binary)
    # Avro, of a type that the ingress does not take or may come to take.
    avro = _lifecycle(rng, rng.random() < 0.5)
    return Record(avro.key, avro.value, [*avro.headers, ("content-type", b"application/avro")])


def _lifecycle(rng: Random, of_step: bool) -> Record:
    about, output = _about(rng), _json(payload(rng))
    event: StepEvent | RunEvent
    if of_step:
        event = StepEvent(
            "step.completed", about.run, about.workflow, about.fingerprint, rng.randrange(1, 9), _MILLIS,
            _step(rng, about), 1, output,
        )  # fmt: skip
    else:
        event = RunEvent(
            rng.choice(("run.completed", "run.started")), about.run, about.workflow, about.fingerprint,
            rng.randrange(1, 9), _MILLIS, 3, "m-1", output,
        )  # fmt: skip
    return Record(about.run.encode(), lifecycle.encode(event), list(event_headers(event, "fuzz")))


def _definitions(rng: Random) -> Record:
    return Record(*_encoded_definition(rng.randrange(len(victims))))


def _dead(rng: Random) -> Record:
    record = rng.choice((_inbox, _events, _commands))(rng)
    verdict: Headers = [
        ("sd_code", rng.choice((b"unreadable", b"crashes", b"unknown_workflow"))), ("sd_reason", b"because"),
        ("sd_topic", rng.choice((b"inbox", b"events"))), ("sd_partition", b"%d" % rng.randrange(4)),
        ("sd_offset", b"%d" % rng.randrange(1_000)), ("sd_time", b"%d" % _MILLIS),
    ]  # fmt: skip
    return record._replace(headers=verdict)


def _control(rng: Random) -> Record:
    return Record(b"worker-1", _json({"type": "worker", "id": "worker-1", "text": MARKER}))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


_TOPICS: dict[str, Callable[[Random], Record]] = {
    "inbox": _inbox,
    "events": _events,
    "commands.default": _commands,
    "definitions": _definitions,
    "dead": _dead,
    "steps": lambda rng: _lifecycle(rng, True),
    "runs": lambda rng: _lifecycle(rng, False),
    "control": _control,
}
TOPICS = tuple(_TOPICS)
