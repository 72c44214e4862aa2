"""What workers and children may answer, read from a source of choices."""

from __future__ import annotations

from typing import Any

from builders import RUN, ask, event, signal, sleep, token
from msgspec import Raw
from msgspec.json import encode as _node
from msgspec.structs import replace

from property.shapes import EVENTS, TEMPLATES, Choices
from stream_durable.core.admission.rule import keeps_inputs
from stream_durable.core.admission.state import admission_id
from stream_durable.core.definition.guards import Gate
from stream_durable.core.definition.nodes import Definition, gate_of
from stream_durable.core.failure import Failure
from stream_durable.core.format import (
    ADMISSIONS,
    ASKS,
    BESIDE,
    EMITS,
    GATES,
    HOLD,
    INSIDE,
    LATER,
    READS,
    TOKENS,
)
from stream_durable.core.gate.state import gate_id
from stream_durable.core.messages import (
    AdmissionAsked,
    AdmissionBegun,
    AdmissionLeft,
    AnswerInput,
    AssignInput,
    AttemptCancels,
    AttemptCompleted,
    AttemptEmitted,
    AttemptEnd,
    AttemptExpanded,
    AttemptFailed,
    AttemptFinished,
    AttemptHeartbeat,
    AttemptJumped,
    AttemptMessage,
    AttemptNoted,
    AttemptReturned,
    AttemptSkipped,
    AttemptStarted,
    AttemptWaits,
    Call,
    CancelLater,
    CancelStep,
    Change,
    ChangeHeld,
    ChildEnded,
    ClaimInput,
    CommentInput,
    CompleteHeld,
    CompleteStep,
    Deferrable,
    Emission,
    EmissionRefused,
    EmittedEvent,
    EmittedRecord,
    EmittedSignal,
    EmittedStart,
    EventGiven,
    EventPublished,
    EventReacted,
    FailHeld,
    FailStep,
    Grafted,
    HeartbeatStep,
    InnerWait,
    InputMessage,
    LaterMessage,
    LogLine,
    Message,
    OutsideMessage,
    PassMessage,
    PlaceAsked,
    PlaceGiven,
    PlaceLeft,
    ReadClosed,
    ReadOpened,
    RetryRun,
    SignalRun,
    SkipStep,
)
from stream_durable.wire.events import deferred

#: An output that has whatever a path may be after.
GOOD = b'{"id":"k9","kind":"a","items":[1,2],"done":true}'
#: What a wait's key, a branch's value and a group's items are read from; once in a while there are none.
OUTPUTS = (
    *[b'{"id":"k1","kind":"b","items":[1,2,3],"done":true}', GOOD, b'{"id": 7, "kind":1, "items":[]}'] * 6,
    b'{"id":7,"kind":"z","items":[{"a":1},null,3,4,5,6]}', b"null", b'"x"', b'{"id":null,"items":7}',
)  # fmt: skip
INPUTS = (*[b'{"id":"k1","kind":"a","items":[1,2,3,4]}', b'{"id":7,"kind":1,"items":["x"]}'] * 6, b"null")
#: The key that `input.id` may be, as a gate and an admission have it.
KEYS = ("k1", "7")
#: A run that is not ours, and meets ours at gates and admissions. Nobody knows it: what it gets, it leaves.
STRANGER = "run-2"
NOTES = ("page", "page", "other")
WORKERS = ("w1", "w1", "w1", "w1", "w2", "")
CHANGES = (
    Change("put", "n", Raw(b"1")), Change("increment", "n", Raw(b"2")), Change("append", "l", Raw(b"3")),
    Change("merge", "", Raw(b'{"x":1}')), Change("merge", "o", Raw(b'{"y":2}')), Change("delete", "n"),
    Change("merge_deep", "", Raw(b'{"o":{"z":3}}')),
)  # fmt: skip


def data(choose: Choices) -> Raw:
    return Raw(choose.of(OUTPUTS))


