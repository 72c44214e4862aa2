"""A run before a gate: it asks, waits, begins, keeps the place until its end, and asks again when retried."""

from __future__ import annotations

from typing import Any

import pytest
from builders import RUN, Play, reacting, step, undoing
from msgspec.structs import replace

from stream_durable.core.definition.formats import format_of
from stream_durable.core.definition.guards import Gate
from stream_durable.core.definition.nodes import AnyNode, Definition
from stream_durable.core.definition.validate import validate
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import create, refuse
from stream_durable.core.gate.limits import GateLimits
from stream_durable.core.messages import PlaceAsked, PlaceGiven, PlaceLeft
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.run.redrive import redrive
from stream_durable.core.status import Outcome

LIMITS = GateLimits(at_once=2)


def gated(*nodes: AnyNode, per: str | None = None, limits: GateLimits = LIMITS, **options: Any) -> Play:
    return Play(*(nodes or (step("a"),)), gate=Gate(name="few", limits=limits, per=per), **options)


def given(play: Play, turn: int = 1, gate: str = "few//", *, is_held: bool = True) -> Any:
    return play.tell(PlaceGiven(key=RUN, attempt=turn, gate=gate, is_held=is_held, format=2))


def left(play: Play) -> list[tuple[str, int]]:
    return [(m.key, m.attempt) for m in play.last.messages if isinstance(m, PlaceLeft)]


def test_it_is_pending_until_it_is_let_in_and_leaves_when_it_has_ended() -> None:
    play = gated(timeout_ms=60_000, start={"priority": 7})
    [asked] = play.began.messages
    assert asked == PlaceAsked(key="few//", run=RUN, attempt=1, limits=LIMITS, priority=7, format=2)
    assert (play.run.status, play.began.facts, play.began.asked) == ("pending", ["run.scheduled"], [])
    assert play.due() is None, "the run's time begins with the run"
    play.reload()
    play.now += 5_000
    assert given(play).asked == [("a", 1)]
    assert (play.run.status, play.run.started, play.due()) == ("running", play.now, play.now + 60_000)
    assert given(play).outcome is Outcome.DUPLICATE
    assert play.last.is_silent
    play.completed("a")
    assert (play.run.status, left(play)) == ("completed", [("few//", 1)])
    assert given(play).outcome is Outcome.LATE
    assert left(play) == [("few//", 1)], "a place that nobody needs is given back"


def test_a_delayed_run_asks_when_its_moment_has_come() -> None:
    play = gated(start={"at": 1_764_000_060_000})
    assert not play.began.messages
    assert [type(m) for m in play.fire().messages] == [PlaceAsked]
    assert (play.run.status, play.due()) == ("pending", None)
    assert given(play).asked == [("a", 1)]


@pytest.mark.parametrize(("value", "limits", "gate", "share"), [
    (b'{"of":"x"}', LIMITS, "few//x", ""),
    (b'{"of":7}', LIMITS, "few//7", ""),
    (b'{"of":"x"}', GateLimits(at_once=1, weights={"x": 3}), "few//", "x"),
])  # fmt: skip
def test_each_key_has_its_gate_or_its_turn(value: bytes, limits: GateLimits, gate: str, share: str) -> None:
    [asked] = gated(per="input.of", limits=limits, input=value).began.messages
    assert isinstance(asked, PlaceAsked)
    assert (asked.key, asked.share, asked.step) == (gate, share, "")


@pytest.mark.parametrize(("value", "code"), [
    (b"{}", "path_missing"), (b'{"of":1.5}', "bad_key"), (b'{"of":""}', "bad_key"),
    (b'{"of":"%s"}' % (b"x" * 600), "bad_key"),
])  # fmt: skip
def test_a_key_that_cannot_be_read_fails_the_run(value: bytes, code: str) -> None:
    play = gated(per="input.of", input=value)
    assert play.run.failure is not None
    assert (play.run.status, play.run.failure.code) == ("failed", code)
    assert play.began.facts == ["run.scheduled", "run.failed"]
    assert not play.began.messages


def test_a_run_cancelled_in_the_line_leaves_it_and_a_passage_on_its_way_is_given_back() -> None:
    play = gated()
    play.cancelled("enough")
    assert (play.run.status, left(play)) == ("cancelled", [("few//", 1)])
    assert given(play).outcome is Outcome.LATE
    assert left(play) == [("few//", 1)]
    assert play.run.status == "cancelled"


def test_a_paused_run_keeps_its_place_in_the_line_and_inside() -> None:
    play = gated()
    play.paused()
    assert not left(play)
    assert given(play).asked == []
    assert play.run.status == "running"
    assert not left(play)
    assert play.resumed().asked == [("a", 1)]


def test_the_place_is_kept_while_the_run_is_undone_and_its_hook_is_called() -> None:
    hooks = (step("~on_failure"),)
    play = gated(step("a", compensation=undoing("a")), step("b", "a"), hooks=hooks)
    given(play)
    play.completed("a")
    play.failed("b")
    assert play.run.status == "compensating"
    assert not left(play)
    play.completed("a~compensate")
    assert not left(play)
    play.completed("~on_failure")
    assert (play.run.status, left(play)) == ("compensated", [("few//", 1)])


def test_a_run_tried_again_by_its_own_policy_keeps_the_place() -> None:
    play = gated(restart=RetryPolicy(attempts=2, base_ms=1_000))
    given(play)
    play.failed("a")
    assert (play.run.status, left(play)) == ("pending", [])
    assert given(play).outcome is Outcome.DUPLICATE
    assert play.run.status == "pending"
    assert play.fire().asked == [("a", 2)]
    play.completed("a", attempt=2)
    assert left(play) == [("few//", 1)]


