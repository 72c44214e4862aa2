"""Reasons of planned waits: for time, for others, for a place, for steps before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from stream_durable.core.durations import length
from stream_durable.core.run.cause import CALL_BEFORE, NEXT_TRY
from stream_durable.explain.phrases import Times, attempt_of, counted, quoted, times
from stream_durable.explain.reason import Reason, Word


@dataclass(frozen=True, kw_only=True)
class NotBegun(Reason, code="not_begun", word="Waiting", check="run"):
    """The run begins later, or is tried again from the beginning; `until` is when."""

    #: The coming try of the whole graph.
    attempt: int
    attempts: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        if self.attempt > 1:
            again = f"try {self.attempt} of {self.attempts} begins{self.comes(at)}"
            return f"the run failed; {again}"
        return f"the run begins{self.comes(at)}" if self.until else "the run has not begun"


@dataclass(frozen=True, kw_only=True)
class Retry(Reason, code="retry", word="Waiting", check="attempts"):
    """An attempt failed; `until` is the time of the next attempt."""

    failure: str
    message: str
    #: The coming attempt.
    attempt: int
    attempts: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        often = f" {times(self.attempt - 1)}, last{self.was(at)}" if self.attempt > 2 else self.was(at)
        following = f"{attempt_of(self.attempt, self.attempts)} begins{self.comes(at)}"
        return f"{subject} failed{often} with {self.failure}{quoted(self.message)}; {following}"


@dataclass(frozen=True, kw_only=True)
class PutOff(Reason, code="put_off", word="Waiting", check="attempts"):
    """The function asked to be called again later."""

    message: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return f"{subject} asked to be called again{self.comes(at)}{quoted(self.message)}"


@dataclass(frozen=True, kw_only=True)
class _Wait(Reason, code="", word="Waiting", check="wait"):
    """A wait, with the value after a time-out."""

    #: JSON of the output after the time-out; None: the step fails.
    on_timeout: str | None = None
    #: Whether a function waits for it, and how many further waits it has.
    is_inside: bool = False
    others: int = 0

    def waits(self, subject: str, for_what: str) -> str:
        """Return waiter and wait in words."""
        inside = " inside its function" if self.is_inside else ""
        more = f", and for {counted(self.others, 'other')}" if self.others else ""
        return f"{subject} waits{inside} for {for_what}{more}"

    def then(self, at: Times) -> str:
        """Return the end of the wait in words."""
        if self.until is None:
            return ""
        if self.on_timeout is None:
            return f"{at.until(self.until)}; then it fails"
        value = json.dumps(json.loads(self.on_timeout), ensure_ascii=False)
        return f"{at.until(self.until)}; then it goes on with {value}"


@dataclass(frozen=True, kw_only=True)
class ForInput(_Wait, code="input", word="Waiting", check="wait"):
    """A person has to answer."""

    prompt: str
    role: str
    assignee: str
    #: When the answer is expected.
    due: datetime | None

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        who = f" from {self.assignee or self.role}" if self.assignee or self.role else ""
        prompt = f" to “{self.prompt.splitlines()[0]}”" if self.prompt.strip() else ""
        due = "" if self.due is None else f", due{at.coming(self.due)}"
        return f"{self.waits(subject, f'an answer{who}{prompt}')}{at.since(self.since)}{due}{self.then(at)}"


@dataclass(frozen=True, kw_only=True)
class ForToken(_Wait, code="token", word="Waiting", check="wait"):
    """Somebody outside, with the step's token, has to end the wait."""

    #: The last heartbeat, and the longest time between two.
    beat: datetime | None
    heartbeat_ms: int | None

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        every = f", with a heartbeat every {length(self.heartbeat_ms)}" if self.heartbeat_ms else ""
        last = "" if self.beat is None else f", the last one at {at.at(self.beat)}"
        text = self.waits(subject, "its end from outside by its token")
        return f"{text}{at.since(self.since)}{every}{last}{self.then(at)}"


@dataclass(frozen=True, kw_only=True)
class ForEvent(_Wait, code="event", word="Waiting", check="wait"):
    """An event of a name and a key has to come."""

    event: str
    key: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        text = self.waits(subject, f"event {self.event} with key {self.key}")
        return f"{text}{at.since(self.since)}{self.then(at)}"


@dataclass(frozen=True, kw_only=True)
class ForSignals(_Wait, code="signal", word="Waiting", check="wait"):
    """A signal has to come, or any or all of several."""

    signals: tuple[str, ...]
    all_of: bool
    #: Those that came already.
    came: tuple[str, ...]

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        every = self.all_of and len(self.signals) > 1
        names = f"signals {' and '.join(self.signals)}" if every else f"signal {' or '.join(self.signals)}"
        came = f", of which {' and '.join(self.came)} came," if self.came else ""
        return f"{self.waits(subject, names)}{came}{at.since(self.since)}{self.then(at)}"


@dataclass(frozen=True, kw_only=True)
class ForChild(_Wait, code="child", word="Waiting", check="wait"):
    """A child run has to end."""

    child: str
    workflow: str
    #: Its operator's word and reason; None: it has not begun, or was not looked up.
    child_word: Word | None = None
    child_reason: str | None = None

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        state = f" ({self.child_word}: {self.child_reason})" if self.child_word else ""
        text = self.waits(subject, f"run {self.child} of workflow {self.workflow}{state}")
        return f"{text}{at.since(self.since)}{self.then(at)}"


