"""What is folded and published while the batch before is being saved: here the database is away meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from msgspec import Raw
from waiting import eventually

from stream_durable import App, Context, Workflow
from stream_durable.core.errors import StatementError
from stream_durable.core.ids import channel_id
from stream_durable.core.messages import EventPublished, Message, SignalRun, StartRun
from stream_durable.engine.following import AHEAD_MAX
from stream_durable.memory.remote import POSTGRES, RemoteStore
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.weather import Faults
from stream_durable.ports import Share
from stream_durable.settings import EngineSettings
from stream_durable.simulation.world import ENGINE, World
from stream_durable.wire import inbox
from stream_durable.wire.topics import INBOX

#: Of virtual time: the owner has looked at its rows since, and trusts them for longer than the outage.
_LOOKED_SECONDS = 2.0
_AWAY_SECONDS = 2.5

#: (run, step) of each call, in order.
calls: list[tuple[str, str]] = []


async def note(ctx: Context[str]) -> None:
    calls.append((ctx.run_id, ctx.step))


def _line() -> Workflow:
    flow = Workflow("line")
    flow.wait_signal("told", "go")
    flow.add("one", note, after="told")
    flow.add("two", note, after="one")
    flow.add("three", note, after="two")
    return flow


line = _line()
takers = Workflow("takers")
takers.wait_event("job", "work", key="input", take=True)
takers.add("one", note, after="job")

GO = SignalRun(key="line", id="go", signal="go")
JOB = EventPublished(key=channel_id("work", "7"), id="job", ttl_ms=60_000)
IN_ORDER = [("line", "one"), ("line", "two"), ("line", "three")]


class Counted(MemoryStore):
    """Counts the records of each commit that has some."""

    def __init__(self, partition_count: int) -> None:
        super().__init__(partition_count)
        self.commits: list[int] = []

    async def commit(self, shares: Sequence[Share]) -> bool:
        if count := sum(share.to_offset - share.from_offset for share in shares):
            self.commits.append(count)
        return await super().commit(shares)


def _send(world: World, message: Message) -> None:
    world.broker.append(INBOX, None, message.key.encode(), inbox.encode(message))


def _told(
    story: Callable[[World, Counted], Awaitable[None]],
    *,
    crowd: Sequence[str] = (),
    engine: EngineSettings = ENGINE,
) -> None:
    """Run a story that begins when both runs wait, and a crowd of the first kind, with the database away."""
    flows = {"line": line, "takers": takers} | dict.fromkeys(crowd, line)

    async def whole(world: World) -> None:
        store = world.store
        assert isinstance(store, Counted)
        await world.open()
        for run, flow in flows.items():
            start = StartRun(key=run, id="start", workflow=flow.name, fingerprint=flow.fingerprint)
            start.input = Raw(b'"7"')
            _send(world, start)

        async def both_wait() -> bool:
            return flows.keys() <= store.tables.runs.keys() and len(store.tables.waits) == 1

        await eventually(both_wait, "both wait", seconds=60)
        await asyncio.sleep(_LOOKED_SECONDS)
        store.commits = []
        world.weather.outage(POSTGRES, _AWAY_SECONDS)
        await story(world, store)
        _send(world, JOB)

        async def ended() -> bool:
            return all(run.ended is not None for run in store.tables.runs.values())

        await eventually(ended, "both runs have ended", seconds=60)

    calls.clear()
    app = App("shop", workflows=[line, takers])
    World(1, app, partitions=1, reconcilers=1, faults=Faults.none(), make_store=Counted, engine=engine).run(
        whole
    )


async def _line_called(world: World) -> None:
    async def enough() -> bool:
        return len(calls) == len(IN_ORDER)

    await eventually(enough, "the steps are called", seconds=60)
    assert world.weather.is_out(POSTGRES)


def test_a_run_goes_on_while_its_commit_is_under_way_and_what_followed_is_one_commit() -> None:
    async def story(world: World, store: Counted) -> None:
        _send(world, GO)
        await _line_called(world)

        async def ended() -> bool:
            return store.tables.runs["line"].ended is not None

        await eventually(ended, "the run has ended", seconds=60)
        assert len(store.commits) == 2

    _told(story)

    assert calls[:3] == IN_ORDER


def test_what_is_refused_is_folded_again_with_all_that_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = RemoteStore.commit
    refused: list[int] = []

    async def refuse_once(store: RemoteStore, shares: Sequence[Share]) -> bool:
        if len(calls) == len(IN_ORDER) and not refused:
            refused.append(len(shares))
            raise StatementError("it took too long", is_data=False)
        return await commit(store, shares)

    async def story(world: World, store: Counted) -> None:
        monkeypatch.setattr(RemoteStore, "commit", refuse_once)
        _send(world, GO)
        await _line_called(world)

    _told(story)

    assert refused == [1]
    # A worker that has ended an attempt drops the repeated command.
    assert [call for call in calls if call[0] == "line"] == IN_ORDER


def test_nothing_goes_ahead_of_a_message_that_waits_for_its_commit() -> None:
    async def story(world: World, store: Counted) -> None:
        _send(world, JOB)
        # Of virtual time: the event is folded, and its offer to a run waits for the commit.
        await asyncio.sleep(0.1)
        _send(world, GO)
        await asyncio.sleep(_AWAY_SECONDS / 2)
        assert world.weather.is_out(POSTGRES)
        assert calls == []

    _told(story)

    assert [call for call in calls if call[0] == "line"] == IN_ORDER


def test_more_records_follow_in_one_commit_and_publish_nothing_ahead() -> None:
    crowd = [f"line-{number}" for number in range(AHEAD_MAX + 1)]

    async def story(world: World, store: Counted) -> None:
        _send(world, GO)
        await _line_called(world)
        for run in crowd:
            _send(world, SignalRun(key=run, id="go", signal="go"))
        await asyncio.sleep(_AWAY_SECONDS / 2)
        assert world.weather.is_out(POSTGRES)
        assert calls == IN_ORDER

        async def ended() -> bool:
            return all(store.tables.runs[run].ended is not None for run in crowd)

        await eventually(ended, "the crowd has ended", seconds=60)
        assert store.commits[:2] == [1, len(IN_ORDER) + len(crowd)]

    _told(story, crowd=crowd)


def test_no_more_follow_than_a_batch_has() -> None:
    crowd = [f"line-{number}" for number in range(2 * AHEAD_MAX)]

    async def story(world: World, store: Counted) -> None:
        for run in ("line", *crowd):
            _send(world, SignalRun(key=run, id="go", signal="go"))

        async def ended() -> bool:
            return all(store.tables.runs[run].ended is not None for run in crowd)

        await eventually(ended, "the crowd has ended", seconds=60)
        assert max(store.commits) == AHEAD_MAX

    _told(story, crowd=crowd, engine=EngineSettings(batch_records_max=AHEAD_MAX))
