"""A run with held steps is changed before it goes on: its input, its context, and what a step may take."""

from __future__ import annotations

import json
from typing import Any

import pytest
from builders import NOON, RUN, Play, Said, branch, child, parallel, signal, step, undoing
from msgspec import Raw

from stream_durable.core.definition.nodes import EachNode, Join
from stream_durable.core.format import HOLD
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.messages import ChangeHeld, CompleteHeld, Grafted, SkipStep
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.run.changing import CHANGES_MAX
from stream_durable.core.status import Outcome

SLOWLY = RetryPolicy(attempts=2, backoff="fixed", base_ms=5_000)


def held(name: str, *after: str, **options: Any) -> Any:
    return step(name, *after, on_error="hold", **options)


def change(id: str = "h1", **fields: Any) -> ChangeHeld:  # noqa: A002
    context = {path: Raw(value) for path, value in fields.pop("context", {}).items()}
    given = fields.pop("input", None)
    return ChangeHeld(
        key=RUN, id=id, format=HOLD, context=context, input=None if given is None else Raw(given), **fields
    )


def changed(play: Play, id: str = "h1", **fields: Any) -> Said:  # noqa: A002
    return play.tell(change(id, **fields))


def kept(play: Play) -> list[tuple[Any, Any]]:
    assert play.run.requests is not None
    return [
        (json.loads(bytes(one.before)), json.loads(bytes(one.after))) for one in play.run.requests.changes
    ]


def test_the_next_attempt_has_the_changed_input_and_the_row_keeps_the_first() -> None:
    play = Play(held("a"), step("b", "a"), input=b'{"n":1}')
    play.failed("a")
    assert changed(play, input=b'{"n":2}', by="tom", reason="wrong").is_silent
    play.reload()
    assert play.retried("a").commands[0].input == Raw(b'{"n":2}')
    assert play.completed("a", attempt=2).commands[0].input == Raw(b'{"n":2}')
    assert kept(play) == [({"input": {"n": 1}}, {"input": {"n": 2}})]
    [made] = play.run.requests.changes  # type: ignore[union-attr]
    assert (made.id, made.at, made.by, made.reason) == ("h1", NOON, "tom", "wrong")


def test_values_are_put_into_the_context_and_those_before_are_kept() -> None:
    play = Play(held("a"))
    play.paused()
    play.resumed(b'{"order":{"account":"DE0","lines":[1,2]},"left":1}')
    play.failed("a")
    changed(play, context={"order.account": b'"DE1"', "order.lines.1": b"5", "made.deep.er": b"true"})
    play.reload()
    assert play.run.context is not None
    assert {key: json.loads(bytes(value)) for key, value in play.run.context.fields.items()} == {
        "order": {"account": "DE1", "lines": [1, 5]}, "left": 1, "made": {"deep": {"er": True}},
    }  # fmt: skip
    assert kept(play) == [
        (
            {"context": {"order.account": "DE0", "order.lines.1": 2}},
            {"context": {"order.account": "DE1", "order.lines.1": 5, "made.deep.er": True}},
        )
    ]


def test_more_attempts_have_the_pauses_of_the_definition() -> None:
    play = Play(held("a", retry=SLOWLY))
    play.failed("a")
    play.fire("a")
    play.failed("a", attempt=2)
    changed(play, step="a", attempts=3)
    play.reload()
    play.retried("a")
    assert play.failed("a", attempt=3).timers["a"] == play.now + 5_000
    play.fire("a")
    play.reload()
    assert play.failed("a", attempt=4).timers["a"] == play.now + 5_000
    play.fire("a")
    assert play.failed("a", attempt=5).facts == ["step.held a"]
    assert kept(play)[0][1]["retry"] == {"attempts": 3, "backoff": "fixed", "base_ms": 5_000}


def test_time_outs_are_of_this_run_alone_and_stay() -> None:
    play = Play(held("a", timeout_ms=1_000, total_ms=10_000), step("b", "a"))
    play.failed("a")
    assert play.refused(change(step="a", timeout_ms=60_000)) == "bad_change"
    changed(play, step="a", total_ms=300_000)
    changed(play, "h2", step="a", timeout_ms=60_000)
    play.reload()
    said = play.retried("a")
    assert said.commands[0].timeout_ms == 60_000 and said.timers["a"] == play.now + 300_000
    assert play.graph.nodes[0].timeout_ms == 1_000  # type: ignore[union-attr]
    play.failed("a", attempt=2)
    play.reload()
    assert play.retried(id="r2").commands[0].timeout_ms == 60_000
    play.completed("a", attempt=3)
    play.completed("b")
    assert play.retried(whole=True, id="r3").commands[0].timeout_ms == 60_000