@dataclass(frozen=True, kw_only=True)
class NextChild(_Wait, code="next_child", word="Waiting", check="wait"):
    """The pause between two rounds of a repeated child, or before its next try."""

    workflow: str
    round: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return f"{subject} starts round {self.round} of workflow {self.workflow}{self.comes(at)}"


@dataclass(frozen=True, kw_only=True)
class Sleeps(_Wait, code="time", word="Waiting", check="wait"):
    """The step sleeps."""

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        inside = " inside its function" if self.is_inside else ""
        more = f", and waits for {counted(self.others, 'other')}" if self.others else ""
        return f"{subject} sleeps{inside}{at.since(self.since)}{at.until(self.until)}{more}"


@dataclass(frozen=True, kw_only=True)
class RunPlace(Reason, code="run_place", word="Waiting", check="run"):
    """The workflow's `concurrency` is used up by other steps of the run."""

    places: int
    before: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        before = f", with {counted(self.before, 'step')} before it" if self.before else ""
        return f"{subject} waits for a place: the workflow has {self.places} for steps of one run{before}"


@dataclass(frozen=True, kw_only=True)
class AtGate(Reason, code="at_gate", word="Waiting", check="gate"):
    """A gate lets no more pass yet: the places are held by others, or the rate is used up for now."""

    gate: str
    #: The key, where each key has limits.
    key: str
    limits: str
    #: Numbers of those inside, and of those waiting, this one among them.
    inside: int
    waiting: int
    #: If no place is left, the one inside for the longest time.
    run: str
    step: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        which = f"gate {self.gate}{f' for {self.key}' if self.key else ''}"
        limits = f" ({self.limits})" if self.limits else ""
        holder = f"{self.step} of {self.run}" if self.step else f"run {self.run}"
        others = f" and {counted(self.inside - 1, 'other')}" if self.inside > 1 else ""
        held = f", held by {holder}{others}" if self.run else ""
        opens = "" if self.until is None else f"; it opens{self.comes(at)}"
        line = f"; {counted(self.waiting, 'waits', 'wait')} there" if self.waiting > 1 else ""
        return f"{subject} waits for a place at {which}{limits}{held}{opens}{line}"


@dataclass(frozen=True, kw_only=True)
class AtAdmission(Reason, code="at_admission", word="Waiting", check="gate"):
    """By `starts=`, the run waits for a time, for further starts, or for the end of another run."""

    workflow: str
    #: The key, where each has its runs.
    key: str
    rule: str
    #: Numbers of those waiting, this one among them, and of those under way.
    waiting: int
    under_way: int
    #: The one under way, where there is one at a time.
    run: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        which = f"workflow {self.workflow}{f' for {self.key}' if self.key else ''}"
        rule = f" ({self.rule})" if self.rule else ""
        busy = f"; run {self.run} is under way" if self.run else ""
        begins = "" if self.until is None else f"; they begin{self.comes(at)}"
        line = f"; {counted(self.waiting, 'waits', 'wait')} there" if self.waiting > 1 else ""
        return f"{subject} waits for other starts of {which}{rule}{busy}{begins}{line}"


@dataclass(frozen=True, kw_only=True)
class GroupPlace(Reason, code="group_place", word="Waiting", check="run"):
    """The places of a group are used up by other members."""

    group: str
    places: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return f"{subject} waits for a place in group {self.group}, which has {self.places}"


@dataclass(frozen=True, kw_only=True)
class Portion(Reason, code="portion", word="Waiting", check="run"):
    """A run begins a bounded number of steps with each record; the step comes with a later record."""

    deferred: int

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        left = counted(self.deferred, "step is", "steps are")
        return f"{subject} waits for its turn: the run begins its steps in portions, and {left} left"


@dataclass(frozen=True, kw_only=True)
class Choice(Reason, code="choice", word="Waiting", check="after"):
    """A branch has not chosen a clause."""

    branch: str

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return f"{subject} waits for the choice of branch {self.branch}"


@dataclass(frozen=True, kw_only=True)
class CallBefore(Reason, code="call_before", word="Waiting", check="after"):
    """A call beside the graph waits for the end of the call before, or for the next try of the run."""

    next_try: bool = False

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return f"{subject} waits for the {NEXT_TRY if self.next_try else CALL_BEFORE}"


@dataclass(frozen=True, kw_only=True)
class NotCalled(Reason, code="not_called", word="Waiting", check="after"):
    """A hook or a compensation of an earlier try, without a call now."""

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        return f"{subject} was called in an earlier try, and is not called now"


@dataclass(frozen=True, kw_only=True)
class After(Reason, code="after", word="Waiting", check="after"):
    """Steps before have not ended."""

    #: Names and statuses.
    steps: tuple[tuple[str, str], ...]
    #: Of joins: the steps, with how many have completed of those that have to.
    joins: tuple[tuple[str, str], ...]

    def text(self, subject: str, at: Times) -> str:
        """Return the sentence."""
        shown = [f"{name} ({status})" for name, status in self.steps[:3]]
        shown += [f"some of {names} ({done} have completed)" for names, done in self.joins]
        more = len(self.steps) - 3
        return f"{subject} comes after {', '.join(shown)}{f' and {more} more' if more > 0 else ''}"
