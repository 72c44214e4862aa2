"""Due times: a missed one is reported once, and changes nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from builders import (
    NOON,
    RUN,
    Play,
    Said,
    ask,
    branch,
    child,
    each,
    event,
    hook,
    inside,
    parallel,
    signal,
    sleep,
    step,
    token,
    undoing,
)

from stream_durable.core.definition.formats import format_of
from stream_durable.core.definition.guards import Gate
from stream_durable.core.definition.nodes import Definition
from stream_durable.core.definition.validate import validate
from stream_durable.core.format import DUE
from stream_durable.core.gate.limits import GateLimits
from stream_durable.core.messages import Grafted, PlaceGiven, RetryRun, RunTimerFired
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.run.rows import phase
from stream_durable.core.status import Outcome

HOUR = 3_600_000


def dated(name: str, *after: str, **options: Any) -> Any:
    return step(name, *after, due_ms=HOUR, **options)


def missed(play: Play, name: str = "", due: int = NOON + HOUR) -> Said:
    """Let the time come by which a step, or the run, was expected to end."""
    play.now = max(play.now, due)
    return play.tell(RunTimerFired(key=RUN, timer=f"{name}~due", due=due))


def overdue(play: Play) -> int:
    return 0 if play.run.requests is None else play.run.requests.overdue


def test_a_step_is_overdue_and_goes_on() -> None:
    play = Play(dated("a"), step("b", "a"))
    assert play.last.timers == {"a~due": NOON + HOUR}
    play.reload()
    said = missed(play, "a")
    assert said.facts == ["step.overdue a"] and said.timers == {"a~due": None} and not said.asked
    assert (play.status("a"), phase(play.run), overdue(play)) == ("ready", "running", 1)
    play.reload()
    assert overdue(play) == 1
    assert missed(play, "a").outcome is Outcome.LATE and play.last.is_silent
    assert play.completed("a").asked == [("b", 1)] and overdue(play) == 0
    play.reload()
    assert play.completed("b").facts[-1] == "run.completed"
    detail = play.run.steps[0].detail
    assert detail is not None and detail.overdue_since == NOON + HOUR and detail.expected is None


def test_a_step_in_time_is_never_overdue() -> None:
    play = Play(dated("a"), step("b", "a"))
    assert play.completed("a").timers == {"a~due": None}
    play.reload()
    assert missed(play, "a").outcome is Outcome.LATE and play.last.is_silent


def test_a_run_is_overdue_and_goes_on() -> None:
    play = Play(step("a"), due_ms=HOUR)
    assert play.last.timers == {"~due": NOON + HOUR}
    play.reload()
    assert missed(play).facts == ["run.overdue"] and overdue(play) == 1
    play.reload()
    assert missed(play).outcome is Outcome.LATE
    assert play.completed("a").facts == ["step.completed a", "run.completed"]
    play.reload()
    assert overdue(play) == 0 and play.run.requests.overdue_since == NOON + HOUR  # type: ignore[union-attr]


def test_a_run_in_time_clears_its_timer() -> None:
    play = Play(step("a"), due_ms=HOUR)
    assert play.completed("a").timers == {"~due": None}


def test_the_due_time_of_a_start_is_in_place_of_the_workflows() -> None:
    assert Play(step("a"), due_ms=HOUR, start={"due_ms": 5_000}).last.timers == {"~due": NOON + 5_000}
    assert Play(step("a"), due_ms=HOUR, start={"due_at": NOON + 7}).last.timers == {"~due": NOON + 7}
    later = Play(step("a"), due_ms=HOUR, start={"at": NOON + 1_000})
    assert "~due" not in later.last.timers
    later.now = NOON + 1_000
    assert later.fire().timers["~due"] == NOON + 1_000 + HOUR


def test_it_counts_over_all_attempts() -> None:
    play = Play(dated("a", retry=RetryPolicy(attempts=3, base_ms=1_000)))
    play.failed("a")
    play.fire("a")
    play.reload()
    assert missed(play, "a").facts == ["step.overdue a"]
    play.failed("a", attempt=2)
    assert not missed(play, "a").facts
    assert play.fire("a").asked == [("a", 3)]
    assert play.completed("a", attempt=3).facts[-1] == "run.completed"


def test_it_goes_on_during_a_pause() -> None:
    play = Play(dated("a"), step("b", "a"))
    play.paused()
    assert missed(play, "a").facts == ["step.overdue a"]
    play.completed("a")
    assert play.resumed().asked == [("b", 1)]


def test_a_step_held_back_by_a_pause_has_not_begun() -> None:
    play = Play(step("a"), dated("b", "a"))
    play.paused()
    assert play.completed("a").timers == {}
    play.now += 10_000
    assert play.resumed().timers == {"b~due": play.now + HOUR}


def test_it_goes_on_while_a_step_is_held_and_begins_anew_with_a_retry() -> None:
    play = Play(dated("a", on_error="hold"), step("b", "a"))
    assert "a~due" not in play.failed("a").timers
    play.reload()
    assert missed(play, "a").facts == ["step.overdue a"] and play.status("a") == "held"
    said = play.tell(RetryRun(key=RUN, id="r1", step="a"))
    assert said.timers == {"a~due": play.now + HOUR} and overdue(play) == 0
    play.reload()
    assert missed(play, "a", play.now + HOUR).facts == ["step.overdue a"]
    assert play.completed("a", attempt=2).asked == [("b", 1)] and overdue(play) == 0


@pytest.mark.parametrize(
    "node",
    [
        sleep("a", ms=9 * HOUR), signal("a"), event("a"), ask("a"), token("a"), child("a"),
        each("a", over="input.items"),
    ],
    ids=lambda node: type(node).__name__,
)  # fmt: skip
def test_every_kind_of_step_has_one(node: Any) -> None:
    play = Play(msgspec.structs.replace(node, due_ms=HOUR), input=b'{"id":"7","items":[1]}')
    assert play.last.timers["a~due"] == NOON + HOUR
    play.reload()
    assert missed(play, "a").facts == ["step.overdue a"] and overdue(play) == 1
    play.cancelled()
    assert play.run.status == "cancelled" and overdue(play) == 0


def test_groups_and_branches_have_one() -> None:
    play = Play(
        parallel("g", due_ms=HOUR), inside("g", dated("a")), branch("k", due_ms=HOUR),
        inside("k", step("b"), 0), inside("k", step("c"), 1), input=b'{"kind":"a"}',
    )  # fmt: skip
    for name in "gak":
        assert missed(play, name).facts == [f"step.overdue {name}"]
    assert overdue(play) == 3
    play.completed("a")
    assert overdue(play) == 1
    play.completed("b")
    assert (play.run.status, overdue(play)) == ("completed", 0)


def test_each_member_has_one() -> None:
    members = msgspec.structs.replace(each("e"), step=dated("e"))
    play = Play(members, input=b'{"items":[1,2]}')
    assert play.last.timers == {"e[0]~due": NOON + HOUR, "e[1]~due": NOON + HOUR}
    play.completed("e[0]")
    play.reload()
    assert missed(play, "e[1]").facts == ["step.overdue e[1]"]
    assert missed(play, "e[0]").outcome is Outcome.LATE


def test_a_timer_of_a_dropped_member_is_late() -> None:
    play = Play(step("a", retry=RetryPolicy(attempts=2)), templates=(dated("t"),))
    play.expanded("a", Grafted(of="t"))
    name = play.run.graph.names[-1]
    play.retried("a", id="r1")
    assert play.last.timers[f"{name}~due"] is None
    assert missed(play, name).outcome is Outcome.LATE
    assert play.refused(RunTimerFired(key=RUN, timer="nobody~due", due=NOON)) == "unknown_step"


def test_a_path_leads_to_a_moment_or_a_time() -> None:
    def due(given: bytes) -> Any:
        return Play(step("a", due_at="input.by"), input=given)

    assert due(b'{"by":"2h"}').last.timers == {"a~due": NOON + 2 * HOUR}
    assert due(b'{"by":"2026-12-24T18:00:00Z"}').last.timers == {"a~due": 1_798_135_200_000}
    assert due(b"{}").last.timers == {}
    wrong = due(b'{"by":7}')
    assert wrong.run.status == "failed" and wrong.run.failure.code == "bad_moment"


@pytest.mark.parametrize(
    "nodes",
    [
        [signal("a", due_at="input.by")],
        [branch("a", due_at="input.by", is_selected=True), inside("a", step("b")), inside("a", step("c"), 1)],
        [parallel("a", due_at="input.by"), inside("a", step("b"))],
    ],
)
def test_a_path_to_something_else_fails_any_step(nodes: list[Any]) -> None:
    play = Play(*nodes, step("z"), input=b'{"by":7}', hooks=(hook("on_failure"),))
    assert "step.failed a" in play.last.facts
    play.reload()
    play.completed("~on_failure")
    assert play.run.status == "failed"


def test_the_hook_is_called_for_a_step_and_for_the_run() -> None:
    play = Play(dated("a"), due_ms=HOUR, hooks=(hook("on_overdue"),))
    assert missed(play, "a").asked == [("a~on_overdue", 1)]
    happened = play.last.commands[0].happened
    assert happened is not None and b'"step":"a"' in bytes(happened)
    assert missed(play).asked == [("~on_overdue", 1)]
    play.completed("a")
    assert play.run.ended is None
    play.completed("a~on_overdue")
    assert play.failed("~on_overdue").facts[-1] == "run.completed"


def test_a_retry_of_an_ended_run_is_expected_anew() -> None:
    play = Play(dated("a"), due_ms=HOUR)
    missed(play)
    missed(play, "a")
    play.failed("a")
    assert (play.run.status, overdue(play)) == ("failed", 0)
    play.reload()
    play.now += 5_000
    said = play.retried()
    assert said.timers == {"~due": play.now + HOUR, "a~due": play.now + HOUR} and overdue(play) == 0
    play.reload()
    assert missed(play, "", play.now + HOUR).facts == ["run.overdue"]


def test_a_run_that_is_undone_may_be_overdue() -> None:
    play = Play(step("a", compensation=undoing("a")), step("b", "a"), due_ms=HOUR)
    play.completed("a")
    play.failed("b")
    assert missed(play).facts == ["run.overdue"]
    assert play.completed("a~compensate").facts[-1] == "run.compensated"
    assert overdue(play) == 0


def test_the_whole_graph_again_is_the_same_run() -> None:
    play = Play(dated("a"), due_ms=HOUR, restart=RetryPolicy(attempts=2, base_ms=1_000))
    said = play.failed("a")
    assert "~due" not in said.timers and said.timers["a~due"] is None
    play.now += 1_000
    assert play.fire().timers["a~due"] == play.now + HOUR
    assert missed(play).facts == ["run.overdue"]


def test_the_hook_of_a_run_that_is_to_begin_again_is_counted_when_the_run_is_loaded() -> None:
    hooks, again = (hook("on_overdue"),), RetryPolicy(attempts=2, base_ms=2 * HOUR, cap_ms=2 * HOUR)
    play = Play(step("a"), step("b"), due_ms=HOUR, hooks=hooks, restart=again, concurrency=1)
    play.failed("a")
    assert play.run.status == "pending"
    assert missed(play).asked == [("~on_overdue", 1)]

    play.reload()

    assert play.run.active == 1
    play.completed("~on_overdue")
    assert play.run.active == 0
    assert play.fire().asked == [("a", 2)], "the other one waits for the only place"


def test_a_timer_that_came_too_early_is_planned_again() -> None:
    play = Play(dated("a"), due_ms=HOUR)
    for name in ("", "a"):
        said = play.tell(RunTimerFired(key=RUN, timer=f"{name}~due", due=NOON + HOUR))
        assert said.outcome is Outcome.LATE and said.timers == {f"{name}~due": NOON + HOUR}


def test_what_has_none_writes_nothing() -> None:
    play = Play(step("a"), step("b", "a"))
    assert not play.run.steps and play.run.requests is None and not play.last.timers


def test_what_is_wrong_is_refused() -> None:
    def codes(*nodes: Any, **options: Any) -> list[str]:
        made = Definition(name="order", nodes=nodes, format=2, **options)
        return [fault.code for fault in validate(made)]

    assert codes(step("a", due_ms=0)) == ["due"]
    assert codes(step("a", due_ms=1, due_at="input.by")) == ["due"]
    assert codes(step("a", due_at="b.by"), step("b")) == ["due_path"]
    assert codes(step("a"), due_ms=0) == ["due"]
    assert format_of((step("a"),)) == 1 and format_of((dated("a"),)) == DUE == format_of((), due_ms=1)
    assert [fault.code for fault in validate(Definition(name="o", nodes=(dated("a"),)))] == ["format"]


def test_the_end_of_a_held_run_forgets_what_is_overdue() -> None:
    play = Play(dated("a", on_error="hold"), step("b"), due_ms=HOUR)
    play.failed("a")
    missed(play, "a")
    missed(play)
    assert overdue(play) == 2
    play.failed("b")
    assert (play.run.status, overdue(play)) == ("failed", 0)


def in_line(*nodes: Any, **options: Any) -> Play:
    """A run with a moment, in line at a gate."""
    gate = Gate(name="few", limits=GateLimits(at_once=1))
    given = options.pop("start", {"due_at": NOON + HOUR})
    return Play(*(nodes or (step("a"),)), gate=gate, start=given, **options)


def let_in(play: Play, turn: int = 1) -> Said:
    return play.tell(PlaceGiven(key=RUN, attempt=turn, gate="few//", is_held=True, format=2))


def test_a_run_in_line_misses_the_moment_of_its_start() -> None:
    play = in_line(hooks=(hook("on_overdue"),))
    assert (play.run.status, play.began.timers) == ("pending", {"~due": NOON + HOUR})
    play.reload()
    said = missed(play)
    assert (said.facts, said.asked, overdue(play)) == (["run.overdue"], [("~on_overdue", 1)], 1)
    play.reload()
    assert overdue(play) == 1
    play.completed("~on_overdue")
    said = let_in(play)
    assert said.asked == [("a", 1)] and "~due" not in said.timers, "it is missed once"
    assert overdue(play) == 1
    assert play.completed("a").facts[-1] == "run.completed"


def test_a_run_let_in_in_time_keeps_its_moment() -> None:
    play = in_line()
    assert "~due" not in let_in(play).timers
    assert missed(play).facts == ["run.overdue"]
    assert (
        Play(step("a"), start={"at": NOON + 2 * HOUR, "due_at": NOON + HOUR}).last.timers["~due"]
        == NOON + HOUR
    )
    assert "~due" not in in_line(due_ms=HOUR, start={}).last.timers, "a time counts from the beginning"


def test_a_paused_run_in_line_misses_its_moment() -> None:
    play = in_line()
    play.paused()
    assert missed(play).facts == ["run.overdue"]


def test_the_hook_of_a_run_in_line_holds_up_no_end() -> None:
    play = in_line(hooks=(hook("on_overdue"),))
    missed(play)
    said = play.cancelled()
    assert play.run.status == "cancelled" and overdue(play) == 0
    assert said.cancels == [("~on_overdue", 1)]
    assert play.completed("~on_overdue").outcome is Outcome.LATE


def test_a_retry_in_line_expects_its_moment_again() -> None:
    play = in_line(start={"due_at": NOON + HOUR})
    missed(play)
    let_in(play)
    play.failed("a")
    assert (play.run.status, overdue(play)) == ("failed", 0)
    said = play.retried(id="r1")
    assert (play.run.status, overdue(play), said.timers["~due"]) == ("pending", 0, NOON + HOUR)
    play.reload()
    assert overdue(play) == 0
    assert missed(play).facts == ["run.overdue"]
    assert "~due" not in let_in(play, 2).timers
