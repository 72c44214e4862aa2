"""Classes of interleavings at waits, for worlds of a single class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, Final, Literal, NamedTuple

from msgspec import Raw

from stream_durable.core.failure import Failure
from stream_durable.core.format import ASKS, TOKENS
from stream_durable.core.messages import (
    AnswerInput,
    CancelRun,
    CancelStep,
    CompleteStep,
    EventPublished,
    FailStep,
    Message,
    SignalRun,
    SkipStep,
    StartRun,
)
from stream_durable.sdk.app import App
from stream_durable.simulation.workload.plan import Fall, Plan, Sent, message
from stream_durable.simulation.workload.sending import published, start_of
from stream_durable.wire.events import with_signal

#: Seconds between two messages that are to meet.
_NEAR: Final = (0.0, 0.0, 0.0005, 0.002, 0.01, 0.05, 0.3)


class Case(NamedTuple):
    """A run in which the class comes about."""

    rng: Random
    start: StartRun
    run: str
    at: float

    def near(self, at: float) -> float:
        """Return a moment shortly before or after another."""
        return max(0.0, at + self.rng.choice(_NEAR) * self.rng.choice((-1, 1)))

    def event(self, ttl_ms: int = 6_000) -> EventPublished:
        """Return an event for the run's wait."""
        return published("payment", self.run, self.rng, ttl_ms)

    def shared(self, name: str, ttl_ms: int = 6_000) -> EventPublished:
        """Return an event for a group of runs."""
        return published(name, f"g{self.rng.randrange(2)}", self.rng, ttl_ms)


Scripts = Iterator[list[Sent] | Fall]


class Class(NamedTuple):
    """A class of interleavings."""

    #: The workflows of its runs.
    workflows: tuple[str, ...]
    scripts: Callable[[Case], Scripts]
    #: Parts of what steps and messages come to in enough worlds of it, as in `Trial.outcomes`.
    comes: tuple[str, ...] = ()


def _before(case: Case) -> Scripts:
    yield [message(case.at, case.event()), message(case.at + case.rng.choice((0.0, 0.1, 2.0)), case.start)]


def _after(case: Case) -> Scripts:
    yield [message(case.at, case.start), message(case.at + case.rng.uniform(0.0, 2.2), case.event())]


def _together(case: Case) -> Scripts:
    """Start and events at the same moment, from separate clients: a batch, in any order."""
    said: list[Message] = [case.start, case.event(), case.shared("shared")]
    case.rng.shuffle(said)
    yield from ([message(case.at, one)] for one in said)


def _across(case: Case) -> Scripts:
    """Partitions are taken over between wait and event, and again around the event."""
    between = case.at + case.rng.uniform(0.1, 1.5)
    said = [message(case.at, case.start), message(between, case.event())]
    yield said if case.rng.random() < 0.7 else said[::-1]
    yield Fall(case.near(case.at + 0.05), "reconciler")
    yield Fall(case.near(between), "reconciler")


def _duplicate(case: Case) -> Scripts:
    event, again = case.event(), case.event()
    moments = sorted(case.at + case.rng.uniform(-0.5, 2.0) for _ in range(case.rng.randint(2, 5)))
    yield [message(max(0.0, at), event) for at in moments]
    yield [message(case.at, case.start)]
    yield [message(case.near(case.at + 0.5), case.rng.choice((event, again))) for _ in range(2)]


def _expired(case: Case) -> Scripts:
    ttl_ms = case.rng.choice((0, 1, 50, 400))
    yield [message(case.at, case.event(ttl_ms))]
    yield [message(case.near(case.at + ttl_ms / 1_000), case.start)]
    if case.rng.random() < 0.5:
        yield [message(case.at + 0.5, case.event(ttl_ms))]


def _two(case: Case) -> Scripts:
    """Runs of a group wait for the same event."""
    yield [message(case.at, case.start), message(case.at + 0.2, case.event())]
    yield [message(case.near(case.at + case.rng.choice((0.0, 0.4))), case.shared("shared", 2_000))]


def _take(case: Case) -> Scripts:
    """Fewer jobs than waits, as many, or more; twice each, and short-lived ones."""
    yield [message(case.at, case.start)]
    for _ in range(case.rng.randrange(4)):
        parcel = case.shared("job", case.rng.choice((0, 300, 6_000)))
        yield [message(case.near(case.at + 0.1), parcel) for _ in range(case.rng.choice((1, 1, 2)))]


def _cancelled(case: Case) -> Scripts:
    """The awaited message arrives beside a request to end the wait or the run."""
    meet = case.at + case.rng.uniform(0.05, 1.8)
    name = case.start.workflow
    events = {"expecting": ("paid", case.event()), "taking": ("job", case.shared("job"))}
    step, said = events.get(name, ("go", SignalRun(key=case.run, id=f"go {case.run}", signal="go")))
    about: dict[str, Any] = {"key": case.run, "id": f"end {case.run}"}
    ends: tuple[Message, ...] = (
        CancelRun(**about), CancelStep(**about, step=step), SkipStep(**about, step=step),
    )  # fmt: skip
    yield [message(case.at, case.start)]
    if isinstance(said, SignalRun):
        # Before its run it would be a dead letter.
        yield [message(case.near(meet), said, once="started")]
    else:
        # It has a way to go, by its channel, that the request has not.
        yield [message(case.near(max(0.0, meet - case.rng.choice((0.0, 0.1, 0.4, 1.0)))), said)]
    yield [message(case.near(meet), case.rng.choice(ends), once="started")]
    if name == "taking":
        # What was not taken by this run is for another.
        yield [message(case.near(meet), case.shared("job"))]


