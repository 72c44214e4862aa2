"""What users of a scheduler's workflow module rely on: the shapes of graphs, and what a step may answer.

What fails, waits for its next attempt, is undone or cancelled is in `test_om_scheduler_failures`, the long
examples are in `test_om_scheduler_examples`. Left out: approval by a person (D5), schedules and triggers (F),
pictures, summaries and telemetry (H), tags and metadata of a workflow (of a run here, E1) and the words
`{:workflow, ...}` and `{module, function}` for what a step is: here it is a function, or a child.
"""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from stream_durable import Context, Expand, Fail, Skip, Snooze, Workflow, any_of, some_of
from stream_durable.testing.engine import Engine

# The same three steps, decorated and called


async def test_results_gather_in_the_context(engine: Engine) -> None:
    """There each result is merged into it; here a step says under which key its own goes there."""
    flow = Workflow("new_account")

    @flow.step(into="account")
    async def create_account(input: dict[str, str]) -> dict[str, Any]:
        return {"email": input["email"], "user_id": 41}

    @flow.step(after=create_account, into="profile_id")
    async def setup_profile(ctx: Context) -> int:
        return int(ctx.get("account")["user_id"]) + 1

    @flow.step(after=setup_profile)
    async def send_welcome(ctx: Context) -> None:
        assert ctx.get("profile_id") == 42

    run = await engine.start(flow, {"email": "ann@example.org", "name": "Annie"})
    await engine.until_idle()

    assert run.status == "completed"
    assert run.context == {"account": {"email": "ann@example.org", "user_id": 41}, "profile_id": 42}


async def test_the_input_is_not_in_the_context_unless_a_step_puts_it_there(engine: Engine) -> None:
    """The older context begins as the input; here the input keeps its type, and is had as `input`."""
    flow = Workflow("input_apart")

    @flow.step
    async def look(ctx: Context[dict[str, str]]) -> bool:
        return ctx.has("email") or ctx.input["email"] != "ann@example.org"

    run = await engine.start(flow, {"email": "ann@example.org"})
    await engine.until_idle()

    assert (run.output, run.context) == (False, {})


async def test_the_same_graph_by_calls(engine: Engine) -> None:
    def create(input: dict[str, str]) -> dict[str, Any]:
        return {"user_id": len(input["name"])}

    def profile(create_account: dict[str, Any]) -> dict[str, Any]:
        return {"profile_id": create_account["user_id"] + 1}

    flow = Workflow("by_calls")
    flow.add("create_account", create)
    flow.add("setup_profile", profile, after="create_account")
    flow.add("send_welcome", lambda: "sent", after="setup_profile")

    run = await engine.start(flow, {"name": "Annie"})
    await engine.until_idle()

    assert run.step("setup_profile").output == {"profile_id": 6}
    assert run.output == "sent"


# What a step may answer


async def test_what_a_step_answers(engine: Engine) -> None:
    flow = Workflow("answers")

    @flow.step(into="map")
    async def a_map() -> dict[str, int]:
        return {"x": 1}

    @flow.step
    async def nothing() -> None: ...

    @flow.step
    async def skipped() -> int | Skip:
        return Skip("nobody asked")

    @flow.step(on_error="continue")
    async def failed() -> int:
        raise Fail("nope", "cannot", details={"why": ["no"]})

    @flow.step(after=[a_map, nothing, skipped, failed])
    async def last(ctx: Context) -> Any:
        return ctx.get("map")

    run = await engine.start(flow)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", {"x": 1})
    assert run.step("nothing").output is None
    assert run.step("skipped").status == "skipped"
    failure = run.step("skipped").failure
    assert failure is not None
    assert failure.message == "nobody asked"
    failure = run.step("failed").failure
    assert failure is not None
    assert (failure.code, failure.message, failure.details) == ("nope", "cannot", {"why": ["no"]})


async def test_a_snoozed_step_is_asked_again_and_uses_up_no_attempt(engine: Engine) -> None:
    flow = Workflow("polling")
    statuses = ["pending", "pending", "completed"]
    asked: list[tuple[int, str]] = []

    @flow.step
    async def poll(ctx: Context) -> str | Snooze:
        asked.append((ctx.attempt, ctx.idempotency_key))
        status = statuses[len(asked) - 1]
        return status if status == "completed" else Snooze("5m", "still pending")

    run = await engine.start(flow, id="poll-1")
    began = engine.now
    await engine.until(run, "completed")

    assert run.output == "completed"
    assert asked == [(1, "poll-1/poll/1")] * 3
    assert (engine.now - began).total_seconds() >= 600