def test_an_ended_run_that_is_retried_asks_again_and_goes_on_where_it_was() -> None:
    play = gated(step("a"), step("b", "a"), timeout_ms=60_000)
    given(play)
    play.completed("a")
    play.failed("b")
    assert play.run.status == "failed"
    asked = play.retried()
    assert (asked.asked, play.run.status, play.due()) == ([], "pending", None)
    assert [(m.key, m.attempt) for m in asked.messages if isinstance(m, PlaceAsked)] == [("few//", 2)]
    play.reload()
    assert given(play, 1).outcome is Outcome.LATE
    assert left(play) == [("few//", 1)]
    assert play.run.status == "pending"
    assert given(play, 2).asked == [("b", 2)]
    assert play.due() == play.now + 60_000
    play.completed("b", attempt=2)
    assert (play.run.status, left(play)) == ("completed", [("few//", 2)])
    play.retried(id="retry-2", whole=True)
    assert given(play, 3).asked == [("a", 2)]


def test_what_was_done_is_undone_when_a_retried_run_is_cancelled_in_the_line() -> None:
    play = gated(step("a", compensation=undoing("a")), step("b", "a"))
    given(play)
    play.completed("a")
    play.step_cancelled("b")
    assert play.run.status == "cancelled"
    play.retried()
    assert play.run.status == "pending"
    play.cancelled(compensate=True)
    assert (play.run.status, play.last.asked, left(play)) == ("compensating", [("a~compensate", 1)], [])
    given(play, 2)
    assert play.run.status == "compensating"
    play.completed("a~compensate")
    assert (play.run.status, left(play)) == ("compensated", [("few//", 2)])


def test_a_run_cancelled_in_the_line_can_be_retried_as_a_whole() -> None:
    play = gated(step("a"), step("b", "a"))
    play.cancelled()
    play.retried(whole=True)
    assert play.run.status == "pending"
    play.reload()
    assert given(play, 2).asked == [("a", 1)]


def test_a_rate_alone_keeps_no_place() -> None:
    play = gated(limits=GateLimits(rate=5))
    assert given(play, is_held=False).asked == [("a", 1)]
    play.completed("a")
    assert not left(play)


def test_events_for_reactions_are_read_from_the_beginning() -> None:
    play = gated(beside=(reacting(event="paid"),), input=b'{"id":"7"}')
    assert [type(m) for m in play.began.messages] == [PlaceAsked]
    assert [m.since for m in given(play).messages] == [play.run.created]
    play.failed("a")
    play.now += 1_000
    play.retried()
    play.now += 1_000
    assert [m.since for m in given(play, 2).messages] == [play.now]


def test_a_request_that_may_be_lost_is_made_again() -> None:
    play, out = gated(), Effects()
    redrive(play.run, out)
    assert out.messages == play.began.messages
    given(play)
    again = Effects()
    redrive(play.run, again)
    assert not again.messages


def test_the_place_of_a_run_that_is_gone_is_given_back() -> None:
    message, out = PlaceGiven(key="gone", attempt=3, gate="few//", is_held=True, format=2), Effects()
    with pytest.raises(RejectedError) as error:
        create(message, 0, lambda fingerprint: None)
    refuse(message, error.value, out)
    assert out.messages == [PlaceLeft(key="few//", run="gone", attempt=3, format=2)]


@pytest.mark.parametrize(("gate", "nodes", "code"), [
    (Gate(name="few", limits=GateLimits()), (step("a"),), "gate"),
    (Gate(name="few", limits=LIMITS, per="a.of"), (step("a"),), "gate_path"),
    (Gate(name="no name!", limits=LIMITS), (step("a"),), "bad_name"),
    (Gate(name="few", limits=LIMITS), (step("a", gate=Gate(name="few", limits=LIMITS)),), "deadlock"),
])  # fmt: skip
def test_bad_gates_are_refused(gate: Gate, nodes: tuple[AnyNode, ...], code: str) -> None:
    made = Definition(name="order", nodes=nodes, gate=gate, format=format_of(nodes, gate=gate))
    assert code in [fault.code for fault in validate(made)]


def test_a_workflow_without_a_gate_asks_nothing() -> None:
    play = Play(step("a"))
    assert play.run.requests is None
    assert play.began.facts == ["run.started"]


@pytest.mark.parametrize("is_held", [True, False])
def test_a_grant_to_a_turn_before_a_snooze_lets_the_step_in_no_more(is_held: bool) -> None:  # noqa: FBT001
    play = Play(step("a", gate=Gate(name="bank", limits=LIMITS)))
    given = PlaceGiven(key=RUN, step="a", attempt=1, gate="bank//", is_held=is_held, format=2)
    assert play.tell(given).asked == [("a", 1)]
    play.returned("a", delay_ms=1_000)
    play.reload()
    assert play.tell(given).outcome is Outcome.LATE, "while it sleeps"
    [asked] = play.fire("a").messages
    assert isinstance(asked, PlaceAsked) and (asked.attempt, asked.passes) == (1, 1)
    play.reload()

    said = play.tell(given)
    assert (said.outcome, said.asked) == (Outcome.LATE, [])
    assert play.tell(replace(given, passes=asked.passes)).asked == [("a", 1)]
    play.completed("a")
    left = [(m.attempt, m.passes) for m in play.last.messages if isinstance(m, PlaceLeft)]
    assert left == ([(1, 1)] if is_held else []), "the gate knows it by the turn of its request"
