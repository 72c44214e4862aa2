"""A run waits: for a signal, for an event by way of its channel, for a time."""

from __future__ import annotations

import json

import pytest
from builders import NOON, RUN, Play, event, signal, sleep, step

from stream_durable.core.effects import EARLY_MS
from stream_durable.core.messages import (
    AttemptStarted,
    EventDelivered,
    RunTimerFired,
    SignalRun,
    WaitChecked,
    WaitClosed,
    WaitOpened,
)
from stream_durable.core.run.mail import SEEN_MAX
from stream_durable.core.run.waits import KEPT_MAX
from stream_durable.core.status import Outcome

SEVEN = b'{"id":7}'


class TestAllOfSeveralSignals:
    def test_the_wait_ends_with_the_last_of_them(self) -> None:
        play = Play(signal("w", signals=("a", "b", "c"), all_of=True), step("then", "w", takes=("w",)))

        first, second = play.signalled("b", b"2", id="s1"), play.signalled("a", b'{"n": 1}', id="s2")
        assert first.is_silent and second.is_silent
        assert play.status("w") == "waiting"
        said = play.signalled("c", b"null", id="s3")

        assert said.facts == ["step.completed w"]
        assert bytes(said.commands[0].outputs["w"]) == b'{"a":{"n": 1},"b":2,"c":null}'
        assert play.run.mail is not None and not play.run.mail.kept and not play.run.mail.size

    def test_those_that_came_before_are_there_and_the_oldest_of_each_is_taken(self) -> None:
        play = Play(
            step("a"), signal("w", "a", signals=("x", "y"), all_of=True), signal("rest", "w", signals=("x",))
        )
        for number, name in enumerate(("x", "x", "y", "y")):
            play.signalled(name, b"%d" % number, id=f"s{number}")
        play.reload()

        play.completed("a")

        assert play.step("w").output == b'{"x":0,"y":2}'
        assert play.step("rest").output == b"1"

    def test_a_duplicate_counts_once(self) -> None:
        play = Play(signal("w", signals=("x", "y"), all_of=True))
        play.signalled("x", id="s1")

        assert play.signalled("x", id="s1").outcome is Outcome.DUPLICATE
        assert play.signalled("y", id="s1").outcome is Outcome.DUPLICATE
        assert play.status("w") == "waiting"

    def test_what_has_come_is_not_taken_before_all_have_so_another_wait_may_take_it(self) -> None:
        play = Play(
            signal("both", signals=("x", "y"), all_of=True), step("a"), signal("one", "a", signals=("x",))
        )
        play.signalled("x", b"1", id="s1")
        play.completed("a")
        assert play.step("one").output == b"1"

        play.signalled("y", b"2", id="s2")
        assert play.status("both") == "waiting"
        play.signalled("x", b"3", id="s3")
        assert play.step("both").output == b'{"x":3,"y":2}'

    def test_of_two_waits_the_first_in_the_definition_that_lacks_nothing_else_is_ended(self) -> None:
        play = Play(
            signal("v", signals=("x", "y"), all_of=True), signal("w", signals=("x", "z"), all_of=True)
        )
        play.signalled("z", b"1", id="s1")
        play.signalled("x", b"2", id="s2")

        assert (play.status("v"), play.status("w")) == ("waiting", "completed")

    @pytest.mark.parametrize("end", ["time-out", "cancel", "skip"])
    def test_a_wait_that_ends_otherwise_leaves_what_has_come_for_others(self, end: str) -> None:
        play = Play(
            signal("w", signals=("x", "y"), all_of=True, timeout_ms=100, on_timeout="null"),
            signal("rest", "w", signals=("x",)),
        )
        play.signalled("x", b"1", id="s1")
        if end == "time-out":
            play.fire("w")
        elif end == "skip":
            play.step_skipped("w")
        else:
            play.cancelled()
            play.retried("w")
            play.signalled("y", b"2", id="s2")
            assert play.step("w").output == b'{"x":1,"y":2}'
            return

        assert play.step("rest").output == b"1"

    def test_a_reloaded_run_goes_on_where_it_was(self) -> None:
        play = Play(signal("w", signals=("x", "y"), all_of=True))
        play.signalled("x", b"1", id="s1")
        play.reload()
        play.signalled("y", b"2", id="s2")
        play.reload()

        assert play.step("w").output == b'{"x":1,"y":2}'