def report(choose: Choices, name: str, attempt: int, *, is_selector: bool) -> Message:  # noqa: C901 - a line for each kind
    """Return anything a worker may say of an attempt."""
    kind = choose.below(20)
    about: dict[str, Any] = {"key": RUN, "step": name, "attempt": attempt, "worker": choose.of(WORKERS)}
    if kind == 15:
        return AttemptHeartbeat(**about, lease_ms=choose.of((40, 2_000)), percent=choose.of((None, 0.5)))
    if kind in (16, 17):
        return AttemptStarted(
            **about, lease_ms=choose.of((40, 2_000)), timeout_ms=choose.of((None, None, None, 30, 900))
        )
    if choose.chance(10):
        about["changes"] = (choose.of(CHANGES), choose.of(CHANGES))
    if choose.chance(5):
        about["logs"] = (LogLine(1, "info", "here"),)
    if kind < 7:
        output = choose.of((b"0", b"1", b"null")) if is_selector else choose.of(OUTPUTS)
        return AttemptCompleted(**about, output=Raw(output), started=5, finished=6)
    if kind < 10:
        failure = Failure(choose.of(("Oops", "Other")), "broken", retryable=not choose.chance(30))
        return AttemptFailed(**about, failure=failure, delay_ms=choose.of((None, None, 0, 70)))
    if kind == 10:
        return AttemptReturned(**about, delay_ms=choose.of((0, 30)))
    if kind == 11:
        return AttemptSkipped(**about, reason="not needed")
    if kind == 12:
        return AttemptJumped(**about, to=f"n{choose.below(60)}", output=data(choose))
    if kind in (13, 14):
        return expansion(choose, about)
    if kind == 19 and choose.chance(40):
        return AttemptCancels(**about, format=BESIDE, reason="called off", compensate=choose.chance(50))
    if choose.chance(30):
        return AttemptFinished(**about, output=data(choose))
    return AttemptCompleted(**about, output=data(choose))


def inside(choose: Choices, name: str, attempt: int, call: Call) -> PassMessage:
    """Return what a worker may say of a function that keeps values and waits; some calls were replaced."""
    about: dict[str, Any] = {
        "key": RUN, "step": name, "attempt": attempt, "worker": choose.of(WORKERS), "format": INSIDE,
        "passes": call.passes - choose.of((0, 0, 0, call.passes)), "returns": call.returns,
        "losses": call.losses - choose.of((0, 0, 0, call.losses)),
    }  # fmt: skip
    if choose.chance(50):
        is_checkpoint = choose.chance(30)
        return AttemptNoted(
            **about, note="checkpoint" if is_checkpoint else choose.of(NOTES), at=1 + choose.below(3),
            is_checkpoint=is_checkpoint, value=data(choose), is_first=choose.chance(70),
            lease_ms=choose.of((40, 2_000)), timeout_ms=choose.of((None, None, 900)),
        )  # fmt: skip
    waits = []
    for at in range(1, 2 + choose.below(3)):
        node = choose.of((
            sleep(f"{name}/{at}", ms=choose.of((0, 10, 1_000))), signal(f"{name}/word", signals=("go",)),
            event(f"{name}/paid", of=choose.of(EVENTS), key='="k1"', take=choose.chance(40)),
            ask(f"{name}/agreed", schema="{}"), token(f"{name}/brought"),
        ))  # fmt: skip
        waits.append(InnerWait(at, Raw(_node(node))))
    return AttemptWaits(**about, waits=tuple(waits), is_kept=choose.chance(50))


def emitting(choose: Choices, end: AttemptEnd) -> AttemptMessage:
    """Return the end of an attempt, with emissions if it may have some."""
    if isinstance(end, AttemptFailed | AttemptReturned):
        return end
    every: tuple[Emission, ...] = (
        EmittedRecord(topic="shop.parcels", record_key=b"7", value=b"{}"),
        EmittedEvent(event=choose.of(EVENTS), event_key="k1", data=data(choose), ttl_ms=choose.of((5, 900))),
        EmittedSignal(run=choose.of((RUN, "run-2")), signal=choose.of(("go", "told")), data=data(choose)),
        EmittedStart(run="run-3", workflow="other", fingerprint="f"),
    )
    emissions = tuple(choose.of(every) for _ in range(choose.below(4)))
    return AttemptEmitted(
        key=end.key, step=end.step, attempt=end.attempt, worker=end.worker, format=EMITS, end=end,  # type: ignore[arg-type]
        emissions=emissions,
    )  # fmt: skip


