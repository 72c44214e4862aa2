"""Open waits and questions."""

from __future__ import annotations

from typing import NamedTuple


class ChannelRange(NamedTuple):
    """A range of channels, from the first to before the last; None: unbounded. Optionally with a key."""

    first: str | None = None
    last: str | None = None
    key: str | None = None


class EventWait(NamedTuple):
    """An open wait for an event."""

    channel: str
    run: str
    wait: str
    workflow: str
    #: Log time since which the step waits, and until when.
    since: int | None
    due: int | None
    #: Of a reaction: how many events it has not worked off; None: a wait.
    behind: int | None = None


class SignalWait(NamedTuple):
    """An open wait for signals."""

    #: When the run was created.
    created: int
    run: str
    wait: str
    workflow: str
    fingerprint: str
    since: int | None
    due: int | None
    #: Of a reaction: how many signals it has not worked off; None: a wait.
    behind: int | None = None
    #: Of a wait inside a step: the signals in words.
    name: str = ""


class SignalStep(NamedTuple):
    """A step waiting for signals, or a reaction to a signal."""

    fingerprint: str
    #: Its name.
    step: str
    #: The signal of a reaction; None: a wait.
    reacts_to: str | None = None


class ReactionSource(NamedTuple):
    """A reaction with the source of events or signals."""

    reaction: str
    #: Of events.
    channel: str | None
    #: The signal; None: it reacts to events.
    signal: str | None


class QuestionQuery(NamedTuple):
    """Conditions for open questions; None is no condition."""

    workflow: str | None = None
    wait: str | None = None
    role: str | None = None
    #: Empty: unassigned questions.
    assignee: str | None = None
    #: Of the run.
    tag: str | None = None
    #: Questions closed by a time-out before this.
    expires_before: int | None = None
    #: The moment by which the answer is expected is before this one.
    due_before: int | None = None


class StoredQuestion(NamedTuple):
    """An open question."""

    opened: int
    run: str
    wait: str
    workflow: str
    fingerprint: str
    attempt: int
    prompt: str
    role: str
    assignee: str
    due: int | None
    expires: int | None
    #: A JSON list, of the run.
    tags: str | None
