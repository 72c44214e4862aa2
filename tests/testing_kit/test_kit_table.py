"""What a step waits for, and the table that says so."""

from __future__ import annotations

import pytest
from kit_shop import Order, charge, orders, reserve

from stream_durable import Breaker, Expand, Results, Retry, Workflow, any_of
from stream_durable.core.run.cause import Cause
from stream_durable.testing import Engine
from stream_durable.testing.table import said, span


async def test_the_table_of_a_run(engine: Engine) -> None:
    engine.fail(charge)
    run = await engine.start(orders, Order(id="42"), id="order-42")
    waiting = run.table
    await engine.publish("payment.captured", key="42")
    retrying = run.table
    engine.stub(charge, 7)
    await engine.until(run, "failed")

    expected = """\
run order-42 of workflow order is waiting, 0ms after its start
  step     status     attempt  waits for                                    failure
  reserve  completed  1
  paid     waiting    1        event payment.captured with key 42, 2h left
  charge   pending             step paid (waiting)
  ship     pending             step charge (pending)
  go       pending             step ship (pending)
  cooled   pending             step go (pending)
  close    pending             step cooled (pending)"""
    assert waiting == expected
    assert retrying.splitlines()[4] == (
        "  charge   retrying   1        attempt 2, in 809ms     arranged: the test lets this attempt fail"
    )
    assert run.table.splitlines()[0].startswith(
        "run order-42 of workflow order is failed, 809ms after its start: invalid_output: workflow"
    )


async def test_groups_branches_and_joins(engine: Engine) -> None:
    flow = Workflow("shapes")
    slow = flow.wait_signal("slow")
    quick = flow.wait_signal("quick")
    late = flow.wait_signal("late")

    @flow.step(after=any_of(slow, quick))
    async def race(input: object) -> None: ...  # noqa: A002 - its name

    flow.parallel("both", [late, race], concurrency=1)

    @flow.step
    async def decide(both: Results) -> str:
        return "left"

    kind = flow.branch("kind", on="decide")

    @kind.case("left")
    async def left(input: object) -> None: ...  # noqa: A002 - its name

    run = await engine.start(flow)

    assert {name: step.waits_for for name, step in run.steps.items()} == {
        "slow": ("signal slow",),
        "quick": ("signal quick",),
        "late": ("signal late",),
        "race": ("some of slow, quick: 0 of 1 have completed",),
        "both": ("2 of 2 members",),
        "decide": ("step both (running)",),
        "kind": ("step decide (pending)",),
        "left": ("step kind (pending)",),
    }
    await engine.signal(run.id, "quick")
    assert run.step("race").waits_for == ("its turn in group both",)
    await engine.signal(run.id, "late")
    await engine.signal(run.id, "slow")
    assert run.status == "completed"


async def test_members_that_are_made_at_run_time(engine: Engine) -> None:
    flow = Workflow("grown")

    @flow.template
    async def scan(item: int) -> int:
        return item

    @flow.step
    async def spread(input: list[int]) -> Expand:  # noqa: A002 - its name
        return Expand([scan.of(item) for item in input], concurrency=2)

    engine.fail("spread[1]", error=ValueError("one of them"))
    run = await engine.start(flow, [1, 2, 3])

    assert [run.step(f"spread[{i}]").status for i in range(3)] == ["completed", "failed", "cancelled"]
    assert (engine.calls(scan), engine.calls("spread[0]"), engine.calls("spread[1]")) == (1, 1, 0)


async def test_a_breaker_that_is_open(engine: Engine) -> None:
    flow = Workflow("guarded")

    @flow.step(breaker=Breaker("bank", failures=1, reset="1h"), retry=Retry(3, base="1s"))
    async def ask(input: object) -> str:  # noqa: A002 - its name
        return "well"

    engine.fail(ask)
    run = await engine.start(flow)
    await engine.until_idle()

    assert run.step("ask").waits_for == ("breaker bank",)
    await engine.advance("1h")
    assert run.output == "well"


@pytest.mark.parametrize(
    ("millis", "text"),
    [(0, "0ms"), (999, "999ms"), (60_000, "1m"), (3_601_000, "1h"), (90_061_000, "1d1h"), (-5_000, "-5s")],
)
def test_lengths_of_time_are_written_as_durations_are(millis: int, text: str) -> None:
    assert span(millis) == text


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (Cause("time", due=61_000), "the time, in 1m"),
        (Cause("child", "order-42/pages/2"), "run order-42/pages/2"),
        (Cause("next child", "page", due=6_000), "the time of the next run of page, in 5s"),
        (Cause("answer", "worker-1"), "the worker's answer to a cancellation"),
        (Cause("event", "paid", "", 61_000), "event paid with key ?, 1m left"),
    ],
)
def test_causes_in_words(cause: Cause, text: str) -> None:
    assert said(cause, 1_000) == text


async def test_completed_members_of_a_large_group_are_counted(engine: Engine) -> None:
    flow = Workflow("pages")

    @flow.step
    def find() -> list[int]:
        return list(range(300))

    @flow.each(find, on_error="complete_all")
    def read(item: int) -> int:
        return 1 // (299 - item)

    run = await engine.start(flow)

    assert run.workflow == "pages"
    lines = run.table.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["find", "read", "read[...]", "read[299]"]
    assert "299 completed" in lines[4] and "ZeroDivisionError" in lines[5]


async def test_a_run_that_has_ended_waits_for_nothing(engine: Engine) -> None:
    engine.fail(reserve)
    run = await engine.start(orders, Order(id="42"))

    assert run.status == "failed"
    assert {step.waits_for for step in run.steps.values()} == {()}