class TestSignal:
    def test_a_signal_ends_the_wait_with_its_data(self) -> None:
        play = Play(signal("w"), step("a", "w", takes=("w",)))

        said = play.signalled("go", b'{"ok":true}')

        assert said.facts == ["step.completed w"]
        assert bytes(said.commands[0].outputs["w"]) == b'{"ok":true}'

    def test_a_signal_before_its_wait_is_kept(self) -> None:
        play = Play(step("a"), signal("w", "a"))

        kept = play.signalled("go", b"1")
        said = play.completed("a")

        assert kept.outcome is Outcome.APPLIED
        assert kept.is_silent
        assert said.facts == ["step.completed a", "step.completed w", "run.completed"]
        assert play.run.output == b"1"

    def test_a_kept_signal_ends_one_wait_only(self) -> None:
        play = Play(step("a"), signal("v", "a"), signal("w", "a"))
        play.signalled()

        play.completed("a")

        assert (play.status("v"), play.status("w")) == ("completed", "waiting")

    def test_kept_signals_are_taken_oldest_first(self) -> None:
        play = Play(step("a"), signal("v", "a"), signal("w", "v"))
        play.signalled("go", b"1", id="s1")
        play.signalled("go", b"2", id="s2")

        play.completed("a")

        assert (play.step("v").output, play.step("w").output) == (b"1", b"2")

    def test_a_long_chain_of_waits_that_are_all_answered_ends_at_once(self) -> None:
        names = [f"w{i}" for i in range(900)]
        chain = [signal(n, *names[i - 1 : i] or ["a"]) for i, n in enumerate(names)]
        play = Play(step("a"), *chain)
        for n in names:
            play.signalled(id=n)

        assert play.completed("a").facts[-1] == "run.completed"

    def test_a_signal_that_nobody_waits_for_waits_itself(self) -> None:
        play = Play(signal("w"))

        play.signalled("other")

        assert play.status("w") == "waiting"
        assert play.run.mail is not None
        assert [kept.name for kept in play.run.mail.kept.values()] == ["other"]

    def test_of_several_waits_the_first_of_the_definition_gets_it(self) -> None:
        play = Play(signal("v"), signal("w"))

        play.signalled()

        assert (play.status("v"), play.status("w")) == ("completed", "waiting")

    def test_the_same_id_twice_is_a_duplicate(self) -> None:
        play = Play(signal("v"), signal("w"))
        play.signalled(id="s1")

        again = play.signalled(id="s1")

        assert again.outcome is Outcome.DUPLICATE
        assert again.is_silent
        assert play.status("w") == "waiting"

    def test_the_same_id_twice_is_kept_once(self) -> None:
        play = Play(step("a"))
        play.signalled(id="s1")

        assert play.signalled(id="s1").outcome is Outcome.DUPLICATE

    def test_one_of_several_says_which_it_was(self) -> None:
        play = Play(signal("w", signals=("yes", "no")))

        play.signalled("no", b'{"why":"x"}')

        assert json.loads(play.run.output or b"") == {"signal": "no", "data": {"why": "x"}}

    def test_one_of_several_that_was_kept_says_which_it_was(self) -> None:
        play = Play(step("a"), signal("w", "a", signals=("yes", "no")))
        play.signalled("yes", b"1")

        play.completed("a")

        assert json.loads(play.run.output or b"") == {"signal": "yes", "data": 1}

    def test_a_signal_after_the_end_is_late(self) -> None:
        play = Play(step("a"))
        play.completed("a")

        assert play.signalled().outcome is Outcome.LATE

    def test_no_more_signals_are_kept_than_the_bound(self) -> None:
        play = Play(step("a"), signal("w"))
        for i in range(KEPT_MAX):
            play.signalled("early", id=f"s{i}")

        assert play.refused(SignalRun(key=RUN, id="more", signal="early")) == "mail_full"

    def test_a_full_box_still_lets_an_awaited_signal_through(self) -> None:
        play = Play(step("a"), signal("w"))
        for i in range(KEPT_MAX):
            play.signalled("early", id=f"s{i}")

        assert play.signalled("go", id="awaited").facts == ["step.completed w"]

    def test_a_refused_signal_may_be_sent_again_under_its_id(self) -> None:
        play = Play(step("a"), signal("w", "a", signals=("early",)))
        for i in range(KEPT_MAX):
            play.signalled("early", id=f"s{i}")
        play.refused(SignalRun(key=RUN, id="more", signal="early"))

        play.completed("a")

        assert play.run.has_ended

    def test_only_so_many_ids_are_remembered(self) -> None:
        play = Play(signal("w"), *[signal(f"w{i}") for i in range(SEEN_MAX + 5)])

        for i in range(SEEN_MAX + 5):
            play.signalled(id=f"s{i}")

        assert play.run.mail is not None
        assert len(play.run.mail.seen) == SEEN_MAX
        assert "s0" not in play.run.mail.seen