def refused(choose: Choices, step: str, attempt: int) -> EmissionRefused:
    """Return what a run may be told of what it emitted."""
    return EmissionRefused(
        key=RUN, id=f"{RUN}//{step}/{attempt}/{1 + choose.below(3)}", format=EMITS, step=step,
        attempt=attempt, topic="shop.parcels", code="too_large", reason="it is",
    )  # fmt: skip


def later(choose: Choices, now: int) -> LaterMessage:
    """Return what a client may say of a message for later."""
    number = choose.below(2)
    message: Deferrable = SignalRun(key=RUN, id=f"later-{number}", signal="go", data=data(choose))
    if choose.chance(50):
        message = EventPublished(key="paid/k1", id=f"later-{number}", data=data(choose), ttl_ms=900)
    sent = deferred(
        message, **choose.of(({"after_ms": 0}, {"after_ms": 5_000}, {"at": now + 500}, {"at": now - 5}))
    )
    return CancelLater(key=sent.key, id="c1", format=LATER) if choose.chance(40) else sent


def expansion(choose: Choices, about: dict[str, Any]) -> AttemptExpanded:
    """Return an answer of a step that adds steps to its run."""
    steps: list[Grafted] = []
    for position in range(choose.below(5)):
        name = f"x{position}" if choose.chance(30) else ""
        after: tuple[str, ...] = ()
        if position and choose.chance(30):
            earlier = choose.below(position)
            after = (steps[earlier].name or str(earlier),)
        steps.append(Grafted(of=choose.of(TEMPLATES), name=name, item=data(choose), after=after))
    return AttemptExpanded(
        **about, steps=tuple(steps), concurrency=choose.of((None, 1, 2)), complete_all=choose.chance(50)
    )


def about_a_question(choose: Choices, wait: str) -> InputMessage:
    """Return anything that people may do about a question."""
    kind = choose.below(8)
    about: dict[str, Any] = {
        "key": RUN, "id": f"q{choose.below(20)}", "wait": wait, "format": ASKS,
        "attempt": choose.of((0, 0, 1, 2)),
        "by": choose.of(("ann", "bob", "")),
    }  # fmt: skip
    if kind in (6, 7):
        return ClaimInput(**about)
    if kind == 0:
        return AssignInput(**about, to=choose.of(("ann", "")), role=choose.of((None, "office")))
    if kind == 1:
        return CommentInput(**about, comment="why")
    return AnswerInput(**about, answer=data(choose))


def outside(choose: Choices, step: str) -> OutsideMessage:
    """Return what may come from outside for a step that ends by a token."""
    about: dict[str, Any] = {
        "key": RUN, "id": f"t{choose.below(20)}", "step": step, "format": TOKENS,
        "attempt": choose.of((0, 0, 1, 2)), "by": choose.of(("ann", "")),
    }  # fmt: skip
    kind = choose.below(5)
    if kind == 0:
        return HeartbeatStep(**about)
    if kind == 1:
        return FailStep(**about, failure=Failure("lost", "on the way", retryable=False))
    return CompleteStep(**about, output=data(choose))


def about_held(choose: Choices, step: str, number: int) -> Message:
    """Return what a person may decide about a held step, or change before that."""
    about: dict[str, Any] = {"key": RUN, "id": f"h{choose.of((number, number, number, 0))}"}
    kind = choose.below(10)
    if kind < 2:
        return RetryRun(**about, step=choose.of((step, step, "")))
    if kind == 2:
        return SkipStep(**about, step=step)
    if kind == 3:
        return CancelStep(**about, step=step)
    about |= {"format": HOLD, "by": choose.of(("ann", ""))}
    if kind in (4, 5):
        return CompleteHeld(**about, step=step, output=data(choose), attempt=choose.of((0, 0, 1, 2)))
    if kind == 6:
        return FailHeld(**about, step=step)
    if kind == 7:
        return ChangeHeld(
            **about, step=step, attempts=choose.of((None, 1, 3)), total_ms=choose.of((None, 700)),
            timeout_ms=choose.of((None, 600)),
        )  # fmt: skip
    context = choose.of(({}, {}, {"n": Raw(b"1"), "a.b": Raw(b"2")}))
    return ChangeHeld(**about, input=Raw(choose.of(INPUTS)), context=context)


