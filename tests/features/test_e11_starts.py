"""E11: runs of a workflow and a key are debounced, begin in batches, or one at a time; none is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from outcomes import Clock
from refusals import refusal

from stream_durable import (
    App,
    Batch,
    Context,
    Debounce,
    Gate,
    RejectedError,
    RunCancelled,
    RunFailed,
    Single,
    Workflow,
)
from stream_durable.testing import Engine, TestedRun

Starts = Debounce | Batch | Single


def mails(starts: Starts, seconds: float = 10, **options: Any) -> tuple[Workflow, list[Any], Clock]:
    """Return a workflow of one step, the inputs of its calls, and when they were made."""
    flow, given, clock = Workflow("mail", starts=starts, **options), list[Any](), Clock()

    @flow.step
    async def send(ctx: Context[Any]) -> Any:
        clock.note()
        given.append(ctx.inputs if len(ctx.inputs) > 1 else ctx.input)
        await asyncio.sleep(seconds)
        return {"sent": ctx.input}

    return flow, given, clock


async def started(engine: Engine, flow: Workflow, *inputs: Any, **options: Any) -> list[TestedRun]:
    """Start a run for each input, one after the other; its id is r and a number."""
    return [await engine.start(flow, one, id=f"r{n}", **options) for n, one in enumerate(inputs)]


def statuses(runs: list[TestedRun]) -> list[str]:
    return [run.status for run in runs]


def takers(runs: list[TestedRun]) -> list[str | None]:
    return [run.state.into for run in runs]


async def test_debounced_runs_begin_as_the_last_of_them_after_a_quiet_time(engine: Engine) -> None:
    flow, given, _ = mails(Debounce(key="input.to", quiet="5s"))
    first, second = await started(engine, flow, {"to": "a", "n": 1}, {"to": "a", "n": 2})
    other = await engine.start(flow, {"to": "b", "n": 3}, id="other")
    await engine.advance("4s")
    last = await engine.start(flow, {"to": "a", "n": 4}, id="last")
    await engine.advance("4s")
    assert statuses([first, second, other, last]) == ["pending", "pending", "running", "pending"]
    await engine.advance("2s")
    assert statuses([first, second, last]) == ["merged", "merged", "running"]
    assert takers([first, second, other, last]) == ["last", "last", None, None]
    assert given == [{"to": "b", "n": 3}, {"to": "a", "n": 4}]
    assert await first.result() == {"sent": {"to": "a", "n": 4}} == await last.result()


async def test_the_cap_counts_from_the_first_however_many_come(engine: Engine) -> None:
    flow, given, clock = mails(Debounce(quiet="10s", cap="25s"), seconds=1)
    await started(engine, flow, "before")
    await engine.advance("12s")
    for n in range(4):
        await engine.start(flow, n)
        await engine.advance("8s")
    assert given == ["before", 3]
    assert clock.times == pytest.approx([0, 27], abs=1)


async def test_a_debounced_run_is_given_all_inputs_in_order_where_it_asks_for_them(engine: Engine) -> None:
    flow, given, _ = mails(Debounce(quiet="5s", inputs="all"))
    await started(engine, flow, 1, 2, 3)
    await engine.advance("6s")
    assert given == [[1, 2, 3]]


async def test_a_batch_begins_when_it_is_full_and_what_is_left_when_its_time_has_come(engine: Engine) -> None:
    flow, given, clock = mails(Batch(size=3, within="30s"), seconds=1)
    runs = await started(engine, flow, *range(7))
    await engine.advance("5s")
    assert given == [[0, 1, 2], [3, 4, 5]]
    assert statuses(runs) == ["merged", "merged", "completed", "merged", "merged", "completed", "pending"]
    assert takers(runs) == ["r2", "r2", None, "r5", "r5", None, None]
    await engine.advance("30s")
    assert given[2:] == [6]
    assert clock.times == pytest.approx([0, 0, 30], abs=1)


async def test_a_batch_closes_early_before_its_inputs_are_too_large(engine: Engine) -> None:
    flow, given, _ = mails(Batch(size=100, within="30s"))
    runs = await started(engine, flow, *("x" * 400_000 for _ in range(3)))
    await engine.advance("1s")
    assert statuses(runs) == ["merged", "running", "pending"]
    await engine.advance("40s")
    assert [len(one) for one in given] == [2, 400_000]


async def test_a_run_is_skipped_while_another_is_under_way_and_has_its_result(engine: Engine) -> None:
    flow, given, _ = mails(Single(key="input.id"))
    first, second = await started(engine, flow, {"id": 1, "n": 1}, {"id": 1, "n": 2})
    other = await engine.start(flow, {"id": 2}, id="other")
    await engine.advance("1s")
    assert statuses([first, second, other]) == ["running", "merged", "running"]
    assert await second.result() == {"sent": {"id": 1, "n": 1}}
    later = await engine.start(flow, {"id": 1, "n": 3}, id="later")
    await engine.until(later, "completed")
    assert given == [{"id": 1, "n": 1}, {"id": 2}, {"id": 1, "n": 3}]


async def test_a_run_replaces_the_one_under_way_which_is_cancelled_first(engine: Engine) -> None:
    flow, given, _ = mails(Single(busy="replace"))
    (first,) = await started(engine, flow, "first")
    await engine.advance("1s")
    second = await engine.start(flow, "second", id="second")
    await engine.until(second, "completed")
    assert (first.status, given) == ("cancelled", ["first", "second"])
    assert second.state.started is not None
    assert first.state.ended is not None
    assert second.state.started >= first.state.ended


async def test_runs_queue_in_order_of_priority_and_arrival(engine: Engine) -> None:
    flow, given, clock = mails(Single(busy="queue"))
    await started(engine, flow, 0, 1, 2)
    await engine.start(flow, "urgent", priority=50)
    await engine.advance("60s")
    assert given == [0, "urgent", 1, 2]
    assert clock.waits == pytest.approx([10, 10, 10], abs=1)


async def test_only_the_newest_of_those_that_wait_begins(engine: Engine) -> None:
    flow, given, _ = mails(Single(busy="newest"))
    runs = await started(engine, flow, *range(4))
    await engine.advance("1s")
    assert statuses(runs) == ["running", "pending", "pending", "pending"]
    await engine.until(runs[3], "completed")
    assert statuses(runs) == ["completed", "merged", "merged", "completed"]
    assert takers(runs) == [None, "r3", "r3", None]
    assert given == [0, 3]


async def test_one_that_is_cancelled_while_it_waits_leaves_and_the_others_go_on(engine: Engine) -> None:
    flow, given, _ = mails(Debounce(quiet="5s"))
    runs = await started(engine, flow, *range(3))
    await runs[2].cancel()
    await engine.advance("6s")
    assert statuses(runs) == ["merged", "running", "cancelled"]
    assert given == [1]


async def test_who_went_with_a_run_that_is_cancelled_before_it_began_is_not_lost(engine: Engine) -> None:
    flow, given, _ = mails(Batch(size=2, within="1m"), gate=Gate("one", at_once=1))
    runs = await started(engine, flow, *range(4))
    await engine.advance("1s")
    assert statuses(runs) == ["merged", "running", "pending", "pending"], "the second batch waits at the gate"
    await runs[3].cancel()
    await engine.advance("2m")
    assert statuses(runs) == ["merged", "completed", "completed", "cancelled"]
    assert given == [[0, 1], 2]


async def test_members_see_the_end_of_the_run_that_took_them_in(engine: Engine) -> None:
    flow, _, _ = mails(Batch(size=2, within="1m"))
    first, second = await started(engine, flow, 1, 2)
    await engine.advance("1s")
    await second.cancel()
    with pytest.raises(RunCancelled, match="r1"):
        await first.result()
    assert (first.status, second.status) == ("merged", "cancelled")


async def test_a_failed_run_that_is_retried_does_not_run_beside_another(engine: Engine) -> None:
    flow, works, order = Workflow("mail", starts=Single(busy="queue")), {"good": False}, list[str]()

    @flow.step
    async def send(ctx: Context[Any]) -> None:
        order.append(f"{ctx.run_id} begins")
        await asyncio.sleep(5)
        order.append(f"{ctx.run_id} ends")
        assert works["good"]

    first, second = await started(engine, flow, 1, 2)
    with pytest.raises(RunFailed):
        await first.result()
    works["good"] = True
    await first.retry()
    await engine.until(first, "completed")
    await engine.until(second, "completed")
    assert order == [f"{run} {what}" for run in ("r0", "r1", "r0") for what in ("begins", "ends")]


async def test_a_merged_run_that_is_retried_starts_once_more(engine: Engine) -> None:
    flow, given, _ = mails(Single(), seconds=1)
    first, second = await started(engine, flow, 1, 2)
    await first.result()
    with pytest.raises(RejectedError, match="merged into run 'r0'"):
        await second.retry()
    await second.retry(whole=True)
    await engine.until(second, "completed")
    assert (given, second.state.into) == ([1, 2], None)


async def test_a_parent_waits_for_the_run_that_took_its_child_in(engine: Engine) -> None:
    flow, given, _ = mails(Single())
    above = Workflow("above")
    above.child("mail", flow, input="input")
    parents = [await engine.start(above, n) for n in range(2)]
    assert [await parent.result() for parent in parents] == [{"sent": 0}, {"sent": 0}]
    assert given == [0]


async def test_a_signal_to_a_merged_run_reaches_the_run_that_took_it_in(engine: Engine) -> None:
    flow = Workflow("mail", starts=Single())
    flow.wait_signal("go")
    first, second = await started(engine, flow, 1, 2)
    await engine.advance("1s")
    assert second.status == "merged"
    await second.signal("go", {"by": "tom"})
    assert await first.result() == {"by": "tom"}


async def test_starts_of_a_schedule_meet_like_any_other(engine: Engine) -> None:
    flow, given, _ = mails(Single(), seconds=150)
    await engine.create_schedule("often", flow, {"n": 1}, every="1m", overlap="allow")
    await engine.advance("4m30s")
    assert statuses(engine.runs) == ["completed", "merged", "merged", "running"]
    assert len(given) == 2


async def test_starts_by_a_trigger_meet_like_any_other(engine: Engine) -> None:
    flow, given, _ = mails(Debounce(key="input.to", quiet="5s"))
    app = App("shop", workflows=[flow])
    app.on("mail.wanted", start=flow)
    await engine.deploy_app(app)
    for n in range(3):
        await engine.publish("mail.wanted", data={"to": "a", "n": n})
    await engine.advance("6s")
    assert given == [{"to": "a", "n": 2}]


async def test_starts_by_a_binding_meet_like_any_other(engine: Engine) -> None:
    flow, given, _ = mails(Batch(key="input.to", size=2, within="30s"), seconds=1)
    app = App("shop", workflows=[flow])
    app.on(app.topic("wanted"), start=flow, id="id")
    await engine.deploy_app(app)
    for n, to in enumerate("aba"):
        await engine.deliver("wanted", {"id": f"w{n}", "to": to})
    await engine.deliver("wanted", {"id": "w0", "to": "a"})
    await engine.advance("5s")
    assert {run.id: (run.status, run.state.into) for run in engine.runs} == {
        "w0": ("merged", "w2"), "w1": ("pending", None), "w2": ("completed", None),
    }  # fmt: skip
    assert given == [[{"id": "w0", "to": "a"}, {"id": "w2", "to": "a"}]]
    await engine.advance("30s")
    assert given[1:] == [{"id": "w1", "to": "b"}]


async def test_a_merged_run_answers_inquiries_as_the_run_that_took_it_in(engine: Engine) -> None:
    flow = Workflow("mail", starts=Single())
    flow.wait_signal("go")

    @flow.answers("who")
    async def who(ctx: Context[Any]) -> str:
        return ctx.run_id

    await started(engine, flow, 1, 2)
    await engine.advance("1s")
    handle = engine._target.run("r1")
    assert await engine.inquire("r1", "who") == "r0"
    assert engine.tell(lambda: handle.ask("who", id="once")) == "r0"


async def test_a_request_that_comes_again_after_an_hour_starts_nothing_and_takes_no_run_in(
    engine: Engine,
) -> None:
    flow, given, _ = mails(Batch(size=2, within="10m"), seconds=1)
    await started(engine, flow, 1, 2)
    await engine.advance("1h")
    last = await engine.start(flow, 3, id="last")
    engine.redeliver()
    await engine.advance("1m")
    assert (given, last.status) == ([[1, 2]], "pending")
    await engine.advance("10m")
    assert (given, last.status) == ([[1, 2], 3], "completed")


async def test_lists_and_explanations_say_why_a_run_waits_and_who_took_one_in(engine: Engine) -> None:
    flow, _, _ = mails(Single(key="input.id", busy="queue"))
    runs = [await engine.start(flow, {"id": 7}, id=f"r{n}") for n in range(3)]
    await engine.advance("1s")
    why = engine.ask(engine._target.run("r2").why)
    assert (why.word, why.code) == ("Waiting", "at_admission")
    assert why.sentence.startswith(
        "The run waits for other starts of workflow mail for 7 (one at a time, queue); "
        "run r0 is under way; 2 wait there"
    )
    [cause] = runs[2].step("send").waits_for
    assert "the other starts of workflow mail: 7" in cause
    [admission] = engine.ask(engine._target.admissions)
    assert (admission.id, admission.waiting, admission.under_way) == ("mail//7", 2, 1)
    members = engine.ask(lambda: engine._target.admission_members("mail//7"))
    assert [(one.run, one.stage) for one in members] == [
        ("r0", "begun"),
        ("r1", "waiting"),
        ("r2", "waiting"),
    ]
    reasons = {one.id: one.reason for one in engine.ask(engine._target.list).runs}
    assert reasons["r1"] == "waits to be let in: 7"


async def test_a_debounced_run_says_when_it_begins_and_then_who_took_it_in(engine: Engine) -> None:
    flow, _, _ = mails(Debounce(quiet="30s", cap="50s"))
    await started(engine, flow, 1)
    await engine.advance("29s")
    last = await engine.start(flow, 2, id="last")
    [admission] = engine.ask(engine._target.admissions)
    assert admission.begins == pytest.approx(engine.now_ms + 21_000, abs=100)
    await engine.until(last, "completed")
    why = engine.ask(engine._target.run("r0").why)
    assert (why.word, why.code, why.evidence["into"]) == ("Done", "merged", "last")
    [merged] = [event for event in engine.run("r0").events if event.type == "run.merged"]
    assert merged.into == "last"  # type: ignore[union-attr]
    assert engine.ask(engine._target.admissions) == []


async def test_a_value_and_an_output_of_a_merged_run_are_those_of_its_taker(engine: Engine) -> None:
    flow, _, _ = mails(Single())
    _, second = await started(engine, flow, 1, 2)
    await engine.advance("1s")
    handle = engine._target.run(second.id)
    await engine.advance("20s")
    assert engine.ask(lambda: handle.output("send")) == {"sent": 1}
    assert engine.ask(lambda: handle.value("send.sent")) == 1


@pytest.mark.parametrize(
    ("starts", "said"),
    [
        (Debounce(quiet="0s"), "the quiet time of Debounce must be longer than nothing"),
        (Debounce(quiet="5s", cap="1s"), "the cap of Debounce is 1000 ms, and shorter than its quiet time"),
        (Batch(size=0, within="1s"), "the size of Batch is 0, and must be from 1 to 500"),
        (Batch(size=501, within="1s"), "the size of Batch is 501, and must be from 1 to 500"),
        (Batch(size=2, within=0), "within= of Batch must be longer than nothing"),
        (Single(key="order.id"), "key= is 'order.id', which is no path into the input"),
        (Single(key="input..id"), "key= is 'input..id', which is no path into the input"),
        (Single(busy="wait"), "Single: busy= takes one of skip, replace, queue, newest, not 'wait'"),  # type: ignore[arg-type]
        ("queue", "starts= takes a Debounce, a Batch or a Single"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_where_it_is_written(starts: Any, said: str) -> None:
    flow = Workflow("mail", starts=starts)
    flow.sleep("nap", "1s")
    assert any(said in each for each in refusal(flow)), refusal(flow)


async def test_a_key_that_cannot_be_read_fails_the_run(engine: Engine) -> None:
    flow, given, _ = mails(Single(key="input.id"))
    runs = await started(engine, flow, {"id": None}, {"id": "x" * 600})
    for run in runs:
        with pytest.raises(RunFailed, match="key"):
            await run.result()
    assert given == []


@pytest.mark.parametrize("starts", [
    Debounce(quiet="5s", inputs="all"), Batch(size=3, within="5s"), Single(), Single(busy="queue"),
    Single(busy="replace"), Single(busy="newest"),
], ids=str)  # fmt: skip
async def test_nothing_is_lost_or_doubled_by_other_processes_and_repeated_records(
    engine: Engine, starts: Starts
) -> None:
    flow, given, _ = mails(starts, seconds=2)
    runs = []
    for n in range(8):
        runs.append(await engine.start(flow, n, id=f"r{n}"))
        if n % 3 == 1:
            engine.restart()
        engine.redeliver()
        await engine.advance("700ms")
    engine.restart()
    await engine.advance("2m")
    engine.redeliver()
    await engine.advance("20m")
    ended = {run.id: run.status for run in runs}
    assert set(ended.values()) <= {"completed", "merged", "cancelled"}
    for run in runs:
        assert (run.status == "merged") == (run.state.into is not None)
    if not isinstance(starts, Single):
        assert sorted(one for each in given for one in (each if isinstance(each, list) else [each])) == [
            *range(8)
        ]
    assert len({str(each) for each in given}) == len(given), "no start begins twice"
    assert engine.ask(engine._target.admissions) == []


async def test_who_starts_a_run_and_asks_it_is_answered_once_it_has_begun(engine: Engine) -> None:
    flow = Workflow("orders", starts=Debounce(key="input.to", quiet="2s"))
    flow.wait_signal("go")

    @flow.answers("who")
    def who(ctx: Context[Any]) -> str:
        return ctx.run_id

    await engine.start(flow, {"to": "other"})
    assert await engine.inquire("r0", "who", start=(flow, {"to": "a"})) == "r0"
    assert engine.run("r0").status == "waiting"