class TestEvent:
    def test_a_wait_is_opened_on_the_channel_of_its_key(self) -> None:
        play = Play(event("w"), input=SEVEN)

        assert play.began.messages == [WaitOpened(key="paid/7", run=RUN, wait="w", attempt=1, since=play.now)]
        assert play.began.facts == ["run.started", "step.waiting w"]

    def test_the_key_may_be_read_from_an_output(self) -> None:
        play = Play(step("a"), event("w", "a", key="a.orders.1.id"))

        said = play.completed("a", b'{"orders":[{"id":"x"},{"id":"y"}]}')

        assert said.messages == [WaitOpened(key="paid/y", run=RUN, wait="w", attempt=1, since=play.now)]

    def test_a_delivered_event_ends_the_wait(self) -> None:
        play = Play(event("w"), input=SEVEN)

        said = play.delivered("w", b'{"amount":3}')

        assert said.facts == ["step.completed w", "run.completed"]
        assert play.run.output == b'{"amount":3}'

    def test_an_event_delivered_twice_is_late(self) -> None:
        play = Play(event("w"), step("a", "w"), input=SEVEN)
        play.delivered("w", b"1")

        late = play.delivered("w", b"2")

        assert late.outcome is Outcome.LATE
        assert late.is_silent
        assert play.step("w").output == b"1"

    def test_an_event_for_an_earlier_wait_of_the_step_is_late(self) -> None:
        play = Play(event("w", key="input.id"), input=SEVEN)
        play.retried(whole=True)
        assert play.last.messages[-1] == WaitOpened(
            key="paid/7", run=RUN, wait="w", attempt=2, since=play.now
        )

        earlier = play.tell(EventDelivered(key=RUN, wait="w", id="e", attempt=1))
        assert (earlier.outcome, earlier.is_silent) == (Outcome.LATE, True)

        assert play.tell(EventDelivered(key=RUN, wait="w", id="e", attempt=2)).outcome is Outcome.APPLIED

    def test_a_channel_that_asks_after_a_wait_is_told_if_it_is_over(self) -> None:
        play = Play(event("w"), input=SEVEN)
        check = WaitChecked(key=RUN, wait="w", channel="paid/7", attempt=1)
        assert play.tell(check).is_silent

        play.delivered("w", b"1")

        assert play.tell(check).messages == [WaitClosed(key="paid/7", run=RUN, wait="w", attempt=1)]

    def test_an_event_for_a_wait_that_has_not_begun_is_late(self) -> None:
        play = Play(step("a"), event("w", "a"), input=SEVEN)

        assert play.delivered("w").outcome is Outcome.LATE
        assert play.status("w") is None

    @pytest.mark.parametrize("name", ["ghost", "a", "nap", "approval"])
    def test_an_event_for_what_waits_for_none_is_refused(self, name: str) -> None:
        play = Play(step("a"), sleep("nap"), signal("approval"))

        assert play.refused(EventDelivered(key=RUN, wait=name, id="e")) == "unknown_wait"

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            (b"null", "path_missing"),
            (b"{}", "path_missing"),
            (b'{"id":null}', "bad_key"),
            (b'{"id":true}', "bad_key"),
            (b'{"id":1.5}', "bad_key"),
            (b'{"id":{"a":1}}', "bad_key"),
            (b'{"id":""}', "bad_key"),
            (b'{"id":"%b"}' % (b"x" * 512), "bad_key"),
            (b'{"id":"%b"}' % ("訂" * 171).encode(), "bad_key"),
            (b'{"id":"a\\u0000b"}', "bad_key"),
            (b'{"id":1e999}', "bad_key"),
            (b'{"id":%b}' % (b"1" * 5_000), "bad_key"),
        ],
        ids=[
            "null",
            "nothing",
            "none",
            "bool",
            "float",
            "object",
            "empty",
            "long",
            "wide",
            "NUL",
            "huge",
            "digits",
        ],
    )
    def test_a_key_that_is_none_fails_the_step(self, given: bytes, code: str) -> None:
        play = Play(event("w"), input=given)

        assert play.began.outcome is Outcome.APPLIED
        assert play.began.facts == ["run.started", "step.failed w", "run.failed"]
        assert play.began.messages == []
        assert play.run.failure is not None
        assert play.run.failure.code == code

    def test_a_bad_key_is_not_quoted_at_length(self) -> None:
        play = Play(event("w"), input=b'{"id":["%b"]}' % (b"x" * 100_000))

        assert play.run.failure is not None
        assert len(play.run.failure.message) < 1_000

    def test_two_bad_keys_at_once_fail_the_run_once(self) -> None:
        play = Play(step("a"), event("v", "a"), event("w", "a"), input=b"{}")

        said = play.completed("a")

        assert said.facts.count("run.failed") == 1
        assert said.messages == []
        assert play.status("v") == "failed"

    def test_an_open_wait_is_closed_when_a_bad_key_ends_the_run(self) -> None:
        play = Play(event("v"), step("a"), event("w", "a", key="a.id"), input=SEVEN)

        said = play.completed("a", b"{}")

        assert said.messages == [WaitClosed(key="paid/7", run=RUN, wait="v", attempt=1)]


