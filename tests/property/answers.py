"""What workers and children may answer, read from a source of choices."""

from __future__ import annotations

from typing import Any

from builders import RUN
from msgspec import Raw

from property.shapes import TEMPLATES, Choices
from stream_durable.core.failure import Failure
from stream_durable.core.format import ASKS, TOKENS
from stream_durable.core.messages import (
    AnswerInput,
    AssignInput,
    AttemptCompleted,
    AttemptExpanded,
    AttemptFailed,
    AttemptFinished,
    AttemptHeartbeat,
    AttemptJumped,
    AttemptReturned,
    AttemptSkipped,
    AttemptStarted,
    Change,
    ChildEnded,
    ClaimInput,
    CommentInput,
    CompleteStep,
    FailStep,
    Grafted,
    HeartbeatStep,
    InputMessage,
    LogLine,
    Message,
    OutsideMessage,
)

#: An output that has whatever a path may be after.
GOOD = b'{"id":"k9","kind":"a","items":[1,2],"done":true}'
#: What a wait's key, a branch's value and a group's items are read from; once in a while there are none.
OUTPUTS = (
    *[b'{"id":"k1","kind":"b","items":[1,2,3],"done":true}', GOOD, b'{"id": 7, "kind":1, "items":[]}'] * 6,
    b'{"id":7,"kind":"z","items":[{"a":1},null,3,4,5,6]}', b"null", b'"x"', b'{"id":null,"items":7}',
)  # fmt: skip
INPUTS = (*[b'{"id":"k1","kind":"a","items":[1,2,3,4]}', b'{"id":7,"kind":1,"items":["x"]}'] * 6, b"null")
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
    if choose.chance(30):
        return AttemptFinished(**about, output=data(choose))
    return AttemptCompleted(**about, output=data(choose))


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


def of_child(choose: Choices, child: str, step: str) -> ChildEnded:
    """Return what a run may be told of one that it started."""
    if choose.chance(30):
        return ended(child, step, choose.of(("failed", "cancelled", "compensated")))
    return ChildEnded(key=RUN, step=step, child=child, status="completed", output=data(choose))


def ended(child: str, step: str, status: str) -> ChildEnded:
    """Return what a run is told of a child that came to no good end."""
    failure = Failure("Broken", "the child broke", step="kid-1")
    return ChildEnded(key=RUN, step=step, child=child, status=status, failure=failure)
