"""The causes of a step's waiting, as data and in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

from stream_durable.core.run.cause import Cause, CauseKind

_WORDS: Final = {
    "begin": "the time at which the run begins",
    "step": "step {name} ({about})",
    "join": "some of {name}: {about} have completed",
    "branch": "the choice of branch {name}",
    "group": "its turn in group {name}",
    "paused": "the run to be resumed",
    "queue": "a worker of queue {name}",
    "worker": "worker {name}",
    "answer": "the worker's answer to a cancellation",
    "breaker": "breaker {name}",
    "gate": "a place at gate {name}: {about}",
    "admission": "the other starts of workflow {name}: {about}",
    "later": "the requested time: {about}",
    "retry": "attempt {about}",
    "time": "the time",
    "event": "event {name} with key {about}",
    "signal": "signal {name}",
    "input": "an answer from {name}: {about}",
    "token": "its end from outside",
    "child": "run {name}",
    "turn": "its turn: the run begins so many steps with each record",
    "next child": "the time of the next run of {name}",
    "members": "{about} members",
    "review": "a person's review, for it has failed: {about}",
    "call": "the {about}",
    "place": "one of the {about} places that the workflow has for steps of one run",
}


class WaitsFor(NamedTuple):
    """A cause of a step's waiting."""

    #: What it is: `event`, `signal`, `input`, `token`, `child`, `time`, `step`, `queue`, `worker`, `retry`
    #: and others.
    kind: CauseKind
    #: The name, if any: of the event, the signals, the run, the step, the queue, the worker, or the people
    #: asked.
    name: str
    #: Of an event its key, of a question its text; of others more words, such as the status of a step.
    about: str
    #: When it happens, or when the step waits no longer; None: that is not known.
    until: datetime | None
    #: All of it for people, but for the time.
    text: str


def waits_for(cause: Cause) -> WaitsFor:
    """Return a cause in the form for clients."""
    until = None if cause.due is None else datetime.fromtimestamp(cause.due / 1_000, UTC)
    return WaitsFor(cause.kind, cause.name, cause.about, until, words(cause))


def words(cause: Cause) -> str:
    """Return the cause in words, without the time."""
    return _WORDS[cause.kind].format(name=cause.name or "?", about=cause.about or "?").removesuffix(": ?")
