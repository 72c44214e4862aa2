"""Each planned wait is explained in one whole sentence: what, since when, until when, and what follows."""

from __future__ import annotations

import asyncio
from typing import Any

from reasons import explain, same

from stream_durable import App, Context, Fail, Gate, Retry, Snooze, Workflow, some_of
from stream_durable.testing import Engine


async def slow() -> None:
    await asyncio.sleep(100)


async def test_an_event_with_a_time_out(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_event("paid", "payment.captured", key="input.id", timeout="2h")
    run = await engine.start(flow, {"id": "42"})
    await engine.advance("61s")
    found = await explain(run, "paid")
    same(
        found,
        "event",
        "Waiting: paid waits for event payment.captured with key 42 since 22:13:20, until 15 Nov 00:13, "
        "in 1 h 58 min; then it fails.",
    )
    assert (found.evidence["event"], found.evidence["key"]) == ("payment.captured", "42")
    assert found.since is not None
    assert found.until is not None
    assert (found.until - found.since).total_seconds() == 7_200
    assert found.status == "waiting"


async def test_a_signal_any_of_several_and_all_of_several(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("one", "go")
    flow.wait_signal("any", any_of=["a", "b"], timeout="1d", on_timeout={"x": 1})
    flow.wait_signal("all", all_of=["c", "d"])
    run = await engine.start(flow)
    await engine.signal(run.id, "c")
    await engine.advance("1m")
    same(await explain(run, "one"), "signal", "Waiting: one waits for signal go since 22:13:20.")
    same(
        await explain(run, "any"),
        "signal",
        "Waiting: any waits for signal a or b since 22:13:20, until 15 Nov 22:13, in 23 h 59 min; "
        'then it goes on with {"x": 1}.',
    )
    same(
        await explain(run, "all"),
        "signal",
        "Waiting: all waits for signals c and d, of which c came, since 22:13:20.",
    )


async def test_a_question_names_who_is_asked(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.ask(
        "approved", choices=["yes", "no"], prompt="Ship {input.id}?", role="warehouse", timeout="2d",
        on_timeout="no",
    )  # fmt: skip
    run = await engine.start(flow, {"id": "42"})
    text = (
        "Waiting: approved waits for an answer from {} to “Ship 42?” since 22:13:20, until 16 Nov 22:13, "
        'in 2 d; then it goes on with "no".'
    )
    same(await explain(run, "approved"), "input", text.format("warehouse"))
    await run.claim("approved", "tom")
    same(await explain(run), "input", text.format("tom"))


async def test_a_sleep(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.sleep("cooled", "10m")
    run = await engine.start(flow)
    await engine.advance("61s")
    same(
        await explain(run),
        "time",
        "Waiting: cooled sleeps since 22:13:20, until 22:23:20, in 8 min 59 s.",
    )


async def test_a_token_with_heartbeats(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_token("delivered", heartbeat="5m", timeout="3h")
    run = await engine.start(flow)
    await engine.advance("1m")
    await run.heartbeat_step("delivered")
    await engine.advance("1m")
    same(
        await explain(run),
        "token",
        "Waiting: delivered waits for its end from outside by its token since 22:13:20, with a heartbeat "
        "every 5 min, the last one at 22:14:20, until 22:19:20, in 4 min; then it fails.",
    )


async def test_a_child_says_how_it_stands(engine: Engine) -> None:
    child = Workflow("invoice")
    child.wait_signal("go")
    flow = Workflow("flow")
    flow.child("invoiced", child)
    run = await engine.start(flow, id="order-1")
    same(
        await explain(run),
        "child",
        "Waiting: invoiced waits for run order-1//invoiced of workflow invoice "
        "(Waiting: waits, 0 of 1 steps are done) since 22:13:20.",
    )
    await engine.run("order-1//invoiced").pause("stocktaking", by="ann")
    same(
        await explain(run),
        "child",
        "Waiting: invoiced waits for run order-1//invoiced of workflow invoice "
        "(Blocked: paused by ann: stocktaking) since 22:13:20.",
    )


async def test_the_pause_between_two_rounds_of_a_child(engine: Engine) -> None:
    page = Workflow("page")
    page.add("fetched", lambda: {"done": False})
    flow = Workflow("flow")
    flow.child("pages", page, until="pages.done", every="5m")
    run = await engine.start(flow)
    await engine.advance("1s")
    same(
        await explain(run),
        "next_child",
        "Waiting: pages starts round 2 of workflow page at 22:18:20, in 4 min 59 s.",
    )


async def test_a_wait_inside_a_function(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    async def research(ctx: Context) -> Any:
        await ctx.sleep("1h")
        return await ctx.ask("rating", prompt="How?", role="office", timeout="1d", on_timeout=None)

    run = await engine.start(flow)
    same(
        await explain(run),
        "time",
        "Waiting: research sleeps inside its function since 22:13:20, until 23:13:20, in 1 h.",
    )
    await engine.advance("61m")
    same(
        await explain(run, "research"),
        "input",
        "Waiting: research waits inside its function for an answer from office to “How?” since 23:13:20, "
        "until 15 Nov 23:13, in 23 h 59 min; then it goes on with null.",
    )


async def test_the_time_before_another_attempt(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step(retry=Retry(5, backoff="fixed", base="2m", cap="2m"))
    async def charge() -> None:
        raise Fail("bank_down", "no answer\nand more of it")

    run = await engine.start(flow)
    await engine.advance("1s")
    same(
        await explain(run),
        "retry",
        "Waiting: charge failed at 22:13:20 with bank_down: no answer; attempt 2 of 5 begins at 22:15:20, "
        "in 1 min 59 s.",
    )
    await engine.advance("125s")
    found = await explain(run, "charge")
    assert str(found) == (
        "Waiting: charge failed twice, last at 22:15:20 with bank_down: no answer; attempt 3 of 5 begins "
        "at 22:17:20, in 1 min 54 s."
    )
    assert [(check.name, check.state) for check in found.checks] == [
        ("after", "passed"), ("run", "passed"), ("attempts", "holds"), ("wait", "open"), ("gate", "open"),
        ("queue", "open"), ("command", "open"), ("worker", "open"),
    ]  # fmt: skip
    assert found.checks[2].text == found.sentence


async def test_a_function_that_asked_to_be_called_again(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    async def look() -> Any:
        return Snooze("5m", "not yet")

    run = await engine.start(flow)
    await engine.advance("1s")
    same(
        await explain(run),
        "put_off",
        "Waiting: look asked to be called again at 22:18:20, in 4 min 59 s: not yet.",
    )


async def test_a_run_that_begins_later(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1)
    run = await engine.start(flow, after="2h")
    text = "Waiting: The run begins on 15 Nov 00:13, in 2 h."
    same(await explain(run), "not_begun", text)
    same(await explain(run, "a"), "not_begun", text)
    [entry] = (await engine.list()).runs
    assert (entry.word, entry.reason) == ("Waiting", "has not begun")


async def test_a_run_that_is_tried_again(engine: Engine) -> None:
    flow = Workflow("flow", restart=Retry(3, backoff="fixed", base="5m", cap="5m"))

    @flow.step
    async def load() -> None:
        raise Fail("bad")

    run = await engine.start(flow)
    await engine.advance("5s")
    same(
        await explain(run),
        "not_begun",
        "Waiting: The run failed; try 2 of 3 begins at 22:18:20, in 4 min 55 s.",
    )


async def test_places_of_the_workflow_and_of_a_group(engine: Engine) -> None:
    flow = Workflow("flow", concurrency=1)
    for name in ("a", "b", "c"):
        flow.add(name, slow)
    run = await engine.start(flow)
    await engine.advance("10s")
    same(
        await explain(run, "c"),
        "run_place",
        "Waiting: c waits for a place: the workflow has 1 for steps of one run, with 1 step before it.",
    )
    grouped = Workflow("grouped")
    grouped.parallel("g", [grouped.add(name, slow) for name in "xyz"], concurrency=1)
    run = await engine.start(grouped)
    await engine.advance("10s")
    same(
        await explain(run, "y"),
        "group_place",
        "Waiting: y waits for a place in group g, which has 1.",
    )
    same(
        await explain(run, "g"),
        "members",
        "Running: g waits for its members since 22:13:30: 0 of 3 have ended.",
    )


async def test_items_of_a_list_begin_in_order(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.each("input.items", concurrency=2)
    async def resize(item: int) -> None:
        await asyncio.sleep(100)

    run = await engine.start(flow, {"items": [1, 2, 3]})
    await engine.advance("10s")
    same(
        await explain(run, "resize[2]"),
        "group_place",
        "Waiting: resize[2] waits for a place in group resize, which has 2.",
    )


async def test_steps_before_and_joins(engine: Engine) -> None:
    flow = Workflow("flow")
    for name in ("a", "b", "c"):
        flow.wait_signal(name)
    flow.add("every", lambda a, b, c: 1)
    flow.add("some", lambda: 1, after=some_of(2, "a", "b", "c"))
    run = await engine.start(flow)
    await engine.signal(run.id, "a")
    same(await explain(run, "every"), "after", "Waiting: every comes after b (waiting), c (waiting).")
    same(
        await explain(run, "some"),
        "after",
        "Waiting: some comes after some of a, b, c (1 of 2 have completed).",
    )
    found = await explain(run)
    assert (found.step, found.code, dict(found.others)) == ("b", "signal", {"Waiting": 3})


async def test_a_clause_comes_after_its_branch(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("go")
    kind = flow.branch("kind", on="input.kind", after="go")

    @kind.case("x")
    async def express() -> None: ...

    run = await engine.start(flow, {"kind": "x"})
    same(await explain(run, "express"), "after", "Waiting: express comes after kind (pending).")


async def test_a_clause_waits_for_the_choice(engine: Engine) -> None:
    flow = Workflow("flow")

    async def choose() -> str:
        await asyncio.sleep(60)
        return "x"

    kind = flow.branch("kind", on=choose)

    @kind.case("x")
    async def express() -> None: ...

    run = await engine.start(flow)
    await engine.advance("10s")
    same(await explain(run, "express"), "choice", "Waiting: express waits for the choice of branch kind.")


async def test_a_section_and_a_queue_as_a_whole(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("book", slow)
    flow.parallel("session", ["book"], gate=Gate("terminal", at_once=1))
    flow.add("post", slow, queue="mail")
    App("shop", workflows=[flow]).queue("mail", at_once=1)
    await engine.start(flow, id="first")
    run = await engine.start(flow, id="second")
    await engine.advance("10s")
    same(
        await explain(run, "book"),
        "at_gate",
        "Waiting: book waits for a place at gate terminal (1 at once), held by session of first.",
    )
    found = await explain(run, "post")
    same(
        found,
        "at_gate",
        "Waiting: post waits for a place at gate queue:mail (1 at once), held by post of first.",
    )
    assert [check.name for check in found.checks if check.state == "holds"] == ["gate"]
    same(
        await explain(run, "session"),
        "at_gate",
        "Waiting: session waits for a place at gate terminal (1 at once), held by session of first.",
    )


async def test_a_gate_whose_places_are_held_and_one_whose_rate_is_used_up(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("pay", slow, gate=Gate("bank", at_once=1, per="input.tenant"))
    runs = [await engine.start(flow, {"tenant": "acme"}, id=f"run-{n}") for n in range(3)]
    await engine.advance("5s")
    found = await explain(runs[1], "pay")
    same(
        found,
        "at_gate",
        "Waiting: pay waits for a place at gate bank for acme (1 at once), held by pay of run-0; "
        "2 wait there.",
    )
    assert (found.evidence["inside"], found.evidence["waiting"]) == (1, 2)
    mails = Workflow("mails")
    mails.add("send", lambda: 1, gate=Gate("mail", rate="1/1m"))
    _, late = [await engine.start(mails, id=f"mail-{n}") for n in range(2)]
    await engine.advance("1s")
    same(
        await explain(late, "send"),
        "at_gate",
        "Waiting: send waits for a place at gate mail (1 in 1 min); it opens at 22:14:25, in 59 s.",
    )


async def test_a_gate_with_places_left_whose_rate_is_used_up(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("ask", slow, gate=Gate("model", rate="1/1m"), units=1)
    flow.add("note", slow, gate=Gate("crm", at_once=2, rate="1/1m"))
    for name in ("first", "second"):
        run = await engine.start(flow, id=name)
    await engine.advance("1s")
    for step, gate in (("ask", "model (1 in 1 min)"), ("note", "crm (2 at once, 1 in 1 min)")):
        same(
            await explain(run, step),
            "at_gate",
            f"Waiting: {step} waits for a place at gate {gate}; it opens at 22:14:20, in 59 s.",
        )


async def test_a_hook_and_a_compensation_of_an_earlier_try(engine: Engine) -> None:
    flow = Workflow("flow", restart=Retry(2))
    flow.add("book", lambda: 1).compensate(lambda: None)
    pay = flow.add("pay", lambda: 2, after="book")
    flow.on_step_fail(lambda: None)
    flow.wait_signal("go", after=pay)
    engine.fail("pay")
    run = await engine.start(flow)
    await engine.until_idle()
    same(await explain(run), "signal", "Waiting: go waits for signal go since 22:13:21.")
    for name in ("book~compensate", "pay~on_step_fail"):
        same(
            await explain(run, name),
            "not_called",
            f"Waiting: {name} was called in an earlier try, and is not called now.",
        )