class TestSleep:
    def test_a_sleep_ends_when_its_time_has_come(self) -> None:
        play = Play(sleep("nap", ms=5_000), step("a", "nap"))

        said = play.fire("nap")

        assert play.now == NOON + 5_000
        assert said.asked == [("a", 1)]
        assert play.step("nap").output == b"null"

    def test_its_timer_is_forgotten(self) -> None:
        play = Play(sleep("nap"), step("a", "nap"))

        assert play.fire("nap").timers == {"nap": None}

    def test_a_timer_that_fires_twice_is_late(self) -> None:
        play = Play(sleep("nap"), step("a", "nap"))
        due = play.due("nap") or 0
        play.fire("nap")

        assert play.tell(RunTimerFired(key=RUN, timer="nap", due=due)).outcome is Outcome.LATE

    def test_a_timer_of_another_moment_is_late(self) -> None:
        play = Play(sleep("nap"))

        assert play.tell(RunTimerFired(key=RUN, timer="nap", due=NOON)).outcome is Outcome.LATE
        assert play.status("nap") == "waiting"

    def test_a_timer_of_a_step_that_does_not_exist_is_refused(self) -> None:
        assert Play(step("a")).refused(RunTimerFired(key=RUN, timer="ghost", due=1)) == "unknown_step"


