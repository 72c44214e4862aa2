"""Actions of clients and strangers on the workflows, drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final

from msgspec import Raw

from stream_durable.core.failure import Failure
from stream_durable.core.format import ASKS, BESIDE, LATER, TOKENS
from stream_durable.core.ids import channel_id
from stream_durable.core.lanes import lanes_of
from stream_durable.core.messages import (
    AnswerInput,
    AssignInput,
    AttemptCompleted,
    CancelLater,
    CancelRun,
    CancelStep,
    ClaimInput,
    CommentInput,
    CompleteStep,
    EventPublished,
    FailStep,
    HeartbeatStep,
    InputMessage,
    InquireRun,
    OutsideMessage,
    PauseRun,
    ResumeRun,
    RetryRun,
    SignalRun,
    SkipStep,
    StartRun,
)
from stream_durable.memory.deployment import QUEUE
from stream_durable.memory.ports import VirtualClock
from stream_durable.sdk.app import App
from stream_durable.simulation.workload import (
    basics,
    choices,
    groups,
    held,
    inside,
    limiting,
    news,
    scheduling,
    sharing,
    undoing,
)
from stream_durable.simulation.workload.plan import Plan, Sent, message
from stream_durable.simulation.workload.sending import published, start_of
from stream_durable.wire.events import deferred, with_signal
from stream_durable.wire.inbox import encode
from stream_durable.wire.topics import COMMANDS, INBOX

#: Workflows of which some wait for a payment.
_PAID = ("inside", "events", "expecting", "bounded", "bulky")
#: And those in which somebody waits for a word.
_TOLD = ("signals", "held", "branched", "failing", "answering", "inside", "reacting", news.NAME)
#: Whose runs start others: under which steps, and which.
_CHILDREN = {
    "parent": (("family", "middle"), ("hurried", "leaf"), ("family//deeper", "leaf")),
    "middle": (("deeper", "leaf"),),
    "looping": (("page", "paged"), ("page/2", "paged")),
}

#: How the ids of signals and events begin that are sent later.
FOR_LATER = "later "
#: Records are repeated this much later at the most.
_REPEAT_SECONDS = 7.0


def application() -> App:
    """Return an app with all workflows."""
    makers = [
        make for one in (basics, groups, choices, inside, undoing, sharing, news) for make in one.MAKERS
    ]
    app = App("simulated", workflows=[*(make() for make in makers), *sharing.families(), *held.workflows()])
    news.react_with_runs(app)
    return app


def drawn(
    rng: Random, app: App, *, runs: int, seconds: float, partitions: int, only: tuple[str, ...] = ()
) -> Plan:
    """Draw what clients do: so many runs, of all workflows or only of some, within so many seconds."""
    plan = Plan(seconds=seconds)
    meddling = rng.choice((0.5, 1.0, 1.0, 4.0))
    order = list(rng.choices(only, k=runs) if only else rng.sample(list(app.workflows), runs))
    order += rng.choices(order, k=runs // 4)
    for number, name in enumerate(order):
        run = f"{name}-{number}"
        at = plan.runs[run] = rng.uniform(0.0, seconds)
        plan.scripts.append(list(_script(rng, app, name, run, at, meddling)))
        if name in _CHILDREN and rng.random() < 0.3:
            plan.scripts.append(list(_to_child(rng, app, run, at, rng.choice(_CHILDREN[name]))))
    for _ in range(rng.choice((0, 0, 1, 3))):
        at = rng.uniform(0.0, seconds)
        plan.scripts.append([message(at, published("shared", f"g{rng.randrange(2)}", rng, ttl_ms=4_000))])
    for number in range(rng.choice((0, 0, 2, 5))):
        plan.scripts.append(list(_planned(rng, plan, number, seconds)))
    if "taking" in order:
        for _ in range(rng.randrange(9)):
            parcel = published("job", f"g{rng.randrange(2)}", rng, ttl_ms=rng.choice((0, 500, 6_000)))
            at = rng.uniform(0.0, seconds + 3.0)
            plan.scripts.append([message(at, parcel)] * rng.choice((1, 1, 2)))
    for number in range(rng.choice((0, 2, 6, 15))):
        plan.scripts.append([_garbage(rng, plan, number, rng.uniform(0.0, seconds), partitions)])
    if rng.random() < 0.25:
        plan.scripts.append([_unstorable(app, rng.uniform(0.0, seconds))])
    plan.scripts += scheduling.schedules(rng, seconds, frozenset(order))
    if not limiting.GATED.isdisjoint(order):
        plan.scripts += limiting.orders(rng, seconds, partitions)
    return plan


def _planned(rng: Random, plan: Plan, number: int, seconds: float) -> Iterator[Sent]:
    """Have a signal or an event sent later; repeat it, and perhaps cancel it, early or late."""
    identity, at = f"{FOR_LATER}{number}", rng.uniform(0.0, seconds)
    run = rng.choice(list(plan.runs))
    signal = SignalRun(key=run, id=identity, signal=rng.choice(("go", "yes")))
    event = EventPublished(key=channel_id("payment", run), id=identity, ttl_ms=2_000)
    # A run that is not there yet is sent no signal.
    at = max(at, plan.runs[run])
    wait_ms = rng.choice((0, 300, 2_500))
    when = (
        {"after_ms": wait_ms}
        if rng.random() < 0.5
        else {"at": VirtualClock.EPOCH_MS + int(at * 1_000) + wait_ms}
    )
    sent = deferred(rng.choice((signal, event)), **when)
    yield message(at, sent, once="begun", run=run)
    for _ in range(rng.choice((0, 0, 1, 2))):
        yield message(at + rng.uniform(0.0, 3.0), sent)
    if rng.random() < 0.4:
        cancel = CancelLater(key=sent.key, id=f"cancel {identity}", format=LATER)
        yield message(at + rng.uniform(0.0, 3.0), cancel)


def _unstorable(app: App, at: float) -> Sent:
    """Return a start refused by the simulated database."""
    run, name = "unstorable", "chain"
    start = StartRun(key=run, id=run, workflow=name, fingerprint=app.workflows[name].fingerprint)
    return Sent(at, INBOX, None, run.encode(), encode(start), is_garbage=True)


def _script(  # noqa: C901 - a line for each kind
    rng: Random, app: App, name: str, run: str, at: float, meddling: float
) -> Iterator[Sent]:
    """Return the messages about a run, in order."""
    start = start_of(rng, app, name, run, at)
    early = rng.random() < 0.4
    if early and name in _PAID:
        yield message(at, published("payment", run, rng))
    if name in _TOLD and rng.random() < 0.4:
        ttl_ms = rng.choice((None, None, 0, 600))
        start = with_signal(start, rng.choice(("go", "yes", "other")), Raw(b'{"n":2}'), ttl_ms=ttl_ms)
    yield message(at, start)
    if rng.random() < 0.2:
        yield message(at + rng.uniform(0.0, 2.0), start)
    if name in _TOLD:
        yield from _signalled(rng, run, at)
    if name in _OWN:
        yield from _OWN[name](rng, run, at)
    if name in _PAID and not early and rng.random() < 0.7:
        yield message(at + rng.uniform(0.0, 3.0), published("payment", run, rng))
    if name == "renewed":
        yield message(at + rng.uniform(1.0, 9.0), published("payment", run, rng, ttl_ms=3_600_000))
    if name == "events" and rng.random() < 0.6:
        yield message(at + rng.uniform(0.0, 4.0), published("sight", run, rng))
    ordered = list(_ordered(rng, app, name, run, at, meddling))
    yield from ordered
    # A pause that came too late is forgotten; its repeat must not meet the run that is made anew.
    after = _REPEAT_SECONDS if any(b"run.pause" in (sent.value or b"") for sent in ordered) else 0.0
    if rng.random() < 0.15 * meddling:
        yield from _again(rng, app, name, run, at, after)


def _to_child(rng: Random, app: App, run: str, at: float, child: tuple[str, str]) -> Iterator[Sent]:
    """Send requests to a child run."""
    path, name = child
    key = f"{run}//{path}"
    kind = rng.choice(("cancel", "pause", "again", "again"))
    if kind == "cancel":
        yield message(at, CancelRun(key=key, id=f"cancel {key}", reason="enough"), once="begun")
    elif kind == "pause":
        yield message(at, PauseRun(key=key, id=f"pause {key}"), once="begun")
        yield message(at + rng.uniform(0.1, 2.0), ResumeRun(key=key, id=f"resume {key}"), once="begun")
    else:
        yield message(at, _retry(rng, app, name, key, "again"), once="ended")


def _signalled(rng: Random, run: str, at: float) -> Iterator[Sent]:
    kinds = [("go", 0.9), ("yes", 0.4), ("no", 0.3), ("other", 0.2)]
    rng.shuffle(kinds)
    for name, chance in kinds:
        if rng.random() < chance:
            at += rng.uniform(0.0, 1.0)
            # Two of three are kept for a wait that comes late.
            ttl_ms, by = rng.choice((None, None, 0, 400, 2_000)), rng.choice(("", "tom"))
            yield message(
                at,
                SignalRun(
                    key=run, id=f"{name} {run}", signal=name, data=Raw(b'{"n":1}'), by=by, ttl_ms=ttl_ms
                ),
            )


def _told_often(rng: Random, run: str, at: float) -> Iterator[Sent]:
    """Send signals that are reacted to: many, twice, late."""
    for number in range(rng.choice((0, 2, 5, 12))):
        at += rng.uniform(0.0, 0.6)
        name, data = rng.choice(("yes", "yes", "yes", "yes", "no", "other")), Raw(b'{"n":%d}' % number)
        ttl_ms = rng.choice((None, None, None, 600))
        said = SignalRun(key=run, id=f"told {number} {run}", signal=name, data=data, ttl_ms=ttl_ms)
        yield message(at, said)
        if rng.random() < 0.3:
            yield message(at + rng.uniform(0.0, 2.0), said)


def _answered(rng: Random, run: str, at: float) -> Iterator[Sent]:
    """Do something about the questions of a run: early, late, twice and wrongly, too."""
    wrongs = [b"7", b'"maybe"', b"null", b'{"yes":true}']
    for number in range(rng.randrange(7)):
        at += rng.uniform(0.0, 2.0)
        wait, fitting = rng.choice((("agreed", b'"yes"'), ("agreed", b'"no"'), ("stars", b"5")))
        about: dict[str, Any] = {"key": run, "id": f"about {number} {run}", "wait": wait, "format": ASKS}
        about["by"] = rng.choice(("ann", "bob"))
        kind = rng.random()
        said: InputMessage
        if kind < 0.6:
            data = rng.choice(wrongs) if rng.random() < 0.2 else fitting
            said = AnswerInput(**about, answer=Raw(data), comment=rng.choice(("", "why not")))
        elif kind < 0.75:
            said = ClaimInput(**about)
        elif kind < 0.9:
            said = AssignInput(**about, to=rng.choice(("", "ann")), role=rng.choice((None, "office")))
        else:
            said = CommentInput(**about, comment="is it paid?")
        yield message(at, said)
        if rng.random() < 0.2:
            yield message(at + rng.uniform(0.0, 1.0), said)


def _inquired(rng: Random, run: str, at: float) -> Iterator[Sent]:
    """Ask a run things: many at once, twice, too early, too late, and what it does not answer."""
    for number in range(rng.choice((0, 2, 5, 12))):
        at += rng.uniform(0.0, 0.6)
        name = rng.choice(("quote", "quote", "quote", "state", "price"))
        data = Raw(b'{"n":%d}' % number)
        asked = InquireRun(key=run, id=f"inquiry {number} {run}", inquiry=name, format=BESIDE, data=data)
        yield message(at, asked)
        if rng.random() < 0.3:
            yield message(at + rng.uniform(0.0, 2.0), asked)


def _ended_outside(rng: Random, run: str, at: float) -> Iterator[Sent]:
    """End steps that wait for a token, and let them hear: early, late, twice, for another attempt, too."""
    for number in range(rng.randrange(8)):
        at += rng.uniform(0.0, 1.5)
        about: dict[str, Any] = {
            "key": run, "id": f"outside {number} {run}", "step": rng.choice(("brought", "signed")),
            "format": TOKENS, "attempt": rng.choice((0, 1, 1, 1, 2)), "by": rng.choice(("", "ann")),
        }  # fmt: skip
        kind = rng.random()
        said: OutsideMessage
        if kind < 0.4:
            said = CompleteStep(**about, output=Raw(b'{"by":%d}' % number))
        elif kind < 0.55:
            said = FailStep(**about, failure=Failure("lost", f"on the way, {number}", retryable=False))
        else:
            said = HeartbeatStep(**about)
        yield message(at, said)
        if rng.random() < 0.2:
            yield message(at + rng.uniform(0.0, 1.0), said)


def _ordered(rng: Random, app: App, name: str, run: str, at: float, meddling: float) -> Iterator[Sent]:
    """Send requests to a run, at fitting and unfitting moments."""
    # See `_script`: a repeated pause must not meet a run that was begun again since.
    was_paused = False
    for number in range(1 if meddling <= 1.0 else 2):
        at += rng.uniform(0.0, 1.5)
        if rng.random() < 0.15 * meddling:
            was_paused = True
            yield message(at, PauseRun(key=run, id=f"pause {number} {run}", reason="look first"))
            at += rng.uniform(0.1, 2.0)
            resume = ResumeRun(key=run, id=f"resume {number} {run}")
            if rng.random() < 0.5:
                resume.context = Raw(b'{"resumed":true}')
            yield message(at, resume)
        for order in (CancelStep, SkipStep):
            if rng.random() < 0.1 * meddling:
                at += rng.uniform(0.0, 1.0)
                identity = f"{order.__name__} {number} {run}"
                yield message(at, order(key=run, id=identity, step=_any_step(rng, app, name)))
        if rng.random() < 0.05 * meddling:
            at += rng.uniform(0.0, 1.5)
            early = _retry(rng, app, name, run, f"early {number}")
            yield message(at, early, after=_REPEAT_SECONDS if was_paused else 0.0)
    if rng.random() < 0.12:
        at += rng.uniform(0.0, 2.0)
        is_undone = rng.random() < 0.5
        yield message(at, CancelRun(key=run, id=f"cancel {run}", reason="enough", compensate=is_undone))


def _again(rng: Random, app: App, name: str, run: str, at: float, after: float) -> Iterator[Sent]:
    """Retry part of an ended run, perhaps twice."""
    for number in range(rng.choice((1, 1, 2))):
        at += rng.uniform(0.0, 1.0)
        yield message(at, _retry(rng, app, name, run, f"again {number}"), once="ended", after=after)


def _retry(rng: Random, app: App, name: str, run: str, which: str) -> RetryRun:
    kind = rng.choice(("failed", "failed", "step", "whole"))
    retry = RetryRun(key=run, id=f"{which} {run}", whole=kind == "whole")
    if kind == "step":
        retry.step = _any_step(rng, app, name)
    return retry


def _any_step(rng: Random, app: App, name: str) -> str:
    definition = app.workflows[name].definition()
    step = rng.choice(definition.nodes).name
    return f"{step}[{rng.randrange(3)}]" if rng.random() < 0.15 else step


def _garbage(rng: Random, plan: Plan, number: int, at: float, partitions: int) -> Sent:
    """Return a record impossible to apply at any time."""
    run = rng.choice(list(plan.runs))
    # Where there is one partition, no record is in the wrong one.
    kind = rng.choice((*range(7), *(7,) * 10)) if partitions > 1 else rng.randrange(7)
    stranger = f"stranger-{number}"
    if kind == 0:
        return Sent(at, INBOX, rng.randrange(partitions), b"x", b"no JSON at all", is_garbage=True)
    if kind == 1:
        return Sent(at, INBOX, rng.randrange(partitions), run.encode(), None, is_garbage=True)
    if kind == 2:
        signal = SignalRun(key=stranger, id="s", signal="go")
        return Sent(at, INBOX, None, stranger.encode(), encode(signal), is_garbage=True)
    if kind == 3:
        start = StartRun(key=stranger, id="s", workflow="nothing", fingerprint="0" * 16)
        return Sent(at, INBOX, None, stranger.encode(), encode(start), is_garbage=True)
    if kind == 4:
        other = CancelRun(key=run, id="c")
        return Sent(at, INBOX, None, stranger.encode(), encode(other), is_garbage=True)
    if kind == 5:
        result = AttemptCompleted(key=run, step="no_such_step", attempt=1)
        return Sent(at, INBOX, None, run.encode(), encode(result), is_garbage=True)
    if kind == 6:
        topic = COMMANDS + rng.choice(lanes_of(QUEUE))
        return Sent(at, topic, rng.randrange(partitions), b"x", b'{"type":"?"}', is_garbage=True)
    # While the run is about, and its reader has to load it.
    at = plan.runs[run] + rng.uniform(0.0, 3.0)
    lost = SignalRun(key=run, id="lost", signal="go")
    # To a partition in which the run does not live, as a producer with another partitioner would do it.
    return Sent(at, INBOX, -1, run.encode(), encode(lost), is_garbage=True)


#: What is sent to runs of one workflow alone.
_OWN: Final = {
    "asking": _answered, "answering": _inquired, "reacting": _told_often, news.NAME: news.reacted,
    "handed": _ended_outside,
}  # fmt: skip
