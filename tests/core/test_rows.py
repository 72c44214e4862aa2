"""Entities as rows and back, and how much the cache thinks they weigh."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from builders import NOON, Meeting, Play, Saved, event, lasting_picture, signal, sleep, step

from stream_durable.core.messages import WaitClosed, WaitOpened
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.run import rows

RETRY = RetryPolicy(attempts=3)
NODES = (step("a", retry=RETRY), step("b", "a"), sleep("nap", "a"), signal("ok", "a"), event("pay", "a"))

MOMENTS: dict[str, Callable[[Play], object]] = {
    "just begun": lambda play: None,
    "under way": lambda play: play.started("a", timeout_ms=99),
    "worker lost": lambda play: (play.started("a"), play.fire("a")),
    "to be retried": lambda play: play.failed("a"),
    "second attempt": lambda play: (play.failed("a"), play.fire("a")),
    "given back": lambda play: play.returned("a", delay_ms=5),
    "one step further": lambda play: play.completed("a", b'{"x": 1}'),
    "a signal kept": lambda play: play.signalled("other", b'{"y": "\xc3\xa9"}'),
    "a signal taken": lambda play: (play.signalled("go", b"1"), play.completed("a")),
    "waiting": lambda play: (play.completed("a"), play.completed("b")),
    "failed": lambda play: play.failed("a", retryable=False),
    "failed later": lambda play: (play.completed("a"), play.failed("b")),
    "cancelled": lambda play: (play.completed("a"), play.cancelled("why")),
    "out of time": lambda play: play.fire(),
    "completed": lambda play: (
        play.completed("a"), play.completed("b", b"2"), play.fire("nap"), play.signalled(),
        play.delivered("pay"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_a_run_comes_back_as_it_was(moment: Callable[[Play], object]) -> None:
    play = Play(*NODES, input=b'{"id": 7}', timeout_ms=60_000, tags=("eu", "x"), trace="00-1")
    moment(play)

    saved = Saved()
    saved.save(play.run)

    assert lasting_picture(saved.load(play.run)) == lasting_picture(play.run)


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_changes_alone_bring_a_run_as_far(moment: Callable[[Play], object]) -> None:
    play = Play(*NODES, input=b'{"id": 7}', timeout_ms=60_000)
    saved = Saved()
    saved.save(play.run)

    moment(play)
    saved.save(play.run)

    assert lasting_picture(saved.load(play.run)) == lasting_picture(play.run)


def test_a_step_in_its_first_attempt_needs_no_row() -> None:
    play = Play(step("a"), step("b"))

    assert rows.step_rows(play.run) == []


def test_only_steps_that_changed_are_written() -> None:
    play = Play(step("a"), step("b"), step("c", "a", "b"))
    Saved().save(play.run)

    play.completed("b")

    assert [row.name for row in rows.step_rows(play.run)] == ["b"]


def test_a_run_waits_for_people_when_all_that_is_left_of_it_waits() -> None:
    play = Play(step("a"), signal("ok"), step("b", "ok"))
    assert rows.phase(play.run) == "running"

    play.completed("a")
    assert rows.phase(play.run) == "waiting"

    play.signalled()
    assert rows.phase(play.run) == "running"


def test_progress_is_counted_in_steps() -> None:
    play = Play(step("a"), step("b", "a"))
    play.completed("a")

    row = rows.run_row(play.run)

    assert (row.done, row.total, row.created, row.partition) == (1, 2, NOON, 3)


def test_a_channel_comes_back_as_it_was() -> None:
    meeting = Meeting()
    saved = Saved()
    changes: tuple[Callable[[], object], ...] = (
        lambda: meeting.tell(WaitOpened(key="paid/7", run="r1", wait="w")),
        lambda: meeting.tell(WaitOpened(key="paid/7", run="r2", wait="w")),
        lambda: meeting.tell(WaitClosed(key="paid/7", run="r1", wait="w")),
        lambda: meeting.published("e1", b'{"a": 1}', ttl_ms=1_000),
        lambda: meeting.published("e2", b"2", ttl_ms=5_000),
        lambda: meeting.tell(WaitOpened(key="paid/7", run="r3", wait="w")),
        meeting.fire,
        meeting.fire,
    )
    for change in changes:
        change()
        saved.save(meeting.channel)

        assert lasting_picture(saved.load(meeting.channel)) == lasting_picture(meeting.channel)
    assert saved.events == {}
    assert saved.waits == {}


class TestWeight:
    def test_a_payload_weighs_what_it_has(self) -> None:
        light, heavy = Play(step("a"), step("b", "a")), Play(step("a"), step("b", "a"))

        light.completed("a", b"1")
        heavy.completed("a", b'"%b"' % (b"x" * 99_998))

        assert heavy.run.weight() - light.run.weight() == 99_999

    def test_a_kept_signal_weighs_until_it_is_taken(self) -> None:
        play = Play(step("a"), signal("w", "a"), step("b", "w"))
        before = play.run.payload

        play.signalled("go", b"x" * 1_000)
        assert play.run.payload == before + 1_000

        play.completed("a", b"")
        assert play.run.payload == before + 1_000  # now as the output of the wait

    def test_an_event_weighs_until_it_expires(self) -> None:
        meeting = Meeting()
        before = meeting.channel.weight()

        meeting.published(data=b"x" * 1_000)
        assert meeting.channel.weight() > before + 1_000

        meeting.fire()
        assert meeting.channel.weight() == before

    def test_weighing_looks_at_no_step_and_no_event(self) -> None:
        play = Play(*[signal(f"w{i}") for i in range(50)])
        meeting = Meeting()
        meeting.published()

        play.run.steps = Unlooked(play.run.steps)
        meeting.channel.events = Unlooked(meeting.channel.events)

        assert play.run.weight() > 50 * 200
        assert meeting.channel.weight() > 0


class Unlooked(dict):  # type: ignore[type-arg]
    """A dictionary that nobody may go through."""

    def __iter__(self):  # type: ignore[no-untyped-def]
        raise AssertionError("gone through")

    values = items = keys = __iter__
