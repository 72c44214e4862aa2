"""A queue without a topic fails the steps that go to it, and holds up nobody else."""

import asyncio

import pytest
from instances import Instance, running, settings_of

from stream_durable import App, RunFailed, Workflow
from stream_durable.client import RunHandle
from stream_durable.client.edge import Edge
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import StartRun
from stream_durable.kafka.topics import Topics
from stream_durable.local.kafka import LocalKafka

pytestmark = pytest.mark.real

calls = Workflow("calls")
calls.add("first", lambda: "said")
calls.add("second", lambda first: f"{first} twice")

APP = App("missing", workflows=[calls])


async def started(instance: Instance, run: str, queue: str) -> RunHandle:
    """Start a run as a client would that does not look whether there is such a queue."""
    await instance.ports.catalogue.register(calls.definition())
    start = StartRun(
        key=run, id=f"start {run}", workflow=calls.name, fingerprint=calls.fingerprint, queue=queue
    )
    await Edge(instance.ports).send(start, "start")
    return instance.client.run(run)


async def test_a_queue_without_a_topic_holds_up_nobody(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix)
    async with running(settings, APP) as instance, asyncio.timeout(90):
        stranded = [await started(instance, f"lost-{n}", "nowhere") for n in range(4)]
        others = [await instance.client.start(calls, id=f"well-{n}") for n in range(8)]
        assert [await run.result() for run in others] == ["said twice"] * 8

        for run in stranded:
            with pytest.raises(RunFailed, match="queue 'nowhere' has no topic") as raised:
                await run.result()
            assert raised.value.failure.code == "no_queue"
            state = await run.state()
            assert (state.steps["first"].status, state.steps["first"].attempt) == ("failed", 1)

        with pytest.raises(RejectedError, match="queue 'nowhere' has no topic") as refused:
            await instance.client.start(calls, queue="nowhere")
        assert refused.value.code == "unknown_queue"

        # What its message says, is the remedy.
        await Topics(settings, ("default", "nowhere")).apply()
        await stranded[0].retry()
        [command] = await instance.records("commands.nowhere", lambda found: len(found) == 1)
        assert command.key() == b"lost-0"
