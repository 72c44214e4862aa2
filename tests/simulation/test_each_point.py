"""A process is killed at one point of a story; then it is told again, with a kill at the next point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec import Raw
from waiting import eventually

from stream_durable import App, Context, Gate, Workflow
from stream_durable.core.ids import channel_id
from stream_durable.core.messages import CancelRun, EventPublished, Message, StartRun
from stream_durable.core.status import RUN_ENDED
from stream_durable.memory.process import Process
from stream_durable.memory.weather import Faults
from stream_durable.simulation.world import World
from stream_durable.wire import inbox
from stream_durable.wire.topics import FOREIGN, INBOX

#: More than a story has.
POINTS_MAX = 1_000
#: Where processes die at least once in each story.
ALWAYS = {
    "log.next", "store.commit, before", "store.commit, sent", "store.commit, after",
    "publish, before", "publish, sent", "publish, after",
}  # fmt: skip
AUDIT = "shop.audit"

child = Workflow("child")
child.add("work", lambda: 1)

waiter = Workflow("waiter")
paid = waiter.wait_event("paid", "payment", key="input")
told = waiter.wait_signal("told", after=paid)

order = Workflow("order")


@order.step
async def ship(ctx: Context[Any]) -> str:
    for n in range(3):
        ctx.emit(AUDIT, key=ctx.run_id, value=n)
    ctx.publish("payment", key="7")
    ctx.signal("waiter", "told")
    ctx.start(child, id="child")
    return "shipped"


@order.step(after=ship)
async def bill(ship: str) -> str:
    return ship


taker = Workflow("taker")
taker.wait_event("job", "job.queued", key="input", take=True)

narrow = Workflow("narrow")
bank = Gate("bank", at_once=1)


@narrow.step(gate=bank)
async def pay() -> int:
    return 1


APP = App("shop", workflows=[order, waiter, child, taker, narrow])


class Points:
    """Counts the points at which processes may die, and kills at one of them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.passed = 0
        self.where = ""
        self.is_on = False

    async def pass_by(self, process: Process, where: str) -> None:
        process.alive()
        if self.is_on and not self.where and process._died is not None:
            self.passed += 1
            if self.passed == self.at:
                self.where = where
                await process.die()


def start(flow: Workflow[Any, Any], run: str, given: str = "7") -> StartRun:
    return StartRun(
        key=run, id=f"start {run}", workflow=flow.name, fingerprint=flow.fingerprint,
        input=Raw(b'"%b"' % given.encode()),
    )  # fmt: skip


def event(name: str, id: str) -> EventPublished:  # noqa: A002 - the word for it everywhere
    return EventPublished(key=channel_id(name, "7"), id=id, data=Raw(b'"%b"' % id.encode()), ttl_ms=600_000)


class Story:
    """Messages before the first kill, messages meanwhile, the runs that end, and what is true then."""

    def __init__(
        self,
        first: list[StartRun],
        then: list[Message],
        runs: set[str],
        check: Callable[[World], None] = lambda _: None,
    ) -> None:
        self.first, self.then, self.runs, self.check = first, then, runs, check

    def told(self, points: Points) -> World:
        """Tell it, with a kill at one of the points."""

        async def story(world: World) -> None:
            runs = world.store.tables.runs

            async def waits() -> bool:
                return all(one.key in runs and runs[one.key].status == "waiting" for one in self.first)

            async def ended() -> bool:
                return set(runs) == self.runs and all(run.status in RUN_ENDED for run in runs.values())

            await world.open()
            put(world, self.first)
            await eventually(waits, "they wait", seconds=60)
            points.is_on = True
            put(world, self.then)
            await eventually(ended, f"all have ended after a kill at {points.where!r}", seconds=60)
            points.is_on = False
            stopped = {one.key for one in self.then if isinstance(one, CancelRun)}
            others = {runs[run].status for run in self.runs - stopped}
            assert others == {"completed"}, points.where

        world = World(1, APP, partitions=2, reconcilers=1, workers=1, faults=Faults.none())
        world.run(story)
        return world


def put(world: World, messages: list[Any]) -> None:
    for message in messages:
        world.broker.append(INBOX, None, message.key.encode(), inbox.encode(message))


def emitted_in_order(world: World) -> None:
    records = world.broker.topic(FOREIGN + AUDIT).records()
    named = [(dict(record.headers or ())["sd-id"], record.value) for record in records]
    # Repeats are the same: id and value.
    assert list(dict.fromkeys(named)) == [(b"order//ship/1/%d" % (n + 1), b"%d" % n) for n in range(3)]


def taken_once(world: World) -> None:
    outputs = [bytes(step.output) for step in world.store.tables.steps.values() if step.output is not None]
    assert sorted(outputs) == [b'"job 1"', b'"job 2"']


def taken_once_at_most(world: World) -> None:
    steps = world.store.tables.steps.values()
    outputs = [bytes(step.output) for step in steps if step.output is not None]
    assert len(outputs) == len(set(outputs)) >= 1
    assert all(output in {b'"job 1"', b'"job 2"'} for output in outputs)


STORIES = {
    "a step that says something to the world": Story(
        [start(waiter, "waiter")], [start(order, "order")], {"waiter", "order", "child"}, emitted_in_order
    ),
    "events of which each is taken by one": Story(
        [start(taker, "taker 1"), start(taker, "taker 2")],
        [event("job.queued", "job 1"), event("job.queued", "job 2")],
        {"taker 1", "taker 2"},
        taken_once,
    ),
    "events, and a wait for one that is cancelled": Story(
        [start(taker, "taker 1"), start(taker, "taker 2")],
        [
            event("job.queued", "job 1"),
            CancelRun(key="taker 1", id="cancel"),
            event("job.queued", "job 2"),
        ],
        {"taker 1", "taker 2"},
        taken_once_at_most,
    ),
    "an event before its wait": Story(
        [], [event("job.queued", "job 1"), start(taker, "taker")], {"taker"}
    ),
    "a gate with one place": Story(
        [], [start(narrow, run) for run in ("a", "b", "c")], {"a", "b", "c"}
    ),
}  # fmt: skip


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Points]]:
    current = [Points(0)]

    async def crash_point(self: Process, where: str) -> None:
        await current[0].pass_by(self, where)

    monkeypatch.setattr(Process, "crash_point", crash_point)
    yield current


@pytest.mark.parametrize("what", STORIES)
def test_a_story_ends_as_it_should_whatever_dies_and_when(what: str, points: list[Points]) -> None:
    story, seen = STORIES[what], Counter[str]()
    for at in range(1, POINTS_MAX):
        points[0] = Points(at)
        world = story.told(points[0])
        story.check(world)
        assert not world.wrong, points[0].where
        if not points[0].where:
            break
        seen[points[0].where] += 1
    assert set(seen) >= ALWAYS and sum(seen.values()) < POINTS_MAX - 1, seen
