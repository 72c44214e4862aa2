"""The workloads."""

from __future__ import annotations

from typing import Final, NamedTuple

from stream_durable.bench.app import FAN_WIDTH, KEPT_CALLS, app


class Workload(NamedTuple):
    """A kind of load."""

    name: str
    workflow: str
    #: Functions called for each run while it is measured.
    steps: int
    #: Runs, where the user names no other number.
    n: int
    #: The prototype's name for it, if any.
    prototype: str | None = None
    #: What wakes its runs, if they wait: `signal` or `event`.
    waits_for: str = ""
    #: Whether its runs are started by records of a topic of others.
    is_bound: bool = False
    #: Input of the runs that come before the measured ones, where it matters.
    warm: bytes = b""
    #: Whether all services run, also those that it does not need.
    runs_all: bool = False

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the workflow."""
        return app.workflows[self.workflow].fingerprint

    @property
    def roles(self) -> tuple[str, ...]:
        """The services it needs."""
        reads = self.waits_for == "event" or self.is_bound or self.runs_all
        more = ("ingress",) if reads else ()
        return ("reconciler", "worker", *more)


#: Members of the run measured by `each`, and of each of the small runs for comparison.
EACH_MANY: Final = 10_000
EACH_FEW: Final = 100

#: Runs of `million` that are signalled, of as many as there are.
SIGNALLED_OF: Final = 50

_ALL: Final = (
    Workload("chain", "chain", 10, 6_000, "chain"),
    Workload("single", "single", 1, 30_000, "single"),
    Workload("fan", "fan", FAN_WIDTH + 2, 2_000, "fan"),
    Workload("latency", "latency", 3, 500, "lat"),
    Workload("each", "each", 10_002, 1, warm=b'{"items":1}'),
    Workload("large", "latency", 3, 400),
    Workload("waiting", "waiting", 1, 20_000, waits_for="signal"),
    Workload("events", "event", 1, 20_000, waits_for="event"),
    Workload("resume", "event", 1, 300, waits_for="event"),
    Workload("hotrun", "hot", 1, 5_000, waits_for="signal"),
    Workload("crowd", "event", 1, 100_000, waits_for="event"),
    Workload("waits", "kept", KEPT_CALLS, 3_000),
    Workload("gate", "gated", 10, 2_000),
    Workload("binding", "single", 1, 20_000, is_bound=True),
    Workload("api", "chain", 10, 1_000_000),
    Workload("page", "watched", 10_001, 1_000_000, waits_for="signal"),
    Workload("rebuild", "chain", 10, 6_000),
    Workload("backlog", "chain", 10, 20_000),
    Workload("timers", "timed", 1, 50_000, warm=b'{"at":"2020-01-01T00:00:00Z"}'),
    Workload("schedules", "single", 1, 100_000),
    Workload("idle", "single", 1, 1, runs_all=True),
    Workload("million", "patient", 1, 1_000_000, waits_for="signal"),
)
WORKLOADS: Final = {workload.name: workload for workload in _ALL}
