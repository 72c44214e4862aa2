"""One message begins a run and brings it a signal, or brings the signal alone to the run that exists."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOON, RUN, Play, definition, fact, picture, signal, step
from msgspec import Raw

from stream_durable.core.definition.graph import Graph
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import create, fold
from stream_durable.core.messages import StartWithSignal
from stream_durable.core.run.state import Run
from stream_durable.core.status import Outcome

NODES = (signal("w"), step("a", "w", takes=("w",)))


def brought(graph: Graph, id: str = "b1", data: bytes = b"1", **fields: Any) -> StartWithSignal:  # noqa: A002
    given = {"workflow": "order", "fingerprint": graph.fingerprint, "signal": "go", "format": 2, **fields}
    return StartWithSignal(key=RUN, id=id, data=Raw(data), **given)


def begun(*nodes: Any, **fields: Any) -> tuple[Run, Outcome, list[str]]:
    """Return a run that the message begins, what became of the message, and what was said in public."""
    graph, effects = Graph(definition(*nodes)), Effects()
    message = brought(graph, **fields)
    run = create(message, 3, {graph.fingerprint: graph}.get)
    assert isinstance(run, Run)
    outcome = fold(run, message, NOON, effects)
    return run, outcome, [fact(event) for event in effects.events]


def test_a_run_that_is_not_there_is_begun_and_has_its_signal() -> None:
    run, outcome, facts = begun(*NODES)

    assert outcome is Outcome.APPLIED
    assert facts == ["run.started", "step.waiting w", "step.completed w"]
    assert (run.start_id, run.steps[0].output) == ("b1", b"1")


def test_a_signal_for_a_wait_that_has_not_begun_is_kept() -> None:
    run, _, facts = begun(step("a"), signal("w", "a"))

    assert facts == ["run.started"]
    assert run.mail is not None
    assert [kept[:3] for kept in run.mail.kept.values()] == [("b1", "go", b"1")]


def test_a_signal_is_kept_for_its_time_to_live() -> None:
    run, _, _ = begun(step("a"), signal("w", "a"), ttl_ms=500)

    assert run.mail is not None
    assert [kept.expires for kept in run.mail.kept.values()] == [NOON + 500]


def test_a_run_that_begins_later_keeps_it() -> None:
    run, outcome, facts = begun(*NODES, at=NOON + 60_000)

    assert (outcome, facts, run.status) == (Outcome.APPLIED, ["run.scheduled"], "pending")
    assert run.mail is not None and len(run.mail.kept) == 1


class TestRunThatExists:
    def test_it_gets_the_signal_and_no_second_start(self) -> None:
        play = Play(*NODES, input=b'{"first":true}')

        said = play.tell(brought(play.graph, input=Raw(b'{"second":true}')))

        assert (said.outcome, said.facts) == (Outcome.APPLIED, ["step.completed w"])
        assert (play.run.input, play.run.start_id) == (b'{"first":true}', "start-1")

    def test_a_repeat_changes_nothing(self) -> None:
        play = Play(step("a"), signal("w", "a"))
        message = brought(play.graph)
        assert play.tell(message).outcome is Outcome.APPLIED
        play.reload()

        said = play.tell(message)

        assert (said.outcome, said.is_silent) == (Outcome.DUPLICATE, True)
        assert play.run.mail is not None and len(play.run.mail.kept) == 1

    def test_a_repeat_of_what_began_the_run_changes_nothing(self) -> None:
        run, _, _ = begun(step("a"), signal("w", "a"))
        before, effects = picture(run), Effects()

        assert fold(run, brought(run.graph), NOON, effects) is Outcome.DUPLICATE
        assert picture(run) == before

    def test_after_a_cancel_it_is_late_and_starts_nothing_again(self) -> None:
        play = Play(*NODES)
        play.cancelled()

        said = play.tell(brought(play.graph))

        assert (said.outcome, said.is_silent, play.run.status) == (Outcome.LATE, True, "cancelled")

    def test_a_cancel_after_it_ends_the_run(self) -> None:
        run, _, _ = begun(*NODES)
        play = Play(*NODES)
        play.run = run

        assert play.cancelled().outcome is Outcome.APPLIED
        assert run.failure is not None

    def test_two_of_them_bring_two_signals(self) -> None:
        play = Play(signal("v"), signal("w", "v"))

        play.tell(brought(play.graph, "b1", b"1"))
        play.tell(brought(play.graph, "b2", b"2"))

        assert (play.step("v").output, play.step("w").output, play.run.status) == (b"1", b"2", "completed")

    def test_one_of_another_workflow_is_refused(self) -> None:
        play = Play(*NODES)

        assert play.refused(brought(play.graph, workflow="other")) == "different_workflow"

    def test_a_paused_run_takes_it(self) -> None:
        play = Play(*NODES)
        play.paused()

        assert play.tell(brought(play.graph)).facts == ["step.completed w"]
        assert play.status("a") == "pending"


def test_it_is_refused_like_a_start() -> None:
    graph = Graph(definition(*NODES))

    with pytest.raises(RejectedError) as error:
        create(brought(graph, fingerprint="0" * 16), 3, dict[str, Graph]().get)
    assert error.value.code == "unknown_workflow"
