"""The forms of messages on the events topic: one object is one message, known by its first field.

Unknown fields are refused, because ignoring a misspelt field loses data. `run` may be left to the record's
key. Avro has the same fields, so it is read as the JSON that it stands for (`stream_durable.wire.avro`).
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Raw

from stream_durable.core.errors import RejectedError
from stream_durable.core.format import ASKS
from stream_durable.core.messages import (
    NULL,
    AssignInput,
    CancelRun,
    ClaimInput,
    Comment,
    CommentInput,
    EventPublished,
    EventUnkeyed,
    OptionalRaw,
    OptionalText,
    Ordinal,
    Text,
)
from stream_durable.wire.changes import RunChange
from stream_durable.wire.ends import OutsideEnd
from stream_durable.wire.events import (
    Answer,
    FromOutside,
    cancelled_later,
    published,
    signalled,
    unkeyed,
)
from stream_durable.wire.failure import read_failure
from stream_durable.wire.form import UNREADABLE, Form, Place, Timed, decode, duration_ms
from stream_durable.wire.reviews import decided
from stream_durable.wire.starts import StartForm, StartWithSignalForm


class _RunForm(Form, kw_only=True):
    run: Text | None = None

    def _run(self, place: Place) -> str:
        return _named_run(self.title, self.run, place)


def _named_run(title: str, run: str | None, place: Place) -> str:
    run = run or place.text_key()
    if run is None:
        text = f"{title} needs a run, and neither its field 'run' nor the record's key names one"
        raise RejectedError("no_key", text)
    return run


class _WaitForm(_RunForm, kw_only=True):
    """About a question of a run, by the name of the step."""

    wait: Text

    def _about(self, place: Place, by: str) -> dict[str, Any]:
        identity = self.message_id or place.id
        return {"key": self._run(place), "id": identity, "wait": self.wait, "format": ASKS, "by": by}


class EventForm(Timed, kw_only=True):
    """An event under a name and a key."""

    title = "an event"

    type: Text
    key: Text | int | None = None
    data: Raw = NULL
    by: OptionalText | None = None
    ttl: Text | None = None

    def message(self, place: Place) -> FromOutside:
        """Return the event."""
        key = None if self.key is None else str(self.key)
        if self.by is not None:
            place = place._replace(by=self.by)
        if self.ttl is not None:
            place = place._replace(ttl_ms=duration_ms("ttl", self.ttl))
        return self._timed(event(place, self.type, key, self.data, self.message_id or place.id))


class SignalForm(Timed, kw_only=True):
    """A signal to a run."""

    title = "a signal"

    signal: Text
    run: Text | None = None
    data: Raw = NULL
    by: OptionalText | None = None
    ttl: Text | None = None

    def message(self, place: Place) -> FromOutside:
        """Return the signal."""
        identity = self.message_id or place.id
        run = _named_run(self.title, self.run, place)
        ttl_ms = None if self.ttl is None else duration_ms("ttl", self.ttl)
        by = place.by if self.by is None else self.by
        return self._timed(signalled(run, self.signal, self.data, id=identity, by=by, ttl_ms=ttl_ms))


class CancelForm(_RunForm, kw_only=True):
    """A request to cancel a run, with the reason."""

    title = "a cancel"

    cancel: OptionalText
    compensate: bool = False
    by: OptionalText | None = None

    def message(self, place: Place) -> FromOutside:
        """Return the request."""
        return CancelRun(
            key=self._run(place), id=self.message_id or place.id, reason=self.cancel,
            compensate=self.compensate, by=place.by if self.by is None else self.by,
        )  # fmt: skip


class ReviewForm(_RunForm, kw_only=True):
    """A person's decision about a held step."""

    title = "a review"

    review: Literal["retry", "complete", "skip", "fail"]
    step: Text
    value: OptionalRaw = None
    error: OptionalRaw = None
    reason: Comment = ""
    by: OptionalText | None = None

    def message(self, place: Place) -> FromOutside:
        """Return the decision; whether a value fits the step is still to be judged."""
        value, error = (None if one in (None, NULL) else one for one in (self.value, self.error))
        return decided(
            self.review, self._run(place), self.step, id=self.message_id or place.id,
            by=place.by if self.by is None else self.by, reason=self.reason, value=value,
            failure=None if error is None else read_failure(error),
        )  # fmt: skip


class ChangeForm(_RunForm, kw_only=True):
    """A change of a run with held steps, with the reason."""

    title = "a change"

    change: Comment
    workflow: OptionalText = ""
    input: OptionalRaw = None
    context: OptionalRaw = None
    step: OptionalText = ""
    attempts: Ordinal | None = None
    timeout: Text | None = None
    total: Text | None = None
    by: OptionalText | None = None

    def message(self, place: Place) -> FromOutside:
        """Return the change, with the input still to be judged."""
        return RunChange(
            id=self.message_id or place.id, run=self._run(place), workflow=self.workflow,
            input=self.input, context={} if self.context is None else _values_of(self.context),
            step=self.step, attempts=self.attempts,
            timeout_ms=None if self.timeout is None else duration_ms("timeout", self.timeout),
            total_ms=None if self.total is None else duration_ms("total", self.total),
            by=place.by if self.by is None else self.by, reason=self.change,
        )  # fmt: skip


def _values_of(context: Raw) -> dict[str, Raw]:
    try:
        return msgspec.json.decode(context, type=dict[str, Raw])
    except UNREADABLE as error:
        text = f"'context' of a change takes an object of values by their paths: {error}"
        raise RejectedError("invalid", text) from error


