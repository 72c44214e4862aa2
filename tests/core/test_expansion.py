"""Steps that a step adds to its run: how they are named, what is wrong with them, what they come to."""

from __future__ import annotations

import json

import pytest
from builders import Play, step, undoing
from msgspec import Raw

from stream_durable.core.ids import ID_BYTES_MAX
from stream_durable.core.messages import Grafted
from stream_durable.core.status import Outcome

SCAN = step("scan")
ONE, TWO = Grafted(of="scan", item=Raw(b"1")), Grafted(of="scan", name="last", item=Raw(b"2"), after=("0",))


def test_members_come_after_one_another_and_end_the_step_with_the_list_of_their_outputs() -> None:
    play = Play(step("a"), step("z", "a", takes=("a",)), templates=(SCAN,))

    said = play.expanded("a", ONE, TWO)
    assert [(c.step, c.function, bytes(c.item or b"")) for c in said.commands] == [("a[0]", "scan", b"1")]
    play.reload()
    assert play.completed("a[0]", b"10").asked == [("a[last]", 1)]

    done = play.completed("a[last]", b"20")
    assert json.loads(bytes(done.commands[0].outputs["a"])) == [10, 20]


def test_members_may_expand_in_turn() -> None:
    play = Play(step("a"), templates=(SCAN,))
    play.expanded("a", ONE)

    play.expanded("a[0]", ONE, ONE)
    play.reload()
    play.completed("a[0][0]", b"1")

    assert play.completed("a[0][1]", b"2").facts[-1] == "run.completed"
    assert play.run.output == b"[[1,2]]"


def test_a_thousand_generations_have_names_that_fit() -> None:
    play = Play(step("a"), templates=(SCAN,))
    name = "a"
    for generation in range(1_000):
        [command] = play.expanded(name, ONE).commands
        name = command.step
        assert len(name) <= ID_BYTES_MAX
        assert name.startswith("a")
        if generation % 400 == 399:
            play.reload()
            assert name in play.run.graph.index

    assert play.completed(name, b"1").facts[-1] == "run.completed"

    assert play.run.output == b"[" * 200 + b"null" + b"]" * 200
    assert len(play.run.graph.index) == 1_001


def test_an_expansion_into_nothing_is_done() -> None:
    assert Play(step("a"), templates=(SCAN,)).expanded("a").facts == ["step.completed a", "run.completed"]


@pytest.mark.parametrize(
    "steps",
    [
        (Grafted(of="ghost"),),
        (Grafted(of="scan", name="x"), Grafted(of="scan", name="x")),
        (Grafted(of="scan", name="x[1]"),),
        (Grafted(of="scan", name="x~y"),),
        (Grafted(of="scan", after=("1",)), Grafted(of="scan", after=("0",))),
        (Grafted(of="scan", name="x" * 512),),
        (Grafted(of="scan", name="訂" * 160),),
    ],
)
def test_an_expansion_that_makes_no_sense_fails_its_step(steps: tuple[Grafted, ...]) -> None:
    play = Play(step("a"), templates=(SCAN,))

    play.expanded("a", *steps)

    assert play.step("a").failure.code == "bad_expansion"  # type: ignore[union-attr]
    assert play.run.status == "failed"


def test_what_undoes_a_member_is_given_the_output_of_that_member() -> None:
    play = Play(step("a"), step("z", "a"), templates=(step("scan", compensation=undoing("scan")),))
    play.expanded("a", ONE)
    play.completed("a[0]", b"10")

    (command,) = play.failed("z").commands

    assert (command.step, command.function) == ("a[0]~compensate", "scan~compensate")
    assert {name: bytes(value) for name, value in command.outputs.items()} == {"scan": b"10"}


def test_members_of_a_step_made_anew_never_have_the_names_of_earlier_ones() -> None:
    play = Play(step("a"), templates=(SCAN,))
    play.expanded("a", ONE)
    play.retried("a", "1")
    play.retried("a", "2")
    play.reload()

    assert play.expanded("a", ONE, attempt=3).asked == [("a~2[0]", 1)]
    assert play.completed("a[0]").outcome is Outcome.LATE


def test_the_time_of_a_step_in_all_is_that_of_its_members_too() -> None:
    play = Play(step("a", total_ms=5_000), templates=(SCAN,))
    play.expanded("a", ONE)

    said = play.fire("a")

    assert "step.failed a" in said.facts
    assert said.cancels == [("a[0]", 1)]


def test_a_step_that_is_asked_to_stop_adds_nothing() -> None:
    play = Play(step("a", compensation=undoing("a")), step("b"), templates=(SCAN,))
    play.failed("b")

    said = play.expanded("a", ONE)

    assert said.asked == [("a~compensate", 1)], "it has done what it did, and that is undone"
