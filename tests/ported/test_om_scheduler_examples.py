"""The long examples of a scheduler's workflow module: an order, a pipeline, a signup, images, a migration.

Left out of them: approval by a person (D5; a signal stands in for it), the nightly schedule (F1), dead
letters (C8) and the limit of steps of a whole run at once (E7; a group and `each` have one).
"""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import BaseModel

from stream_durable import Context, Fail, Happened, Results, Retry, Snooze, Workflow
from stream_durable.testing.engine import Engine


class World:
    """What the steps act on."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.broken: set[str] = set()

    def do(self, what: str) -> str:
        if what in self.broken:
            raise Fail(f"{what}_failed", f"{what} does not work", retryable=False)
        self.log.append(what)
        return what


# An order


class Order(BaseModel):
    id: str
    customer: str
    items: list[str]
    total: float


def order_workflow(world: World) -> Workflow:  # noqa: C901 - of its steps, each is simple
    flow = Workflow("order", input=Order, timeout="30m")

    @flow.step
    async def validate(order: Order) -> dict[str, Any]:
        if not order.items:
            raise Fail("empty_order", retryable=False)
        return {"customer": order.customer, "total": order.total}

    @flow.step(after=validate, timeout="10s")
    async def check_fraud(order: Order) -> str:
        if order.total > 10_000:
            raise Fail("fraud_detected", retryable=False)
        return "clear"

    @flow.step(after=check_fraud)
    async def reserve(order: Order) -> list[str]:
        world.do("reserve")
        return [f"r-{item}" for item in order.items]

    @reserve.compensate
    async def release(reserve: list[str]) -> None:
        world.do(f"release {len(reserve)}")

    @flow.step(after=check_fraud)
    async def authorize() -> str:
        await asyncio.sleep(2)
        world.do("authorize")
        return "auth-1"

    @authorize.compensate
    async def void(authorize: str) -> None:
        world.do(f"void {authorize}")

    ready = flow.parallel("pre_fulfilment", [reserve, authorize])

    @flow.step(after=ready)
    async def capture(authorize: str) -> str:
        world.do("capture")
        return f"pay-{authorize}"

    @capture.compensate
    async def refund(capture: str) -> None:
        world.do(f"refund {capture}")

    @flow.step(after=capture)
    async def ship(reserve: list[str]) -> dict[str, str]:
        world.do("ship")
        return {"tracking": f"T-{len(reserve)}"}

    @ship.compensate
    async def cancel_shipment(ship: dict[str, str]) -> None:
        world.do(f"cancel {ship['tracking']}")

    told = flow.parallel(
        "notifications",
        [
            flow.add(name, partial(world.do, name), after=ship, on_error="continue")
            for name in ("email", "sms", "analytics")
        ],
    )

    @flow.step(after=told)
    async def complete() -> dict[str, str]:
        world.do("complete")
        return {"status": "fulfilled"}

    @flow.on_failure
    async def failed(order: Order, happened: Happened) -> None:
        assert happened.failure is not None
        world.do(f"order {order.id}: {happened.failure.code}")

    return flow


TEA = Order(id="42", customer="ann", items=["tea", "pot"], total=30)


async def test_an_order_is_fulfilled(engine: Engine) -> None:
    world = World()
    run = await engine.start(order_workflow(world), TEA)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", {"status": "fulfilled"})
    assert world.log[:4] == ["reserve", "authorize", "capture", "ship"]
    assert sorted(world.log[4:7]) == ["analytics", "email", "sms"]
    assert run.step("pre_fulfilment").output == {
        "reserve": {"output": ["r-tea", "r-pot"]},
        "authorize": {"output": "auth-1"},
    }


async def test_an_order_is_fulfilled_though_nobody_could_be_told(engine: Engine) -> None:
    world = World()
    world.broken = {"sms", "analytics"}
    run = await engine.start(order_workflow(world), TEA)
    await engine.until_idle()

    assert run.status == "completed"
    assert run.step("sms").status == run.step("analytics").status == "failed"
    assert world.log[-1] == "complete"


async def test_a_fraud_stops_the_order_before_anything_was_done(engine: Engine) -> None:
    world = World()
    run = await engine.start(order_workflow(world), TEA.model_copy(update={"total": 20_000.0}))
    await engine.until_idle()

    assert run.status == "failed"
    assert world.log == ["order 42: fraud_detected"]


async def test_an_order_that_cannot_be_shipped_is_undone(engine: Engine) -> None:
    world = World()
    world.broken = {"ship"}
    run = await engine.start(order_workflow(world), TEA)
    await engine.until_idle()

    assert run.status == "compensated"
    assert world.log == [
        "reserve", "authorize", "capture",
        "refund pay-auth-1", "void auth-1", "release 2",
        "order 42: ship_failed",
    ]  # fmt: skip


async def test_an_authorization_that_was_under_way_is_stopped(engine: Engine) -> None:
    """The stock is gone while the bank is asked; that attempt stops, and there is nothing to undo."""
    world = World()
    world.broken = {"reserve"}
    run = await engine.start(order_workflow(world), TEA)
    await engine.until_idle()

    assert run.status == "failed"
    assert run.step("authorize").status == "cancelled"
    assert run.step("pre_fulfilment").status == "failed"
    assert world.log == ["order 42: reserve_failed"]


async def test_an_order_that_takes_too_long_is_undone(engine: Engine) -> None:
    world = World()
    flow = order_workflow(world)

    async def never(reserve: list[str]) -> dict[str, str]:
        await asyncio.sleep(86_400)
        return {}

    engine.stub("ship", never)
    run = await engine.start(flow, TEA)
    await engine.advance("31m")
    await engine.until_idle()

    assert run.status == "compensated"
    assert world.log[-1] == "order 42: timeout"
    assert "refund pay-auth-1" in world.log


# A nightly pipeline


def pipeline(world: World) -> Workflow:
    flow = Workflow("nightly", timeout="2h")

    @flow.step(into="date")
    async def prepare(input: dict[str, str] | None) -> str:
        return (input or {}).get("date", "2025-01-01")

    def extract(what: str) -> Callable[[Context], list[str]]:
        def read(ctx: Context) -> list[str]:
            world.do(what)
            return [f"{what} of {ctx.get('date')}"] * 2

        return read

    sources = ("sales", "inventory", "customers")
    flow.parallel(
        "extracted",
        [
            flow.add(f"extract_{each}", extract(each), after=prepare, timeout="30m", into=each)
            for each in sources
        ],
    )

    @flow.step(after="extracted", timeout="45m")
    async def transform(ctx: Context) -> dict[str, Any]:
        return {"rows": [row for each in sources for row in ctx.get(each)]}

    @flow.step
    async def validate(transform: dict[str, Any]) -> int:
        if "invalid" in world.broken:
            raise Fail("validation_failed", details={"rows": [1]}, retryable=False)
        return len(transform["rows"])

    targets = ("warehouse", "search", "cache")
    flow.parallel(
        "loaded",
        [flow.add(f"load_{each}", partial(world.do, f"load {each}"), after=validate) for each in targets],
    )

    @flow.step(after="loaded")
    async def report(validate: int) -> str:
        return f"report of {validate} rows"

    @flow.step
    async def notify(report: str, prepare: str) -> str:
        return f"{prepare}: {report}"

    @flow.on_failure
    async def alert(happened: Happened) -> None:
        assert happened.failure is not None
        world.log.append(f"alert: {happened.step} {happened.failure.code} {happened.failure.details}")

    return flow


async def test_a_pipeline_extracts_transforms_and_loads(engine: Engine) -> None:
    world = World()
    run = await engine.start(pipeline(world), {"date": "2025-02-03"})
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", "2025-02-03: report of 6 rows")
    assert sorted(world.log) == sorted(
        ["sales", "inventory", "customers", "load warehouse", "load search", "load cache"]
    )


async def test_a_pipeline_with_bad_data_loads_nothing(engine: Engine) -> None:
    world = World()
    world.broken = {"invalid"}
    run = await engine.start(pipeline(world))
    await engine.until_idle()

    assert run.status == "failed"
    assert world.log[-1] == "alert: validate validation_failed {'rows': [1]}"
    assert not any(line.startswith("load") for line in world.log)


# A signup that waits for a click


class Signup(BaseModel):
    email: str
    name: str
    source: str = "organic"


def signup_workflow(world: World) -> Workflow:
    flow = Workflow("signup", input=Signup, timeout="7d")

    @flow.step
    async def create_account(signup: Signup, ctx: Context) -> dict[str, Any]:
        world.do("create account")
        ctx.put("user_id", 7)
        return {"user_id": 7}

    @create_account.compensate
    async def delete_account(create_account: dict[str, Any]) -> None:
        world.do(f"delete account {create_account['user_id']}")

    @flow.step(after=create_account)
    async def send_verification(signup: Signup) -> str:
        world.do(f"verify {signup.email}")
        return "token"

    verified = flow.wait_signal("email_verified", timeout="1d", after=send_verification)

    def is_verified(email_verified: dict[str, bool]) -> bool:
        return email_verified["verified"]

    setup = flow.parallel(
        "setup",
        [
            flow.add(name, partial(world.do, name), after=verified, when=is_verified)
            for name in ("settings", "workspace", "storage")
        ],
    )

    @flow.step(after=setup)
    async def trial(setup: Results) -> dict[str, Any]:
        return {"trial_days": 14, "with": sorted(setup.ok)}

    welcome = flow.add("welcome", partial(world.do, "welcome"), after=trial, on_error="continue")
    flow.add("series", partial(world.do, "series"), after=trial, on_error="continue")

    @flow.step(after=welcome, on_error="continue")
    async def track(signup: Signup) -> str:
        return f"signup from {signup.source}"

    @flow.on_failure
    async def clean_up(ctx: Context) -> None:
        if ctx.has("user_id"):
            world.do(f"mark {ctx.get('user_id')} as failed")

    return flow


ANN = Signup(email="ann@example.org", name="Ann")


async def test_a_signup_goes_on_when_the_link_is_clicked(engine: Engine) -> None:
    world = World()
    run = await engine.start(signup_workflow(world), ANN, id="ann")
    await engine.until_waiting(run)
    await engine.advance("20h")
    await engine.signal("ann", "email_verified", {"verified": True})
    await engine.until_idle()

    assert run.status == "completed"
    assert run.step("trial").output == {"trial_days": 14, "with": ["settings", "storage", "workspace"]}
    assert run.output == {"series": "series", "track": "signup from organic"}


async def test_a_signup_of_somebody_unverified_gets_nothing_set_up(engine: Engine) -> None:
    world = World()
    run = await engine.start(signup_workflow(world), ANN, id="ann")
    await engine.signal("ann", "email_verified", {"verified": False})
    await engine.until_idle()

    assert run.status == "completed"
    assert run.step("workspace").status == "skipped"
    assert run.step("trial").output == {"trial_days": 14, "with": []}


async def test_a_signup_that_nobody_confirms_is_undone(engine: Engine) -> None:
    world = World()
    run = await engine.start(signup_workflow(world), ANN)
    await engine.until_waiting(run)
    await engine.advance("1d")

    assert run.status == "compensated"
    assert run.failure is not None
    assert (run.failure.code, run.failure.step) == ("timeout", "email_verified")
    assert world.log == ["create account", "verify ann@example.org", "delete account 7", "mark 7 as failed"]


async def test_a_signup_is_complete_though_a_mail_bounced(engine: Engine) -> None:
    world = World()
    world.broken = {"welcome"}
    run = await engine.start(signup_workflow(world), ANN, id="ann")
    await engine.signal("ann", "email_verified", {"verified": True})
    await engine.until_idle()

    assert run.status == "completed"
    assert run.step("welcome").status == "failed"
    assert run.step("track").status == "completed"


# Images, as many as there are


async def test_images_are_processed_so_many_at_a_time(engine: Engine) -> None:
    flow = Workflow("images", timeout="1h")
    under_way: list[int] = []
    most: list[int] = []

    @flow.step
    async def fetch(input: int) -> list[int]:
        return list(range(input))

    @flow.each(fetch, concurrency=10, on_error="complete_all", retry=Retry(2, base="1s"))
    async def process(item: int) -> str:
        under_way.append(item)
        most.append(len(under_way))
        await asyncio.sleep(1)
        under_way.remove(item)
        if item % 10 == 3:
            raise Fail("broken_image", f"image {item}")
        return f"image {item}"

    @flow.step
    async def aggregate(process: list[str | None]) -> dict[str, int]:
        return {"processed": len([each for each in process if each]), "failed": process.count(None)}

    @flow.step
    async def send_report(aggregate: dict[str, int], fetch: list[int]) -> str:
        return f"{aggregate['processed']} of {len(fetch)}"

    run = await engine.start(flow, 25)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", "22 of 25")
    assert max(most) == 10
    assert run.step("process[13]").status == "failed"
    assert run.step("process[13]").attempts == 2
    assert run.step("process").output[14] == "image 14"


# A migration that waits for sessions to end


def migration(world: World, drained_after: int) -> Workflow:
    flow = Workflow("migration", timeout="4h")
    looks: list[int] = []

    @flow.step
    async def backup() -> str:
        return world.do("backup")

    @backup.compensate
    async def restore(backup: str) -> None:
        world.do("restore")

    @flow.step(after=backup)
    async def lock() -> None:
        world.do("lock")

    @lock.compensate
    async def unlock_after_all() -> None:
        world.do("unlock")

    @flow.step(after=lock)
    async def drain(ctx: Context) -> int | Snooze:
        looks.append(ctx.attempt)
        return ctx.attempt if len(looks) > drained_after else Snooze("1m", "sessions are open")

    flow.add("migrate", partial(world.do, "migrate"), after=drain, timeout="2h")
    flow.add("validate", partial(world.do, "validate"), after="migrate")
    flow.add("unlock", partial(world.do, "unlock"), after="validate")
    flow.add("notify", partial(world.do, "notify"), after="unlock")
    flow.on_failure(partial(world.do, "page somebody"))
    return flow


async def test_a_migration_waits_for_sessions_to_end(engine: Engine) -> None:
    world = World()
    run = await engine.start(migration(world, drained_after=3))
    await engine.until(run, "completed")

    assert world.log == ["backup", "lock", "migrate", "validate", "unlock", "notify"]
    assert run.step("drain").output == 1, "no attempt was used up"
    started, finished = run.state.created, run.step("notify").finished
    assert finished is not None
    assert (finished - started).total_seconds() >= 180


async def test_a_migration_that_is_not_valid_is_undone(engine: Engine) -> None:
    world = World()
    world.broken = {"validate"}
    run = await engine.start(migration(world, drained_after=0))
    await engine.until_idle()

    assert run.status == "compensated"
    assert world.log == ["backup", "lock", "migrate", "unlock", "restore", "page somebody"]


async def test_a_migration_gives_up_waiting_when_the_run_is_out_of_time(engine: Engine) -> None:
    world = World()
    run = await engine.start(migration(world, drained_after=10_000))
    await engine.advance("5h")

    assert run.status == "compensated"
    assert world.log == ["backup", "lock", "unlock", "restore", "page somebody"]
