"""What workers say of an attempt, in the order in which they should and in every other."""

from __future__ import annotations

import msgspec
import pytest
from builders import NOON, RUN, Play, event, signal, sleep, step

from stream_durable.core.failure import LOOP_BLOCKED, Failure
from stream_durable.core.lifecycle import StepEvent
from stream_durable.core.messages import (
    AttemptCompleted,
    AttemptFailed,
    AttemptHeartbeat,
    AttemptMessage,
    AttemptReturned,
    AttemptStarted,
    CancelRun,
    CancelStep,
    RunTimerFired,
)
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.run.attempts import LOSSES_MAX
from stream_durable.core.status import Outcome

THRICE = RetryPolicy(attempts=3, base_ms=1_000, cap_ms=60_000)
FAILURE = Failure("Oops")


def a_timer(name: str, due: int | None) -> RunTimerFired:
    assert due is not None
    return RunTimerFired(key=RUN, timer=name, due=due)


def test_a_completed_step_hands_its_output_to_those_that_take_it() -> None:
    play = Play(step("a"), step("b", "a", takes=("a",)), step("c", "a"))

    said = play.completed("a", b'{"n":1}')

    assert said.facts == ["step.completed a"]
    assert [{k: bytes(v) for k, v in c.outputs.items()} for c in said.commands] == [{"a": b'{"n":1}'}, {}]


def test_a_step_begins_when_the_last_of_its_dependencies_has_ended() -> None:
    play = Play(step("a"), step("b"), step("c", "a", "b"))

    assert play.completed("b").asked == []
    assert play.completed("a").asked == [("c", 1)]


def test_what_a_worker_said_of_an_attempt_is_published_with_it() -> None:
    play = Play(step("a"), step("b"))

    said = play.tell(
        AttemptCompleted(key=RUN, step="a", attempt=1, worker="w7", started=NOON - 5, finished=NOON)
    )

    (published,) = said.effects.events
    assert isinstance(published, StepEvent)
    assert (published.worker, published.started, published.finished) == ("w7", NOON - 5, NOON)
    assert (published.sequence, published.time, published.attempt) == (1, NOON, 1)


def test_a_repeated_result_is_a_duplicate() -> None:
    play = Play(step("a"), step("b", "a"))
    play.completed("a", b"1")

    again = play.completed("a", b"2")

    assert again.outcome is Outcome.DUPLICATE
    assert again.is_silent
    assert play.step("a").output == b"1"


def test_a_failure_after_the_value_is_late() -> None:
    play = Play(step("a"), step("b", "a"))
    play.completed("a", b"1")

    late = play.failed("a")

    assert late.outcome is Outcome.LATE
    assert late.is_silent


class TestRetry:
    def test_a_failed_attempt_is_planned_again(self) -> None:
        play = Play(step("a", retry=THRICE))

        said = play.failed("a", "Oops")

        assert said.facts == ["step.retrying a"]
        assert said.asked == []
        assert said.timers == {"a": NOON + 1_000}
        assert play.status("a") == "retrying"

    def test_the_planned_attempt_is_asked_for_when_its_time_has_come(self) -> None:
        play = Play(step("a", retry=THRICE))
        play.failed("a")

        said = play.fire("a")

        assert said.asked == [("a", 2)]
        assert said.timers == {"a": None}

    def test_back_off_doubles(self) -> None:
        play = Play(step("a", retry=THRICE))

        delays = []
        for attempt in (1, 2):
            play.failed("a", attempt=attempt)
            delays.append((play.due("a") or 0) - play.now)
            play.fire("a")

        assert delays == [1_000, 2_000]

    def test_the_last_attempt_fails_the_step_and_the_run(self) -> None:
        play = Play(step("a", retry=RetryPolicy(attempts=2, base_ms=0)))
        play.failed("a")
        play.fire("a")

        said = play.failed("a", "Broken", attempt=2)

        assert said.facts == ["step.failed a", "run.failed"]
        assert play.run.failure is not None
        assert (play.run.failure.code, play.run.failure.step) == ("Broken", "a")

    def test_a_failure_that_is_not_retryable_is_not_retried(self) -> None:
        play = Play(step("a", retry=THRICE))

        assert play.failed("a", retryable=False).facts == ["step.failed a", "run.failed"]

    @pytest.mark.parametrize(
        ("policy", "code", "is_retried"),
        [
            (RetryPolicy(attempts=2, on=("A",)), "A", True),
            (RetryPolicy(attempts=2, on=("A",)), "B", False),
            (RetryPolicy(attempts=2, not_on=("B",)), "A", True),
            (RetryPolicy(attempts=2, not_on=("B",)), "B", False),
        ],
    )
    def test_codes_decide_what_is_retried(self, policy: RetryPolicy, code: str, is_retried: bool) -> None:
        play = Play(step("a", retry=policy))

        play.failed("a", code)

        assert play.status("a") == ("retrying" if is_retried else "failed")

    def test_a_repeated_failure_is_a_duplicate_and_moves_nothing(self) -> None:
        play = Play(step("a", retry=THRICE))
        play.failed("a")
        due = play.due("a")
        play.now += 500

        again = play.failed("a")

        assert again.outcome is Outcome.DUPLICATE
        assert again.is_silent
        assert play.due("a") == due

    def test_the_result_of_an_attempt_given_up_is_late(self) -> None:
        play = Play(step("a", retry=THRICE))
        play.failed("a")
        play.fire("a")

        late = play.completed("a", b"1", attempt=1)

        assert late.outcome is Outcome.LATE
        assert late.is_silent

    def test_a_value_that_comes_while_another_attempt_is_planned_is_late(self) -> None:
        play = Play(step("a", retry=THRICE))
        play.failed("a")

        assert play.completed("a").outcome is Outcome.LATE

    def test_a_timer_that_fires_twice_asks_once(self) -> None:
        play = Play(step("a", retry=THRICE))
        play.failed("a")
        due = play.due("a")
        play.fire("a")

        again = play.tell(a_timer("a", due))

        assert again.outcome is Outcome.LATE
        assert again.is_silent


