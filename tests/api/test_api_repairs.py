"""Repairs by HTTP on a real Kafka and Postgres: of the instance, of records, failed runs and bindings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest
from channels import forget
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from instances import SECONDS, Instance, running, settings_of
from waiting import eventually

from stream_durable import App, Retry, Workflow
from stream_durable.api import create_app
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

order = Workflow("order")
order.wait_event("paid", "paid", key="input.id")

fragile = Workflow("fragile")
#: What the step does not stand yet.
broken = set[str]()


@fragile.step(retry=Retry(1))
def carry(input: dict[str, Any]) -> str:  # noqa: A002
    if input["id"] in broken:
        raise ValueError("it breaks")
    return str(input["id"])


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, database, prefix)


class Site(NamedTuple):
    """An instance, and a client of its API."""

    instance: Instance
    http: httpx.AsyncClient

    async def get(self, path: str) -> Any:
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self.http.post(path, json=body)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    async def until(self, path: str, is_so: Callable[[Any], bool]) -> Any:
        """Wait for an answer."""

        async def look() -> Any:
            found = await self.get(path)
            return found if is_so(found) else None

        return await eventually(look, path, seconds=SECONDS)

    async def done(self, operation: dict[str, Any]) -> Any:
        """Wait for the end of an operation."""
        return await self.until(f"/operations/{operation['id']}", lambda one: one["status"] == "completed")


@asynccontextmanager
async def serving(settings: Settings, app: App) -> AsyncIterator[Site]:
    async with running(settings, app) as instance:
        served = create_app(settings)
        transport = httpx.ASGITransport(served, raise_app_exceptions=False)
        address = "http://localhost/api/v1"
        async with httpx.AsyncClient(transport=transport, base_url=address, timeout=SECONDS) as http:
            try:
                yield Site(instance, http)
            finally:
                await served.state.connection.close()


async def _rows(settings: Settings, query: str) -> Any:
    dsn, path = settings.postgres.dsn.get_secret_value(), {"search_path": settings.postgres.db_schema}
    connection = await asyncpg.connect(dsn, server_settings=path)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def test_the_doctor_finds_a_forgotten_wait_and_repairs_it(settings: Settings) -> None:
    async def waits() -> int:
        return len(await _rows(settings, "select from channel_wait"))

    async def is_forgotten() -> bool:
        return not await waits()

    async with serving(settings, App("doctor", workflows=[order])) as site:
        await site.instance.client.start(order, {"id": "seven"}, id="order-7")
        await eventually(waits, "the run waits on its channel", seconds=SECONDS)
        whole = await site.until("/doctor", lambda one: not one["findings"])
        assert (whole["problems"], whole["warnings"], whole["following"]) == (0, 0, None)
        await forget(settings, "paid/seven", run="order-7", wait="paid")
        await eventually(is_forgotten, "the channel has forgotten", seconds=SECONDS)
        [fault] = (await site.until("/doctor?check=waits", lambda one: one["findings"]))["findings"]
        assert (fault["thing"], fault["repair"]) == ("run order-7, step paid", "reopen_waits")

        left = await site.post("/doctor/repair")

        assert left["repaired"] == ["let runs ask their channels again, 1 requests in all"]
        await eventually(waits, "the channel knows the wait", seconds=SECONDS)
        assert not (await site.until("/doctor?check=waits", lambda one: not one["findings"]))["findings"]
        await site.post("/events", event="paid", key="seven", data={"amount": 1})
        ended = await site.until("/runs/order-7/result?wait=30", lambda one: one["has_ended"])
        assert ended["output"] == {"amount": 1}
        assert (await site.post("/doctor/repair"))["repaired"] == []


async def test_records_that_could_not_be_applied_are_listed_and_shown(settings: Settings) -> None:
    async with serving(settings, App("dead", workflows=[order])) as site:
        for n in range(3):
            await site.instance.client.signal(f"nobody-{n}", "go", {"secret": n})
        found = await site.until("/dead", lambda one: len(one["records"]) == 3)
        first = await site.get("/dead?limit=2")
        assert len(first["records"]) == 2 and first["following"]
        rest = await site.get(f"/dead?limit=2&after={first['following']}")
        assert first["records"] + rest["records"] == found["records"] and rest["following"] is None
        one = found["records"][0]
        whole = await site.get(f"/dead/{one['id']}")
        assert whole["key"] == one["key"] and whole["key"].startswith("nobody-")
        assert '"secret"' in whole["value"] and whole["can_redrive"]
        missing = await site.http.get("/dead/0-1000000")
        assert missing.status_code == 404
        found = await site.get("/dead?code=unknown_run&key=nobody-1&topic=inbox&redriven=false&since=1h")
        [chosen] = found["records"]
        await site.instance.client.start(order, {"id": "one"}, id="nobody-1")
        told = await site.post(f"/dead/{chosen['id']}/redrive", reason="it is there by now")
        assert told == {"id": chosen["id"], "topic": "inbox", "is_ordered": True}
        await site.until(
            "/runs/nobody-1/history",
            lambda one: any(each["text"] == "signal go" for each in one["happenings"]),
        )
        marked = await site.get(f"/dead/{chosen['id']}")
        assert (marked["redriven"]["by"], marked["redriven"]["reason"]) == ("local", "it is there by now")
        assert not (await site.post(f"/dead/{chosen['id']}/redrive"))["is_ordered"]


async def test_failed_runs_are_driven_again_one_by_one_and_by_a_filter(settings: Settings) -> None:
    broken.update(("a", "b", "c"))
    async with serving(settings, App("failing", workflows=[fragile])) as site:
        for name in sorted(broken):
            await site.instance.client.start(fragile, {"id": name}, id=name)
        await site.until("/runs?failed=true", lambda one: len(one["runs"]) == 3)
        needs = await site.get("/attention")
        assert "carry" in str(needs)

        await site.post("/runs/a/review", reason="known")
        await site.until("/runs/count?failed=true&reviewed=false", lambda one: one["found"] == 2)
        broken.clear()
        await site.post("/runs/a/retry", reason="mended")
        ended = await site.until("/runs/a/result?wait=30", lambda one: one["status"] == "completed")
        assert ended["output"] == "a"

        which = {"workflow": "fragile", "failed": True}
        counted = await site.post("/operations", act="retry", filter=which, dry_run=True)
        assert counted["found"] == 2
        operation = await site.post("/operations", act="retry", filter=which, reason="mended")
        assert (await site.done(operation))["told"] == 2
        await site.until("/runs?status=completed", lambda one: len(one["runs"]) == 3)
        asked = (await site.get("/runs/b"))["requests"]["retry"]
        assert (asked["reason"], asked["by"]) == ("mended", "local")


async def test_a_binding_and_a_trigger_are_given_past_records_and_let_past_a_bad_one(
    settings: Settings,
) -> None:
    topic = f"orders-{token_hex(4)}"
    flow = Workflow("taken")
    flow.add("take", lambda given: given["id"])
    app = App("bound", workflows=[flow])
    app.on(app.topic(topic), start=flow, id="id", name="orders", bad="stop", since="earliest")
    app.on("placed", start=flow, id="data.id", name="placed")
    given = {"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0}
    admin = AdminClient(given)
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(SECONDS)
    producer = Producer(given)
    for value in (b'{"id":"a"}', b"garbage", b'{"id":"b"}'):
        producer.produce(topic, value)
    assert producer.flush(SECONDS) == 0

    async with serving(settings, app) as site:
        found = await site.until("/bindings", lambda one: any(each["stopped"] for each in one["bindings"]))
        assert "bindings skip orders" in found["bindings"][0]["stopped"]
        refused = await site.http.post("/bindings/orders/skip", json={"partition": 0, "offset": 2})
        assert (refused.status_code, refused.json()["code"]) == (409, "not_stopped")
        assert (await site.post("/bindings/orders/skip", partition=0, offset=1, reason="a test"))[
            "is_ordered"
        ]
        bound = await site.until("/bindings/orders", lambda one: one["lag"] == 0 and not one["stopped"])
        assert bound["bad_records"] == 1
        await site.until("/runs?status=completed", lambda one: len(one["runs"]) == 2)

        preview = await site.post("/bindings/orders/replay", since=0, preview=True)
        assert (preview["records"], preview["matched"], preview["bad"]) == (3, 3, 1)
        again = await site.done(await site.post("/bindings/orders/replay", since=0))
        assert again["replayed"] == preview | {"is_ordered": True}

        await site.post("/triggers/placed/pause", reason="counting")
        await site.until("/triggers/placed", lambda one: not one["is_on"])
        await site.post("/events", event="placed", key="k", data={"id": "late"})
        await site.until("/events", lambda one: any(each["event"] == "placed" for each in one["events"]))
        await site.post("/triggers/placed/resume")
        await site.until("/triggers/placed", lambda one: one["is_on"])
        told = await site.done(await site.post("/triggers/placed/replay", since=0))
        assert told["replayed"]["matched"] == 1
        await site.until("/runs/late/result?wait=30", lambda one: one["status"] == "completed")
        assert (await site.get("/runs/count"))["found"] == 3
