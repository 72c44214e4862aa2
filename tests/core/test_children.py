"""Runs that a step starts: rounds, tries, time, and what is said of one that is not waited for."""

from __future__ import annotations

import msgspec
import pytest
from builders import NOON, RUN, Play, child, definition, step

from stream_durable.core.definition.graph import Graph
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import create
from stream_durable.core.ids import child_id, fits, is_derived
from stream_durable.core.messages import CancelRun, StartRun
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.status import Outcome
from stream_durable.wire.events import admit


def started(said: object) -> list[tuple[str, bytes]]:
    return [(m.key, bytes(m.input)) for m in said.messages if isinstance(m, StartRun)]  # type: ignore[attr-defined]


def test_a_child_is_started_with_what_the_paths_give_and_its_output_is_the_steps() -> None:
    play = Play(
        child("c", input={"id": "input.id", "n": "=[1]"}), step("z", "c", takes=("c",)), input=b'{"id":7}'
    )
    assert started(play.began) == [("run-1//c", b'{"id":7,"n":[1]}')]

    (command,) = play.child_ended("c", b"5").commands

    assert bytes(command.outputs["c"]) == b"5"


def test_a_child_runs_again_until_it_says_so() -> None:
    play = Play(child("c", until="c.done", again={"at": "c.next"}, input="input"), input=b'{"at":0,"k":1}')

    again = play.child_ended("c", b'{"done":false,"next":9}')

    assert started(again) == [("run-1//c/2", b'{"at":9,"k":1}')]
    assert play.child_ended("c", b"null").outcome is Outcome.LATE, "the first round has been told of"
    assert play.child_ended("c", b'{"done":true}', child="run-1//c/2").facts[-1] == "run.completed"


def test_the_time_of_a_child_goes_on_after_a_pause_between_two_rounds() -> None:
    play = Play(child("c", until="c.done", every_ms=1_000, timeout_ms=5_000))
    play.child_ended("c", b'{"done":false}')
    assert play.due("c") == NOON + 1_000
    play.fire("c")

    assert play.due("c") == NOON + 5_000
    said = play.fire("c")
    assert "step.failed c" in said.facts
    assert [m.key for m in said.messages if isinstance(m, CancelRun)] == ["run-1//c/2"]


def test_a_child_that_fails_is_tried_again_as_another_run() -> None:
    play = Play(child("c", retry=RetryPolicy(attempts=2, base_ms=1_000)))
    play.child_ended("c", status="failed")

    assert started(play.fire("c")) == [("run-1//c@2", b"null")]
    play.child_ended("c", status="failed", child="run-1//c@2")
    assert play.run.failure is not None
    assert (play.run.failure.code, play.run.failure.step) == ("Broken", "c")


def test_cancelling_a_run_cancels_its_child() -> None:
    play = Play(child("c"))

    said = play.cancelled()

    (order,) = said.messages
    assert isinstance(order, CancelRun)
    assert order.key == f"{RUN}//c"
    assert len(order.id) <= 512


def test_nobody_outside_can_take_the_id_of_a_child() -> None:
    graph = Graph(definition(step("a")))
    start = StartRun(key="order-42//invoice", id="s", workflow="order", fingerprint=graph.fingerprint)

    with pytest.raises(RejectedError) as refused:
        create(start, 0, {graph.fingerprint: graph}.get)
    assert refused.value.code == "reserved_id"
    with pytest.raises(RejectedError) as at_the_edge:
        admit(start)
    assert at_the_edge.value.code == "reserved_id"

    child = msgspec.structs.replace(start, parent="order-42", parent_step="invoice")
    assert create(child, 0, {graph.fingerprint: graph}.get).id == "order-42//invoice"


def test_the_id_of_a_child_fits_however_long_its_parents_is() -> None:
    one, other = child_id("ü" * 256, "ship"), child_id("ü" * 256, "pack")

    assert fits(one)
    assert fits(other)
    assert one != other
    assert is_derived(one)
