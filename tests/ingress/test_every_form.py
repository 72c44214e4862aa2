"""Every message in every form, by raw producers in two languages, and each of them twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from instances import SECONDS, Instance, running, settings_of
from senders import MODES, Sender, Sent, sending
from waiting import eventually

from stream_durable import App, RunFilter, Workflow
from stream_durable.client import RunCount
from stream_durable.local.kafka import LocalKafka

pytestmark = pytest.mark.real

story = Workflow("story")
released = story.wait_signal("released")
paid = story.wait_event("paid", "payment.captured", key="input.id")
rating = story.ask("rating", form=int, after=[released, paid])


@story.step
async def told(released: object, paid: object, rating: int) -> list[object]:
    return [released, paid, rating]


left = Workflow("left")
left.wait_signal("first")
left.wait_signal("never", after="first")

TAGS = ["x"]
REASON = "no longer wanted"

app = App("shop", workflows=[story, left])


@pytest.fixture
async def instance(kafka_broker: LocalKafka, database: str, prefix: str) -> AsyncIterator[Instance]:
    async with running(settings_of(kafka_broker, database, prefix), app) as found:
        for each in app.registrations():
            await found.ports.catalogue.register(*each)
        yield found


def beginning(mode: str) -> list[Sent]:
    """What is taken at any time, since what is early is kept."""
    run, gone = f"{mode}-story", f"{mode}-left"
    return [
        Sent(
            mode, "start", run, f"{run}/1", {"start": "story", "id": run, "input": {"id": run}, "tags": ["x"]}
        ),
        Sent(mode, "signal", run, f"{run}/2", {"signal": "released", "run": run, "data": {"by": "tom"}}),
        Sent(mode, "event", run, f"{run}/3", {"type": "payment.captured", "key": run, "data": [9.5, "ü"]}),
        Sent(mode, "start", gone, f"{gone}/1", {"start": "left", "id": gone, "signal": "first", "data": 1}),
        Sent(
            mode, "cancel", gone, f"{gone}/2", {"cancel": "no longer wanted", "run": gone, "compensate": True}
        ),
    ]


def persons(mode: str) -> list[Sent]:
    """What people do about the question, once it is there."""
    run = f"{mode}-story"
    about = {"run": run, "wait": "rating"}
    return [
        Sent(mode, "claim", run, f"{run}/4", {"claim": "tom", **about}),
        Sent(mode, "comment", run, f"{run}/5", {"comment": "hard to say", **about, "by": "tom"}),
        Sent(mode, "assign", run, f"{run}/6", {"assign": "ann", **about, "by": "tom", "role": "office"}),
        Sent(mode, "answer", run, f"{run}/7", {"answer": 5, **about, "by": "ann", "comment": "nice"}),
    ]


async def until_asked(instance: Instance, run: str) -> None:
    async def is_asked() -> bool:
        return (await instance.client.run(run).state()).steps["rating"].status == "waiting"

    await instance.begun(run)
    await eventually(is_asked, f"{run} asks", seconds=SECONDS)


async def twice(sender: Sender, messages: list[Sent]) -> None:
    await sender.send(messages)
    await sender.send(messages)


@pytest.mark.parametrize("language", ["python", "node"])
async def test_every_message_is_taken_in_every_form_and_once(
    instance: Instance, language: str, tmp_path: Path
) -> None:
    topic = f"{instance.settings.prefix}.events"
    async with sending(language, instance.settings.kafka.bootstrap, topic, tmp_path) as sender:
        await twice(sender, [message for mode in MODES for message in beginning(mode)])
        await asyncio.gather(*(until_asked(instance, f"{mode}-story") for mode in MODES))
        await twice(sender, [message for mode in MODES for message in persons(mode)])

        for mode in MODES:
            run = instance.client.run(f"{mode}-story")
            assert await run.result(timeout="30s") == [{"by": "tom"}, [9.5, "ü"], 5], mode
            state = await run.state()
            assert state.tags == ("x",)
            assert state.trigger == "event"
            question = state.steps["rating"].asked
            assert question is not None
            assert [(one.kind, one.by, one.comment) for one in question.changes] == [
                ("claimed", "tom", ""), ("commented", "tom", "hard to say"), ("assigned", "tom", ""),
                ("answered", "ann", "nice"),
            ], mode  # fmt: skip
            assert (question.assignee, question.role) == ("ann", "office")

            await eventually(partial(_is_cancelled, instance, mode), "the cancel", seconds=SECONDS)

        # The repeats of the last messages are behind this one, in its partition.
        for mode in MODES:
            await sender.send(
                [Sent(mode, "start", f"{mode}-story", f"{mode}/end", {"start": "left", "id": mode})]
            )
            await instance.begun(mode)

    assert await instance.client.count(RunFilter()) == RunCount(3 * len(MODES), is_exact=True)
    letters = instance.metrics.render().decode()
    assert "stream_durable_dead_letters_total{" not in letters


async def _is_cancelled(instance: Instance, mode: str) -> bool:
    state = await instance.client.run(f"{mode}-left").state()
    if state.status != "cancelled":
        return False
    assert state.steps["first"].status == "completed"
    assert state.requests.cancel is not None
    assert state.requests.cancel.reason == REASON
    return True
