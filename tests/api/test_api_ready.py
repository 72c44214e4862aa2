"""What a load balancer is told by `/readyz`, on a real Kafka and Postgres that can be cut off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from cables import Cable, laid
from instances import SECONDS, settings_of
from waiting import eventually

from stream_durable.api import create_app
from stream_durable.api.serving import role
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres
from stream_durable.metrics import Metrics
from stream_durable.settings import Settings

pytestmark = pytest.mark.real


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, database, prefix)


@pytest.fixture
def to_postgres(postgres_server: LocalPostgres) -> Iterator[Cable]:
    with laid(postgres_server.port) as cable:
        yield cable


@pytest.fixture
def through(settings: Settings, postgres_server: LocalPostgres, to_postgres: Cable) -> Settings:
    dsn = settings.postgres.dsn.get_secret_value()
    return settings.override(
        {"postgres.dsn": dsn.replace(f":{postgres_server.port}", f":{to_postgres.port}")}
    )


@asynccontextmanager
async def site(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


async def until(client: httpx.AsyncClient, status: int) -> httpx.Response:
    async def look() -> httpx.Response | None:
        found = await client.get("/readyz")
        return found if found.status_code == status else None

    found = await eventually(look, f"/readyz answers {status}", seconds=SECONDS)
    assert found is not None
    return found


async def test_without_postgres_it_is_alive_and_not_ready(through: Settings, to_postgres: Cable) -> None:
    async with site(through) as client:
        assert (await until(client, 200)).json() == {"status": "ok"}

        to_postgres.cut()
        away = await until(client, 503)

        assert away.headers["content-type"] == "application/problem+json"
        found = away.json()
        assert (found["code"], found["cause"]) == ("not_ready", "Postgres does not answer")
        assert found["remedy"] == "the log of this process gives the reason"
        assert (await client.get("/healthz")).status_code == 200
        to_postgres.mend()
        await until(client, 200)


async def test_many_questions_take_one_connection(through: Settings, to_postgres: Cable) -> None:
    async with site(through) as client:
        await until(client, 200)
        for _ in range(20):
            found = await asyncio.gather(*(client.get("/readyz") for _ in range(10)))
            assert {one.status_code for one in found} == {200}

    assert to_postgres.connections == 1


async def test_a_silent_postgres_is_away_and_holds_no_answer_up(
    through: Settings, to_postgres: Cable
) -> None:
    async with site(through) as client:
        await until(client, 200)
        to_postgres.silence()
        await until(client, 503)

        began = time.monotonic()
        found = await asyncio.gather(*(client.get("/readyz") for _ in range(50)))

        assert {one.status_code for one in found} == {503}
        assert time.monotonic() - began < 10
        assert to_postgres.connections <= 2
        to_postgres.mend()
        await until(client, 200)


async def test_without_kafka_it_is_not_ready(settings: Settings, kafka_broker: LocalKafka) -> None:
    with laid(int(kafka_broker.bootstrap.rpartition(":")[2])) as cable:
        cable.cut()
        async with site(settings.override({"kafka.bootstrap": f"127.0.0.1:{cable.port}"})) as client:
            found = (await until(client, 503)).json()
            assert found["cause"] == "Kafka does not answer"

            cable.mend()
            await until(client, 200)


async def test_the_health_server_of_the_process_says_the_same(through: Settings, to_postgres: Cable) -> None:
    async with role(through.override({"api.port": 0}), Metrics()) as service:
        probing = [asyncio.create_task(probe.run()) for probe in service.probes]

        async def missing() -> list[str]:
            return [name for name, check in service.checks.items() if check() is not None]

        async def is_ready() -> bool:
            return not await missing()

        async def is_cut() -> bool:
            return await missing() == ["postgres"]

        assert await missing() == ["kafka", "postgres"]
        await eventually(is_ready, "both answer", seconds=SECONDS)
        to_postgres.cut()
        await eventually(is_cut, "Postgres is missed", seconds=SECONDS)
        for task in probing:
            task.cancel()
        await asyncio.gather(*probing, return_exceptions=True)
