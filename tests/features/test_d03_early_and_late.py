"""D3: who sent a signal or an event and when is kept; early ones are kept for their time, and expire."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Context, Workflow
from stream_durable.client.history import Happening
from stream_durable.testing import Engine


def late(**options: Any) -> Workflow:
    """Return a workflow that comes to its wait after an hour."""
    flow = Workflow("order")
    first = flow.sleep("first", "1h")
    flow.wait_signal("released", "release", after=first, **options)
    return flow


def happenings(engine: Engine, run: Any, *, evidence: bool = False) -> list[Happening]:
    found: list[Happening] = engine.ask(lambda: engine._target.history(run.id, evidence=evidence))
    return found


def words(found: list[Happening]) -> list[tuple[str, str, str, str]]:
    return [(one.what, one.step, one.by, one.text) for one in found]


def sent_at(run: Any, step: str) -> datetime:
    [sent] = run.step(step).state.sent
    assert sent.at is not None
    at: datetime = sent.at
    return at


async def test_who_sent_an_early_signal_and_when_is_kept_until_and_after_it_is_taken(engine: Engine) -> None:
    run = await engine.start(late(), id="order-1")
    await engine.advance("10m")
    await engine.signal(run, "release", {"n": 1}, id="s1", by="tom")
    await engine.advance("1s")
    assert words(happenings(engine, run))[-1] == ("kept", "", "tom", "signal release")
    engine.restart()
    await engine.advance("1h")

    [sent] = run.step("released").state.sent
    assert (run.output, sent.name, sent.id, sent.by) == ({"n": 1}, "release", "s1", "tom")
    began = run.step("released").state.started
    assert timedelta(minutes=49) < began - sent_at(run, "released") < timedelta(minutes=51)
    course = happenings(engine, run)
    assert ("came", "released", "tom", "release") in words(course)
    assert [one for one in course if one.what == "kept"] == []
    assert [one.time for one in course] == sorted(one.time for one in course)


async def test_a_signal_that_nobody_signed_and_that_ends_a_wait_at_once_leaves_nothing_more(
    engine: Engine,
) -> None:
    flow = Workflow("order")
    flow.wait_signal("released", "release")
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await engine.signal(run, "release")
    await engine.until_idle()
    assert (run.status, run.step("released").state.sent) == ("completed", ())


async def test_of_all_of_several_signals_each_sender_is_kept(engine: Engine) -> None:
    flow = Workflow("order")
    flow.wait_signal("checks", all_of=["stock", "fraud"])
    run = await engine.start(flow)
    await engine.until_waiting(run)
    for name, by in (("fraud", "ann"), ("stock", "tom")):
        await engine.signal(run, name, by=by)
        await engine.advance("1m")
    sent = run.step("checks").state.sent
    assert {(one.name, one.by) for one in sent} == {("fraud", "ann"), ("stock", "tom")}
    assert sent[1].at - sent[0].at >= timedelta(minutes=1)


@pytest.mark.parametrize("take", [False, True])
@pytest.mark.parametrize("early", [False, True])
async def test_who_published_an_event_is_kept_with_it_and_with_the_wait_that_it_ends(
    engine: Engine,
    take: bool,  # noqa: FBT001
    early: bool,  # noqa: FBT001
) -> None:
    flow = Workflow("order")
    flow.wait_event("paid", "payment", key="input.id", take=take)
    if early:
        await engine.publish("payment", key="42", id="e1", by="till 4", ttl="1d")
        await engine.advance("1h")
        [kept] = engine.ask(engine._target.events).events
        assert (kept.id, kept.by) == ("e1", "till 4")
        engine.restart()
    run = await engine.start(flow, {"id": "42"})
    await engine.until_idle()
    if not early:
        await engine.publish("payment", key="42", id="e1", by="till 4")
        await engine.until_idle()
    [sent] = run.step("paid").state.sent
    assert (run.status, sent.name, sent.id, sent.by) == ("completed", "payment", "e1", "till 4")
    waited = run.step("paid").state.started - sent_at(run, "paid")
    assert (waited > timedelta(minutes=59)) == early
    assert ("came", "paid", "till 4", "payment") in words(happenings(engine, run))


async def test_a_start_brings_a_signal_with_its_sender(engine: Engine) -> None:
    run = await engine.start(late(), id="order-1", signal="release", signal_by="tom")
    await engine.advance("2h")
    [sent] = run.step("released").state.sent
    assert (run.status, sent.by) == ("completed", "tom")


@pytest.mark.parametrize("ttl", [None, "30m", "2h"])
async def test_a_signal_of_a_start_is_kept_for_its_time(engine: Engine, ttl: str | None) -> None:
    run = await engine.start(late(), signal="release", signal_by="tom", signal_ttl=ttl)
    await engine.advance("1h1m")
    assert run.status == ("waiting" if ttl == "30m" else "completed")
    is_expired = ("expired", "", "tom", "signal release") in words(happenings(engine, run, evidence=True))
    assert is_expired == (ttl == "30m")


@pytest.mark.parametrize("ttl", [None, "30m", "2h"])
async def test_a_signal_of_a_step_is_kept_for_its_time(engine: Engine, ttl: str | None) -> None:
    flow = Workflow("sender")
    flow.add("send", lambda ctx: ctx.signal("order-1", "release", ttl=ttl))
    run = await engine.start(late(), id="order-1")
    await engine.start(flow)
    await engine.advance("1h1m")
    assert run.status == ("waiting" if ttl == "30m" else "completed")


async def test_evidence_says_who_sent_what_changed_nothing(engine: Engine) -> None:
    flow = Workflow("order")
    flow.wait_signal("released", "release")
    flow.ask("rating", form=int, after="released")
    run = await engine.start(flow, id="order-1")
    await engine.until_waiting(run)
    await engine.signal(run, "release", id="s1", by="tom")
    await engine.signal(run, "release", id="s1", by="ann")
    await engine.signal(run, "release", id="s2")
    await engine.answer(run, "rating", 5, by="eve")
    await engine.until_idle()
    await engine.signal(run, "release", id="s3", by="bob")
    await engine.until_idle()

    found = [one for one in happenings(engine, run, evidence=True) if one.what in ("duplicate", "late")]
    assert words(found) == [
        ("duplicate", "", "ann", "run.signal"), ("late", "", "bob", "run.signal"),
    ]  # fmt: skip


async def test_what_a_step_sends_is_sent_by_its_run(engine: Engine) -> None:
    flow = Workflow("sender")

    @flow.step
    def send(ctx: Context) -> None:
        ctx.signal("order-1", "release")
        ctx.publish("payment", key="42")

    run = await engine.start(late(), id="order-1")
    await engine.start(flow, id="sender-1")
    await engine.advance("2h")
    assert run.step("released").state.sent[0].by == "sender-1"
    assert [one.by for one in engine.ask(engine._target.events).events] == ["sender-1"]


class Told(BaseModel):
    n: int


@pytest.mark.parametrize("kind", ["signal", "event"])
async def test_the_history_says_what_a_reaction_was_called_for(engine: Engine, kind: str) -> None:
    flow = Workflow("order")
    flow.wait_signal("released", "release")
    if kind == "signal":

        @flow.on_signal("change")
        def changed(ctx: Context, signal: Told) -> None: ...
    else:

        @flow.on_event("change", key="input.id")
        def changed(ctx: Context, event: Told) -> None: ...

    run = await engine.start(flow, {"id": "42"})
    await engine.until_waiting(run)
    await run.pause()
    for n in (1, 2):
        if kind == "signal":
            await engine.signal(run, "change", {"n": n}, by=f"tom {n}")
        else:
            await engine.publish("change", key="42", data={"n": n}, by=f"tom {n}")
        await engine.advance("1m")
    await run.resume()
    await engine.until_idle()
    came = [one for one in happenings(engine, run) if one.what == "came"]
    assert [(one.step, one.by, one.text) for one in came] == [
        ("~changed.0", "tom 1", "changed"), ("~changed.1", "tom 2", "changed"),
    ]  # fmt: skip
    assert came[1].time - came[0].time >= timedelta(minutes=1)


async def test_an_early_signal_is_kept_for_its_time_and_then_expires_as_evidence(engine: Engine) -> None:
    run = await engine.start(late(timeout="1h", on_timeout="nobody"), id="order-1")
    await engine.advance("1s")
    await engine.signal(run, "release", 1, id="s1", by="tom", ttl="30m")
    await engine.advance("1s")
    assert words(happenings(engine, run))[-1] == ("kept", "", "tom", "signal release")
    await engine.advance("31m")
    assert "kept" not in [one.what for one in happenings(engine, run)]
    whole = happenings(engine, run, evidence=True)
    assert words(whole)[-1] == ("expired", "", "tom", "signal release")

    engine.restart()
    await engine.advance("1h")
    assert run.status == "waiting"
    again = [one for one in happenings(engine, run, evidence=True) if one.what == "expired"]
    assert again == [whole[-1]], "also once the run has noticed"
    engine.restart()
    await engine.signal(run, "release", 1, id="s1")
    await engine.advance("1s")
    assert run.status == "waiting", "its id is remembered"
    await engine.advance("1h")
    assert run.output == "nobody"


async def test_a_time_to_live_does_not_matter_to_a_wait_that_has_begun(engine: Engine) -> None:
    flow = Workflow("order")
    flow.wait_signal("released", "release")
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await engine.signal(run, "release", 7, ttl="0s")
    await engine.until_idle()
    assert run.output == 7


async def test_expired_signals_leave_room_for_others(engine: Engine) -> None:
    run = await engine.start(late())
    for n in range(1_000):
        await engine.signal(run, "other", n, ttl="1m")
    await engine.signal(run, "release", "refused")
    await engine.advance("2m")
    await engine.signal(run, "release", "kept")
    await engine.advance("1h")
    assert run.output == "kept"
    dead = [one for one in happenings(engine, run, evidence=True) if one.what == "dead"]
    assert [one.text.split()[:2] for one in dead] == [["run.signal", "mail_full"]]


async def test_a_signal_that_waits_for_a_reaction_expires_too(engine: Engine) -> None:
    flow = Workflow("order")
    flow.wait_signal("released", "release")

    @flow.on_signal("change")
    def changed(ctx: Context, signal: int) -> None:
        ctx.append("heard", signal)

    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.pause()
    for n, ttl in ((1, None), (2, "1m"), (3, "1h")):
        await engine.signal(run, "change", n, ttl=ttl)
    await engine.advance("2m")
    await run.resume()
    await engine.until_idle()
    assert run.context["heard"] == [1, 3]
