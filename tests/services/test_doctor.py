"""What the doctor finds wrong with an instance in memory; each fault is a real one."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from stream_durable import App, Fail, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.memory.bound import MemoryTopicViews
from stream_durable.ports import Outgoing
from stream_durable.replay.holes import Hole, LeftOut
from stream_durable.services.doctor.checks import CHECKS, findings
from stream_durable.services.doctor.finding import CHECK_NAMES, Finding
from stream_durable.services.doctor.looking import look
from stream_durable.services.doctor.seen import Seen
from stream_durable.settings import Settings
from stream_durable.testing import Engine
from stream_durable.wire.control import ProcessHere, encode_control, process_key
from stream_durable.wire.topics import CONTROL, FOREIGN

SECRETS = {"security.token_secrets": ("a secret of the tests that is long enough",)}


def seen(engine: Engine, later_ms: int = 0, **settings: Any) -> Seen:
    """Look at the engine, as if it were later."""
    chosen = Settings().override(
        SECRETS
        | {"kafka.partitions": 1}
        | {name.replace("__", "."): value for name, value in settings.items()}
    )
    return engine.ask(lambda: look(engine.ports, engine._backend.client, chosen, engine.now_ms + later_ms))


def found(engine: Engine, later_ms: int = 0, **settings: Any) -> list[Finding]:
    return findings(seen(engine, later_ms, **settings))


def one(engine: Engine, later_ms: int = 0, **settings: Any) -> Finding:
    (finding,) = found(engine, later_ms, **settings)
    return finding


def flow_of(name: str = "flow") -> Workflow[Any, Any]:
    flow = Workflow(name)
    flow.wait_signal("go")
    return flow


def test_there_is_a_check_for_each_name_in_order() -> None:
    assert tuple(CHECKS) == CHECK_NAMES


async def test_nothing_is_found_where_all_is_well(engine: Engine) -> None:
    run = await engine.start(flow_of())
    await engine.until_waiting(run)

    assert found(engine) == []


async def test_records_that_were_left_out(engine: Engine) -> None:
    """In memory nobody looks for them: what is found out there is said here."""
    found = LeftOut([Hole(0, 7, 7, 1), Hole(3, 10, 14, 4)], has_more=True)

    told = findings(seen(engine)._replace(left_out=found))

    single, several, more = [one for one in told if one.check == "records"]
    assert (single.check, single.severity, single.thing) == ("records", "problem", "partition 0")
    assert single.cause == "went on without 1 record of its log, at offset 7: their effect is lost"
    assert "4 records of its log, at offsets 10 to 14" in several.cause
    assert "replay rebuild" in several.remedy
    assert more.severity == "warning"
    assert "than were looked at" in more.cause


async def test_settings_that_contradict_each_other(engine: Engine) -> None:
    flow = Workflow("delivery")
    flow.wait_token("delivered")
    await engine.until_waiting(await engine.start(flow))

    faults = found(
        engine,
        worker__blocked_max_ms=60_000,
        worker__lease_ms=30_000,
        engine__cache_bytes_max=8_000_000,
        kafka__partitions=8,
        security__token_secrets=(),
    )

    assert [(fault.thing, fault.severity) for fault in faults] == [
        ("worker.blocked_max_ms", "problem"),
        ("kafka.partitions", "problem"),
        ("security.token_secrets", "problem"),
        ("engine.cache_bytes_max", "warning"),
    ]
    assert "is 8, and the schema was made for 1" in faults[1].cause
    assert "needed by workflow delivery" in faults[2].cause


async def test_a_schedule_switched_off_by_a_person_or_by_failures(engine: Engine) -> None:
    flow = Workflow("report")

    @flow.step
    def write() -> None:
        raise Fail("broken", "no paper", retryable=False)

    await engine.create_schedule("hourly", flow, every="1h", disable_after=2)
    await engine.create_schedule("daily", flow_of(), every="1d")
    await engine.pause_schedule("daily", "holidays", by="ann")
    await engine.advance("3h")

    by_failures, by_person = found(engine)

    assert (by_failures.thing, by_failures.severity) == ("schedule hourly", "problem")
    assert by_failures.cause == "was switched off after 2 failures in a row"
    assert (by_person.thing, by_person.severity) == ("schedule daily", "warning")
    assert by_person.cause == "was switched off by ann (holidays)"
    assert by_person.remedy == "`stream-durable schedules resume daily`"


async def test_a_schedule_that_its_app_declares_no_longer(engine: Engine) -> None:
    flow = flow_of()
    app = App("shop", workflows=[flow])
    declaring = App("shop", workflows=[flow])
    declaring.schedule("weekly", flow, every="7d")
    await engine.deploy_app(declaring)
    await engine.deploy_app(app)

    finding = one(engine)

    assert finding.cause == "fires on, though app shop declares it no longer"
    assert "schedules delete weekly" in finding.remedy


def bound(topic: str = "orders", *, is_declared: bool = True, **options: Any) -> App:
    flow = Workflow("order")
    flow.add("take", lambda order: order["id"])
    app = App("shop", workflows=[flow])
    if is_declared:
        app.on(app.topic(topic), start=flow, id="id", name="orders", **options)
    return app


async def test_a_binding_whose_topic_is_missing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def missing(self: MemoryTopicViews, topic: str, group: str) -> None:
        raise RejectedError("unknown_topic", f"there is no topic {topic.removeprefix(FOREIGN)!r}")

    await engine.deploy_app(bound("nope"))
    assert found(engine) == []
    monkeypatch.setattr(MemoryTopicViews, "partitions", missing)

    finding = one(engine)

    assert (finding.check, finding.severity, finding.thing) == ("bindings", "problem", "binding orders")
    assert finding.cause == "reads nothing: there is no topic 'nope'"
    assert finding.remedy.startswith("`stream-durable topics make nope` makes it")

    # What needs attention says the same.
    (need,) = engine.ask(engine._target.attention).needs
    assert (need.word, need.code, need.evidence["topic"]) == ("Blocked", "binding_stopped", "nope")
    assert need.sentence == (
        "Binding orders of topic nope reads nothing: there is no topic 'nope': "
        "`stream-durable topics make nope` makes it; if its name is another one, correct app.topic(...)."
    )


async def test_a_binding_that_has_stopped_was_paused_or_is_not_declared(engine: Engine) -> None:
    await engine.deploy_app(bound(bad="stop"))
    await engine.deliver("orders", {"id": "o1"})
    await engine.deliver("orders", b"garbage")

    finding = one(engine)

    assert (finding.check, finding.severity, finding.thing) == ("bindings", "problem", "binding orders")
    assert finding.cause.startswith("has stopped in partition 0 at offset 1: ")
    assert "stream-durable bindings skip orders --partition 0 --offset 1" in finding.remedy

    await engine.pause_binding("orders", "stocktaking", by="tom")
    finding = one(engine)
    assert (finding.severity, finding.thing) == ("warning", "binding orders")
    assert finding.cause == "was paused by tom (stocktaking): records of topic orders wait"
    assert finding.remedy == "`stream-durable bindings resume orders`"

    await engine.resume_binding("orders")
    await engine.skip_record("orders", 0)
    await engine.deploy_app(bound(is_declared=False))
    finding = one(engine)
    assert finding.cause == "reads on, though app shop declares it no longer"
    assert "bindings delete orders" in finding.remedy


async def test_a_paused_queue(engine: Engine) -> None:
    await engine.until_waiting(await engine.start(flow_of()))
    flow = Workflow("mail", queue="mail")
    flow.add("send", lambda: 1)
    await engine.until(await engine.start(flow), "completed")
    await engine.pause_queue("mail", reason="a deploy", by="ann")
    await engine.advance("10m")

    finding = one(engine)

    assert (finding.check, finding.severity, finding.thing) == ("queues", "warning", "queue mail")
    assert finding.cause == "is paused for 10 min by ann (a deploy)"
    assert finding.remedy == "`stream-durable queues resume mail`"


async def test_processes_of_two_releases(engine: Engine) -> None:
    await engine.until_waiting(await engine.start(flow_of()))
    for kind, release in (("reconciler", "0.1"), ("ingress", "0.1"), ("api", "0.2"), ("api", "")):
        here = ProcessHere(kind=kind, since=0, every_ms=30_000, version=release, format=2, host="h")
        key = process_key(kind, f"of-{release}")
        record = Outgoing(CONTROL, 0, key, encode_control(here))
        engine.ask(partial(engine.ports.publisher.publish, [(record, None)]))

    mixed = one(engine)

    assert (mixed.check, mixed.severity, mixed.thing) == ("versions", "warning", "releases at work")
    assert mixed.cause == "are 2: 0.1 by ingress of-0.1, reconciler of-0.1; 0.2 by api of-0.2"
    # Who is gone counts no more.
    assert found(engine, 3 * 30_000 + 1) == []


async def test_runs_that_were_not_undone(engine: Engine) -> None:
    flow = Workflow("trip")
    flight = flow.add("flight", lambda: "LH 1")

    @flight.compensate
    def cancel_flight() -> None:
        raise Fail("closed", "the desk is closed", retryable=False)

    @flow.step(after=flight)
    def hotel() -> None:
        raise Fail("full", "no room", retryable=False)

    await engine.until(await engine.start(flow, id="trip-1"), "compensation_failed")

    finding = one(engine)

    assert (finding.check, finding.severity, finding.thing) == ("compensations", "problem", "run trip-1")
    assert "runs retry RUN --step STEP~compensate" in finding.remedy

    # The remedy is one.
    await engine.runs[0].skip_step("flight~compensate")
    assert found(engine) == []


async def test_a_run_that_is_being_undone_without_end(engine: Engine) -> None:
    flow = Workflow("trip")
    flight = flow.add("flight", lambda: "LH 1")

    @flight.compensate
    async def cancel_flight() -> None:
        await asyncio.sleep(7_200)

    @flow.step(after=flight)
    def hotel() -> None:
        raise Fail("full", "no room", retryable=False)

    run = await engine.start(flow, id="trip-2")
    await engine.until(run, "compensating")

    assert found(engine) == []
    finding = next(fault for fault in found(engine, 2 * 3_600_000) if fault.check == "compensations")
    assert (finding.thing, finding.severity) == ("run trip-2", "warning")
    assert finding.cause == "is being undone, and has not changed for more than 1 h"


async def test_timers_that_nobody_has_fired(engine: Engine) -> None:
    flow = Workflow("nap")
    flow.sleep("nap", "10m")
    await engine.until_waiting(await engine.start(flow, id="nap-1"))

    assert found(engine, 10 * 60_000) == []
    (finding,) = [fault for fault in found(engine, 15 * 60_000) if fault.check == "timers"]

    assert (finding.thing, finding.severity) == ("partition 0", "problem")
    assert finding.cause.startswith("1 timer should have fired")
    assert finding.cause.endswith("the first 5 min ago, of run nap-1, nap")
