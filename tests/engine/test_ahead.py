"""What is published while the state it follows from is being saved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec import Raw
from waiting import eventually

from stream_durable import App, Workflow
from stream_durable.core.ids import channel_id
from stream_durable.core.messages import EventPublished, StartRun
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.weather import Faults
from stream_durable.ports import Share
from stream_durable.simulation.world import World
from stream_durable.wire import inbox
from stream_durable.wire.topics import INBOX

_LOOKED_SECONDS = 2.0

told = Workflow("told")
told.wait_event("paid", "payment", key="input")

takers = Workflow("takers")
takers.wait_event("job", "work", key="input", take=True)


class Shut(MemoryStore):
    """Finishes no commit from some time on, until it is opened."""

    def __init__(self, partition_count: int) -> None:
        super().__init__(partition_count)
        self.opened = asyncio.Event()
        self.opened.set()

    async def commit(self, shares: Sequence[Share]) -> bool:
        await self.opened.wait()
        return await super().commit(shares)


def made() -> World:
    return World(
        1, App("shop", workflows=[told, takers]), partitions=1, faults=Faults.none(), make_store=Shut
    )


def types_of(world: World) -> list[str]:
    values = [record.value for record in world.broker.topic(INBOX).records()]
    return [inbox.decode_message(value).__struct_config__.tag for value in values if value]  # type: ignore[misc]


def test_an_event_is_on_its_way_to_who_waits_before_the_commit_and_an_offer_after_it() -> None:
    async def story(world: World) -> None:
        store = world.store
        assert isinstance(store, Shut)
        await world.open()
        for flow in (told, takers):
            message = StartRun(
                key=flow.name, id=f"start {flow.name}", workflow=flow.name, fingerprint=flow.fingerprint,
                input=Raw(b'"7"'),
            )  # fmt: skip
            world.broker.append(INBOX, None, message.key.encode(), inbox.encode(message))

        async def wait() -> bool:
            return (
                all(run in store.tables.runs for run in ("told", "takers")) and len(store.tables.waits) == 2
            )

        async def delivered() -> bool:
            return "event.delivered" in types_of(world)

        async def ended() -> bool:
            return all(run.ended is not None for run in store.tables.runs.values())

        await eventually(wait, "both wait", seconds=60)
        # Of virtual time: the owner has looked at its rows since, and knows that it still is the owner.
        await asyncio.sleep(_LOOKED_SECONDS)
        store.opened.clear()
        for event in ("payment", "work"):
            published = EventPublished(key=channel_id(event, "7"), id=event, ttl_ms=60_000)
            world.broker.append(INBOX, None, published.key.encode(), inbox.encode(published))

        await eventually(delivered, "the event goes to who waits for it", seconds=60)
        assert "event.offered" not in types_of(world)
        store.opened.set()
        await eventually(ended, "both runs have ended", seconds=60)
        assert "event.offered" in types_of(world)

    made().run(story)