class TestTimeout:
    def test_a_wait_out_of_time_answers_what_was_agreed(self) -> None:
        play = Play(signal("w", timeout_ms=1_000, on_timeout='"nobody"'))

        said = play.fire("w")

        assert said.facts == ["step.completed w", "run.completed"]
        assert play.run.output == b'"nobody"'

    def test_a_wait_out_of_time_without_an_answer_fails(self) -> None:
        play = Play(signal("w", timeout_ms=1_000))

        said = play.fire("w")

        assert said.facts == ["step.failed w", "run.failed"]
        assert play.run.failure is not None
        assert (play.run.failure.code, play.run.failure.step) == ("timeout", "w")

    def test_the_channel_is_told_that_nobody_waits_any_more(self) -> None:
        play = Play(event("w", timeout_ms=1_000, on_timeout="0"), input=SEVEN)

        said = play.fire("w")

        assert said.messages == [WaitClosed(key="paid/7", run=RUN, wait="w", attempt=1)]
        assert said.facts == ["step.completed w", "run.completed"]

    def test_a_channel_is_told_once_when_the_time_out_fails_the_run(self) -> None:
        play = Play(event("w", timeout_ms=1_000), input=SEVEN)

        assert play.fire("w").messages == [WaitClosed(key="paid/7", run=RUN, wait="w", attempt=1)]

    def test_what_came_in_time_drops_the_timer(self) -> None:
        play = Play(signal("w", timeout_ms=1_000), step("a", "w"))

        assert play.signalled().timers == {"w": None}

    def test_an_event_after_the_time_out_is_late(self) -> None:
        play = Play(event("w", timeout_ms=1_000, on_timeout="0"), step("a", "w"), input=SEVEN)
        play.fire("w")

        assert play.delivered("w", b"1").outcome is Outcome.LATE
        assert play.step("w").output == b"0"

    def test_a_signal_after_the_time_out_is_kept_for_another_wait(self) -> None:
        play = Play(signal("v", timeout_ms=1_000, on_timeout="0"), signal("w", "v"), step("a", "w"))
        play.fire("v")

        assert play.signalled("go", b"1").facts == ["step.completed w"]


class TestTimersBeforeTheirMoment:
    """Whoever puts a timer on the log goes by a clock of its own; what counts is the log's."""

    def test_one_that_is_early_is_planned_again_and_changes_nothing(self) -> None:
        play = Play(sleep("nap", ms=60_000))
        due = play.due("nap")
        assert due is not None
        play.now = due - EARLY_MS - 1

        said = play.tell(RunTimerFired(key=RUN, timer="nap", due=due))

        assert (said.outcome, said.facts, said.timers) == (Outcome.LATE, [], {"nap": due})
        assert play.fire("nap").facts == ["step.completed nap", "run.completed"]

    def test_clocks_may_differ_a_little(self) -> None:
        play = Play(sleep("nap", ms=60_000))
        due = play.due("nap")
        assert due is not None
        play.now = due - EARLY_MS

        assert play.tell(RunTimerFired(key=RUN, timer="nap", due=due)).outcome is Outcome.APPLIED

    def test_a_worker_is_not_lost_before_its_lease_is_over_by_the_log(self) -> None:
        play = Play(step("a"))
        play.tell(AttemptStarted(key=RUN, step="a", attempt=1, worker="w", lease_ms=30_000))
        due = play.due("a")
        assert due is not None

        assert play.tell(RunTimerFired(key=RUN, timer="a", due=due)).outcome is Outcome.LATE

        assert play.step("a").losses == 0
        assert play.due("a") == due

    def test_the_run_itself_does_not_run_out_of_time_early(self) -> None:
        play = Play(signal("go"), timeout_ms=60_000)

        assert play.run.due is not None
        said = play.tell(RunTimerFired(key=RUN, timer="", due=play.run.due))

        assert (said.outcome, said.timers) == (Outcome.LATE, {"": play.run.due})
