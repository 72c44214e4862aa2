"""Events that expired before anybody had them are evidence: in memory and on Postgres."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable import Workflow
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


def expired(engine: Engine, **options: Any) -> list[Any]:
    events: list[Any] = engine.ask(lambda: engine._target.events(expired=True, **options)).events
    return events


async def test_what_nobody_had_before_it_expired_is_listed_with_its_sender(engine: Engine) -> None:
    flow = Workflow("order")
    flow.wait_event("paid", "payment", key="input.id")
    await engine.until_waiting(await engine.start(flow, {"id": "k1"}, id="order-1"))
    await engine.publish("payment", key="k1", data=1, id="taken", by="till 1", ttl="1s")
    await engine.publish("payment", key="mistyped", data=2, id="lost", by="till 2", ttl="1s")
    await engine.publish("payment", key="mistyped", id="kept", ttl="1h")
    await engine.publish("refund", key="k1", id="unsigned", ttl="1s")
    await engine.advance("4s")

    found = expired(engine)
    assert [(one.event, one.key, one.id, one.data, one.by, one.taken) for one in found] == [
        ("payment", "mistyped", "lost", None, "till 2", None),
        ("refund", "k1", "unsigned", None, "", None),
    ]
    assert all(0.9 < (one.expires - one.published).total_seconds() < 1.1 for one in found)
    assert [one.id for one in expired(engine, event="payment", key="mistyped")] == ["lost"]
    assert expired(engine, event="payment", key="k1") == []
    first = engine.ask(lambda: engine._target.events(expired=True, limit=1))
    rest = engine.ask(lambda: engine._target.events(expired=True, after=first.following))
    assert [one.id for one in (*first.events, *rest.events)] == ["lost", "unsigned"]
    assert rest.following is None

    # The same id is another event by now, and the evidence is of the latest one.
    await engine.publish("payment", key="mistyped", id="lost", by="till 3", ttl="1s")
    await engine.advance("4s")
    [again] = expired(engine, key="mistyped")
    assert (again.id, again.by) == ("lost", "till 3")
    assert again.published > found[0].published
