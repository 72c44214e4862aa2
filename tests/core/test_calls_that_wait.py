"""Calls beside the graph that wait: how they are counted, what an ending run makes of them, what they get."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from builders import RUN, Play, Said, Saved, answering, child, reacting, signal, step, undoing
from msgspec import Raw

from stream_durable.client.reactions import reaction_states
from stream_durable.core.effects import Effects
from stream_durable.core.format import INSIDE, READS
from stream_durable.core.messages import (
    AttemptWaits,
    CancelRun,
    EventGiven,
    EventReacted,
    InnerWait,
    ReadOpened,
)
from stream_durable.core.policy import NO_RETRY, RetryPolicy
from stream_durable.core.run import beside
from stream_durable.core.run.redrive import redrive

PATIENT = RetryPolicy(attempts=1_000, base_ms=30_000)
TWICE = RetryPolicy(attempts=2)


def hitting(*nodes: Any, concurrency: int = 1, retry: RetryPolicy = NO_RETRY, **options: Any) -> Play:
    """Return a run that reacts to signals."""
    beside = (reacting("hit", concurrency=concurrency, retry=retry),)
    return Play(*(nodes or (signal("w"),)), beside=beside, **options)


def reading(concurrency: int, *nodes: Any, **options: Any) -> Play:
    """Return a run that reacts to events."""
    beside = (reacting(event="paid", concurrency=concurrency),)
    return Play(*(nodes or (signal("w"),)), beside=beside, input=b'{"id":7}', **options)


def waits(play: Play, name: str, *signals: str) -> Said:
    """Let a call wait for signals."""
    nodes = (signal(f"{name}/{each}", signals=(each,)) for each in signals)
    inner = tuple(InnerWait(at, Raw(msgspec.json.encode(node))) for at, node in enumerate(nodes, 1))
    message = AttemptWaits(key=RUN, step=name, attempt=1, worker="w1", format=INSIDE, waits=inner)
    return play.tell(message)


def give(play: Play, event: str, number: int, more: int = 0, data: bytes = b"1") -> Said:
    given = EventGiven(
        key=RUN, reaction="~on_paid", id=event, ordinal=1, number=number, channel="paid/7", data=Raw(data),
        more=more, format=READS,
    )  # fmt: skip
    return play.tell(given)


def asked_after(said: Said) -> list[tuple[int, int]]:
    return [(each.number, each.room) for each in said.messages if isinstance(each, EventReacted)]


class TestARunWithNothingElseLeft:
    def test_it_makes_no_more_calls_however_many_waits_are_inside(self) -> None:
        play = hitting(concurrency=2)
        play.signalled("hit", id="s0")
        waits(play, "~on_hit.0", "x", "y", "z")
        play.signalled(id="go")
        assert play.signalled("hit", id="s1").asked == []
        play.reload()
        assert play.signalled("hit", id="s2").asked == []

    def test_it_makes_none_after_one_that_ends_as_it_waits(self) -> None:
        play = hitting()
        play.signalled("hit", id="s0")
        waits(play, "~on_hit.0", "x", "y")
        play.signalled("hit", id="s1")
        play.signalled(id="go")
        assert play.step_cancelled("~on_hit.0").asked == []
        assert play.run.status == "completed"

    def test_one_with_waits_inside_and_work_left_goes_on(self) -> None:
        play = hitting(signal("w"), signal("v", signals=("never",)), concurrency=2)
        play.signalled("hit", id="s0")
        waits(play, "~on_hit.0", "x", "y", "z")
        play.signalled(id="go")
        assert play.signalled("hit", id="s1").asked == [("~on_hit.1", 1)]

    def test_it_makes_them_when_a_step_is_retried(self) -> None:
        play = Play(step("a"), beside=(answering("quote"), answering("state")))
        play.inquired("q1")
        play.inquired("s1", name="state")
        play.completed("a")
        play.inquired("s2", name="state")
        assert play.completed("~state.0").asked == []
        assert play.retried("a").asked == [("a", 2), ("~state.1", 1)]


class TestOneBeforeAnotherAttempt:
    def test_a_run_that_is_cancelled_waits_for_none(self) -> None:
        play = hitting(step("a", compensation=undoing("a")), signal("w", "a"), retry=PATIENT)
        play.completed("a")
        play.signalled("hit", id="s0")
        play.failed("~on_hit.0")
        assert play.cancelled(compensate=True).asked == [("a~compensate", 1)]
        assert (play.status("~on_hit.0"), play.step("~on_hit.0").due) == ("cancelled", None)

    def test_an_attempt_that_fails_meanwhile_is_the_last(self) -> None:
        play = hitting(step("a", compensation=undoing("a")), signal("w", "a"), retry=PATIENT)
        play.completed("a")
        play.signalled("hit", id="s0")
        assert play.cancelled(compensate=True).asked == []
        assert play.failed("~on_hit.0").asked == [("a~compensate", 1)]
        assert play.status("~on_hit.0") == "cancelled"

    def test_a_run_that_is_finished_waits_for_none(self) -> None:
        play = hitting(concurrency=2, retry=PATIENT)
        play.signalled("hit", id="s0")
        play.signalled("hit", id="s1")
        play.failed("~on_hit.0")
        play.finished("~on_hit.1")
        assert (play.run.status, play.run.active) == ("completed", 0)

    @pytest.mark.parametrize("fails_late", [False, True])
    def test_the_next_try_of_the_graph_calls_it_again(self, fails_late: bool) -> None:  # noqa: FBT001
        play = hitting(step("a"), signal("w", "a"), concurrency=2, retry=PATIENT, restart=TWICE)
        for n in range(3):
            play.signalled("hit", id=f"s{n}")
        if not fails_late:
            play.failed("~on_hit.0")
        play.failed("a")
        assert play.run.status == "running"
        if fails_late:
            play.failed("~on_hit.0")
        play.completed("~on_hit.1")
        assert (play.run.status, play.run.active, play.run.left) == ("pending", 0, 2)
        play.reload()
        assert play.fire().asked == [("a", 2), ("~on_hit.0", 2), ("~on_hit.2", 1)]


def test_a_signal_that_several_wait_for_is_for_the_earliest_call() -> None:
    play = hitting(concurrency=20)
    for n in range(12):
        play.signalled("hit", id=f"s{n}")
        waits(play, f"~on_hit.{n}", "pong")
    play.reload()
    got = [play.signalled("pong", id=f"p{n}").asked for n in range(12)]
    assert got == [[(f"~on_hit.{n}", 1)] for n in range(12)]


def test_a_takeover_between_two_tries_of_the_graph_registers_again() -> None:
    play = reading(1, step("a"), signal("w", "a"), restart=TWICE)
    play.failed("a")
    assert play.run.status == "pending"
    play.reload()
    out = Effects()
    redrive(play.run, out)
    [again] = out.messages
    assert isinstance(again, ReadOpened) and again.ordinal == 1


def test_one_beyond_which_the_channel_is_asked_after_a_repeat_is_counted_once() -> None:
    play = reading(3)
    give(play, "e1", 1)
    play.completed("~on_paid.0")
    give(play, "e2", 5, more=1)
    # Forgotten by the channel meanwhile, and published again.
    assert asked_after(give(play, "e1", 6)) == [(6, 2)]
    play.reload()
    assert reaction_states(play.run, {"~on_paid": 0})["on_paid"].behind == 1
    assert asked_after(play.completed("~on_paid.1")) == []


def test_a_reaction_whose_call_is_put_back_waits_for_the_next_try() -> None:
    first = step("a", compensation=undoing("a"))
    play = hitting(first, step("b"), signal("w", "a"), restart=TWICE)
    play.completed("a")
    play.signalled("hit", id="s0")
    waits(play, "~on_hit.0", "pong")
    play.failed("b")
    state = reaction_states(play.run, {"~on_hit": 0})["on_hit"]
    assert (state.behind, state.step, state.waits_for[0].text) == (1, None, "the next try of the run")


@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_child_left_behind_by_an_earlier_call_in_its_step_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
    is_loaded: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(beside, "SLOTS", 2)
    play = hitting()
    for n in range(3):
        name, attempt = f"~on_hit.{n % 2}", 1 + n // 2
        play.signalled("hit", id=f"s{n}")
        if n < 2:
            node = child(f"{name}/kid", wait=False)
            inner = (InnerWait(1, Raw(msgspec.json.encode(node))),)
            play.tell(AttemptWaits(key=RUN, step=name, attempt=1, worker="w1", format=INSIDE, waits=inner))
        play.completed(name, attempt=attempt)
    if is_loaded:
        saved = Saved()
        play.run.is_new = True
        play.run.touched.update(dict.fromkeys(play.run.steps))
        saved.save(play.run)
        play.run = saved.load_run(RUN, play.graph)
    said = play.cancelled()
    assert [each.key for each in said.messages if isinstance(each, CancelRun)] == ["run-1//~on_hit.1/kid"]


def test_what_calls_carry_is_in_the_weight_of_a_run_until_they_end() -> None:
    play = reading(3)
    before = play.run.payload
    large = b'"%s"' % (b"x" * 900_000)
    give(play, "e1", 1, data=large)
    give(play, "e2", 2, data=large)
    assert play.run.payload == before + 2 * len(large)
    play.reload()
    assert play.run.payload == before + 2 * len(large)
    play.completed("~on_paid.0", b"")
    assert play.run.payload == before + len(large)
    play.cancelled()
    assert play.run.payload == before
    play.reload()
    assert play.run.payload == before