def requests_of(definition: Definition) -> list[PlaceAsked | AdmissionAsked]:
    """Return what a stranger may ask of the gates of a workflow, and of the admissions before its runs."""
    nodes = (*definition.nodes, *definition.templates)
    gates = [gate for node in nodes if (gate := gate_of(node)) is not None]
    gates += [rule.gate for rule in definition.queues if rule.gate is not None]
    gates += [] if definition.gate is None else [definition.gate]
    found: list[PlaceAsked | AdmissionAsked] = [_request(gate, key) for gate in gates for key in KEYS]
    if definition.starts is not None:
        given = Raw(INPUTS[0]) if keeps_inputs(definition.starts.rule) else None
        keys = ("",) if definition.starts.key is None else KEYS
        found += [
            AdmissionAsked(key=admission_id(definition.name, key), run=STRANGER, attempt=1,
                           rule=definition.starts.rule, input=given, format=ADMISSIONS)
            for key in keys
        ]  # fmt: skip
    return found


def _request(gate: Gate, key: str) -> PlaceAsked:
    has_turns = gate.limits.weights is not None
    return PlaceAsked(
        key=gate_id(gate.name, "" if has_turns or gate.per is None else key), run=STRANGER, attempt=1,
        limits=gate.limits, share=key if has_turns else "", format=GATES,
    )  # fmt: skip


def of_stranger(choose: Choices, request: PlaceAsked | AdmissionAsked) -> Message:
    """Return what a stranger says where it may have asked: that it asks, has begun, or leaves."""
    about: dict[str, Any] = {"key": request.key, "run": STRANGER, "attempt": 1 + choose.below(2)}
    kind = choose.below(4)
    if kind < 2:
        return replace(request, attempt=about["attempt"])
    if isinstance(request, PlaceAsked):
        return PlaceLeft(**about, units=choose.of((None, 0, 3)), format=GATES)
    return (AdmissionBegun if kind == 2 else AdmissionLeft)(**about, format=ADMISSIONS)


def given_astray(choose: Choices, step: str, attempt: int) -> PlaceGiven:
    """Return a place that a step asked for with an attempt before this one, or never."""
    gate = gate_id(choose.of(("two", "fast", "one", "room", "queue:q", "door")), choose.of(("", *KEYS)))
    return PlaceGiven(
        key=RUN, step=step, attempt=attempt - 1 or 9, passes=choose.of((0, 0, 1)), gate=gate,
        is_held=choose.chance(70), format=GATES,
    )  # fmt: skip


def of_child(choose: Choices, child: str, step: str) -> ChildEnded:
    """Return what a run may be told of one that it started."""
    if choose.chance(30):
        return ended(child, step, choose.of(("failed", "cancelled", "compensated")))
    return ChildEnded(key=RUN, step=step, child=child, status="completed", output=data(choose))


def ended(child: str, step: str, status: str) -> ChildEnded:
    """Return what a run is told of a child that came to no good end."""
    failure = Failure("Broken", "the child broke", step="kid-1")
    return ChildEnded(key=RUN, step=step, child=child, status=status, failure=failure)


def about_a_reaction(choose: Choices, run: str, channel: str) -> Message:
    """Return what may be left of an earlier opening, or comes twice, between a channel and a reaction."""
    about: dict[str, Any] = {"reaction": choose.of(("~on_paid", "~ghost")), "ordinal": 1 + choose.below(3)}
    number = 1 + choose.below(4)
    kind = choose.below(5)
    if kind < 2:
        return EventGiven(
            key=run, id=f"e{choose.below(8)}", channel=channel, number=number, format=READS,
            data=data(choose), **about,
        )  # fmt: skip
    about |= {"key": channel, "run": run, "format": READS}
    if kind == 2:
        return ReadOpened(since=choose.of((0, 1 << 53)), **about)
    return EventReacted(number=number, **about) if kind == 3 else ReadClosed(**about)
