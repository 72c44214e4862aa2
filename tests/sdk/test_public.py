"""What is promised of the package as a whole: typed, light, and its examples are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

import stream_durable
import stream_durable.sdk

ROOT = Path(stream_durable.__file__).parents[1]

PROGRAM = """
from typing import Any, assert_type

from shop import Order, Receipt, charge, orders, reserve, ship

from stream_durable import (
    App, Breaker, Client, Context, Expand, Failure, Finish, Happened, Jump, RejectedError, Results, Retry,
    Skip, Snooze, Workflow, any_of, some_of,
)


async def plain_calls(order: Order) -> None:
    reserved = await reserve(order)
    assert_type(reserved, list[str])
    assert_type(await charge(order, reserve=reserved), Receipt)
    assert_type(ship(Context(order)), dict[str, str])


flow = Workflow("flow", input=dict[str, Any], retry=Retry(3, on=(ConnectionError, "busy")))
go = flow.wait_signal("go", any_of=["a", "b"], timeout="1h", on_timeout={"given": 1})
paid = flow.wait_event("paid", "payment", key="input.id", after=go)
cooled = flow.sleep("cooled", "10m", after=[go, "paid"])


@flow.step(after=cooled)
async def follow_up(ctx: Context, paid: dict[str, Any]) -> str:
    assert_type(ctx, Context[Any])
    ctx.log.info("%s %s %s", ctx.deadline, ctx.cancelled, ctx.idempotency_key)
    return ctx.run_id


def named(order: Context[Order]) -> float:
    return order.input.total


added = flow.add("added", named, after=[follow_up, cooled])
assert_type(added(Context(Order(id="1", items=[], total=1))), float)
app = App("both", workflows=[orders, flow])


@charge.compensate(timeout="10s")
async def give_back(order: Order, charge: Receipt) -> None: ...


@flow.step(after=[any_of(added, go), some_of(2, "a", cooled, paid), cooled.even_if_failed], when=lambda a: a)
def decide(checks: Results[Receipt], plain: Results) -> int | Jump | Skip:
    assert_type(checks.ok, dict[str, Receipt])
    assert_type(checks.failed, dict[str, Failure])
    assert_type(plain["x"], Any | Failure | None)
    return Jump(added) if checks.failed else Snooze("5m")  # type: ignore[return-value]


checks = flow.parallel("checks", [added, cooled], on_error="complete_all", concurrency=2, after=go)
kind = flow.branch("kind", on=lambda order: order["kind"], after=checks)


@kind.case("digital", retry=Retry(2))
def mail(order: dict[str, Any]) -> str:
    return "sent"


@kind.case(when=lambda order: True)
def pack(order: dict[str, Any]) -> str:
    return "packed"


@kind.otherwise
async def ask(ctx: Context) -> None: ...


assert_type(mail({}), str)
kind.clause("big").sleep("dried", "1h")
kind.add(2, "by_call", named, on_error="skip")
page = flow.child("page", orders, input={"id": "input.id"}, until="page.done", every="5s", on_error="skip")


@flow.each(added, concurrency=10, on_error="complete_all", breaker=Breaker("bank"))
def resize(item: str) -> str:
    return item


@flow.template(process=True)
def scan(item: str) -> bytes:
    return item.encode()


@flow.step(total="1h", timeout=lambda order: "5s")
def expand(resize: list[str]) -> Expand | Finish:
    assert_type(scan("x"), bytes)
    return Expand([scan.of(each) for each in resize]) if resize else Finish("none")


@flow.on_failure
async def tell(what: Happened, ctx: Context) -> None:
    assert_type(what.failure, Failure | None)


assert_type(resize("x"), str)
typed = Workflow("typed", input=Order, output=Receipt, timeout="1h")
assert_type(typed, Workflow[Order, Receipt])
assert_type(Workflow("input", input=Order), Workflow[Order, Any])
assert_type(Workflow("bare"), Workflow[Any, Any])
either: Workflow[Order | None, str] = Workflow("either", input=Order | None, output=str)
many: list[Workflow] = [typed, either]


async def starts(client: Client, order: Order) -> None:
    run = await client.start(typed, order, id="order-1", tags=["vip"])
    assert_type(await run.result(timeout="5s"), Receipt)
    assert_type(await (await client.start(either, None)).result(), str)
    assert_type(await client.run("order-1", typed).result(), Receipt)
    assert_type(await client.run("order-1").result(), Any)
    assert_type(await (await client.start("typed", {"id": 1})).result(), Any)
    assert_type(await (await client.start(flow, {"any": 1})).result(), Any)
    await client.start(Workflow("bare"))
    again = await run.start_again()
    assert_type(await again.result(), Receipt)
    await client.start(typed, {"id": 1})  # type: ignore[misc]
    await client.start(typed, typed)  # type: ignore[misc]
    await client.start(typed)  # type: ignore[arg-type]
    await client.start(typed, order, idd="x")  # type: ignore[call-overload]
    with Client.sync() as blocking:
        assert_type(blocking.start(typed, order).result(), Receipt)
        assert_type(blocking.run("order-1").result(), Any)
        blocking.start(typed, {"id": 1})  # type: ignore[misc]
    try:
        await run.cancel()
    except RejectedError as error:
        assert_type(error.code, str)


flow.sleep("nap", "1s", when=named)  # type: ignore[call-arg]
flow.add("odd", named, timout="5s")  # type: ignore[call-arg]
kind.case("x", on_error="complete_all")(mail)  # type: ignore[arg-type]
added(1)  # type: ignore[arg-type]
ship()  # type: ignore[call-arg]
flow.step("name")  # type: ignore[call-overload]
"""


def test_programs_of_authors_pass_mypy_strict(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "mypy.ini").write_text("[mypy]\n")

    command = [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", "--no-error-summary"]
    command += ["--follow-imports=silent", "--cache-dir", f"{tempfile.gettempdir()}/stream-durable-mypy"]
    path = f"{ROOT}:{Path(__file__).parent}"
    done = subprocess.run(
        [*command, "program.py", str(Path(__file__).with_name("shop.py"))],
        cwd=tmp_path,
        env={"MYPYPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_the_package_promises_what_it_exports_and_imports_no_client() -> None:
    script = (
        "import sys, stream_durable as package\n"
        "heavy = {'asyncio', 'asyncpg', 'confluent_kafka', 'fastavro', 'structlog'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "assert all(hasattr(package, name) for name in package.__all__)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_the_examples_in_the_documentation_are_true() -> None:
    tried = 0
    for module in pkgutil.iter_modules(stream_durable.sdk.__path__, "stream_durable.sdk."):
        results = doctest.testmod(importlib.import_module(module.name))
        assert not results.failed
        tried += results.attempted
    assert tried >= 9