def test_a_change_that_comes_again_or_late_changes_nothing() -> None:
    play = Play(held("a"), input=b"1")
    play.failed("a")
    changed(play, input=b"2")
    assert changed(play, input=b"2").outcome is Outcome.DUPLICATE
    play.reload()
    play.retried("a")
    assert changed(play, input=b"2").outcome is Outcome.DUPLICATE
    assert play.refused(change("h2", input=b"3")) == "not_held"
    play.completed("a", attempt=2)
    assert changed(play, input=b"2").outcome is Outcome.DUPLICATE
    assert changed(play, "h3", input=b"3").outcome is Outcome.LATE
    assert play.run.input == b"2" and len(kept(play)) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"step": "nobody", "attempts": 2}, "unknown_step"),
        ({"step": "b", "attempts": 2}, "not_held"),
        ({"attempts": 2}, "no_step"),
        ({}, "nothing_to_change"),
        ({"workflow": "other", "input": b"1"}, "different_workflow"),
        ({"input": b'"%b"' % (b"x" * PAYLOAD_BYTES_MAX)}, "too_large"),
        ({"context": {"x": b'"%b"' % (b"x" * PAYLOAD_BYTES_MAX)}}, "context_too_large"),
        ({"context": {"a..b": b"1"}}, "bad_change"),
        ({"context": {"n.deep": b"1"}}, "bad_change"),
        ({"context": {"ok": b"1", "list.7": b"1"}}, "bad_change"),
        ({"context": {"big.part": b"1"}}, "bad_change"),
        ({"step": "a", "retry": RetryPolicy(attempts=0)}, "bad_change"),
    ],
)
def test_what_cannot_be_changed_is_refused_and_changes_nothing(fields: dict[str, Any], code: str) -> None:
    play = Play(held("a"), step("b", "a"))
    play.paused()
    play.resumed(b'{"n":1,"list":[1],"big":{"$blob":[0,1,2,"d"]}}')
    play.failed("a")
    assert play.refused(change(**fields)) == code


def test_a_run_keeps_so_many_changes() -> None:
    play = Play(held("a"))
    play.failed("a")
    for n in range(CHANGES_MAX):
        changed(play, f"h{n}", input=b"%d" % n)
    assert play.refused(change("more", input=b"1")) == "too_many_changes"


def test_a_wait_and_a_child_have_what_their_kind_has() -> None:
    play = Play(signal("s", timeout_ms=1_000, on_error="hold"), child("k", on_error="hold"))
    play.fire("s")
    play.child_ended("k", status="failed")
    changed(play, step="s", timeout_ms=90_000)
    changed(play, "h2", step="k", attempts=3)
    assert play.refused(change("h3", step="s", attempts=2)) == "not_changeable"
    assert play.refused(change("h3", step="k", total_ms=2)) == "not_changeable"
    play.reload()
    assert play.retried("s").timers["s"] == play.now + 90_000
    [start] = play.retried("k", id="r2").messages
    play.child_ended("k", status="failed", child=start.key)
    assert play.status("k") == "waiting" and play.step("k").attempt == 3


@pytest.mark.parametrize("end", ["skip", "complete", "cancel"])
def test_a_changed_run_ends_by_any_decision(end: str) -> None:
    play = Play(held("a"), step("b", "a"), timeout_ms=60_000, input=b"1")
    play.now += 10_000
    play.failed("a")
    changed(play, input=b"2", step="a", timeout_ms=5_000)
    play.reload()
    if end == "cancel":
        play.cancelled()
        assert play.run.status == "cancelled"
        return
    if end == "skip":
        said = play.tell(SkipStep(key=RUN, id="s1", step="a"))
    else:
        said = play.tell(CompleteHeld(key=RUN, id="d1", step="a", format=HOLD, output=Raw(b"7")))
    assert (said.commands[0].step, said.commands[0].input) == ("b", Raw(b"2"))
    assert said.timers[""] == play.now + 50_000