# Fan-out and fan-in


async def test_one_upload_to_three_stores_and_one_word_about_it(engine: Engine) -> None:
    flow = Workflow("uploads_of_one")

    @flow.step(into="data")
    async def prepare(input: str) -> str:
        return input.upper()

    def upload(store: str) -> Callable[[Context], str]:
        def put(ctx: Context) -> str:
            return f"{store}://{ctx.get('data')}"

        return put

    stores = ["s3", "gcs", "azure"]
    uploads = flow.parallel("uploads", [flow.add(s, upload(s), after=prepare, into=s) for s in stores])

    @flow.step(after=uploads)
    async def notify(ctx: Context) -> str:
        return ", ".join(ctx.get(store) for store in stores)

    run = await engine.start(flow, "cat")
    await engine.until_idle()

    assert run.output == "s3://CAT, gcs://CAT, azure://CAT"
    assert run.step("uploads").status == "completed"


async def test_what_members_of_a_group_wait_for_the_group_may_wait_for_instead(engine: Engine) -> None:
    flow = Workflow("group_after")
    order: list[str] = []
    first = flow.add("first", lambda: order.append("first"))
    a = flow.add("a", lambda: order.append("a"))
    b = flow.add("b", lambda: order.append("b"))
    flow.parallel("both", [a, b], after=first)

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "completed"
    assert order[0] == "first"


async def test_three_sources_are_aggregated_and_saved(engine: Engine) -> None:
    flow = Workflow("aggregation")
    start = flow.add("start", lambda: 10)
    flow.add("api_a", lambda start: start + 1)
    flow.add("api_b", lambda start: start + 2)
    flow.add("api_c", lambda start: start + 3)
    flow.add("aggregate", lambda api_a, api_b, api_c: api_a + api_b + api_c)
    flow.add("save", lambda aggregate: f"saved {aggregate}")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.output == "saved 36"
    assert start.name == "start"


async def test_a_diamond_ends_where_both_sides_meet(engine: Engine) -> None:
    flow = Workflow("diamond")
    order: list[str] = []

    @flow.step
    async def a() -> None:
        order.append("a")

    @flow.step(after=a)
    async def b() -> None:
        await asyncio.sleep(3)
        order.append("b")

    @flow.step(after=a)
    async def c() -> None:
        order.append("c")

    @flow.step(after=[b, c])
    async def d() -> None:
        order.append("d")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "completed"
    assert order == ["a", "c", "b", "d"]


async def test_a_race_goes_on_with_the_first(engine: Engine) -> None:
    flow = Workflow("race")
    order: list[str] = []

    @flow.step
    async def quick() -> str:
        await asyncio.sleep(1)
        return "quick"

    @flow.step
    async def slow() -> str:
        await asyncio.sleep(30)
        order.append("slow")
        return "slow"

    @flow.step(after=any_of(quick, slow))
    async def winner(quick: str | None, slow: str | None) -> str | None:
        order.append("winner")
        return quick or slow

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "completed"
    assert run.step("winner").output == "quick"
    assert order == ["winner", "slow"], "the other one goes on, and the run waits for it"
    assert run.step("slow").output == "slow"


async def test_a_race_may_cancel_those_that_lost(engine: Engine) -> None:
    flow = Workflow("race_cancelled")

    @flow.step
    async def quick() -> str:
        return "quick"

    @flow.step
    async def slow() -> str:
        await asyncio.sleep(3600)
        return "slow"

    @flow.step(after=any_of(quick, slow, cancel_rest=True))
    async def winner(quick: str | None, slow: str | None = "lost") -> list[str | None]:
        return [quick, slow]

    run = await engine.start(flow)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", ["quick", "lost"])
    assert run.step("slow").status == "cancelled"


async def test_a_race_that_the_first_to_end_loses_goes_on_with_the_next(engine: Engine) -> None:
    flow = Workflow("race_lost")

    @flow.step
    async def broken() -> str:
        raise Fail("down", retryable=False)

    @flow.step
    async def slow() -> str:
        await asyncio.sleep(5)
        return "slow"

    @flow.step(after=any_of(broken, slow))
    async def winner(broken: str | None, slow: str | None) -> str | None:
        return broken or slow

    run = await engine.start(flow)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", "slow")
    assert run.step("broken").status == "failed"


