"""A definition of ten thousand steps on real services: made known, begun; refused when it is too large."""

import asyncio

import pytest
from instances import running, settings_of

from stream_durable import App, Retry, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.local.kafka import LocalKafka

pytestmark = pytest.mark.real


def work() -> int:
    return 1


def large(count: int, name: str) -> Workflow:
    """Return a chain with options, so that it is larger than a record of a topic as brokers make it."""
    flow = Workflow("large", retry=Retry(5, base="1s", cap="1m"))
    before: list[str] = []
    for i in range(count):
        flow.add(f"{name}-{i}", work, after=before, timeout="30s")
        before = [f"{name}-{i}"]
    return flow


async def test_a_large_definition_is_begun_and_a_larger_one_refused(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    small = Workflow("small")
    small.add("a", work)
    flow, too_large = large(10_000, "step"), large(16_000, "s" * 110)
    settings = settings_of(kafka_broker, database, prefix)
    async with running(settings, App("small", workflows=[small])) as instance, asyncio.timeout(60):
        run = await instance.client.start(flow, id="large-1")
        assert (await run.state()).total == 10_000
        assert await (await instance.client.start(small)).result() == 1

        with pytest.raises(RejectedError, match="has [0-9]{7} bytes as data") as refused:
            await instance.client.start(too_large)
        assert refused.value.code == "definition_too_large"
