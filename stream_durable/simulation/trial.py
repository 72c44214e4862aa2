"""The trial of one seed: bad weather, then good weather, then the checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from random import Random
from types import ModuleType

from stream_durable.core.admission import fold as admission_fold
from stream_durable.core.admission import state as admission_state
from stream_durable.core.gate import fold as gate_fold
from stream_durable.core.run import portions
from stream_durable.core.schedule import state as schedule_state
from stream_durable.engine import backlog as engine_backlog
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.weather import Faults
from stream_durable.sdk.app import App
from stream_durable.simulation import workload
from stream_durable.simulation.invariants import something_happened, violations
from stream_durable.simulation.world import ENGINE, World
from stream_durable.worker import offsets

#: What is done about a log that was lost.
POLICIES = ("halt", "continue_earliest", "continue_latest")
#: With the faults gone, everything must have settled within so many virtual seconds.
LIVENESS_SECONDS = 150.0


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a seed."""

    seed: int
    violations: list[str]
    hits: Counter[str]
    runs: Counter[str]
    calls: int
    virtual_seconds: float
    #: What steps and messages came to: `expecting/paid completed`, `EventPublished applied`.
    outcomes: Counter[str] = field(default_factory=Counter)
    kind: str = ""

    def report(self) -> str:
        """Return the violations and the command for a repeat."""
        shown = "\n  ".join(self.violations[:12])
        more = f"\n  and {len(self.violations) - 12} more" if len(self.violations) > 12 else ""
        only = f" --only {self.kind}" if self.kind else ""
        return (
            f"seed {self.seed} breaks {len(self.violations)} times; again with: "
            f"python -m stream_durable.simulation --seed {self.seed}{only}\n  {shown}{more}"
        )


@cache
def _app() -> App:
    return workload.application()


def simulate(
    seed: int,
    *,
    faults: Faults | None = None,
    make_store: Callable[[int], MemoryStore] = MemoryStore,
    only: tuple[str, ...] = (),
    kind: str = "",
) -> Trial:
    """Run the world of a seed, with runs of all workflows or of some, and check the invariants.

    With a `kind`, a key of `CLASSES`, nothing happens outside that class.
    """
    workload.restart_serial()
    rng = Random(f"plan {seed}")  # noqa: S311 - a simulation, not a secret
    app = _app()
    partitions = rng.choice((1, 2, 4))
    # In some worlds timers are read anew all the time, and few at once.
    timers = {"timer_horizon_ms": rng.choice((5_100, 6_000)), "timers_held_max": rng.choice((3, 100))}
    policy = {"on_lost_log": Random(f"policy {seed}").choice(POLICIES)}  # noqa: S311 - a simulation, not a secret
    # In some worlds a few records are a backlog already, and more than a batch takes.
    backlog = {
        "begin_at_once": Random(f"backlog {seed}").choice((1, 4, 500)),  # noqa: S311 - the same
        "batch_bytes_max": Random(f"bytes {seed}").choice((1_000, 8_000_000)),  # noqa: S311 - the same
    }
    # In some worlds a few messages on their way, or a few commands that are not done, are too many.
    narrow = {"unpublished_bytes_max": Random(f"unpublished {seed}").choice((500, 5_000, 16_000_000))}  # noqa: S311 - a simulation, not a secret
    window = Random(f"window {seed}").choice((4, 24_000))  # noqa: S311 - a simulation, not a secret
    if kind and faults is None and Random(f"fair {seed}").random() < 0.3:  # noqa: S311 - the same
        # Where nothing else goes wrong, things meet more closely.
        faults = Faults.none()
    engine = ENGINE.model_copy(update=timers | policy | backlog | narrow)
    world = World(
        seed, app, partitions=partitions, reconcilers=rng.choice((1, 2, 2, 3)), workers=rng.choice((1, 2, 2)),
        faults=faults, engine=engine, make_store=make_store,
    )  # fmt: skip
    world.holds_back = window < offsets.WINDOW_MAX
    runs, seconds = rng.randint(6, 12), rng.uniform(2.0, 6.0)
    if kind:
        plan = workload.of_class(kind, rng, app, runs=runs, seconds=seconds)
    else:
        plan = workload.drawn(rng, app, runs=runs, seconds=seconds, partitions=partitions, only=only)

    async def story(world: World) -> None:
        await world.open()
        world.begin(plan)
        await world.storm(plan.seconds + rng.uniform(1.0, 4.0))
        world.calm()
        if not await world.settle(LIVENESS_SECONDS) and not world.lives.has_losses:
            world.wrong += [f"a client waits in vain to say this: {sent}" for sent in world.clients.waiting]

    leases = Random(f"leases {seed}").choice((700, 20_000))  # noqa: S311 - a simulation, not a secret
    load = rng.choice((portions.LOAD_MAX, portions.LOAD_MAX, 2 * portions.STEP_LOAD))
    with (
        _set(portions, "LOAD_MAX", load),
        _set(offsets, "WINDOW_MAX", window),
        # In some worlds schedules leave memory whenever no run of theirs is under way.
        _set(schedule_state, "NEAR_MS", Random(f"near {seed}").choice((0, 60_000))),  # noqa: S311 - the same
        # In some worlds each backlog is a long one, whose runs leave memory.
        _set(engine_backlog, "KEPT_TIMES", Random(f"kept {seed}").choice((0, 40))),  # noqa: S311 - the same
        _set(gate_fold, "LEASE_MS", leases),
        _set(admission_fold, "LEASE_MS", leases),
        _set(admission_fold, "MEMORY_MS", leases * 9 // 10),
        _set(admission_state, "SETTLED_MAX", Random(f"settled {seed}").choice((1, 500))),  # noqa: S311 - the same
    ):
        return _tried(world, story, kind)


@contextmanager
def _set(module: ModuleType, name: str, value: int) -> Iterator[None]:
    """Give a bound another value: with little, even small runs are worked off in portions."""
    usual = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, usual)


def _tried(world: World, story: Callable[[World], Awaitable[None]], kind: str) -> Trial:
    world.run(story)
    tables = world.store.tables
    runs = Counter(run.status for run in tables.runs.values())
    outcomes = Counter(
        f"{tables.runs[run].workflow}/{step.name} {step.status}"
        for (run, _), step in tables.steps.items()
        if run in tables.runs
    )
    broken = violations(world, outcomes)
    if kind:
        # Of one class a single world may well be empty; what comes about is counted over all of them.
        broken = [each for each in broken if not each.startswith(something_happened.__name__)]
    return Trial(
        world.seed, broken, world.weather.hits, runs, world.weather.calls, world.loop.time(), outcomes, kind
    )
