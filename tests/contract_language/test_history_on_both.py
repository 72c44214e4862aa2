"""The history of a run with its evidence, messages for later and events that are taken: on both stores."""

from __future__ import annotations

import pytest

from stream_durable import Workflow
from stream_durable.core.messages import SkipStep
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


async def test_the_history_of_a_run(engine: Engine) -> None:
    flow = Workflow("order")
    go = flow.wait_signal("go")
    flow.ask("agreed", after=go)
    client = engine._target
    run = await engine.start(flow, id="order-1")
    await engine.start(flow, id="order-2")
    await engine.until_waiting(run)
    for _ in range(2):
        await engine.signal(run, "go", id="s1", by="tom")
    await engine.until_asked(run)
    edge = client._edge
    nonsense = SkipStep(key="order-1", id="x", step="nothing")
    engine.tell(lambda: edge.send(nonsense, "skip a step"))
    await engine.answer(run, "agreed", True, by="tom", comment="by phone")
    await engine.until_idle()
    await engine.signal(run, "go", id="s2")
    await engine.signal("order-2", "other", id="s3", by="ann", ttl="1h")
    await engine.until_idle()

    course = engine.ask(lambda: client.history("order-1"))
    assert [(one.what, one.step, one.by, one.text) for one in course] == [
        ("created", "", "", "client"),
        ("started", "", "", ""),
        ("waiting", "go", "", ""),
        ("came", "go", "tom", "go"),
        ("completed", "go", "", ""),
        ("asked", "agreed", "", ""),
        ("answered", "agreed", "tom", "by phone"),
        ("completed", "agreed", "", ""),
        ("completed", "", "", ""),
    ]
    assert [one.time for one in course] == sorted(one.time for one in course)
    whole = engine.ask(lambda: client.history("order-1", evidence=True))
    [duplicate, dead, late] = [one for one in whole if one not in course]
    assert (duplicate.what, duplicate.text) == ("duplicate", "run.signal")
    assert (dead.what, dead.text.split(" ")[:2]) == ("dead", ["step.skip", "unknown_step"])
    assert (late.what, late.text) == ("late", "run.signal")
    other = engine.ask(lambda: client.history("order-2", evidence=True))
    assert [(one.what, one.by, one.text) for one in other[-2:]] == [
        ("waiting", "", ""), ("kept", "ann", "signal other"),
    ]  # fmt: skip


async def test_messages_for_later_are_listed_and_cancelled(engine: Engine) -> None:
    client = engine._target
    flow = Workflow("order")
    flow.wait_event("paid", "paid", key="input.id")
    await engine.start(flow, {"id": "1"}, id="order-1", after="1d")
    await engine.publish("paid", key="1", data={"n": 1}, after="2d", id="e1", by="till 4")
    await engine.signal("order-1", "go", after="3d", id="s1", by="tom")
    first = engine.ask(lambda: client.later(limit=2))
    rest = engine.ask(lambda: client.later(after=first.following))
    assert [(one.id, one.kind, one.data, one.by) for one in [*first.messages, *rest.messages]] == [
        ("start:order-1", "start", None, ""),
        ("event:paid/1#e1", "event", {"n": 1}, "till 4"),
        ("signal:order-1/go#s1", "signal", None, "tom"),
    ]

    engine.restart()
    for one in [*first.messages, *rest.messages]:
        await engine.cancel_later(one.id)
    await engine.until_idle()

    assert engine.ask(client.later).messages == []
    assert engine.run("order-1").status == "cancelled"


async def test_an_event_is_taken_by_one_run(engine: Engine) -> None:
    flow = Workflow("picking")
    flow.wait_event("parcel", "parcel", key="input.site", take=True)
    runs = []
    for i in range(3):
        runs.append(await engine.start(flow, {"site": "b"}, id=f"r{i}"))
        await engine.until_waiting(runs[-1])
    await runs[0].cancel()
    engine.restart()
    await engine.publish("parcel", key="b", data=1, ttl="0s")
    await engine.until_idle()
    engine.restart()
    await engine.publish("parcel", key="b", data=2, ttl="1h")
    await engine.publish("parcel", key="b", data=3, ttl="2h")
    late = await engine.start(flow, {"site": "b"}, id="late")
    await engine.until_idle()

    assert [run.output for run in [*runs[1:], late]] == [1, 2, 3]
