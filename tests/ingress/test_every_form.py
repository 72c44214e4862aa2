"""Every message in every form, by raw producers in two languages, and each of them twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from instances import SECONDS, Instance, running, settings_of
from senders import MODES, Sender, Sent, sending
from waiting import eventually

from stream_durable import App, Context, RunFilter, Workflow
from stream_durable.client import RunCount, RunHandle
from stream_durable.local.kafka import LocalKafka

pytestmark = pytest.mark.real

story = Workflow("story")
released = story.wait_signal("released")
paid = story.wait_event("paid", "payment.captured", key="input.id")
rating = story.ask("rating", form=int, after=[released, paid])


@story.step
async def told(released: object, paid: object, rating: int) -> list[object]:
    return [released, paid, rating]


#: The tokens of each run of the workflow below.
TOKENS: dict[str, dict[str, str]] = {}

outside = Workflow("outside")


@outside.step
def ship(ctx: Context) -> None:
    TOKENS[ctx.run_id] = {name: ctx.token(name) for name in ("delivered", "signed")}


delivered = outside.wait_token("delivered", after=ship, heartbeat="1h")
outside.wait_token("signed", after=delivered)

left = Workflow("left")
left.wait_signal("first")
left.wait_signal("never", after="first")

TAGS = ["x"]
REASON = "no longer wanted"

app = App("shop", workflows=[story, left, outside])


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


#: What a start may say besides.
SAID = {
    "timeout": "2h", "queue": "default", "priority": 7, "metadata": {"by": "shop"},
    "attributes": {"region": "EU", "total": 9.5, "due": {"moment": "2030-01-31T09:00:00Z"}},
}  # fmt: skip


def for_later(mode: str) -> list[Sent]:
    """What is to be sent tomorrow; a CloudEvent says of an event no more than what it is."""
    run = f"{mode}-later"
    about = {"after": "1d"}
    event = {"type": "payment.captured", "key": run, "data": 1, **about}
    return [
        Sent(mode, "start", run, f"{run}/1", {"start": "left", "id": run, **about, **SAID}),
        Sent(mode, "signal", run, f"{run}/2", {"signal": "first", "run": run, "by": "tom", **about}),
        *([Sent(mode, "event", run, f"{run}/3", event)] if mode in ("json", "avro") else ()),
    ]


def ends(mode: str) -> list[Sent]:
    """What other systems do with their tokens."""
    run = f"{mode}-outside"
    tokens = TOKENS[run]
    return [
        Sent(mode, "heartbeat", run, f"{run}/2", {"heartbeat": tokens["delivered"]}),
        Sent(mode, "complete", run, f"{run}/3", {"complete": tokens["delivered"], "value": [1], "by": "dhl"}),
        Sent(
            mode, "fail", run, f"{run}/4",
            {"fail": tokens["signed"], "error": {"code": "lost", "message": "on the way"}, "by": "dhl"},
        ),
    ]  # fmt: skip


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


async def until_waiting(instance: Instance, run: str, step: str = "rating") -> None:
    async def is_waiting() -> bool:
        return (await instance.client.run(run).state()).steps[step].status == "waiting"

    await instance.begun(run)
    await eventually(is_waiting, f"{step} of {run} waits", seconds=SECONDS)


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
        await asyncio.gather(*(until_waiting(instance, f"{mode}-story") for mode in MODES))
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


@pytest.mark.parametrize("language", ["python", "node"])
async def test_other_systems_end_steps_by_tokens_in_every_form_and_once(
    instance: Instance, language: str, tmp_path: Path
) -> None:
    TOKENS.clear()
    topic = f"{instance.settings.prefix}.events"
    runs = [f"{mode}-outside" for mode in MODES]
    async with sending(language, instance.settings.kafka.bootstrap, topic, tmp_path) as sender:
        starts = [Sent(mode, "start", run, f"{run}/1", {"start": "outside", "id": run, **SAID})
                  for mode, run in zip(MODES, runs, strict=True)]  # fmt: skip
        await twice(sender, starts)
        await asyncio.gather(*(until_waiting(instance, run, "delivered") for run in runs))
        await twice(sender, [message for mode in MODES for message in ends(mode)])

        for run in map(instance.client.run, runs):
            await eventually(partial(_has_ended, run), f"{run.id} ends", seconds=SECONDS)
            state = await run.state()
            delivered, signed = state.steps["delivered"], state.steps["signed"]
            assert (state.status, delivered.status, delivered.output) == ("failed", "completed", [1])
            assert delivered.outside is not None and delivered.outside.beat is not None, run.id
            assert delivered.outside.by == "dhl"
            assert signed.failure is not None and signed.outside is not None
            assert (signed.failure.code, signed.failure.message) == ("lost", "on the way")
            assert signed.outside.by == "dhl"
            assert (state.metadata, state.priority, state.queue) == ({"by": "shop"}, 7, "default")
            assert state.attributes == {
                "region": "EU", "total": 9.5, "due": datetime(2030, 1, 31, 9, tzinfo=UTC),
            }  # fmt: skip
    assert "stream_durable_dead_letters_total{" not in instance.metrics.render().decode()


@pytest.mark.parametrize("language", ["python", "node"])
async def test_what_is_for_later_is_listed_and_cancelled_in_every_form(
    instance: Instance, language: str, tmp_path: Path
) -> None:
    topic = f"{instance.settings.prefix}.events"
    async with sending(language, instance.settings.kafka.bootstrap, topic, tmp_path) as sender:
        messages = [message for mode in MODES for message in for_later(mode)]
        await twice(sender, messages)
        await eventually(partial(_are_planned, instance, len(messages)), "all are planned", seconds=SECONDS)
        planned = (await instance.client.later()).messages
        assert {one.run for one in planned if one.kind == "start"} == {f"{mode}-later" for mode in MODES}
        assert {one.by for one in planned if one.kind == "signal"} == {"tom"}

        # Each by another form than it was planned by.
        cancels = [
            Sent(MODES[i % len(MODES)], "cancel_later", one.id, f"cancel/{i}", {"cancel_later": one.id})
            for i, one in enumerate(planned)
        ]
        await twice(sender, cancels)
        await eventually(partial(_are_planned, instance, 0), "nothing is planned", seconds=SECONDS)
    assert (await instance.client.run("json-later").state()).status == "cancelled"
    assert "stream_durable_dead_letters_total{" not in instance.metrics.render().decode()


async def test_evidence_names_the_sender(instance: Instance) -> None:
    run = "story-1"
    await instance.emit({"start": "story", "id": run, "input": {"id": run}})
    await instance.begun(run)
    for by in ("tom", "ann"):
        await instance.emit({"signal": "released", "run": run, "by": by, "message_id": "s1"})
    await instance.emit({"type": "payment.captured", "key": run, "by": "till 4"})
    await until_waiting(instance, run)
    for by in ("eve", "bob"):
        await instance.emit({"answer": 5, "run": run, "wait": "rating", "by": by}, key=run)
    await instance.client.run(run).result(timeout="30s")
    await instance.emit({"signal": "released", "run": run}, key=run)

    async def found() -> list[tuple[str, str, str]]:
        happened = await instance.client.history(run, evidence=True)
        return [(one.what, one.by, one.text) for one in happened]

    async def is_whole() -> bool:
        return ("late", "", "run.signal") in await found()

    await eventually(is_whole, "the last message is evidence", seconds=SECONDS)
    seen = await found()
    assert [one for one in seen if one[0] == "duplicate"] == [("duplicate", "ann", "run.signal")]
    assert ("late", "bob", "input.answer") in seen
    assert [by for what, by, _ in seen if what == "came"] == ["tom", "till 4"]
    assert [by for what, by, _ in seen if what == "answered"] == ["eve"]


async def test_a_start_for_a_queue_without_a_topic_is_a_dead_letter(instance: Instance) -> None:
    await instance.emit({"start": "left", "id": "r", "queue": "nowhere"})

    (letter,) = await instance.dead_letters(1)
    assert letter.code == "unknown_queue"
    assert "`stream-durable topics apply --queue nowhere` makes it" in letter.reason


async def _has_ended(run: RunHandle[object]) -> bool:
    return (await run.state()).ended is not None


async def _are_planned(instance: Instance, count: int) -> bool:
    return len((await instance.client.later()).messages) == count


async def _is_cancelled(instance: Instance, mode: str) -> bool:
    state = await instance.client.run(f"{mode}-left").state()
    if state.status != "cancelled":
        return False
    assert state.steps["first"].status == "completed"
    assert state.requests.cancel is not None
    assert state.requests.cancel.reason == REASON
    return True
