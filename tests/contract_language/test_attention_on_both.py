"""What needs somebody is found by cause, the most urgent first: in memory and on Postgres."""

from __future__ import annotations

from datetime import UTC

import pytest
from waiting import eventually

from stream_durable import Breaker, Fail, Retry, Workflow
from stream_durable.client import Attention, Need, RunFilter
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


def failing(code: str = "bank_down") -> None:
    raise Fail(code, "no answer", retryable=False)


async def of(engine: Engine) -> Attention:
    found: Attention = engine.ask(lambda: engine._target.attention(zone=UTC))
    return found


async def test_nothing_needs_attention_where_all_is_well(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1)
    await engine.until(await engine.start(flow), "completed")
    assert await of(engine) == Attention((), is_whole=True)


async def test_failures_are_grouped_by_cause_and_undone_ones_come_first(engine: Engine) -> None:
    shop = Workflow("shop")
    shop.add("charge", lambda: failing("bank_down"))
    mail = Workflow("mail")
    mail.add("send", lambda: failing("refused"))
    undone = Workflow("undone")
    reserve = undone.add("reserve", lambda: 1)
    reserve.compensate(lambda: failing("shipped"))
    undone.add("boom", lambda: failing("boom"), after="reserve")
    for n in range(3):
        await engine.until(await engine.start(shop, id=f"shop-{n}"), "failed")
    await engine.until(await engine.start(mail, id="mail-0"), "failed")
    await engine.until(await engine.start(undone, id="undone-0"), "compensation_failed")
    found = await of(engine)
    assert found.is_whole
    assert [(need.word, need.code, need.affected, need.evidence["code"]) for need in found.needs] == [
        ("Needs review", "compensation_failed", 1, "boom"),
        ("Needs review", "failed", 3, "bank_down"),
        ("Needs review", "failed", 1, "refused"),
    ]
    assert found.needs[1].evidence["step"] == "charge"
    assert found.needs[1].evidence["last_run"] == "shop-2"
    assert found.needs[1].sentence.startswith(
        "charge of workflow shop failed in 3 runs with bank_down, the last one at "
    )
    assert found.needs[1].sentence.endswith(": shop-2.")
    assert found.needs[0].sentence.startswith("1 run of workflow undone could not be undone after boom")
    await engine.run("undone-0").mark_reviewed("undone by hand", by="ann")
    await engine.run("shop-2").mark_reviewed("paid", by="tom")
    await engine.until_idle()
    left = (await of(engine)).needs
    assert [(need.affected, need.evidence["last_run"]) for need in left] == [(2, "shop-1"), (1, "mail-0")]
    marked = await engine.list(RunFilter(reviewed=True))
    assert {(one.id, one.word) for one in marked.runs} == {("undone-0", "Done"), ("shop-2", "Done")}
    assert (await engine.count(RunFilter(reviewed=False))).found == 3


async def test_runs_whose_next_function_is_gone_are_named(engine: Engine) -> None:
    old, new = Workflow("order"), Workflow("order")
    for flow, last in ((old, "ship"), (new, "send")):
        flow.wait_signal("go")
        flow.add(last, lambda: 1, after="go")
    for run in ("order-1", "order-2", "order-3"):
        await engine.until_waiting(await engine.start(old, id=run))
    engine.deploy(new)
    await engine.signal("order-1", "go")
    await engine.advance("2s")
    await engine.signal("order-2", "go")
    await engine.advance("1s")

    async def is_named() -> bool:
        found.extend((await of(engine)).needs)
        return bool(found)

    found = list[Need]()
    await eventually(is_named, "the step is given back", seconds=60)
    need = found[-1]

    assert (need.word, need.code) == ("Blocked", "not_carried")
    assert (need.evidence["workflow"], need.evidence["step"]) == ("order", "ship")
    assert need.affected == need.evidence["runs"] == 2
    assert need.evidence["run"] == "order-1" and need.since is not None
    assert need.sentence.startswith("ship of workflow order holds up 2 runs since ")
    assert ", order-1 first: " in need.sentence and "has no function for step 'ship'" in need.sentence
    assert need.sentence.endswith(
        "; deploy a worker that has the function until such runs have ended, or cancel them."
    )
    # That is one, and there is no such run any more.
    engine.deploy(old)
    await engine.advance("10s")
    assert (await of(engine)).needs == ()
    assert {run.id: run.status for run in engine.runs} == {
        "order-1": "completed", "order-2": "completed", "order-3": "waiting",
    }  # fmt: skip


async def test_what_is_held_up_or_about_to_expire(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.ask("approved", prompt="Ship it?", role="warehouse", timeout="30m")
    flow.ask("later", prompt="Really?", timeout="3d")
    gated = Workflow("gated")
    bank = Breaker("bank", failures=1, window="10m", reset="5m")
    gated.add(
        "pay",
        failing_again,
        breaker=bank,
        retry=Retry(9, backoff="fixed", base="1s"),
    )
    await engine.start(flow, id="asking")
    await engine.start(gated, id="held")
    await engine.create_schedule("nightly", gated, cron="0 2 * * *")
    await engine.pause_schedule("nightly", reason="stocktaking", by="tom")
    await engine.advance("3s")
    engine.ask(lambda: engine._target.pause_queue("default", reason="move", by="ann"))
    needs = {need.code: need for need in (await of(engine)).needs}
    assert list(needs) == ["queue_paused", "breaker", "schedule_off", "inputs_expiring"]
    assert needs["breaker"].sentence.startswith("Breaker bank is open since ")
    assert needs["breaker"].affected == 1
    assert needs["queue_paused"].sentence.startswith("Queue default was paused by ann (move) at ")
    assert needs["schedule_off"].sentence.startswith(
        "Schedule nightly of workflow gated was switched off by tom (stocktaking) at "
    )
    assert needs["inputs_expiring"].affected == 1
    assert needs["inputs_expiring"].sentence.startswith("1 question expires within the hour, the first at ")
    assert needs["inputs_expiring"].sentence.endswith(": approved of asking: Ship it?.")


def failing_again() -> None:
    raise Fail("down")
