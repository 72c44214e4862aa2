"""A run begins, once, with what its graph lets begin."""

from __future__ import annotations

import pytest
from builders import NOON, RUN, Play, definition, event, signal, sleep, step

from stream_durable.core.definition.graph import Graph
from stream_durable.core.effects import Command
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import create
from stream_durable.core.ids import ID_BYTES_MAX
from stream_durable.core.lifecycle import RunEvent
from stream_durable.core.messages import CancelRun, EventPublished, Message, StartRun
from stream_durable.core.status import Outcome

GRAPH = Graph(definition(step("a")))


def a_start(key: str = RUN, workflow: str = "order", fingerprint: str = GRAPH.fingerprint) -> StartRun:
    return StartRun(key=key, id="m1", workflow=workflow, fingerprint=fingerprint)


def test_a_start_asks_for_every_step_that_waits_for_nothing() -> None:
    play = Play(step("a"), step("b"), step("c", "a", "b"))

    assert play.began.outcome is Outcome.APPLIED
    assert play.began.asked == [("a", 1), ("b", 1)]
    assert play.began.facts == ["run.started"]


def test_a_started_run_knows_when_and_by_which_message() -> None:
    play = Play(step("a"), tags=("eu",), trace="00-1")

    (said,) = play.began.effects.events
    assert isinstance(said, RunEvent)
    assert (said.time, said.cause, said.sequence, said.trace) == (NOON, "start-1", 1, "00-1")
    assert (play.run.created, play.run.tags, play.run.status) == (NOON, ("eu",), "running")


def test_waits_begin_with_the_run_and_say_so() -> None:
    play = Play(sleep("nap"), signal("approval"), event("payment"), input=b'{"id":7}')

    assert play.began.asked == []
    assert play.began.facts == [
        "run.started",
        "step.waiting nap",
        "step.waiting approval",
        "step.waiting payment",
    ]


def test_a_command_carries_the_input_only_to_a_step_that_takes_it() -> None:
    play = Play(step("a"), step("b", takes_input=False), input=b'{"big":1}', trace="00-1")

    a, b = play.began.commands
    assert bytes(a.input) == b'{"big":1}'
    assert bytes(b.input) == b"null"
    assert (a.workflow, a.fingerprint, a.trace) == ("order", play.graph.fingerprint, "00-1")


def test_a_command_goes_to_the_queue_of_its_step() -> None:
    play = Play(step("a", queue="gpu", timeout_ms=5_000))

    ((queue, command),) = play.began.effects.commands
    assert isinstance(command, Command)
    assert (queue, command.timeout_ms) == ("gpu", 5_000)


def test_a_second_start_of_the_same_id_is_a_duplicate_whoever_sent_it() -> None:
    play = Play(step("a"))

    for id_ in ("start-1", "start-2"):
        again = play.tell(StartRun(key=RUN, id=id_, workflow="order", fingerprint=play.graph.fingerprint))

        assert again.outcome is Outcome.DUPLICATE
        assert again.is_silent
    assert play.run.start_id == "start-1"


def test_a_start_of_a_run_that_has_ended_is_a_duplicate() -> None:
    play = Play(step("a"))
    play.completed("a")

    again = play.tell(play.start)

    assert again.outcome is Outcome.DUPLICATE
    assert again.is_silent


def test_a_message_for_a_run_that_was_never_started_is_refused() -> None:
    with pytest.raises(RejectedError) as refused:
        create(CancelRun(key="ghost", id="m1"), 0, lambda fingerprint: None)

    assert refused.value.code == "unknown_run"


@pytest.mark.parametrize(
    "start", [a_start(fingerprint="ffffffffffffffff"), a_start(workflow="other")], ids=["version", "name"]
)
def test_a_start_of_an_unknown_definition_is_refused(start: StartRun) -> None:
    with pytest.raises(RejectedError) as refused:
        create(start, 0, {GRAPH.fingerprint: GRAPH}.get)

    assert refused.value.code == "unknown_workflow"


@pytest.mark.parametrize("key", ["", "x" * (ID_BYTES_MAX + 1), "é" * 257], ids=["empty", "too long", "bytes"])
def test_an_id_that_cannot_be_kept_is_refused(key: str) -> None:
    messages: list[Message] = [a_start(key), EventPublished(key=key, id="e", ttl_ms=1)]

    for message in messages:
        with pytest.raises(RejectedError) as refused:
            create(message, 0, {GRAPH.fingerprint: GRAPH}.get)
        assert refused.value.code == "bad_id"


def test_the_longest_id_there_may_be_is_taken() -> None:
    key = "x" * ID_BYTES_MAX

    assert create(a_start(key), 0, {GRAPH.fingerprint: GRAPH}.get).id == key