class TestBackoff:
    @pytest.mark.parametrize(
        ("backoff", "delays"),
        [
            ("fixed", [100, 100, 100, 100]),
            ("linear", [100, 200, 300, 350]),
            ("exponential", [100, 200, 350, 350]),
        ],
    )
    def test_delays_grow_up_to_the_cap(self, backoff: str, delays: list[int]) -> None:
        policy = RetryPolicy(attempts=9, backoff=backoff, base_ms=100, cap_ms=350)  # type: ignore[arg-type]

        assert [policy.delay_ms(attempt) for attempt in (1, 2, 3, 4)] == delays

    def test_a_thousandth_attempt_is_no_number_without_end(self) -> None:
        policy = RetryPolicy(attempts=10_000, base_ms=1_000, cap_ms=1 << 60)

        assert policy.delay_ms(1_000) == 1_000 << 30

    def test_jitter_is_derived_and_so_the_same_on_every_replay(self) -> None:
        policy = RetryPolicy(attempts=3, base_ms=1_000, jitter=0.5)

        assert policy.delay_ms(1, "run-1", "a") == policy.delay_ms(1, "run-1", "a")

    def test_jitter_spreads_runs_steps_and_attempts_within_its_share(self) -> None:
        policy = RetryPolicy(attempts=3, backoff="fixed", base_ms=100_000, cap_ms=100_000, jitter=0.5)

        delays = {
            policy.delay_ms(attempt, run, name)
            for attempt in (1, 2)
            for run in map(str, range(20))
            for name in "ab"
        }

        assert len(delays) == 80
        assert all(50_000 < delay <= 100_000 for delay in delays)

    def test_a_retry_is_due_after_the_delay_that_run_and_step_give(self) -> None:
        policy = RetryPolicy(attempts=2, base_ms=60_000, jitter=1.0)
        play = Play(step("a", retry=policy))

        play.failed("a")

        assert play.due("a") == NOON + policy.delay_ms(1, RUN, "a")


