"""The workloads."""

from __future__ import annotations

from typing import Final, NamedTuple

from stream_durable.bench.app import FAN_WIDTH, app


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

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the workflow."""
        return app.workflows[self.workflow].fingerprint

    @property
    def waits(self) -> bool:
        """Whether the runs wait for a signal."""
        return self.workflow == "waiting"


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
    Workload("each", "each", 10_002, 1),
    Workload("large", "latency", 3, 400),
    Workload("waiting", "waiting", 1, 10_000),
    Workload("rebuild", "chain", 10, 6_000),
    Workload("backlog", "chain", 10, 20_000),
    Workload("million", "waiting", 1, 1_000_000),
)
WORKLOADS: Final = {workload.name: workload for workload in _ALL}
