"""How far the log's clock is ahead of our own, or behind it."""

from __future__ import annotations

from stream_durable.engine.log_clock import LogClock


class Own:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1_000_000

    def now(self) -> int:
        return self.time


def clocks(ahead_ms: int) -> tuple[Own, LogClock]:
    """Return our own clock, and the log's after a record that says it is so far ahead of ours."""
    own = Own()
    log = LogClock(own)
    log.hear(own.time + ahead_ms)
    return own, log


def test_it_is_our_own_clock_until_a_record_says_otherwise() -> None:
    own = Own()

    assert LogClock(own).now() == own.time


def test_a_log_that_is_ahead_of_us_is_believed() -> None:
    own, log = clocks(40_000)

    assert log.now() == own.time + 40_000


def test_of_several_records_the_one_that_arrived_fastest_counts() -> None:
    own, log = clocks(40_000)

    log.hear(own.time + 32_000)

    assert log.now() == own.time + 40_000


def test_a_backlog_is_not_taken_for_a_clock_that_is_ahead() -> None:
    own, log = clocks(-60_000)

    assert log.now() == own.time


def test_our_own_clock_is_set_back_once_a_timer_was_early() -> None:
    own, log = clocks(-40_000)

    log.was_early()

    assert log.now() == own.time - 40_000


def test_what_was_heard_is_forgotten_after_a_minute() -> None:
    own, log = clocks(40_000)

    for _ in range(3):
        own.time += 30_000
        log.hear(own.time)

    assert log.now() == own.time


def test_a_clock_that_was_put_right_is_believed_again() -> None:
    own, log = clocks(-40_000)
    log.was_early()
    own.time -= 40_000

    log.hear(own.time)

    assert log.now() == own.time


def test_small_differences_are_the_network() -> None:
    own, log = clocks(200)

    assert log.now() == own.time
