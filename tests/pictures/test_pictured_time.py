"""Where the time of a run went."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from growth import grows_with
from picture_world import Stands, Stood, at, of, ran, step

from stream_durable.core.definition.nodes import EachNode, Join, ParallelNode, SignalNode, StepNode
from stream_durable.pictures import Report, StepReport, report, table

CHAIN = of(step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"))


def by_name(found: Report) -> dict[str, StepReport]:
    return {step.name: step for step in found.steps}


def test_steps_are_listed_in_the_order_in_which_they_ended() -> None:
    found = report(CHAIN, Stood({"a": ran(1, 2), "b": ran(2, 9), "c": ran(3, 4), "d": ran(9, 10)}, at(10)))

    assert [step.name for step in found.steps] == ["a", "c", "b", "d"]


def test_those_that_have_not_ended_come_last() -> None:
    states = {"a": ran(1, 2), "b": ran(2, status="running"), "c": ran(3, 4), "d": Stands("pending", 0)}
    found = report(CHAIN, Stood(states, None, "running"))

    assert [step.name for step in found.steps] == ["a", "c", "b", "d"]
    assert found.steps[2].ran_ms is None
    assert found.total_ms == 100_000


def test_a_step_waits_from_the_end_of_what_it_waited_for() -> None:
    found = report(CHAIN, Stood({"a": ran(1, 2), "b": ran(2, 9), "c": ran(3, 4), "d": ran(9.5, 10)}, at(20)))
    steps = by_name(found)

    assert [steps[name].waited_ms for name in "abcd"] == [1_000, 0, 1_000, 500]
    assert [steps[name].ran_ms for name in "abcd"] == [1_000, 7_000, 1_000, 500]
    assert steps["b"].share == 0.35


def test_the_critical_path_goes_back_by_what_ended_last() -> None:
    found = report(CHAIN, Stood({"a": ran(1, 2), "b": ran(2, 9), "c": ran(3, 4), "d": ran(9.5, 10)}, at(12)))

    assert found.critical == ("a", "b", "d")
    assert [step.name for step in found.steps if step.is_critical] == ["a", "b", "d"]
    # Before a, between b and d, and after d.
    assert found.unexplained_ms == 1_000 + 500 + 2_000


def test_a_step_that_was_skipped_held_nothing_up_and_what_was_before_it_did() -> None:
    states = {"a": ran(1, 2), "b": Stands("skipped", 0), "c": Stands("skipped", 0), "d": ran(3, 4)}
    found = report(CHAIN, Stood(states, at(4)))

    assert found.critical == ("a", "d")
    assert by_name(found)["d"].waited_ms == 1_000


def test_a_race_is_decided_by_the_one_that_was_enough() -> None:
    race = of(step("a"), step("b"), step("c"), step("d", joins=(Join(of=("a", "b", "c"), enough=2),)))
    states = {"a": ran(0, 1), "b": ran(0, 3), "c": ran(0, 9), "d": ran(4, 10)}

    assert report(race, Stood(states, at(10))).critical == ("b", "d")


def test_the_time_of_a_group_is_that_of_its_members() -> None:
    group = of(step("a"), ParallelNode(name="g", after=("a",)), step("x", member_of="g"),
               step("y", "x", member_of="g"), step("z", member_of="g"), step("end", "g"))  # fmt: skip
    states = {
        "a": ran(0, 1),
        "g": ran(1, 8),
        "x": ran(2, 3),
        "y": ran(3, 8),
        "z": ran(1, 5),
        "end": ran(8, 9),
    }
    found = report(group, Stood(states, at(9)))

    assert found.critical == ("a", "x", "y", "end")
    assert found.unexplained_ms == 1_000
    assert by_name(found)["g"].is_group
    assert [step.name for step in found.steps] == ["a", "x", "z", "y", "g", "end"]
    assert by_name(found)["z"].waited_ms == 0


def test_members_that_were_made_at_run_time_are_members() -> None:
    node = EachNode(name="resize", over="a", after=("a",), step=StepNode(name="resize"))
    states = {"a": ran(0, 1), "resize": ran(1, 8), "end": ran(9, 10), "resize[0]": ran(2, 8),
              "resize[1]": ran(2, 3), "resize[0][x]": ran(4, 8)}  # fmt: skip
    found = report(of(step("a"), node, step("end", "resize")), Stood(states, at(10)))

    assert found.critical == ("a", "resize[0][x]", "end")
    assert by_name(found)["resize[1]"].waited_ms == 1_000


def test_a_wait_takes_the_time_until_what_it_waited_for_came() -> None:
    waits = of(SignalNode(name="go", signals=("go",)), step("b", "go"))
    found = report(waits, Stood({"go": ran(0, 7), "b": ran(7, 8)}, at(8)))

    assert by_name(found)["go"].ran_ms == 7_000
    assert found.critical == ("go", "b")


def test_helpers_are_listed_and_are_on_no_path() -> None:
    helpers = {"a~compensate": ran(3, 9), "~on_failure": ran(9, 10)}
    found = report(of(step("a")), Stood({"a": ran(1, 2)}, at(10), "failed", helpers))

    assert [step.name for step in found.steps] == ["a", "a~compensate", "~on_failure"]
    assert found.critical == ("a",)


def test_clocks_that_differ_make_nothing_less_than_nothing() -> None:
    found = report(
        CHAIN, Stood({"a": ran(-1, -2), "b": ran(-3, -2), "c": ran(-9, -8), "d": ran(-5, 1)}, at(0))
    )

    assert found.total_ms == found.unexplained_ms == 0
    assert all((step.waited_ms or 0) >= 0 for step in found.steps)
    assert found.critical[-1] == "d"


def test_a_run_that_has_not_begun_has_a_report_too() -> None:
    found = report(CHAIN, Stood({name: Stands("pending", 0) for name in "abcd"}, None, "pending"))

    assert found.critical == ()
    assert "nothing has ended yet" in table(found)
    assert "and 4 that have not begun" in table(found)


def test_a_table_shows_it_to_people() -> None:
    states = {"a": ran(1, 2), "b": ran(2, 9, "failed", 3), "c": ran(3, 4), "d": Stands("cancelled", 0)}
    lines = table(report(CHAIN, Stood(states, at(10), "failed"))).splitlines()

    assert lines[0] == "order-42  order  failed"
    assert [line.split() for line in lines[2:6]] == [
        ["step", "status", "attempts", "waited", "ran", "share"],
        ["*", "a", "completed", "1", "1", "s", "1", "s", "10%"],
        ["c", "completed", "1", "1", "s", "1", "s", "10%"],
        ["*", "b", "failed", "3", "0", "ms", "7", "s", "70%"],
    ]
    assert "critical path  a -> b" in lines
    assert "in all         10 s" in lines
    assert lines[-1].startswith("unexplained    2 s (20%)")


@pytest.mark.parametrize("is_wide", [True, False])
def test_steps_are_reported_at_a_cost_in_proportion_to_their_number(is_wide: bool) -> None:
    def reporting(count: int) -> Callable[[], Report]:
        nodes = [step(f"s{i}", *(() if is_wide or not i else (f"s{i - 1}",))) for i in range(count)]
        states = {f"s{i}": ran(i, i + 1) if i % 3 else Stands("skipped", 0) for i in range(count)}
        return lambda: report(of(*nodes), Stood(states, at(count)))

    count = 10_000
    assert len(reporting(count)().critical) == (1 if is_wide else count - (count + 2) // 3)
    assert grows_with(reporting, count)
