"""The processes of an instance, and the releases at work."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from stream_durable.core.moments import moment
from stream_durable.wire.control import KEPT_MS, ControlState, Process


class ProcessState(NamedTuple):
    """A process, as of its last record."""

    #: `reconciler`, `worker`, `ingress` or `api`.
    kind: str
    name: str
    host: str
    #: The release that it runs; empty: one that does not say.
    version: str
    #: The newest format that it knows; 0: it does not say.
    format: int
    since: datetime
    seen: datetime
    #: Whether three records are missing: it was killed, or cannot reach Kafka.
    is_gone: bool


class Release(NamedTuple):
    """A release of the engine, run by present processes of a kind."""

    version: str
    #: When the first of them started.
    at: datetime
    kind: str


def processes(state: ControlState, now: int) -> list[ProcessState]:
    """Return the processes by kind and name, present or gone without a word in the last day."""
    return [_state(one, now) for one in state.processes() if now - one.seen <= KEPT_MS]


def releases(found: Iterable[ProcessState]) -> list[Release]:
    """Return the releases of present processes, for each kind, the latest to start first."""
    first = dict[tuple[str, str], datetime]()
    for one in found:
        if one.version and not one.is_gone:
            of = one.version, one.kind
            first[of] = min(one.since, first.get(of, one.since))
    made = (Release(version, at, kind) for (version, kind), at in first.items())
    return sorted(made, key=lambda one: one.at, reverse=True)


def _state(one: Process, now: int) -> ProcessState:
    here = one.here
    return ProcessState(
        one.kind, one.name, here.host, here.version, here.format, moment(here.since), moment(one.seen),
        one.is_gone(now),
    )  # fmt: skip