def test_members_of_groups_and_of_expansions_are_changed_each_by_itself() -> None:
    play = Play(
        EachNode(name="e", over="input.items", step=held("e", timeout_ms=7)), input=b'{"items":[1,2]}'
    )
    play.failed("e[0]")
    play.failed("e[1]")
    changed(play, step="e[1]", timeout_ms=9)
    play.reload()
    assert play.retried("e[1]").commands[0].timeout_ms == 9
    assert play.retried("e[0]", id="r2").commands[0].timeout_ms == 7
    other = Play(step("a"), step("b", "a"), templates=(held("t", timeout_ms=7),))
    other.expanded("a", Grafted(of="t"), Grafted(of="t"))
    other.failed("a[1]")
    changed(other, step="a[1]", timeout_ms=9)
    other.reload()
    assert other.retried("a[1]").commands[0].timeout_ms == 9
    assert other.completed("a[0]").outcome is Outcome.APPLIED
    assert other.completed("a[1]", attempt=2).asked == [("b", 1)]


def test_a_member_of_a_group_with_one_place_keeps_the_place() -> None:
    play = Play(parallel("g", concurrency=1), held("a", member_of="g"), step("b", member_of="g"))
    play.failed("a")
    changed(play, step="a", timeout_ms=9)
    play.reload()
    assert play.retried("a").commands[0].timeout_ms == 9
    assert play.completed("a", attempt=2).asked == [("b", 1)]


def test_a_held_branch_has_nothing_of_its_own_and_its_members_read_the_changed_input() -> None:
    nodes = (
        branch("k", on_error="hold"), step("a", member_of="k", clause=0), step("b", member_of="k", clause=1)
    )  # fmt: skip
    play = Play(*nodes, input=b'{"kind":"a"}')
    play.failed("a")
    assert play.refused(change(step="k", timeout_ms=5)) == "not_changeable"
    changed(play, input=b'{"kind":"b"}')
    play.reload()
    assert play.retried("k").asked == [("b", 1)]


@pytest.mark.parametrize("cancel_rest", [False, True])
def test_a_loser_of_a_race_is_changed_and_won_over(cancel_rest: bool) -> None:  # noqa: FBT001
    play = Play(held("a"), step("b"), step("c", joins=(Join(of=("a", "b"), cancel_rest=cancel_rest),)))
    play.failed("a")
    changed(play, step="a", timeout_ms=5, input=b"2")
    play.reload()
    assert play.completed("b").commands[0].input == Raw(b"2")
    if not cancel_rest:
        assert play.retried("a").commands[0].timeout_ms == 5


def test_a_jump_passes_over_what_waits_for_a_changed_step() -> None:
    play = Play(held("a"), step("b", "a"), step("c"), step("d", "c"), step("e", "d"))
    play.failed("a")
    changed(play, step="a", timeout_ms=5)
    assert play.jumped("c", "e").asked == [("e", 1)]
    play.reload()
    assert play.retried("a").commands[0].timeout_ms == 5


def test_an_undone_run_reads_the_changed_input() -> None:
    play = Play(step("a", compensation=undoing("a")), held("b", "a"), input=b"1")
    play.completed("a")
    play.failed("b")
    changed(play, input=b"2")
    play.reload()
    assert play.cancelled(compensate=True).commands[0].input == Raw(b"2")


def test_a_member_gets_the_changed_item_whether_the_run_was_loaded_or_not() -> None:
    member = step("a", on_error="hold")
    node = EachNode(name="a", over="input.items", step=member)
    plays = [Play(node, input=b'{"items":[1,2]}') for _ in range(2)]
    for play in plays:
        play.failed("a[1]")
        changed(play, input=b'{"items":[1,7]}')
    plays[1].reload()
    assert [play.retried("a[1]").commands[0].item for play in plays] == [Raw(b"7"), Raw(b"7")]


def test_a_member_whose_item_is_gone_fails_and_says_so() -> None:
    member = step("a", on_error="hold")
    play = Play(EachNode(name="a", over="input.items", step=member), input=b'{"items":[1,2]}')
    play.failed("a[1]")
    changed(play, input=b'{"items":[1]}')
    (answer,) = play.retried("a[1]").messages
    assert play.tell(answer).facts == ["step.held a[1]"]
    failure = play.step("a[1]").failure
    assert failure is not None and failure.code == "no_item" and "input.items" in failure.message
    changed(play, "h2", input=b'{"items":[1,3]}')
    assert play.retried("a[1]", "retry-2").commands[0].item == Raw(b"3")
