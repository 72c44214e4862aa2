"""A sleep until a moment by the calendar: the moment is computed once, and from then on is on the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import NOON, RUN, Play, Said, lasting_picture, step, until

from stream_durable.core.definition.moments import AnyMoment, Fixed, Found, NextDay, PeriodEnd
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import SleepUntil
from stream_durable.core.run import sleeping
from stream_durable.core.run.redrive import redrive
from stream_durable.core.status import Outcome

HOUR = 3_600_000
BERLIN = "Europe/Berlin"


def text(ms: int) -> bytes:
    return f'{{"at":"{datetime.fromtimestamp(ms / 1000, UTC).isoformat()}"}}'.encode()


def sent(said: Said) -> SleepUntil:
    """Return the only message that was asked for."""
    [message] = said.messages
    assert isinstance(message, SleepUntil)
    return message


def nap(moment: AnyMoment = PeriodEnd(of="day"), zone: str = "UTC", **start: Any) -> Play:  # noqa: B008
    return Play(until("nap", moment=moment, zone=zone), step("a", "nap"), **start)


def test_a_sleep_begins_without_a_timer_and_gets_one_from_the_log() -> None:
    play = nap()

    message = sent(play.began)
    assert (play.status("nap"), play.due("nap")) == ("waiting", None)
    assert (message.step, message.attempt, message.format, message.failure) == ("nap", 1, 2, None)
    assert play.began.facts == ["run.started", "step.waiting nap"]
    said = play.tell(message)

    assert message.at is not None and NOON < message.at <= NOON + 24 * HOUR and message.at % (24 * HOUR) == 0
    assert (said.outcome, play.due("nap")) == (Outcome.APPLIED, message.at)
    assert play.fire("nap").facts == ["step.completed nap"]
    assert play.step("nap").output == b"null"


def test_the_zone_says_when_the_day_ends() -> None:
    utc, tokyo = sent(nap().began).at, sent(nap(zone="Asia/Tokyo").began).at

    assert utc is not None and tokyo is not None
    assert (utc - tokyo) % (24 * HOUR) == 9 * HOUR
    assert sent(nap(zone="input.zone", input=b'{"zone":"Asia/Tokyo"}').began).at == tokyo


@pytest.mark.parametrize("ahead", [-HOUR, 0])
def test_a_moment_that_is_over_ends_the_sleep_at_once(ahead: int) -> None:
    play = nap(Found(path="input.at"), input=text(NOON + ahead))

    said = play.tell(sent(play.began))

    assert said.facts == ["step.completed nap"]
    assert said.timers.get("nap") is None


def test_a_path_leads_to_a_moment_or_a_list_of_holidays() -> None:
    assert sent(nap(Found(path="input.at"), input=text(NOON + HOUR)).began).at == NOON + HOUR
    # NOON is a Monday evening.
    days = NextDay(weekdays=(0, 1, 2, 3, 4), holidays="input.free")
    free = sent(nap(days, input=b'{"free":["2025-11-25"]}').began).at
    assert free == sent(nap(NextDay(weekdays=(2,))).began).at


@pytest.mark.parametrize(
    ("moment", "zone", "given", "code"),
    [
        (Found(path="input.at"), "UTC", b'{"at":"soon"}', "bad_moment"),
        (Found(path="input.at"), "UTC", b'{"at":1764000000}', "bad_moment"),
        (Found(path="input.at"), "UTC", b"{}", "path_missing"),
        (NextDay(weekdays=(0,), holidays="input.at"), "UTC", b'{"at":"2025-12-25"}', "bad_moment"),
        (NextDay(weekdays=(0,), holidays="input.at"), "UTC", b'{"at":["25.12.2025"]}', "bad_moment"),
        (PeriodEnd(of="day"), "input.at", b'{"at":7}', "unknown_zone"),
    ],
)
def test_what_follows_from_the_log_fails_at_once(
    moment: AnyMoment, zone: str, given: bytes, code: str
) -> None:
    play = nap(moment, zone, input=given)

    failure = play.step("nap").failure
    assert failure is not None and (play.run.status, failure.code) == ("failed", code)
    assert not play.began.messages


@pytest.mark.parametrize(
    ("moment", "zone", "code"),
    [
        (PeriodEnd(of="day"), "input.zone", "unknown_zone"),
        (Fixed(at="2400-01-01"), "UTC", "bad_moment"),
        (NextDay(weekdays=(0,), at="09:00"), "input.zone", "unknown_zone"),
    ],
)
def test_what_follows_from_the_zone_data_fails_by_the_log(moment: AnyMoment, zone: str, code: str) -> None:
    play = nap(moment, zone, input=b'{"zone":"Mars/Olympus"}')

    message = sent(play.began)
    assert (play.run.status, message.at) == ("running", None)
    play.tell(message)

    failure = play.step("nap").failure
    assert failure is not None and (play.run.status, failure.code) == ("failed", code)


class TestInterleavings:
    def test_a_duplicate_changes_nothing(self) -> None:
        play = nap()
        message = sent(play.began)
        play.tell(message)
        play.reload()

        assert play.tell(message).outcome is Outcome.DUPLICATE
        play.fire("nap")
        assert play.tell(message).outcome is Outcome.LATE

    def test_it_comes_after_a_takeover_and_a_pause(self) -> None:
        play = nap()
        play.reload()
        play.paused()

        assert play.tell(sent(play.began)).outcome is Outcome.APPLIED
        assert play.fire("nap").facts == ["step.completed nap"]
        assert "a" in [command.step for command in play.resumed().commands]

    @pytest.mark.parametrize(
        "end",
        [
            lambda play: play.cancelled(),
            lambda play: play.step_cancelled("nap"),
            lambda play: play.step_skipped("nap"),
        ],
    )
    def test_a_sleep_that_was_ended_meanwhile_is_late(self, end: Callable[[Play], object]) -> None:
        play = nap()
        message = sent(play.began)
        end(play)

        said = play.tell(message)

        assert said.outcome is Outcome.LATE
        assert said.is_silent

    def test_the_moment_of_an_earlier_attempt_is_late(self) -> None:
        play = nap()
        first = sent(play.began)
        play.cancelled()
        play.now += 30 * HOUR
        again = sent(play.retried(whole=True))

        assert (again.attempt, again.at) != (first.attempt, first.at)
        assert play.tell(first).outcome is Outcome.LATE
        assert play.tell(again).outcome is Outcome.APPLIED
        assert play.due("nap") == again.at

    def test_whoever_asks_again_after_a_loss_computes_from_the_beginning_of_the_sleep(self) -> None:
        play = nap()
        message = sent(play.began)
        play.now += 50 * HOUR
        lost = Effects()
        redrive(play.run, lost)

        assert lost.messages == [message]
        play.tell(message)
        known = Effects()
        redrive(play.run, known)
        assert not known.messages

    @pytest.mark.parametrize("step_name", ["a", "ghost"])
    def test_a_step_that_does_not_sleep_is_refused(self, step_name: str) -> None:
        message = SleepUntil(key=RUN, step=step_name, attempt=1, format=2, at=NOON)

        assert nap().refused(message) == "unknown_step"


def test_other_zone_data_makes_no_other_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild, on a machine whose zone data says something else, comes out as what was lived."""
    lived = nap(zone=BERLIN)
    log = [sent(lived.began)]
    lived.tell(log[0])

    def elsewhere(*args: object) -> int:
        raise RejectedError("unknown_zone", "this machine knows no zones")

    monkeypatch.setattr(sleeping, "moment_after", elsewhere)
    rebuilt = nap(zone=BERLIN)
    assert sent(rebuilt.began) != log[0]
    rebuilt.tell(log[0])

    assert lasting_picture(rebuilt.run) == lasting_picture(lived.run)