class TestLease:
    def test_a_started_attempt_holds_a_lease(self) -> None:
        play = Play(step("a"))

        said = play.started("a", lease_ms=30_000)

        assert said.timers == {"a": NOON + 30_000}
        assert play.status("a") == "running"
        assert said.facts == []

    def test_a_heartbeat_extends_the_lease(self) -> None:
        play = Play(step("a"))
        play.started("a", lease_ms=30_000)
        play.now += 20_000

        said = play.beats("a", lease_ms=30_000)

        assert said.timers == {"a": NOON + 50_000}

    def test_the_timer_of_a_lease_that_was_extended_is_late(self) -> None:
        play = Play(step("a"))
        play.started("a", lease_ms=100)
        due = play.due("a")
        play.now += 50
        play.beats("a", lease_ms=100)

        late = play.tell(a_timer("a", due))

        assert late.outcome is Outcome.LATE
        assert late.is_silent

    def test_starting_twice_is_a_duplicate(self) -> None:
        play = Play(step("a"))
        play.started("a", "w1")

        assert play.started("a", "w1").outcome is Outcome.DUPLICATE

    def test_another_worker_takes_the_attempt_over(self) -> None:
        play = Play(step("a"))
        play.started("a", "w1")

        assert play.started("a", "w2").outcome is Outcome.APPLIED
        assert play.step("a").worker == "w2"
        assert play.beats("a", "w1").outcome is Outcome.LATE

    def test_each_worker_that_takes_it_over_counts_the_one_before_as_lost(self) -> None:
        play = Play(step("a"))
        for number in range(LOSSES_MAX + 1):
            assert play.started("a", f"w{number}").outcome is Outcome.APPLIED
            assert play.step("a").losses == number
        assert play.step("a").status == "running"

        play.started("a", "another")

        failure = play.step("a").failure
        assert failure is not None
        assert (play.step("a").status, failure.code) == ("failed", "worker_lost")

    def test_what_is_asked_for_again_says_how_often_a_worker_was_lost(self) -> None:
        play = Play(step("a"))
        play.started("a", "w1")
        play.started("a", "w2")

        said = play.fire("a")

        assert [command.losses for command in said.commands] == [2]

    def test_a_heartbeat_before_the_start_is_late_and_writes_nothing_down(self) -> None:
        play = Play(step("a"))

        assert play.beats("a").outcome is Outcome.LATE
        assert play.status("a") is None

    def test_a_worker_whose_partition_moved_hears_of_a_cancellation_by_its_heartbeat(self) -> None:
        play = Play(step("a"), step("b"))
        play.started("a")
        assert play.beats("a", reply_to=5).effects.redirected == []
        play.tell(CancelRun(key=RUN, id="c"))

        late = play.beats("a", reply_to=5)

        assert late.outcome is Outcome.LATE
        ((queue, partition, cancel),) = late.effects.redirected
        assert (queue, partition) == ("default", 5)
        assert (cancel.step, cancel.attempt, cancel.worker, cancel.must_answer) == ("a", 1, "w1", False)

    def test_an_attempt_that_has_to_answer_is_told_so_where_its_worker_hears_it(self) -> None:
        play = Play(step("a", compensation=step("undo")), step("b"))
        play.started("a")
        play.tell(CancelStep(key=RUN, id="c", step="a"))

        beat = play.beats("a", reply_to=5)

        assert beat.outcome is Outcome.APPLIED
        assert [cancel.must_answer for _, _, cancel in beat.effects.redirected] == [True]

    def test_a_heartbeat_of_a_step_without_attempts_cancels_nothing(self) -> None:
        play = Play(sleep("a"), step("b"))

        assert play.beats("a", reply_to=5).is_silent

    def test_a_start_after_the_result_is_late(self) -> None:
        play = Play(step("a"), step("b", "a"))
        play.completed("a")

        late = play.started("a")

        assert late.outcome is Outcome.LATE
        assert late.is_silent

    def test_the_result_ends_the_lease(self) -> None:
        play = Play(step("a"), step("b"))
        play.started("a")

        assert play.completed("a").timers == {"a": None}


class TestLostWorker:
    def test_the_same_attempt_is_asked_for_again(self) -> None:
        play = Play(step("a"))
        play.started("a")

        said = play.fire("a")

        assert said.asked == [("a", 1)]
        assert said.timers == {"a": None}
        assert said.facts == []

    def test_a_worker_that_was_given_up_may_still_answer(self) -> None:
        play = Play(step("a"))
        play.started("a")
        play.fire("a")

        assert play.completed("a").facts == ["step.completed a", "run.completed"]

    def test_losing_too_many_workers_fails_the_attempt(self) -> None:
        play = Play(step("a"))
        for n in range(LOSSES_MAX):
            play.started("a", f"w{n}")
            assert play.fire("a").asked == [("a", 1)]
        play.started("a", "last")

        said = play.fire("a")

        assert said.facts == ["step.failed a", "run.failed"]
        assert play.run.failure is not None
        assert play.run.failure.code == "worker_lost"

    def test_losses_are_counted_for_each_attempt_by_itself(self) -> None:
        play = Play(step("a", retry=THRICE))
        for n in range(LOSSES_MAX + 1):
            play.started("a", f"w{n}")
            play.fire("a")

        assert play.status("a") == "retrying"
        play.fire("a")
        assert (play.step("a").attempt, play.step("a").losses) == (2, 0)

    def test_after_one_that_blocked_its_worker_the_next_begins_alone(self) -> None:
        play = Play(step("a", retry=THRICE))
        play.failed("a", LOOP_BLOCKED)

        assert [(command.attempt, command.alone) for command in play.fire("a").commands] == [(2, True)]

        play.failed("a", "Oops", 2)
        assert [(command.attempt, command.alone) for command in play.fire("a").commands] == [(3, False)]