def _start_or_signal(case: Case) -> Scripts:
    """Starts with signals meet each other, and the cancellation of the run."""
    for number in range(case.rng.randint(1, 4)):
        start = case.start if number == 0 else _renamed(case.start, number)
        name = case.rng.choice(("go", "yes", "no"))
        said = with_signal(start, name, Raw(b'{"n":%d}' % number), ttl_ms=case.rng.choice((None, 0, 500)))
        yield [message(case.near(case.at + case.rng.choice((0.0, 0.3))), said)] * case.rng.choice((1, 1, 2))
    # A run that was not started takes no cancellation.
    cancel = CancelRun(key=case.run, id=f"cancel {case.run}", reason="enough")
    yield [message(case.near(case.at + case.rng.choice((0.0, 0.3, 1.5))), cancel, once="started")]


def _renamed(start: StartRun, number: int) -> StartRun:
    fields = {name: getattr(start, name) for name in start.__struct_fields__}
    return StartRun(**fields | {"id": f"start {number} {start.key}"})


def _answered_late(case: Case) -> Scripts:
    """Answers arrive as the time of a question ends: after six seconds, or after ten."""
    yield [message(case.at, case.start)]
    late = case.rng.choice((6.0, 10.0))
    wait, answers = ("agreed", (b'"yes"', b'"no"')) if late == 6.0 else ("stars", (b"5", b"1"))
    for number in range(case.rng.randint(1, 3)):
        said = AnswerInput(
            key=case.run, id=f"answer {number} {case.run}", wait=wait, format=ASKS,
            answer=Raw(case.rng.choice(answers)), by="ann",
        )  # fmt: skip
        yield [message(case.near(case.at + late), said, once="started")] * case.rng.choice((1, 1, 2))


def _token_twice(case: Case) -> Scripts:
    """A token is used twice, at once or later."""
    yield [message(case.at, case.start)]
    meet = case.at + case.rng.uniform(0.0, 3.0)
    for number in range(case.rng.randint(2, 4)):
        about: dict[str, Any] = {
            "key": case.run, "id": f"outside {number} {case.run}", "format": TOKENS,
            "step": case.rng.choice(("brought", "signed")), "attempt": case.rng.choice((0, 1, 1, 1)),
        }  # fmt: skip
        said: CompleteStep | FailStep
        if case.rng.random() < 0.7:
            said = CompleteStep(**about, output=Raw(b'{"by":%d}' % number))
        else:
            said = FailStep(**about, failure=Failure("lost", f"on the way, {number}", retryable=False))
        yield [message(case.near(meet), said, once="started")] * case.rng.choice((1, 1, 2))


def _emitted(case: Case) -> Scripts:
    """Reconcilers and workers die while steps emit."""
    yield [message(case.at, case.start)]
    roles: tuple[Literal["reconciler", "worker"], ...] = ("reconciler", "reconciler", "worker")
    for _ in range(3):
        yield Fall(case.at + case.rng.uniform(0.0, 1.5), case.rng.choice(roles))


_EVENTS = ("expecting", "events", "bounded")
CLASSES: Final[Mapping[str, Class]] = {
    "event-before": Class(_EVENTS, _before, ("/paid completed",)),
    "event-after": Class(_EVENTS, _after, ("/paid completed",)),
    "one-batch": Class(_EVENTS, _together, ("/paid completed",)),
    "takeover": Class(_EVENTS, _across, ("/paid completed",)),
    "duplicate": Class(_EVENTS, _duplicate, ("/paid completed", "EventPublished duplicate")),
    "expired": Class(_EVENTS, _expired, ("/paid completed", "/paid failed")),
    "two-waiters": Class(("expecting",), _two, ("/shared completed",)),
    "take": Class(("taking",), _take, ("/job completed", "/other completed", "/other cancelled")),
    "cancelled-wait": Class(
        ("expecting", "taking", "signals"),
        _cancelled,
        ("/paid cancelled", "/go completed", "/go cancelled", "/job completed"),
    ),
    "start-or-signal": Class(
        ("signals", "reacting", "held"), _start_or_signal, ("StartWithSignal applied", "CancelRun applied")
    ),
    "answer-or-timeout": Class(("asking",), _answered_late, ("AnswerInput applied", "AnswerInput late")),
    "token-twice": Class(("handed",), _token_twice, ("CompleteStep applied", "CompleteStep late")),
    "emit-and-crash": Class(("fan", "diamond", "each_item"), _emitted, ("fan/join completed",)),
}


def of_class(name: str, rng: Random, app: App, *, runs: int, seconds: float) -> Plan:
    """Return a plan of nothing but a class."""
    found = CLASSES[name]
    plan = Plan(seconds=seconds)
    for number in range(runs):
        workflow = rng.choice(found.workflows)
        run = f"{workflow}-{number}"
        at = plan.runs[run] = rng.uniform(0.0, seconds)
        start = start_of(rng, app, workflow, run, at)
        # Here it matters what meets, and when: no start is for later.
        start.at, start.timeout_ms = None, None
        for each in found.scripts(Case(rng, start, run, at)):
            if isinstance(each, Fall):
                plan.falls.append(each)
            else:
                plan.scripts.append(each)
    moments = [sent.at for script in plan.scripts for sent in script]
    plan.seconds = max([seconds, *moments])
    return plan
