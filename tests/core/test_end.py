"""A run ends: with an output, by a failure, cancelled, or out of time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from builders import NOON, RUN, Play, each, event, hook, inside, parallel, signal, sleep, step, undoing
from msgspec.structs import replace

from stream_durable.core.definition.nodes import Join, StepNode
from stream_durable.core.lifecycle import RunEvent
from stream_durable.core.messages import RunTimerFired, WaitClosed
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.status import Outcome

SEVEN = b'{"id":7}'


def joining(name: str, enough: int, *of: str) -> StepNode:
    """Return a step that waits for so many of these to complete."""
    return step(name, joins=(Join(of=of, enough=enough),))


class TestOutput:
    def test_the_output_of_a_run_is_that_of_its_last_step(self) -> None:
        play = Play(step("a"), step("b", "a"))
        play.completed("a", b"1")

        said = play.completed("b", b'{"n":2}')

        assert said.facts == ["step.completed b", "run.completed"]
        assert play.run.output == b'{"n":2}'
        assert (play.run.status, play.run.ended) == ("completed", NOON)

    def test_several_last_steps_answer_by_name(self) -> None:
        play = Play(step("a"), step("b", "a"), step("c", "a"))
        play.completed("a", b"0")
        play.completed("c", b'"three"')

        play.completed("b", b"2")

        assert json.loads(play.run.output or b"") == {"b": 2, "c": "three"}

    def test_names_with_every_allowed_character_are_sound_json(self) -> None:
        play = Play(step("a:b.c-d_E"), step("z"))
        play.completed("z")

        play.completed("a:b.c-d_E", b"1")

        assert json.loads(play.run.output or b"") == {"a:b.c-d_E": 1, "z": None}

    def test_the_last_statement_counts_those_about_steps(self) -> None:
        play = Play(sleep("nap"), step("a", "nap"))
        play.fire("nap")

        (_, end) = play.completed("a").effects.events

        assert isinstance(end, RunEvent)
        assert (end.sequence, end.step_sequence, end.output) == (2, 3, b"null")


class TestFailure:
    def test_a_failing_step_cancels_its_siblings(self) -> None:
        play = Play(step("a"), step("b"), step("c"), step("d", "a", "b", "c"))
        play.completed("c")

        said = play.failed("a")

        assert said.cancels == [("b", 1)]
        assert said.facts == ["step.failed a", "step.cancelled b", "run.failed"]
        assert (play.status("c"), play.status("d")) == ("completed", None)

    def test_a_failing_step_closes_every_kind_of_wait(self) -> None:
        play = Play(
            step("a"), sleep("nap"), event("pay", timeout_ms=9), signal("ok", timeout_ms=9), input=SEVEN
        )

        said = play.failed("a")

        assert said.messages == [WaitClosed(key="paid/7", run=RUN, wait="pay", attempt=1)]
        assert said.timers == {"nap": None, "pay": None, "ok": None}
        assert said.cancels == []

    def test_an_attempt_that_is_planned_is_cancelled_without_telling_a_worker(self) -> None:
        play = Play(step("a"), step("b", retry=RetryPolicy(attempts=2)))
        play.failed("b")

        said = play.failed("a")

        assert said.cancels == []
        assert said.timers == {"b": None}
        assert play.status("b") == "cancelled"

    def test_the_attempt_that_is_under_way_is_the_one_cancelled(self) -> None:
        play = Play(step("a"), step("b", retry=RetryPolicy(attempts=2)))
        play.failed("b")
        play.fire("b")
        play.started("b", attempt=2)

        assert play.failed("a").cancels == [("b", 2)]

    def test_nothing_begins_after_the_failure(self) -> None:
        play = Play(step("a"), step("b"), step("c", "b"))
        play.failed("a")

        late = play.completed("b")

        assert late.outcome is Outcome.LATE
        assert late.is_silent


class TestCancel:
    def test_a_cancelled_run_drops_what_is_under_way(self) -> None:
        play = Play(step("a"), event("w"), sleep("nap"), input=SEVEN, timeout_ms=60_000)

        said = play.cancelled("not needed")

        assert said.cancels == [("a", 1)]
        assert said.messages == [WaitClosed(key="paid/7", run=RUN, wait="w", attempt=1)]
        assert said.timers == {"nap": None, "": None}
        assert said.facts == ["step.cancelled a", "step.cancelled w", "step.cancelled nap", "run.cancelled"]

    @pytest.mark.parametrize(
        ("given", "kept"), [("not needed", "not needed"), ("", "cancelled by request")], ids=["said", "not"]
    )
    def test_the_reason_is_kept(self, given: str, kept: str) -> None:
        play = Play(step("a"))

        play.cancelled(given)

        assert play.run.failure is not None
        assert (play.run.failure.code, play.run.failure.message) == ("cancelled", kept)

    def test_cancelling_twice_is_a_duplicate(self) -> None:
        play = Play(step("a"))
        play.cancelled()

        again = play.cancelled()

        assert again.outcome is Outcome.DUPLICATE
        assert again.is_silent

    def test_cancelling_after_the_end_is_kept_and_changes_nothing(self) -> None:
        play = Play(step("a"))
        play.completed("a")

        late = play.cancelled()

        assert late.is_silent
        assert play.run.status == "completed"
        assert play.run.cancel_request is None
        assert play.run.requests is not None
        assert play.run.requests.late_cancel is not None


class TestRunTimeout:
    def test_a_run_out_of_time_fails(self) -> None:
        play = Play(step("a"), timeout_ms=5_000)

        said = play.fire()

        assert play.now == NOON + 5_000
        assert said.facts == ["step.cancelled a", "run.failed"]
        assert said.cancels == [("a", 1)]
        assert play.run.failure is not None
        assert (play.run.failure.code, play.run.failure.step) == ("timeout", None)

    def test_its_timer_is_forgotten_when_it_fires(self) -> None:
        play = Play(step("a"), timeout_ms=5_000)

        assert play.fire().timers == {"": None}

    @pytest.mark.parametrize("fails", [False, True], ids=["completed", "failed"])
    def test_its_timer_is_forgotten_when_the_run_ends(self, *, fails: bool) -> None:
        play = Play(step("a"), timeout_ms=5_000)

        said = play.failed("a") if fails else play.completed("a")

        assert said.timers == {"": None}

    def test_a_timer_after_the_end_is_late(self) -> None:
        play = Play(step("a"), timeout_ms=5_000)
        due = play.due() or 0
        play.completed("a")

        late = play.tell(RunTimerFired(key=RUN, timer="", due=due))

        assert late.outcome is Outcome.LATE
        assert play.run.status == "completed"

    def test_a_run_without_a_time_out_has_no_timer(self) -> None:
        play = Play(step("a"))

        assert play.began.timers == {}
        assert play.tell(RunTimerFired(key=RUN, timer="", due=NOON)).outcome is Outcome.LATE


class TestRaces:
    """A race that is open when its run comes to its end lets nothing begin."""

    END = (hook("on_failure"), hook("on_cancel"))
    BOTH = joining("z", 2, "a", "b")

    def test_a_run_out_of_time_does_not_go_on_with_those_that_completed(self) -> None:
        play = Play(step("a"), step("b"), self.BOTH, hooks=self.END, timeout_ms=5_000)
        play.completed("a")

        assert play.fire().asked == [("~on_failure", 1)]
        assert play.status("z") == "cancelled"
        play.reload()
        play.completed("~on_failure")
        assert play.retried().asked == [("b", 2)]
        assert play.completed("b", attempt=2).asked == [("z", 1)]

    def test_neither_does_one_that_was_cancelled_or_failed_elsewhere(self) -> None:
        for end in (Play.cancelled, lambda play: play.failed("c")):
            play = Play(step("a"), step("b"), self.BOTH, step("c"), hooks=self.END)
            play.completed("a")

            end(play)

            assert "z" not in [c.step for c in play.last.commands]
            assert play.status("z") == "cancelled"

    def test_neither_does_one_that_was_finished(self) -> None:
        play = Play(step("a"), step("b"), self.BOTH, step("c"))
        play.completed("a")

        assert play.finished("c", b"1").facts[-1] == "run.completed"
        assert play.run.output == b"1"

    def test_a_member_that_could_not_be_stopped_wins_nothing(self) -> None:
        play = Play(step("a"), step("b", compensation=undoing("b")), joining("z", 1, "a", "b"), step("c"))
        play.failed("c")

        assert play.completed("b").asked == [("b~compensate", 1)]
        assert play.completed("b~compensate").facts[-1] == "run.compensated"

    def test_clean_up_that_races_begins(self) -> None:
        play = Play(
            step("c"), step("u", "c", ended=("c",)), step("a"), joining("z", 1, "a", "u"),
        )  # fmt: skip

        assert play.failed("c").asked == [("u", 1)]
        assert play.completed("u").asked == [("z", 1)]
        assert play.completed("z").facts[-1] == "run.failed"


def test_no_member_begins_in_the_place_of_one_that_finished_the_run() -> None:
    play = Play(each("g", concurrency=2), input=b'{"items":[1,2,3,4]}')

    said = play.finished("g[0]", b"1")

    assert (said.asked, said.cancels) == ([], [("g[1]", 1)])
    assert said.facts[-1] == "run.completed"
    assert [play.status(f"g[{n}]") for n in range(4)] == ["completed", *3 * ["cancelled"]]


def test_clean_up_beside_a_member_that_finished_the_run_begins() -> None:
    play = Play(
        parallel("g"),
        inside("g", step("a")),
        inside("g", step("b")),
        inside("g", step("u", "b", ended=("b",))),
    )

    assert play.finished("a", b"1").asked == [("u", 1)]
    assert play.completed("u").facts[-1] == "run.completed"
    assert play.run.output == b"1"


@pytest.mark.parametrize("ready", [signal("s", "a"), each("s", "a")], ids=["a signal was there", "no items"])
@pytest.mark.parametrize("after", [step("b", "s"), signal("b", "s", signals=("stop",))], ids=["step", "wait"])
def test_nothing_begins_after_a_step_that_ended_in_the_same_moment_as_its_run_failed(
    ready: Any, after: Any
) -> None:
    nodes = (step("a", compensation=undoing("a")), event("w", "a", key="input.nothing"), ready, after)
    play = Play(*nodes, input=b'{"items":[]}')
    play.signalled("go")

    said = play.completed("a")

    assert said.facts == ["step.completed a", "step.failed w", "step.completed s", "run.compensating"]
    assert said.asked == [("a~compensate", 1)]
    assert play.status("b") == "cancelled"
    play.reload()
    assert play.completed("a~compensate").facts[-1] == "run.compensated"


def test_clean_up_after_a_step_that_ended_in_the_same_moment_as_its_run_failed_begins() -> None:
    nodes = (step("a"), event("w", "a", key="input.nothing"), signal("s", "a"))
    play = Play(*nodes, replace(step("b", "s"), ended=("s",)), each("c", "b"), input=b'{"items":[1]}')
    play.signalled("go")

    assert play.completed("a").asked == [("b", 1)]

    assert play.completed("b").asked == [("c[0]", 1)]
    assert play.completed("c[0]").facts[-1] == "run.failed"