async def test_a_race_that_nobody_can_win_any_more_fails(engine: Engine) -> None:
    flow = Workflow("race_none")

    @flow.step
    async def one() -> str:
        raise Fail("down_1", retryable=False)

    @flow.step
    async def two() -> str:
        await asyncio.sleep(1)
        raise Fail("down_2", retryable=False)

    flow.add("winner", lambda: "?", after=any_of(one, two))

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure.code == "down_1", "what failed first is told"
    assert run.step("winner").attempts == 0


async def test_two_of_three_suffice(engine: Engine) -> None:
    flow = Workflow("quorum")

    def answer_after(seconds: float) -> Callable[[], Any]:
        async def answer() -> float:
            await asyncio.sleep(seconds)
            return seconds

        return answer

    for seconds in (1, 2, 600):
        flow.add(f"after_{seconds}", answer_after(seconds))

    @flow.step(after=some_of(2, "after_1", "after_2", "after_600", cancel_rest=True))
    async def decide(after_1: float | None, after_2: float | None, after_600: float | None) -> int:
        return len([each for each in (after_1, after_2, after_600) if each is not None])

    run = await engine.start(flow)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", 2)


# Conditions


def fulfilment() -> Workflow:
    """Two steps of which one runs, and one that comes after whichever did."""
    flow = Workflow("order_fulfilment")

    @flow.step
    async def check_inventory(input: dict[str, Any]) -> dict[str, bool]:
        return {"in_stock": input["items"] <= 5}

    @flow.step(when=lambda check_inventory: check_inventory["in_stock"], after=check_inventory)
    async def reserve() -> dict[str, str]:
        await asyncio.sleep(1)
        return {"reservation": "r-1"}

    @flow.step(when=lambda check_inventory: not check_inventory["in_stock"], after=check_inventory)
    async def backorder() -> dict[str, str]:
        await asyncio.sleep(1)
        return {"backorder": "b-1"}

    @flow.step(after=any_of(reserve, backorder))
    async def confirm(reserve: dict[str, str] | None, backorder: dict[str, str] | None) -> Any:
        return reserve or backorder

    return flow


async def test_the_step_after_either_waits_for_the_one_that_runs(engine: Engine) -> None:
    """There a skipped step satisfies "any of"; here it does not, or `confirm` would come too early."""
    flow = fulfilment()
    plenty = await engine.start(flow, {"items": 3})
    scarce = await engine.start(flow, {"items": 9})
    await engine.until_idle()

    assert plenty.output == {"reservation": "r-1"}
    assert plenty.step("backorder").status == "skipped"
    assert scarce.output == {"backorder": "b-1"}
    assert scarce.step("reserve").status == "skipped"


async def test_the_step_after_either_runs_if_both_were_skipped(engine: Engine) -> None:
    flow = Workflow("neither")
    a = flow.add("a", lambda: 1, when=lambda input: False)
    b = flow.add("b", lambda: 2, when=lambda input: False)

    @flow.step(after=any_of(a, b))
    async def then(a: int | None, b: int | None) -> list[int | None]:
        return [a, b]

    run = await engine.start(flow)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", [None, None])


async def test_conditions_that_may_hold_together_are_conditions_of_steps(engine: Engine) -> None:
    """There a branch runs each job whose condition holds; here it picks one clause, and `when=` does that."""
    flow = Workflow("order_by_stock")

    @flow.step
    async def check_stock(input: int) -> dict[str, int]:
        return {"stock": input}

    flow.add(
        "immediate", lambda: "sent", after=check_stock, when=lambda check_stock: check_stock["stock"] > 0
    )
    flow.add(
        "backorder", lambda: "later", after=check_stock, when=lambda check_stock: check_stock["stock"] == 0
    )
    flow.add("vendor", lambda: "asked", after=check_stock, when=lambda check_stock: check_stock["stock"] < 3)

    @flow.step(after=["immediate", "backorder", "vendor"])
    async def complete(immediate: str | None, backorder: str | None, vendor: str | None) -> list[str | None]:
        return [immediate, backorder, vendor]

    outputs = []
    for stock in (5, 2, 0):
        run = await engine.start(flow, stock)
        await engine.until_idle()
        outputs.append(run.output)

    assert outputs == [["sent", None, None], ["sent", None, "asked"], [None, "later", "asked"]]


