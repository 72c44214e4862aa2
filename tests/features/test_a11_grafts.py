"""A11, B5: a step answers with more steps, known only at run time; later steps wait for all of them."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel
from refusals import refusal

from stream_durable import Context, Expand, Fail, Results, Retry, Skip, Snooze, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.core.run import groups
from stream_durable.testing import Engine


class Page(BaseModel):
    number: int


def scanning(**options: Any) -> tuple[Workflow, Any]:
    flow = Workflow("scanning")

    @flow.template
    async def scan(item: Any) -> Any:
        if item == "bad":
            raise Fail("torn", "it is torn", retryable=False)
        await asyncio.sleep(item if isinstance(item, int) else 1)
        return f"scanned {item}"

    flow.add("list", lambda input: Expand([scan.of(item) for item in input], **options))
    flow.add("album", lambda list: list)
    return flow, scan


async def test_later_steps_wait_for_all_that_was_added(engine: Engine) -> None:
    flow, _ = scanning()
    run = await engine.start(flow, [3, 1, 2])
    assert run.step("list").status == "running"
    assert run.step("album").status == "pending"
    await engine.until_idle()
    assert run.output == ["scanned 3", "scanned 1", "scanned 2"], "in the order given, whichever ended first"
    assert list(run.steps) == ["list", "album", "list[0]", "list[1]", "list[2]"]


async def test_names_are_given_or_positions(engine: Engine) -> None:
    flow = Workflow("named")

    @flow.template
    def scan(item: int) -> int:
        return item

    flow.add("list", lambda: Expand([scan.of(1, name="first"), scan.of(2), scan.of(3, name="x:3")]))
    run = await engine.start(flow)
    await engine.until_idle()
    assert [name for name in run.steps if "[" in name] == ["list[first]", "list[1]", "list[x:3]"]
    assert run.step("list[x:3]").output == 3
    assert engine.calls("list[first]") == 1


async def test_nothing_to_add_is_no_trouble(engine: Engine) -> None:
    flow, _ = scanning()
    run = await engine.start(flow, [])
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", [])


async def test_added_steps_wait_for_each_other_in_any_order_of_the_list(engine: Engine) -> None:
    flow = Workflow("ordered")
    order: list[str] = []

    @flow.template
    async def work(item: str) -> None:
        await asyncio.sleep(1)
        order.append(item)

    def expand() -> Expand:
        first = work.of("first", name="first")
        return Expand([work.of("last", after=["mid", first]), work.of("mid", name="mid", after=first), first])

    flow.add("list", expand)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert order == ["first", "mid", "last"]


async def test_so_many_at_once(engine: Engine) -> None:
    flow, _ = scanning(concurrency=2)
    begun = engine.now
    run = await engine.start(flow, [10, 10, 10, 10])
    await engine.until_idle()
    assert run.status == "completed"
    assert 20 <= (engine.now - begun).total_seconds() < 22


async def test_the_first_failure_fails_the_step_and_cancels_the_rest(engine: Engine) -> None:
    flow, _ = scanning()
    run = await engine.start(flow, [60, "bad", 1])
    await engine.until_idle()
    assert run.status == "failed"
    failure = run.failure
    assert failure is not None
    assert (failure.code, failure.message) == ("torn", "it is torn")
    assert failure.step == "list[1]"
    assert run.step("list").status == "failed"
    assert run.step("list[0]").status == "cancelled"


async def test_complete_all_leaves_holes(engine: Engine) -> None:
    flow, _ = scanning(on_error="complete_all")
    run = await engine.start(flow, [2, "bad", 1])
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", ["scanned 2", None, "scanned 1"])
    assert run.step("list[1]").status == "failed"


async def test_results_tell_a_failed_member_from_one_that_answered_null(engine: Engine) -> None:
    flow = Workflow("told-apart")

    def work(item: Any) -> Any:
        if item == "bad":
            raise Fail("torn", "it is torn", retryable=False)
        return Skip("no page") if item == "none" else item

    scan = flow.template(work, name="scan")

    def listed(input: list[Any]) -> Expand:
        return Expand([scan.of(item) for item in input], on_error="complete_all")

    flow.add("listed", listed)
    flow.each("input", name="again", on_error="complete_all")(work)

    @flow.step
    def told(listed: Results[Any], again: Results[str | None], ctx: Context) -> Any:
        assert ctx.output("listed") == [None, "page", None, None]
        outcomes = [*listed.members, *again.members]
        return [(o.name, o.status, o.output, o.failure and o.failure.code) for o in outcomes]

    run = await engine.start(flow, [None, "page", "bad", "none"])
    await engine.until_idle()

    assert run.output == [
        ["listed[0]", "completed", None, None],
        ["listed[1]", "completed", "page", None],
        ["listed[2]", "failed", None, "torn"],
        ["listed[3]", "skipped", None, None],
        ["again[0]", "completed", None, None],
        ["again[1]", "completed", "page", None],
        ["again[2]", "failed", None, "torn"],
        ["again[3]", "skipped", None, None],
    ]


async def test_results_of_those_that_were_not_needed_say_cancelled(engine: Engine) -> None:
    flow = Workflow("enough")

    @flow.each("input", enough=1, concurrency=1)
    def first(item: int) -> int:
        return item

    @flow.step
    def told(first: Results[int]) -> Any:
        return first.ok, [outcome.status for outcome in first.members], first.skipped

    run = await engine.start(flow, [5, 6])
    await engine.until_idle()

    assert run.output == [{"first[0]": 5}, ["completed", "cancelled"], ["first[1]"]]


async def test_results_of_a_step_that_did_not_expand_after_all_are_its_own(engine: Engine) -> None:
    flow = Workflow("perhaps")
    leaf = flow.template(lambda item: item, name="leaf")

    @flow.step
    def perhaps(input: list[int]) -> Expand | int:
        return Expand([leaf.of(each) for each in input]) if input else 7

    @flow.step
    def told(perhaps: Results[int]) -> dict[str, int]:
        return perhaps.ok

    alone, several = await engine.start(flow, []), await engine.start(flow, [1, 2])
    await engine.until_idle()

    assert (alone.output, several.output) == ({"perhaps": 7}, {"perhaps[0]": 1, "perhaps[1]": 2})


async def test_results_decide_a_condition_too(engine: Engine) -> None:
    flow = Workflow("asked")

    @flow.each("input", on_error="complete_all")
    def probe(item: int) -> None:
        if item < 0:
            raise Fail("below", retryable=False)

    def is_well(probe: Results[None]) -> bool:
        return not probe.failed

    flow.add("go", lambda: "gone", when=is_well)
    well, ill = await engine.start(flow, [1, 2]), await engine.start(flow, [1, -2])
    await engine.until_idle()

    assert [run.step("go").status for run in (well, ill)] == ["completed", "skipped"]


async def test_an_added_step_may_add_more_be_skipped_be_asked_again_or_be_retried(engine: Engine) -> None:
    flow = Workflow("deep")

    @flow.template(retry=Retry(2))
    def work(item: int, ctx: Context) -> Any:
        match item:
            case 0:
                return Expand([work.of(5), work.of(6)])
            case 1:
                return Skip("no")
            case 2:
                ctx.increment("looks")
                return "patient" if ctx.get("looks") > 1 else Snooze("1m")
            case 3 if ctx.attempt == 1:
                raise Fail("busy")
        return item

    flow.add("list", lambda: Expand([work.of(i) for i in range(5)]))
    run = await engine.start(flow)
    await engine.advance("1m")
    await engine.until_idle()
    assert run.output == [[5, 6], None, "patient", 3, 4]
    assert run.step("list[0][1]").output == 6


async def test_each_is_the_same_for_a_list(engine: Engine) -> None:
    flow = Workflow("each")

    @flow.step
    def pages() -> list[Page]:
        return [Page(number=i) for i in range(3)]

    @flow.each(pages)
    async def scan(item: Page, input: str, ctx: Context) -> str:
        return f"{input} {item.number} by {ctx.step}"

    @flow.step
    def album(scan: list[str]) -> list[str]:
        return scan

    run = await engine.start(flow, "page")
    await engine.until_idle()
    assert run.output == ["page 0 by scan[0]", "page 1 by scan[1]", "page 2 by scan[2]"]


async def test_each_takes_other_outputs_and_a_path(engine: Engine) -> None:
    flow = Workflow("each")
    flow.add("factor", lambda: 10)

    @flow.each("input.numbers.0")
    def times(item: int, factor: int) -> int:
        return item * factor

    run = await engine.start(flow, {"numbers": [[1, 2], [3]]})
    await engine.until_idle()
    assert run.output == [10, 20]


@pytest.mark.parametrize("value", [{"a": 1}, "text", 7, None], ids=repr)
async def test_each_of_what_is_no_list(engine: Engine, value: Any) -> None:
    flow = Workflow("each")
    flow.each("input.items", name="each")(lambda item: item)
    run = await engine.start(flow, {"items": value})
    await engine.until_idle()
    failure = run.failure
    assert failure is not None
    assert (failure.step, failure.code, failure.message, failure.retryable) == (
        "each", "not_a_list", "the value at 'input.items' is not a list", False,
    )  # fmt: skip


async def test_each_of_nothing(engine: Engine) -> None:
    flow = Workflow("each")
    flow.each("input", name="each")(lambda item: item)
    flow.add("end", lambda each: each)
    run = await engine.start(flow, [])
    await engine.until_idle()
    assert run.output == []


@pytest.mark.parametrize(("on_error", "output"), [("complete_all", [1, None, 3]), ("fail_fast", None)])
async def test_each_with_a_failure(engine: Engine, on_error: Any, output: Any) -> None:
    flow = Workflow("each")

    @flow.each("input", on_error=on_error)
    def each(item: int) -> int:
        if item == 2:
            raise Fail("two", retryable=False)
        return item

    run = await engine.start(flow, [1, 2, 3])
    await engine.until_idle()
    assert run.output == output
    assert run.status == ("completed" if output else "failed")


async def test_enough_of_each(engine: Engine) -> None:
    flow = Workflow("each")

    @flow.each("input", enough=2)
    async def each(item: int) -> int:
        await asyncio.sleep(item)
        if item == 1:
            raise Fail("one", retryable=False)
        return item

    flow.add("end", lambda each: each)
    begun = engine.now
    run = await engine.start(flow, [60, 2, 1, 3])
    few = await engine.start(flow, [1])
    await engine.until_idle()
    assert run.output == [None, 2, None, 3]
    assert (engine.now - begun).total_seconds() < 10
    assert [run.step(f"each[{i}]").status for i in range(4)] == [
        "cancelled",
        "completed",
        "failed",
        "completed",
    ]
    assert few.failure is not None
    assert (few.failure.code, few.failure.message) == (
        "not_enough_items",
        "2 must complete, and there are 1 items",
    )


async def test_too_few_are_left_to_be_enough(engine: Engine) -> None:
    flow = Workflow("each")

    @flow.each("input", enough=2)
    async def each(item: int) -> int:
        await asyncio.sleep(item)
        if item < 3:
            raise Fail("low", retryable=False)
        return item

    run = await engine.start(flow, [1, 2, 60])
    await engine.until_idle()
    assert run.status == "failed"
    assert run.step("each[2]").status == "cancelled"


async def test_a_step_of_the_graph_serves_as_a_template_and_added_ones_take_outputs(engine: Engine) -> None:
    flow = Workflow("again")
    flow.add("rate", lambda: 3)

    @flow.step
    def price(rate: int, item: int = 1) -> int:
        return rate * item

    flow.add("more", lambda price: Expand([price_of(2), price_of(3)]))

    def price_of(item: int) -> Any:
        return price.of(item)

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("price").output == 3
    assert run.output == [6, 9]


async def test_added_steps_are_undone_one_by_one_the_newest_first(engine: Engine) -> None:
    flow = Workflow("undo")
    undone: list[Any] = []

    @flow.template
    async def book(item: int) -> str:
        await asyncio.sleep(item)
        return f"R{item}"

    @book.compensate
    def cancel(book: str, item: int) -> None:
        undone.append((book, item))

    flow.add("list", lambda: Expand([book.of(3), book.of(1), book.of(2)]))

    @flow.step(after="list")
    def fails() -> None:
        raise Fail("down", retryable=False)

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "compensated"
    assert undone == [("R3", 3), ("R2", 2), ("R1", 1)]
    assert run.step("list[1]").status == "compensated"


async def test_a_thousand_steps_may_be_added(engine: Engine) -> None:
    flow = Workflow("many")

    @flow.template
    def one(item: int) -> int:
        return item

    flow.add("list", lambda: Expand([one.of(i) for i in range(1_000)]))
    flow.add("sum", lambda list: sum(list))
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == 499_500


async def test_too_many_items(engine: Engine) -> None:
    flow = Workflow("many")
    flow.each("input", name="each")(lambda item: item)
    run = await engine.start(flow, [0] * 10_001)
    await engine.until_idle()
    failure = run.failure
    assert failure is not None
    assert (failure.step, failure.code, failure.message) == (
        "each", "too_many_steps", "10001 items: a run has at most 10000 steps that were added to it",
    )  # fmt: skip


async def test_expansions_that_never_end_are_ended(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "STEPS_MAX", 2_000)
    flow = Workflow("endless")

    @flow.template
    def again(item: int) -> Expand:
        return Expand([again.of(item + 1)])

    flow.add("list", lambda: Expand([again.of(1)]))
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure.code in ("bad_expansion", "too_many_steps", "too_deep")


async def test_what_is_of_another_workflow_cannot_be_added(engine: Engine) -> None:
    other = Workflow("other")

    @other.template
    def foreign(item: int) -> int:
        return item

    flow = Workflow("own")
    flow.add("list", lambda: Expand([foreign.of(1)]))
    run = await engine.start(flow)
    await engine.until_idle()
    failure = run.failure
    assert failure is not None
    assert (failure.code, failure.message) == (
        "bad_expansion",
        "the workflow has no step or template 'foreign'",
    )


def test_what_expand_refuses_at_once() -> None:
    flow = Workflow("order")

    @flow.template
    def scan(item: int) -> int:
        return item

    first = scan.of(1)
    for make, says in [
        (
            lambda: Expand([scan.of(1, name="x"), scan.of(2, name="x")]),
            "Expand: two of its steps are called 'x'; give each its own name=",
        ),
        (
            lambda: Expand([scan.of(1, after="y")]),
            "Expand: step '0' is after 'y', which is not in the expansion",
        ),
        (
            lambda: Expand([scan.of(1, name="a", after="b"), scan.of(2, name="b", after="a")]),
            "Expand: steps wait for each other: ",
        ),
        (lambda: Expand([1, 2]), "Expand takes a list of what a template's `of` returns, and nothing else"),  # type: ignore[list-item]
        (lambda: Expand([first], concurrency=0), "concurrency= takes a number from 1, not 0"),
        (
            lambda: Expand([first], on_error="never"),
            "on_error= takes one of fail_fast, complete_all, not 'never'",
        ),  # type: ignore[arg-type]
        (
            lambda: scan.of(1, name="a b"),
            "'a b' is no name for an added step: 1 to 128 letters, digits and `_ . : -`",
        ),
        (lambda: Expand([scan.of(i) for i in range(10_001)]), "Expand takes 10000 steps at most, not 10001"),
    ]:
        with pytest.raises(RejectedError) as caught:
            make()
        assert str(caught.value).startswith(says)


def test_nothing_waits_for_a_template_or_takes_its_output() -> None:
    flow = Workflow("order")

    @flow.template
    def scan(item: int) -> int:
        return item

    flow.add("a", lambda: 1, after="scan")
    flow.add("b", lambda scan, input: 1)

    @flow.step
    def c(item: int) -> None: ...

    assert refusal(flow) == [
        "step 'a' waits for 'scan', which is a template: wait for the step that expands into it",
        (
            "step 'b': parameter 'scan' is neither a step nor a Context; 'scan' is a template: "
            "take the output of the "
            "step that expands into it"
        ),
        (
            "step 'c': parameter 'item' (int) is neither a step nor a Context; only what is made by "
            "each() or of a "
            "template has an item"
        ),
    ]


@pytest.mark.parametrize("how", ["skipped", "failed", "cancelled"])
async def test_too_few_that_are_left_fail_the_each_with_what_happened(engine: Engine, how: str) -> None:
    flow = Workflow("order")

    async def work(item: int) -> Any:
        if item == 2:
            await asyncio.sleep(60)
        if item and how == "skipped":
            return Skip("no")
        if item and how == "failed":
            raise Fail("down", retryable=False)
        return item

    flow.each("input", name="each", enough=2)(work)
    run = await engine.start(flow, [0, 1, 2] if how != "cancelled" else [0, 2, 2])
    if how == "cancelled":
        await engine.advance("1s")
        await run.cancel_step("each[1]")
        await run.cancel_step("each[2]")
    await engine.until_idle()
    assert run.status == "failed"
    failure = run.failure
    assert failure is not None
    assert failure.code == {"failed": "down", "skipped": "not_enough_items", "cancelled": "cancelled"}[how]
    if how == "skipped":
        assert failure.message == "2 must complete, and too few are left: 'each[2]' was skipped"
