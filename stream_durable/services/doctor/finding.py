"""What a check finds."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

#: What is examined, in the order of the report.
CheckName = Literal[
    "services", "settings", "schema", "topics", "clocks", "partitions", "lag", "versions", "queues",
    "workflows", "waits", "timers", "compensations", "schedules", "bindings", "records",
]  # fmt: skip
#: A repair that is safe at any time: it can be repeated, and takes nothing away.
Repair = Literal["migrate", "apply_topics", "reopen_waits"]

CHECK_NAMES: Final[tuple[CheckName, ...]] = get_args(CheckName)


class Finding(NamedTuple):
    """Something wrong with an instance."""

    check: CheckName
    #: `problem`: something stands still or is lost without a person. `warning`: it may be meant so.
    severity: Literal["problem", "warning"]
    thing: str
    cause: str
    #: What to do, with a command where there is one.
    remedy: str
    #: What `doctor --fix` does about it; None: that takes a person.
    repair: Repair | None = None


class Repaired(NamedTuple):
    """What was repaired, in words, and what is still wrong."""

    done: list[str]
    left: list[Finding]