async def test_a_branch_by_conditions_picks_the_first_that_holds(engine: Engine) -> None:
    flow = Workflow("branch_by_conditions")

    @flow.step
    async def check_stock(input: int) -> int:
        return input

    stock = flow.branch("stock", after=check_stock)

    @stock.case(when=lambda check_stock: check_stock > 2)
    async def immediate() -> str:
        return "sent"

    @stock.case(when=lambda check_stock: check_stock > 0)
    async def vendor() -> str:
        return "sent, and asked for more"

    @stock.otherwise
    async def backorder() -> str:
        return "later"

    flow.add("complete", lambda stock: stock)

    outputs = []
    for left in (5, 2, 0):
        run = await engine.start(flow, left)
        await engine.until_idle()
        outputs.append(run.output)
        statuses = [run.step(name).status for name in ("immediate", "vendor", "backorder")]
        assert sorted(statuses) == ["completed", "skipped", "skipped"]

    assert outputs == ["sent", "sent, and asked for more", "later"]


# Workflows in workflows


async def test_a_workflow_is_a_step_of_another(engine: Engine) -> None:
    """There the child begins with the parent's context; here it gets what `input=` picks."""
    notification = Workflow("notification")

    @notification.step
    async def compose(input: dict[str, str]) -> dict[str, str]:
        return {"message": f"{input['template']} for {input['to']}"}

    @notification.step
    async def send(compose: dict[str, str], ctx: Context) -> None:
        ctx.put("sent", compose["message"])

    @notification.step(after=send)
    async def log(ctx: Context) -> str:
        return f"logged {ctx.get('sent')}"

    flow = Workflow("order_with_notification")

    @flow.step
    async def create_order() -> dict[str, str]:
        return {"customer": "ann@example.org"}

    flow.child(
        "notify", notification, input={"to": "create_order.customer", "template": '="order_confirmation"'}
    )

    @flow.step
    async def complete(notify: str, ctx: Context) -> list[Any]:
        return [notify, ctx.get("sent")]

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "completed"
    assert run.output == ["logged order_confirmation for ann@example.org", None], "contexts are apart"
    [child] = run.children
    assert child.state.parent == run.id
    assert child.context == {"sent": "order_confirmation for ann@example.org"}


# Steps that are known only at run time


async def test_a_batch_becomes_steps_and_their_results_a_summary(engine: Engine) -> None:
    flow = Workflow("batch")

    @flow.template
    async def process_item(item: dict[str, int]) -> int:
        return item["value"] * 2

    @flow.step
    async def fetch_batch(input: int) -> list[dict[str, int]]:
        return [{"id": i, "value": i * 10} for i in range(input)]

    @flow.step
    async def process_items(fetch_batch: list[dict[str, int]]) -> Expand:
        return Expand([process_item.of(item, name=f"item-{item['id']}") for item in fetch_batch])

    @flow.step
    async def summarize(process_items: list[int]) -> int:
        return sum(process_items)

    run = await engine.start(flow, 4)
    await engine.until_idle()

    assert run.output == 120
    assert run.step("process_items").output == [0, 20, 40, 60]
    assert run.step("process_items[item-3]").output == 60


async def test_an_empty_batch_is_no_trouble(engine: Engine) -> None:
    flow = Workflow("empty_batch")
    template = flow.template(name="process_item")(lambda item: item)
    flow.add("process_items", lambda: Expand([]))
    flow.add("summarize", lambda process_items: {"items": len(process_items)})

    run = await engine.start(flow)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", {"items": 0})
    assert template.name == "process_item"


async def test_steps_that_are_added_may_wait_for_each_other_and_add_more(engine: Engine) -> None:
    flow = Workflow("nested_batch")
    order: list[str] = []

    @flow.template
    async def leaf(item: str) -> str:
        order.append(item)
        return item

    @flow.template
    async def folder(item: list[str]) -> Expand:
        return Expand([leaf.of(each) for each in item])

    @flow.step
    async def scan() -> Expand:
        first = leaf.of("first", name="first")
        return Expand([first, folder.of(["a", "b"], name="folder", after=first)])

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.output == ["first", ["a", "b"]], "in the order in which they were given"
    assert run.step("scan[folder][1]").output == "b"
    assert order[0] == "first"
