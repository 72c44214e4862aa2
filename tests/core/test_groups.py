"""Parallel groups and lists of steps: how many run at once, what ends them, and what they come to."""

from __future__ import annotations

import json

import pytest
from builders import Play, each, inside, parallel, step, undoing

from stream_durable.core.definition.nodes import AnyNode, Join
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.status import Outcome

ITEMS = b'{"items":[1,2,3]}'
TWICE = RetryPolicy(attempts=2, base_ms=1_000)


def trio(**options: object) -> list[AnyNode]:
    return [parallel("g", **options), *(inside("g", step(name)) for name in "abc")]


def test_a_group_that_completes_all_tells_what_became_of_each() -> None:
    play = Play(*trio(on_member_error="complete_all"), step("z", "g", takes=("g",)))
    play.completed("a", b"1")
    play.failed("b")

    said = play.skipped("c")

    (command,) = said.commands
    results = json.loads(bytes(command.outputs["g"]))
    assert results["a"] == {"output": 1}
    assert results["b"]["failure"]["code"] == "Oops"
    assert results["c"] == {"skipped": True}


def test_the_first_failure_ends_a_group_that_fails_fast() -> None:
    play = Play(*trio(), step("other"))

    said = play.failed("b")

    assert said.facts[0] == "step.failed b"
    assert {("a", 1), ("c", 1)} <= set(said.cancels)
    assert (play.run.status, play.status("g"), play.run.failure.step) == ("failed", "failed", "b")  # type: ignore[union-attr]


def test_so_many_members_run_at_once_and_others_are_held() -> None:
    play = Play(*trio(concurrency=1))
    assert play.began.asked == [("a", 1)]

    play.reload()

    assert play.completed("a").asked == [("b", 1)]
    assert play.completed("b").asked == [("c", 1)]
    assert play.completed("c").facts == ["step.completed c", "step.completed g", "run.completed"]


def test_enough_members_end_a_list_and_the_rest_is_cancelled() -> None:
    play = Play(each("g", enough=2), step("z", "g", takes=("g",)), input=ITEMS)
    play.completed("g[0]", b"10")

    said = play.completed("g[2]", b"30")

    assert said.cancels == [("g[1]", 1)]
    assert json.loads(bytes(said.commands[-1].outputs["g"])) == [10, None, 30]


def test_a_list_fails_once_no_longer_enough_can_complete() -> None:
    play = Play(each("g", enough=3), input=ITEMS)

    play.failed("g[0]")

    assert (play.status("g"), play.run.status) == ("failed", "failed")


@pytest.mark.parametrize(("given", "code"), [(b'{"items":7}', "not_a_list"), (b"{}", "path_missing")])
def test_what_is_no_list_fails_the_step(given: bytes, code: str) -> None:
    play = Play(each("g"), input=given)

    assert play.step("g").failure.code == code  # type: ignore[union-attr]


def test_a_list_of_nothing_is_done_at_once() -> None:
    play = Play(each("g"), step("z", "g", takes=("g",)), input=b'{"items":[]}')

    assert bytes(play.began.commands[0].outputs["g"]) == b"[]"


def test_a_member_that_is_retried_in_a_pause_gives_up_its_place_and_gets_it_back() -> None:
    play = Play(parallel("g", concurrency=1), inside("g", step("a", retry=TWICE)), inside("g", step("b")))
    play.failed("a")
    play.paused()
    play.fire("a")
    play.reload()

    assert play.resumed().asked == [("a", 2)]
    assert play.completed("a", attempt=2).asked == [("b", 1)]


@pytest.mark.parametrize("nodes", [(each("g", concurrency=1),), tuple(trio(concurrency=1))])
def test_a_member_that_ends_while_it_is_held_lets_the_next_one_in(nodes: tuple[AnyNode, ...]) -> None:
    first, second, third = ("g[0]", "g[1]", "g[2]") if len(nodes) == 1 else ("a", "b", "c")
    play = Play(*nodes, input=ITEMS)
    play.paused()
    play.completed(first)
    play.step_skipped(second)
    play.reload()

    assert play.resumed().asked == [(third, 1)]


def test_a_member_made_anew_waits_for_its_turn_like_any_other() -> None:
    play = Play(each("g", concurrency=1, on_member_error="complete_all"), input=ITEMS)
    play.failed("g[0]")
    assert play.status("g[1]") is None, "it is with a worker"

    assert play.retried("g[0]").asked == []

    play.reload()
    assert play.completed("g[1]").asked == [("g[0]", 2)]
    assert play.completed("g[0]", attempt=2).asked == [("g[2]", 1)]


def test_a_race_among_members_lost_by_all_fails_the_run_once() -> None:
    race = Join(of=("a", "b"))
    play = Play(
        parallel("g", concurrency=2), *(inside("g", step(n)) for n in "abc"),
        step("z", joins=(race,)),
    )  # fmt: skip
    play.failed("a")

    said = play.failed("b")

    assert play.run.status == "failed"
    assert said.asked == [], "an ended run asks for nothing"


def test_a_running_charge_in_a_group_is_waited_for_when_the_run_fails() -> None:
    play = Play(parallel("g"), inside("g", step("charge", compensation=undoing("charge"))), step("other"))

    failed = play.failed("other")
    assert failed.cancels == [("charge", 1)]
    assert play.run.ended is None, "its answer is waited for"
    play.reload()
    answered = play.completed("charge", b'{"id":1}')

    assert answered.asked == [("charge~compensate", 1)]
    play.completed("charge~compensate")
    assert play.run.status == "compensated"


def test_a_charge_beside_a_failure_in_a_group_that_fails_fast_is_waited_for() -> None:
    charge = step("charge", compensation=undoing("charge"))
    play = Play(parallel("g"), inside("g", charge), inside("g", step("b")))

    play.failed("b")
    answered = play.completed("charge")

    assert answered.asked == [("charge~compensate", 1)]


def test_what_undoes_a_member_is_given_the_output_of_that_member() -> None:
    play = Play(each("g", compensation=undoing("g")), step("z", "g"), input=b'{"items":[1,2]}')
    play.completed("g[0]", b"10")
    play.completed("g[1]", b"20")

    said = play.failed("z")

    (command,) = said.commands
    assert (command.step, command.function) == ("g[1]~compensate", "g~compensate")
    assert {name: bytes(value) for name, value in command.outputs.items()} == {"g": b"20"}
    assert play.completed("g[1]~compensate").asked == [("g[0]~compensate", 1)]


def test_a_group_whose_members_are_done_takes_no_message_for_them() -> None:
    play = Play(*trio(on_member_error="complete_all"), step("z", "g"))
    for name in "abc":
        play.completed(name)

    assert play.completed("a").outcome is Outcome.DUPLICATE
    assert play.failed("a").outcome is Outcome.LATE
