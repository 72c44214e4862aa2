"""What is said about a run, put into order: whatever comes twice, too early or not at all."""

import random

import pytest

from stream_durable.client.sequence import Sequence
from stream_durable.core.lifecycle import RunEvent, StepEvent

Event = RunEvent | StepEvent


def step(sequence: int) -> StepEvent:
    return StepEvent("step.completed", "r", "order", "f", sequence, 1, f"s{sequence}", 1)


def run(sequence: int, step_sequence: int, kind: str = "run.started") -> RunEvent:
    return RunEvent(kind, "r", "order", "f", sequence, 1, step_sequence, "m")


STORY: list[Event] = [run(1, 0), step(1), step(2), step(3), run(2, 3, "run.completed")]


def told(order: Sequence, *events: Event) -> list[Event]:
    given: list[Event] = []
    for event in events:
        order.add(event)
        given += order.take()
    return given


def test_a_story_in_order_is_given_as_it_comes() -> None:
    order = Sequence()

    assert told(order, *STORY) == STORY
    assert order.has_ended
    assert not order.is_holding


@pytest.mark.parametrize("seed", range(50))
def test_in_whatever_order_it_comes_and_however_often_it_is_given_once_and_in_order(seed: int) -> None:
    said = STORY * 3
    random.Random(seed).shuffle(said)
    order = Sequence()

    assert told(order, *said) == STORY
    assert not order.is_holding


def test_the_end_waits_for_the_steps_before_it() -> None:
    order = Sequence()

    assert told(order, run(1, 0), run(2, 1, "run.failed")) == [run(1, 0)]
    assert order.is_holding
    assert not order.has_ended
    assert told(order, step(1)) == [step(1), run(2, 1, "run.failed")]


def test_steps_wait_for_the_beginning() -> None:
    order = Sequence()

    assert told(order, step(1)) == []
    assert told(order, run(1, 0)) == [run(1, 0), step(1)]


def test_what_has_expired_is_skipped_when_told_so() -> None:
    order = Sequence()
    assert told(order, step(7), step(8), run(2, 8, "run.completed")) == []

    order.skip()

    assert list(order.take()) == [step(7), step(8), run(2, 8, "run.completed")]
    assert order.has_ended


def test_when_all_but_the_end_has_expired_the_end_is_given() -> None:
    order = Sequence()
    assert told(order, run(2, 8, "run.cancelled")) == []

    order.skip()

    assert list(order.take()) == [run(2, 8, "run.cancelled")]


def test_steps_that_have_expired_in_the_middle_are_skipped() -> None:
    order = Sequence()
    assert told(order, run(1, 0), step(3), run(2, 3, "run.completed")) == [run(1, 0)]

    order.skip()

    assert list(order.take()) == [step(3), run(2, 3, "run.completed")]


def test_a_run_that_goes_on_after_its_end_is_told_further() -> None:
    order = Sequence()
    assert told(order, *STORY) == STORY
    assert (order.has_ended, order.run_sequence) == (True, 2)

    order.go_on()
    more = [run(3, 3, "run.retried"), step(4), run(4, 4, "run.completed")]

    assert told(order, *reversed(more)) == more
    assert order.has_ended
