"""Where commands are and who reads the topics: in memory and on Kafka."""

from __future__ import annotations

import pytest
from waiting import eventually

from stream_durable import Workflow
from stream_durable.core.ids import partition_of
from stream_durable.ports import CommandPlace, InboxReading, PartitionSummary
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


def partitions(engine: Engine) -> list[PartitionSummary]:
    return list(engine.tell(engine.ports.views.partition_list))


def inbox(engine: Engine, partition: int, position: int) -> InboxReading:
    traffic = engine.ports.traffic
    assert traffic is not None
    found = engine.tell(lambda: traffic.inbox(partition, position))
    assert found is not None
    return found


def command(engine: Engine, lane: str, run: str, attempt: int = 1) -> CommandPlace | None:
    traffic = engine.ports.traffic
    assert traffic is not None
    return engine.tell(lambda: traffic.command(lane, run, "post", attempt))


async def test_the_inbox_is_read_by_a_reconciler_up_to_its_end(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("say", lambda: "said")
    run = await engine.start(flow, id="first")
    await engine.until(run, "completed")
    states = partitions(engine)
    state = states[partition_of("first", len(states))]
    read = inbox(engine, state.partition, state.next_offset)
    assert read.topic.endswith("inbox") and read.partition == state.partition
    # Marks of transactions may be behind the last record.
    assert read.high >= state.next_offset and read.oldest is None
    assert "reconciler" in read.reader
    assert (inbox(engine, state.partition, 0)).oldest is not None


async def test_a_command_has_a_place_until_it_is_done(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("post", lambda: "sent", queue="mail")
    warm = await engine.start(flow, id="warm")
    await engine.until(warm, "completed")
    count = len(partitions(engine))
    await engine.pause_queue("mail")
    home = partition_of("a0", count)
    names = [name for n in range(1_000) if partition_of(name := f"a{n}", count) == home][:2]
    for name in names:
        await engine.start(flow, id=name)
        await engine.until_idle()

    lane = "mail"
    if (first := command(engine, lane, names[0])) is None or first.offset is None:
        lane = "mail.first"
        first = command(engine, lane, names[0])
    second = command(engine, lane, names[1])
    assert first is not None and first.offset is not None
    assert second is not None and second.offset is not None
    assert second.before == first.before + 1 and second.offset > first.offset
    assert first.topic.endswith(f"commands.{lane}") and first.partition == second.partition == home
    assert first.reader in first.readers and "worker" in first.reader
    another = command(engine, lane, names[0], attempt=2)
    assert another is not None and another.offset is None
    assert command(engine, "nobodys", names[0]) is None

    await engine.resume_queue("mail")
    await engine.until_idle()
    await engine.advance("1m")
    # Workers commit from time to time, by the clock of the machine.

    async def is_done() -> bool:
        done = command(engine, lane, names[0])
        return done is not None and done.offset is None

    await eventually(is_done, "the command is done for Kafka", seconds=60)