class TestAttemptTimeout:
    def test_an_attempt_out_of_time_fails_and_is_retried(self) -> None:
        play = Play(step("a", retry=THRICE, timeout_ms=1_000))
        play.started("a", lease_ms=30_000, timeout_ms=1_000)

        said = play.fire("a")

        assert play.now == NOON + 1_000
        assert said.facts == ["step.retrying a"]
        failure = play.step("a").failure
        assert failure is not None
        assert failure.code == "timeout"

    def test_a_heartbeat_does_not_move_the_time_out(self) -> None:
        play = Play(step("a"))
        play.started("a", lease_ms=30_000, timeout_ms=1_000)
        play.now += 900

        play.beats("a", lease_ms=30_000)

        assert play.due("a") == NOON + 1_000

    def test_a_worker_lost_before_the_time_out_is_not_a_time_out(self) -> None:
        play = Play(step("a"))
        play.started("a", lease_ms=100, timeout_ms=1_000)

        assert play.fire("a").asked == [("a", 1)]

    def test_a_log_whose_clock_is_behind_times_out_all_the_same(self) -> None:
        play = Play(step("a"))
        play.started("a", lease_ms=30_000, timeout_ms=1_000)
        due = play.due("a")
        play.now = NOON + 990

        said = play.tell(a_timer("a", due))

        assert said.facts == ["step.failed a", "run.failed"]


class TestReturned:
    def test_an_attempt_given_back_is_asked_for_again(self) -> None:
        play = Play(step("a"))

        said = play.returned("a")

        assert said.asked == [("a", 1)]
        assert said.facts == []

    def test_an_attempt_given_back_for_later_waits(self) -> None:
        play = Play(step("a"))

        said = play.returned("a", delay_ms=250)

        assert said.asked == []
        assert said.timers == {"a": NOON + 250}
        assert play.fire("a").asked == [("a", 1)]

    def test_giving_back_ends_the_lease(self) -> None:
        play = Play(step("a"))
        play.started("a", "w1", timeout_ms=1_000)

        said = play.returned("a", "w1")

        assert said.timers == {"a": None}
        assert (play.status("a"), play.step("a").deadline) == ("ready", None)

    def test_only_the_worker_that_has_an_attempt_gives_it_back(self) -> None:
        play = Play(step("a"))
        play.started("a", "w2")

        late = play.returned("a", "w1")

        assert late.outcome is Outcome.LATE
        assert late.is_silent

    def test_giving_back_uses_no_attempt_up(self) -> None:
        play = Play(step("a", retry=RetryPolicy(attempts=2)))
        for _ in range(5):
            play.returned("a")

        assert play.failed("a").facts == ["step.retrying a"]


EACH = [
    AttemptStarted(key=RUN, step="?", attempt=1),
    AttemptHeartbeat(key=RUN, step="?", attempt=1),
    AttemptCompleted(key=RUN, step="?", attempt=1),
    AttemptFailed(key=RUN, step="?", attempt=1, failure=FAILURE),
    AttemptReturned(key=RUN, step="?", attempt=1),
]
each_message = pytest.mark.parametrize("message", EACH, ids=lambda m: type(m).__name__)


def about(message: AttemptMessage, name: str, attempt: int = 1) -> AttemptMessage:
    return msgspec.structs.replace(message, step=name, attempt=attempt)


@each_message
def test_a_step_that_does_not_exist_is_refused(message: AttemptMessage) -> None:
    assert Play(step("a")).refused(about(message, "ghost")) == "unknown_step"


@each_message
def test_an_attempt_that_was_never_asked_for_is_refused(message: AttemptMessage) -> None:
    assert Play(step("a")).refused(about(message, "a", 2)) == "unknown_attempt"


@each_message
def test_a_step_that_has_not_begun_is_refused(message: AttemptMessage) -> None:
    assert Play(step("a"), step("b", "a")).refused(about(message, "b")) == "not_begun"


@each_message
@pytest.mark.parametrize("wait", [sleep("w"), signal("w"), event("w")], ids=["sleep", "signal", "event"])
def test_a_wait_has_no_attempts(message: AttemptMessage, wait: object) -> None:
    play = Play(wait, input=b'{"id":7}')  # type: ignore[arg-type]

    said = play.tell(about(message, "w"))

    assert said.outcome is Outcome.LATE
    assert said.is_silent


@each_message
def test_a_run_that_has_ended_takes_no_more(message: AttemptMessage) -> None:
    play = Play(step("a"), step("b", "a"))
    play.cancelled()

    for name in "ab":
        late = play.tell(about(message, name))

        assert late.outcome is Outcome.LATE
        assert late.is_silent
