"""A world: a deployment, clients, and strikes on both.

Faults are drawn from the seed; the same seed gives the same world. `simulate` is the trial of a seed: bad
weather first, then good weather for everything to settle.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

from stream_durable.core.format import FORMAT
from stream_durable.memory.definitions import prepared
from stream_durable.memory.deployment import Deployment, Slot
from stream_durable.memory.process import Process
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.weather import Faults
from stream_durable.sdk.app import App
from stream_durable.sdk.handler import Handler
from stream_durable.settings import EngineSettings, WorkerSettings
from stream_durable.simulation.calls import Calls, WatchedHandler
from stream_durable.simulation.clients import Clients
from stream_durable.simulation.faults import drawn
from stream_durable.simulation.journal import Journal
from stream_durable.simulation.lives import Lives
from stream_durable.simulation.reviewer import Reviewer
from stream_durable.simulation.strikes import Strikes
from stream_durable.simulation.workload import Plan
from stream_durable.telemetry import ROOT
from stream_durable.wire.topics import INBOX, RUNS, STEPS

#: What public topics take where they take little: statements without outputs, and few others.
NARROW_BYTES = (1_000, 1_500)

#: Short, since virtual seconds cost real time: every process looks around several times in each.
ENGINE = EngineSettings(timer_horizon_ms=6_000, timers_held_max=100, batch_records_max=100)
WORKER = WorkerSettings(
    concurrency=8, lease_ms=3_000, heartbeat_ms=1_000, drain_ms=500, started_after_ms=1_000,
    offset_commit_ms=500, payload_inline_bytes_max=1_000,
)  # fmt: skip


class World(Deployment):
    """Reconcilers, workers and clients, and their services."""

    def __init__(
        self,
        seed: int,
        app: App,
        *,
        partitions: int = 4,
        reconcilers: int = 2,
        workers: int = 2,
        faults: Faults | None = None,
        engine: EngineSettings = ENGINE,
        worker: WorkerSettings = WORKER,
        make_store: Callable[[int], MemoryStore] = MemoryStore,
        knows: int = FORMAT,
    ) -> None:
        """Start nothing yet; without `faults` they are drawn from the seed."""
        faults = drawn(Random(f"faults {seed}")) if faults is None else faults  # noqa: S311
        super().__init__(
            seed, app, partitions=partitions, reconcilers=reconcilers, workers=workers, faults=faults,
            engine=engine, worker=worker, make_store=make_store, knows=knows,
        )  # fmt: skip
        self.broker.gap = self._gap
        if self.weather.chance(faults.narrow, "narrow topics"):
            self.broker.limits = dict.fromkeys((STEPS, RUNS), self.rng.choice(NARROW_BYTES))
        self.session_seconds = self.rng.uniform(1.5, 4.0)
        self.store.goes_on = self._goes_on
        self.lives = Lives(self.broker)
        #: How often clients are about to repeat what was lost.
        self._repeats = 0
        #: Whether workers fetch little behind a command that is not done: a cancellation may come late.
        self.holds_back = False
        self.calls = Calls()
        self.strikes = Strikes(self)
        self.clients = Clients(self.weather, self.broker, self.store)
        self.reviewer = Reviewer(self.weather, self.broker, self.store, self.clients.acknowledged.append)
        self.journal = Journal(self.store, self.clients, self.wrong.append)
        self.broker.watchers.append(self.journal.watch)
        self._graphs = {graph.fingerprint: graph for graph in map(prepared, app.definitions())}
        self.loop.thread_seconds = self._thread_seconds
        self.loop.set_exception_handler(self._complained)

    def run(self, story: Callable[[World], Any]) -> Any:
        """Run a coroutine function of this world to the end, on virtual time, and clear everything away."""
        with _quiet():
            try:
                return self.loop.run_until_complete(story(self))
            finally:
                self.end()

    def graph(self, fingerprint: str) -> Any:
        """Return a graph of the app."""
        return self._graphs.get(fingerprint)

    def make_process(self, slot: Slot, name: str) -> Process:
        """Return a process possibly suspended before publishing."""
        process = super().make_process(slot, name)
        process.stall = lambda: self.freeze(slot, self.rng.uniform(1.2, 4.0) * self.session_seconds)
        return process

    def freeze(self, slot: Slot, seconds: float) -> None:
        """Suspend a process; before its return the group may have removed the process."""
        process, logs = slot.process, slot.logs
        if process is None or not logs or not process.is_running:
            return
        process.freeze()
        later = self.weather.later
        for log in logs if seconds > self.session_seconds else ():
            later(self.session_seconds, log.log.expire)

        def thaw() -> None:
            process.thaw()
            for log in () if process.is_dead else logs:
                process.later(self.rng.uniform(0.0, 0.5), log.log.rejoin)

        later(seconds, thaw)

    def stop(self, slot: Slot) -> None:
        """Ask the process in a slot to end in good order."""
        if slot.process is not None and slot.process.is_running:
            slot.process.stop()

    def hand_over(self) -> None:
        """Let groups redistribute their partitions at random, without a crash."""
        for group in self.broker.groups.values():
            if group.members:
                target = {p: self.rng.choice(group.members) for p in range(self.partitions)}
                group.share_out(target)

    def begin(self, plan: Plan) -> None:
        """Let clients work through a plan, and somebody decide about what is held."""
        for at, role in plan.falls:
            self.weather.later(max(0.0, at - self.loop.time()), partial(self._fall, role))
        self.clients.begin(plan, self.reviewer.work())

    def _fall(self, role: str) -> None:
        """Kill all processes of a role; others follow."""
        for slot in self.slots:
            if slot.role == role:
                self.weather.hits[f"fall of a {role}"] += 1
                self.crash(slot)

    @property
    def is_idle(self) -> bool:
        """Whether clients are done, all runs have ended, and nothing is left to read or publish."""
        tables = self.store.tables
        return (
            self.clients.are_done
            and not self.reviewer.is_sending
            and not self._repeats
            and not self.journal.unpublished()
            and all(run.ended is not None for run in tables.runs.values())
            and not any(key[0] in ("run", "schedule") for key in tables.timers)
            and not tables.places
            and all(self._is_read(p) for p in range(self.partitions))
            and all(
                (group.offsets.get(p) or (0,))[0] == log.high
                for (_, topic), group in self.broker.groups.items()
                if topic != INBOX
                for p, log in enumerate(self.broker.topic(topic).partitions)
            )
        )

    def _is_read(self, partition: int) -> bool:
        """Whether a partition is at the end of its log, with all lost work requested again."""
        topic, row = self.broker.topic(INBOX), self.store.tables.partitions[partition]
        is_same = row.topic_id in (None, topic.id) and not row.must_redrive and not row.must_redrive_commands
        return is_same and topic.partitions[partition].high == row.next_offset

    async def settle(self, seconds: float) -> bool:
        """Wait until nothing is left to do; False after the time limit."""
        end = self.loop.time() + seconds
        while not self.is_idle:
            if self.loop.time() > end:
                return False
            await asyncio.sleep(0.2)
        return True

    async def storm(self, seconds: float) -> None:
        """Let things go wrong at random for a while."""
        await self.strikes.storm(seconds)

    def calm(self) -> None:
        """Let nothing more go wrong, and let everybody run."""
        self.weather.clear()
        self.broker.leaderless.clear()
        if self.engine.on_lost_log == "halt" and self.broker.has_been_lost:
            self.continue_at(self.rng.choice(("continue_earliest", "continue_latest")))
        for slot in self.slots:
            process = slot.process
            if process is not None and slot.logs and not process.is_running and not process.is_dead:
                process.thaw()
                for log in slot.logs:
                    process.later(0.0, log.log.rejoin)

    def continue_at(self, policy: str) -> None:
        """Let an operator decide how to go on after a loss, and restart all reconcilers."""
        self.engine = self.engine.model_copy(update={"on_lost_log": policy})
        for slot in self.slots:
            if slot.role == "reconciler":
                self.crash(slot)

    def _goes_on(self, partition: int, ended: int, began: int) -> None:
        """Let clients repeat messages lost before their fold, if somebody waits for them."""
        repeated = [r for r in self.lives.begin(partition, ended, began) if self.clients.insist_on(r)]

        def repeat() -> None:
            self._repeats -= 1
            for record in repeated:
                self.broker.append(INBOX, None, record.key, record.value)

        self._repeats += 1
        self.weather.later(self.rng.uniform(0.1, 2.0), repeat)

    def watched(self, handler: Handler, process: Process) -> Handler:
        """Return a handler with recorded calls."""
        return WatchedHandler(handler, process, self.calls)

    def end(self) -> None:
        """End everything still running, and the clients."""
        self.kill_all()
        self.loop.run_until_complete(self.clients.end())
        self.loop.close()

    def _gap(self) -> int:
        weather = self.weather
        return weather.rng.randint(1, 5) if weather.chance(weather.faults.gap, "gap in offsets") else 0

    def _thread_seconds(self) -> float:
        rng = self.weather.rng
        return rng.uniform(0.0, 0.01) if rng.random() < 0.9 else rng.uniform(0.0, 0.6)

    def _complained(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.wrong.append(f"{context.get('message')}: {error!r}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress logs of deliberate faults."""
    log = logging.getLogger(ROOT)
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)
