"""The work of a message does not grow with the number of steps; only a run's beginning and end do."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest
from builders import RUN, Play, each, event, inside, parallel, signal, sleep, step

from stream_durable.core.definition.nodes import AnyNode
from stream_durable.core.effects import Effects
from stream_durable.core.fold import fold
from stream_durable.core.messages import Message, RunContinued, SignalRun
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.run.rows import run_change, step_rows

SMALL, LARGE = 10, 5_000
RETRY = RetryPolicy(attempts=5)
INPUT = b'{"id":1,%b}' % b",".join(b'"of-%d":%b' % (n, bytes(str([0] * n), "utf8")) for n in (SMALL, LARGE))


def fan(n: int, **options: Any) -> tuple[AnyNode, ...]:
    """One step, n that come after it, and one that comes after these."""
    names = [f"s{i}" for i in range(n)]
    return (step("root"), *[step(s, "root", **options) for s in names], step("join", *names))


def waits(make: Callable[[int], AnyNode]) -> Callable[[int], tuple[AnyNode, ...]]:
    return lambda n: tuple(make(i) for i in range(n))


def chain(n: int) -> tuple[AnyNode, ...]:
    return tuple(step(f"s{i}", *([f"s{i - 1}"] if i else [])) for i in range(n))


def in_fan(play: Play) -> Play:
    play.completed("root")
    while play.run.requests is not None and play.run.requests.deferred:
        play.tell(RunContinued(key=RUN))
    return play


def group(n: int, **options: Any) -> tuple[AnyNode, ...]:
    """Return a group of n steps, and one that comes after it."""
    return (parallel("g", **options), *(inside("g", step(f"s{i}")) for i in range(n)), step("z", "g"))


MOMENTS: dict[str, tuple[Callable[[int], tuple[AnyNode, ...]], Callable[[Play], object]]] = {
    "a result in a fan": (fan, lambda p: in_fan(p).completed("s3")),
    "a failure that is retried": (lambda n: fan(n, retry=RETRY), lambda p: in_fan(p).failed("s3")),
    "a start": (fan, lambda p: in_fan(p).started("s3")),
    "a heartbeat": (fan, lambda p: (in_fan(p).started("s3"), p.beats("s3"))),
    "a lost worker": (fan, lambda p: (in_fan(p).started("s3"), p.fire("s3"))),
    "an attempt given back": (fan, lambda p: in_fan(p).returned("s3")),
    "a result that is late": (fan, lambda p: (in_fan(p).completed("s3"), p.completed("s3"))),
    "a result in a chain": (chain, lambda p: p.completed("s0")),
    "a signal": (waits(lambda i: signal(f"s{i}", signals=(f"go-{i}",))), lambda p: p.signalled("go-3")),
    "a signal nobody awaits": (waits(lambda i: signal(f"s{i}")), lambda p: p.signalled("other")),
    "a sleep that is over": (waits(lambda i: sleep(f"s{i}")), lambda p: p.fire("s3")),
    "an event": (waits(lambda i: event(f"s{i}")), lambda p: p.delivered("s3")),
    "a result in a group": (group, lambda p: p.completed("s3")),
    "a result in a group where so many run at once": (
        lambda n: group(n, concurrency=5), lambda p: p.completed("s3")
    ),
    "a failure in a group that completes all": (
        lambda n: group(n, on_member_error="complete_all"), lambda p: p.failed("s3")
    ),
    "a result in a list where so many run at once": (
        lambda n: (each("g", over=f"input.of-{n}", concurrency=5), step("z", "g")),
        lambda p: p.completed("g[3]"),
    ),
    "a step skipped by hand": (fan, lambda p: in_fan(p).step_skipped("s3")),
    "a wait out of time": (
        waits(lambda i: event(f"s{i}", timeout_ms=5, on_timeout="0")), lambda p: p.fire("s3")
    ),
}  # fmt: skip


def work(nodes: tuple[AnyNode, ...], do: Callable[[Play], object]) -> tuple[int, int, int]:
    """Return calls, effects and steps written of the last message that is told."""
    play = Play(*nodes, input=INPUT)
    counts = (0, 0, 0)

    def counted(message: Message) -> Any:
        nonlocal counts
        run_change(play.run)
        play.run.touched.clear()
        effects = Effects()
        guard(play)
        calls = 0

        def count(frame: object, what: str, arg: object) -> None:
            nonlocal calls
            calls += what in ("call", "c_call")

        # The collector runs at any moment and calls what others have registered.
        gc.disable()
        sys.setprofile(count)
        try:
            outcome = fold(play.run, message, play.now, effects)
            run_change(play.run)
            written = len(list(step_rows(play.run)))
        finally:
            sys.setprofile(None)
            gc.enable()
        asked = len(effects.commands) + len(effects.events) + len(effects.messages) + len(effects.timers)
        counts = (calls, asked, written)
        return outcome

    while any(isinstance(message, RunContinued) for message in play.last.messages):
        play.tell(RunContinued(key=RUN))
    play.tell = counted  # type: ignore[method-assign]
    do(play)
    return counts


@pytest.mark.parametrize(("nodes", "do"), MOMENTS.values(), ids=MOMENTS.keys())
def test_a_message_costs_the_same_in_a_run_of_any_size(
    nodes: Callable[[int], tuple[AnyNode, ...]], do: Callable[[Play], object]
) -> None:
    small, large = work(nodes(SMALL), do), work(nodes(LARGE), do)

    assert large == small
    assert small[0] < 150


def test_a_box_full_of_signals_is_not_gone_through_for_another() -> None:
    play = Play(step("a"), signal("w"))
    for i in range(900):
        play.signalled("other", id=f"s{i}")
    assert play.run.mail is not None
    play.run.mail.kept = UngoneDict(play.run.mail.kept)

    assert play.tell(SignalRun(key=RUN, id="now", signal="go")).facts == ["step.completed w"]


class Ungone(list):  # type: ignore[type-arg]
    """A list that nobody may go through."""

    def __iter__(self) -> Any:
        raise AssertionError("gone through")


class UngoneSet(set):  # type: ignore[type-arg]
    """A set that nobody may go through."""

    __iter__ = Ungone.__iter__


class UngoneDict(dict):  # type: ignore[type-arg]
    """A dictionary that nobody may go through."""

    __iter__ = keys = values = items = Ungone.__iter__


def guard(play: Play) -> None:
    """See to it that whoever goes through all steps, in whatever way, is found out."""
    run = play.run
    if not isinstance(run.need, Ungone):
        run.need, run.waiting, run.steps = Ungone(run.need), UngoneSet(run.waiting), UngoneDict(run.steps)