class CancelLaterForm(Form, kw_only=True):
    """A request not to send a message for later."""

    title = "a cancel of a message for later"

    cancel_later: Text

    def message(self, place: Place) -> FromOutside:
        """Return the request to the message of this id, or to a run not yet begun."""
        return cancelled_later(self.cancel_later, id=self.message_id or place.id)


class AnswerForm(_WaitForm, kw_only=True):
    """An answer to a question."""

    title = "an answer"

    answer: Raw
    by: OptionalText = ""
    comment: Comment = ""

    def message(self, place: Place) -> FromOutside:
        """Return the answer."""
        return Answer(
            id=self.message_id or place.id, run=self._run(place), wait=self.wait, answer=self.answer,
            by=self.by, comment=self.comment,
        )  # fmt: skip


class ClaimForm(_WaitForm, kw_only=True):
    """A person takes a question on."""

    title = "a claim"

    claim: Text

    def message(self, place: Place) -> FromOutside:
        """Return the claim by the person named."""
        return ClaimInput(**self._about(place, self.claim))


class AssignForm(_WaitForm, kw_only=True):
    """A question is handed to a person, or to a role."""

    title = "an assign"

    assign: OptionalText
    role: OptionalText | None = None
    by: OptionalText = ""
    comment: Comment = ""

    def message(self, place: Place) -> FromOutside:
        """Return the assignment."""
        return AssignInput(
            **self._about(place, self.by), to=self.assign, role=self.role, comment=self.comment
        )


class CommentForm(_WaitForm, kw_only=True):
    """A comment beside a question."""

    title = "a comment"

    comment: Comment
    by: OptionalText = ""

    def message(self, place: Place) -> FromOutside:
        """Return the comment."""
        return CommentInput(**self._about(place, self.by), comment=self.comment)


class CompleteForm(Form, kw_only=True):
    """A step is completed by its token."""

    title = "a completion"

    complete: str
    value: Raw = NULL
    by: OptionalText = ""

    def message(self, place: Place) -> FromOutside:
        """Return the end, with a token that is to be checked."""
        identity = self.message_id or place.id
        return OutsideEnd(id=identity, token=self.complete, kind="complete", output=self.value, by=self.by)


class FailForm(Form, kw_only=True):
    """A step is failed by its token; the error is a text, or has a code, a message and details."""

    title = "a failure"

    fail: str
    error: Raw
    by: OptionalText = ""

    def message(self, place: Place) -> FromOutside:
        """Return the end, with a token that is to be checked."""
        failure = read_failure(self.error)
        identity = self.message_id or place.id
        return OutsideEnd(id=identity, token=self.fail, kind="fail", failure=failure, by=self.by)


class HeartbeatForm(Form, kw_only=True):
    """What a step waits for is under way, by the step's token."""

    title = "a heartbeat"

    heartbeat: str

    def message(self, place: Place) -> FromOutside:
        """Return the heartbeat, with a token that is to be checked."""
        return OutsideEnd(id=self.message_id or place.id, token=self.heartbeat, kind="heartbeat")


#: Forms by the field that marks them.
FORMS: Final[dict[str, type[Form]]] = {
    "type": EventForm,
    "signal": SignalForm,
    "start": StartForm,
    "cancel": CancelForm,
    "cancel_later": CancelLaterForm,
    "answer": AnswerForm,
    "claim": ClaimForm,
    "assign": AssignForm,
    "complete": CompleteForm,
    "fail": FailForm,
    "heartbeat": HeartbeatForm,
    "review": ReviewForm,
    "change": ChangeForm,
    "comment": CommentForm,
}

_SHOWN: Final = ", ".join(map(repr, FORMS))


def read_form(value: bytes, place: Place) -> FromOutside:
    """Return the message in JSON of one of the forms, or raise with what is wrong and what is right."""
    found = plain(value)
    if not isinstance(found, dict):
        text = f"it is JSON, but {_kind(found)}, not an object: one record is one message"
        raise RejectedError("unknown_form", text)
    return decode(value, form_of(found)).message(place)


def form_of(fields: dict[str, Any]) -> type[Form]:
    """Return the form that an object has, or raise if it has none or several."""
    marks = [mark for mark in FORMS if mark in fields]
    if len(marks) > 1 and marks[-1] == "comment":
        # Elsewhere it is a field.
        marks.pop()
    if marks == ["signal", "start"]:
        return StartWithSignalForm
    if not marks:
        text = f"no form of it is known: it is no CloudEvent, and has none of the fields {_SHOWN}"
        raise RejectedError("unknown_form", text)
    if len(marks) > 1:
        text = f"it holds {' and '.join(map(repr, marks))}; it must be one of them"
        raise RejectedError("ambiguous", text)
    return FORMS[marks[0]]


def plain(value: bytes) -> Any:
    """Return JSON decoded as a whole: raw values passed on must be readable for every reader."""
    try:
        return msgspec.json.decode(value)
    except UNREADABLE as error:
        text = f"not JSON: {error}. Write one JSON object, or Avro by a published schema"
        raise RejectedError("unreadable", text) from error


def event(
    place: Place, name: str, key: str | None, data: Raw, identity: str
) -> EventPublished | EventUnkeyed:
    """Return an event, or raise if it has an impossible key. Without a key it is for triggers alone."""
    key = key or place.text_key()
    if key is None:
        return unkeyed(name, data, id=identity, by=place.by)
    return published(name, key, data, id=identity, ttl_ms=place.ttl_ms, by=place.by)


def _kind(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}"
