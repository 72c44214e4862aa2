"""Starts and events, as clients of simulated worlds send them."""

from __future__ import annotations

from random import Random

import msgspec
from msgspec import Raw

from stream_durable.core.ids import channel_id
from stream_durable.core.messages import EventPublished, StartRun
from stream_durable.core.moments import moment
from stream_durable.memory.ports import VirtualClock
from stream_durable.sdk.app import App


def start_of(rng: Random, app: App, name: str, run: str, at: float) -> StartRun:
    """Return the start of a run, with an input that decides how much goes wrong in it."""
    given = {
        "id": run,
        "group": f"g{rng.randrange(2)}",
        "trouble": rng.choice((0.0, 0.0, 0.1, 0.3, 0.6)),
        "kind": rng.choice("abc"),
        "items": [{"n": rng.randrange(4)} for _ in range(rng.choice((0, 1, 2, 3, 6)))],
        "rounds": rng.randint(1, 4),
        "wake": moment(VirtualClock.EPOCH_MS + int(at * 1_000) + 3_500).isoformat(),
    }
    start = StartRun(
        key=run, id=f"start {run}", workflow=name, fingerprint=app.workflows[name].fingerprint,
        input=Raw(msgspec.json.encode(given)), tags=("simulated",) if rng.random() < 0.3 else (),
    )  # fmt: skip
    if rng.random() < 0.1:
        start.at = VirtualClock.EPOCH_MS + int((at + rng.uniform(0.0, 3.0)) * 1_000)
    if rng.random() < 0.2:
        start.priority = rng.randint(-5, 5)
        start.metadata = Raw(b'{"by":"somebody"}')
    if rng.random() < 0.1:
        start.timeout_ms = rng.randint(200, 6_000)
    return start


def published(event: str, key: str, rng: Random, ttl_ms: int = 6_000) -> EventPublished:
    """Return an event like no other."""
    number = rng.randrange(1 << 30)
    data = Raw(msgspec.json.encode({"event": number}))
    return EventPublished(key=channel_id(event, key), id=f"{event}-{number}", data=data, ttl_ms=ttl_ms)
