"""What is too much for one record is begun by the records that continue it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from builders import RUN, Play, Said, each, inside, parallel, step, undoing

from stream_durable.core.definition.nodes import AnyNode, ChildNode
from stream_durable.core.effects import Effects
from stream_durable.core.messages import PauseRun, ResumeRun, RunContinued, StartRun
from stream_durable.core.run import portions
from stream_durable.core.run.explain import causes
from stream_durable.core.run.redrive import redrive
from stream_durable.core.status import Outcome

GO_ON = RunContinued(key=RUN)


@pytest.fixture(autouse=True)
def three_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "LOAD_MAX", 3 * portions.STEP_LOAD)
    monkeypatch.setattr(portions, "PORTION", 3)


def fan(count: int, **options: Any) -> list[AnyNode]:
    return [step(f"s{i}", **options) for i in range(count)]


def go_on(play: Play, said: Said) -> list[str]:
    """Go on as often as the run asks for it, loaded again each time; return what was begun, in order."""
    asked = [name for name, _ in said.asked]
    while GO_ON in said.messages:
        play.reload()
        said = play.tell(GO_ON)
        assert len(said.asked) <= 3
        asked += [name for name, _ in said.asked]
    return asked


def test_a_record_begins_as_many_steps_as_it_may_and_asks_for_the_next() -> None:
    play = Play(*fan(8), step("end", *(f"s{i}" for i in range(8))))

    assert play.began.asked == [("s0", 1), ("s1", 1), ("s2", 1)]
    assert play.began.messages == [GO_ON]

    assert go_on(play, play.began) == [f"s{i}" for i in range(8)]
    for i in range(7):
        play.completed(f"s{i}")
    assert play.completed("s7").asked == [("end", 1)]
    assert play.tell(GO_ON).outcome is Outcome.LATE


def test_a_few_steps_with_large_inputs_are_too_much_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "LOAD_MAX", 1_000_000)
    large = b'"%b"' % (b"x" * 400_000)
    play = Play(*fan(5, takes_input=True), input=large)

    assert [name for name, _ in play.began.asked] == ["s0", "s1", "s2"]
    assert go_on(play, play.began) == [f"s{i}" for i in range(5)]


def test_a_deferred_step_says_what_it_waits_for() -> None:
    play = Play(*fan(4))

    assert [cause.kind for cause in causes(play.run, play.run.graph.index["s3"])] == ["turn"]


def test_the_members_of_a_group_are_begun_in_portions() -> None:
    items = json.dumps({"items": list(range(8))}).encode()
    play = Play(each("scan"), step("end", "scan"), input=items)

    names = go_on(play, play.began)

    assert names == [f"scan[{i}]" for i in range(8)]
    for name in names[:-1]:
        play.completed(name)
    assert play.completed(names[-1]).asked == [("end", 1)]


def test_a_limited_group_goes_on_when_a_deferred_member_is_cancelled() -> None:
    members = [inside("g", step(name)) for name in "ab"]
    play = Play(*fan(3), parallel("g", concurrency=1, on_member_error="complete_all"), *members)
    assert [name for name, _ in play.began.asked] == ["s0", "s1", "s2"]

    play.step_cancelled("a")

    assert go_on(play, play.began) == ["s0", "s1", "s2", "b"]


def test_an_ordered_group_goes_on_when_a_deferred_member_is_cancelled() -> None:
    first, *others = fan(3)
    group = each("scan", concurrency=1, on_member_error="complete_all")
    play = Play(first, group, *others, input=b'{"items":[1,2]}')
    assert [name for name, _ in play.began.asked] == ["s0", "s1", "s2"]

    said = play.step_cancelled("scan[0]")

    assert [name for name, _ in said.asked] + go_on(play, play.began)[3:] == ["scan[1]"]


def test_children_are_started_in_portions() -> None:
    nodes = [ChildNode(name=f"c{i}", workflow="w", fingerprint="f" * 16) for i in range(5)]
    play = Play(*nodes)

    started = [message.key for message in play.began.messages if isinstance(message, StartRun)]
    assert len(started) == 3

    started += [m.key for m in play.tell(GO_ON).messages if isinstance(m, StartRun)]
    assert started == [f"{RUN}//c{i}" for i in range(5)]


def test_a_cancelled_run_begins_no_more() -> None:
    play = Play(*fan(8))

    play.cancelled()

    assert play.run.status == "cancelled"
    assert play.tell(GO_ON).outcome is Outcome.LATE


def test_a_failing_run_that_undoes_what_it_did_begins_no_more() -> None:
    play = Play(step("first", compensation=undoing("first")), *fan(8))
    play.completed("first")

    said = play.failed("s0")
    play.reload()

    assert said.asked == [("first~compensate", 1)]
    assert play.tell(GO_ON).outcome is Outcome.LATE
    assert play.completed("first~compensate").facts[-1] == "run.compensated"


def test_a_run_that_is_finished_begins_no_more() -> None:
    play = Play(*fan(8))

    assert "run.completed" in play.finished("s0", b"1").facts
    assert play.tell(GO_ON).outcome is Outcome.LATE


def test_a_paused_run_holds_what_was_deferred() -> None:
    play = Play(*fan(5))
    play.paused()

    assert play.tell(GO_ON).asked == []
    assert go_on(play, play.resumed()) == ["s3", "s4"]


def test_steps_that_are_begun_again_meanwhile_are_begun_once() -> None:
    play = Play(*fan(8))
    play.completed("s0")
    said = play.retried(whole=True)

    asked = [name for name, _ in said.asked]
    while play.run.requests is not None and play.run.requests.deferred:
        play.reload()
        asked += [name for name, _ in play.tell(GO_ON).asked]

    assert sorted(asked) == [f"s{i}" for i in range(8)]


def test_what_was_held_and_is_deferred_is_not_begun_by_another_resume() -> None:
    """It was begun beside its turn, and a run that was loaded then counted it as not begun."""
    play = Play(step("first"), *(step(f"s{i}", "first") for i in range(6)))
    play.tell(PauseRun(key=RUN, id="p1"))
    play.completed("first")
    assert len(play.tell(ResumeRun(key=RUN, id="r1")).asked) == 3
    play.tell(PauseRun(key=RUN, id="p2"))
    again = play.tell(ResumeRun(key=RUN, id="r2"))
    assert again.asked == []
    play.reload()
    asked = [name for name, _ in play.tell(GO_ON).asked]
    assert (asked, play.run.active) == (["s3", "s4", "s5"], 6)


def test_a_run_that_ended_early_can_be_retried_whole() -> None:
    play = Play(*fan(8))
    play.cancelled()
    play.reload()

    said = play.retried()

    assert sorted(go_on(play, said)) == [f"s{i}" for i in range(8)]


def test_after_a_lost_log_the_run_is_told_to_go_on_again() -> None:
    play = Play(*fan(5))
    effects = Effects()

    redrive(play.run, effects)

    assert GO_ON in effects.messages
    assert len(effects.commands) == 3
