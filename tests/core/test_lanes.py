"""First attempts of what a run begins with have a lane of their own; cancellations follow their attempts."""

from __future__ import annotations

import pytest
from builders import Play, Said, each, hook, step, undoing

from stream_durable.core.definition.guards import QueueRule
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import LANES
from stream_durable.core.ids import QUEUE
from stream_durable.core.lanes import first_lane, is_first, lanes_of, queue_of
from stream_durable.core.messages import CancelRun
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.run.redrive import redrive, redrive_commands

TWICE = RetryPolicy(attempts=2, base_ms=1_000)


def lanes(said: Said) -> list[tuple[str, str]]:
    return [(lane, command.step) for lane, command in said.effects.commands]


def test_what_a_run_begins_with_waits_behind_what_has_begun() -> None:
    play = Play(step("a"), step("b"), step("c", "a"), in_format=LANES)

    assert lanes(play.began) == [("default.first", "a"), ("default.first", "b")]
    assert lanes(play.completed("a")) == [("default", "c")]


def test_the_lanes_are_those_of_the_queue_of_the_step() -> None:
    play = Play(step("a", queue="mail"), step("b"), start={"queue": "slow"}, in_format=LANES)

    assert lanes(play.began) == [("mail.first", "a"), ("slow.first", "b")]


def test_lanes_by_priority_are_those_of_the_step_or_else_of_the_run() -> None:
    rule = QueueRule(name="default", has_lanes=True)
    play = Play(
        step("a"), step("b", priority=-1), step("c", priority=0), step("d", "a", priority=50),
        step("e", queue="mail"), queues=(rule,), start={"priority": 5}, in_format=LANES,
    )  # fmt: skip

    assert lanes(play.began) == [
        ("default.high.first", "a"),
        ("default.low.first", "b"),
        ("default.first", "c"),
        ("mail.first", "e"),
    ]
    assert [getattr(one, "priority", None) for _, one in play.began.effects.commands] == [5, -1, 0, 5]
    assert lanes(play.completed("a")) == [("default.high", "d")]
    play.reload()
    said = play.tell(CancelRun(key="run-1", id="x"))
    assert sorted(lanes(said)) == [
        ("default.first", "c"), ("default.high", "d"), ("default.low.first", "b"), ("mail.first", "e"),
    ]  # fmt: skip


def test_a_retry_has_begun() -> None:
    play = Play(step("a", retry=TWICE), in_format=LANES)
    play.failed("a")

    assert lanes(play.fire("a")) == [("default", "a")]


@pytest.mark.parametrize("begins", [{"parent": "p", "parent_step": "s"}, {}])
def test_a_child_is_under_way_with_its_parent(begins: dict[str, str]) -> None:
    play = Play(step("a"), start=begins, in_format=LANES)

    assert lanes(play.began) == [("default" if begins else "default.first", "a")]


def test_members_hooks_and_compensations_have_begun() -> None:
    play = Play(
        step("a", compensation=undoing("a")), each("g", "a", over="a"), hooks=(hook("on_failure"),),
        in_format=LANES,
    )  # fmt: skip

    assert lanes(play.completed("a", b"[1]")) == [("default", "g[0]")]
    assert lanes(play.failed("g[0]")) == [("default", "a~compensate")]
    assert lanes(play.completed("a~compensate")) == [("default", "~on_failure")]


def test_a_cancellation_follows_its_attempt() -> None:
    play = Play(step("a"), step("b", "a"), in_format=LANES)
    play.reload()

    said = play.tell(CancelRun(key="run-1", id="x"))

    assert said.cancels == [("a", 1)]
    assert lanes(said) == [("default.first", "a")]


def test_a_run_of_an_earlier_format_keeps_to_one_lane_when_the_format_is_raised() -> None:
    play = Play(step("a"), step("b"))
    play.in_format = LANES
    play.reload()

    assert lanes(play.began) == [("default", "a"), ("default", "b")]
    assert lanes(play.tell(CancelRun(key="run-1", id="x"))) == [("default", "a"), ("default", "b")]


def test_a_redrive_asks_in_the_same_lanes() -> None:
    play = Play(step("a"), step("b"), step("c", "a"), in_format=LANES)
    play.completed("a")
    everything, first, begun = Effects(LANES), Effects(LANES), Effects(LANES)

    redrive(play.run, everything)
    redrive_commands({"default.first"}, play.run, first)
    redrive_commands({"default"}, play.run, begun)

    assert [lane for lane, _ in everything.commands] == ["default.first", "default"]
    assert [(lane, one.step) for lane, one in first.commands] == [("default.first", "b")]
    assert [(lane, one.step) for lane, one in begun.commands] == [("default", "c")]


def test_lanes_have_the_names_of_queues() -> None:
    assert lanes_of("mail") == ("mail", "mail.first")
    assert [queue_of(lane) for lane in lanes_of("mail")] == ["mail", "mail"]
    assert [is_first(lane) for lane in lanes_of("mail")] == [False, True]
    assert QUEUE.match("first") and QUEUE.match("first.mail") and not QUEUE.match(first_lane("mail"))


def test_no_run_takes_a_lane_for_its_queue() -> None:
    with pytest.raises(RejectedError) as refused:
        Play(step("a"), start={"queue": "mail.first"})

    assert refused.value.code == "bad_queue"
