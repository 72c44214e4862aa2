"""The base of users' test engine: services in memory and virtual time, or real services."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, Protocol, TypeVar

from stream_durable.client import AsyncClient
from stream_durable.client.edge import Ports
from stream_durable.ports import Headers, Record
from stream_durable.sdk.durations import Duration
from stream_durable.sdk.workflow import Workflow
from stream_durable.testing.mishaps import Mishaps

_Answer = TypeVar("_Answer")

#: How many timers may fire, and how many seconds of this machine may go by, before a call gives up: what
#: takes longer goes round in circles.
TIMERS_MAX = 10_000
SECONDS_MAX = 60.0


class Rest(IntEnum):
    """How much is under way."""

    #: Unread records, or commits, commands or reports on their way.
    BUSY = 0
    #: Attempts, and nothing else.
    ATTEMPTS = 1
    #: Nothing: only time or a message can change something.
    QUIET = 2


#: Why a call gave up: nothing can happen any more, the time it had is over, or it goes round in circles.
GaveUp = Literal["nothing", "time", "timers"]


def why_gave_up(gave_up: GaveUp, within: Duration) -> str:
    """Return for people why a call gave up."""
    match gave_up:
        case "nothing":
            return "nothing can happen any more, for no timer is set and no attempt under way"
        case "time":
            return f"{within} have passed; within= allows more"
        case "timers":
            return f"{TIMERS_MAX} timers have fired, and there is no end to it"


#: Whether what is waited for has come about; asked again and again, with how much is under way.
Goal = Callable[[Rest], Coroutine[Any, Any, bool]]


@dataclass(frozen=True, slots=True)
class Passing:
    """How far a call lets time pass."""

    goal: Goal
    #: Milliseconds; no timer beyond fires.
    until: int
    #: Whether time is to go there even if nothing happens on the way.
    goes_there: bool = False


class Backend(Protocol):
    """The services of a test, with everything running on them."""

    name: str
    mishaps: Mishaps
    client: AsyncClient
    ports: Ports

    def now(self) -> int:
        """Return the time, in milliseconds since the epoch."""

    def do(self, make: Callable[[], Coroutine[Any, Any, _Answer]]) -> _Answer:
        """Run a coroutine beside the services to the end."""

    def functions(self) -> Mapping[str, Sequence[str]]:
        """Return the names of called functions by workflow, for carried workflows."""

    def carry(self, workflow: Workflow | None, queue: str | None) -> None:
        """Let workers serve a workflow with all children, and a queue."""

    def deploy(self, workflows: Iterable[Workflow]) -> None:
        """Let workers serve these workflows instead of those of the same names."""

    def pass_time(self, passing: Passing) -> GaveUp | None:
        """Go on until the goal is reached, from timer to timer; or say why that cannot be."""

    def check_crash(self) -> None:
        """Refuse, or skip the test, if workers cannot be made to crash."""

    def emitted(self, topic: str) -> Sequence[Record]:
        """Return the records emitted to a topic; without such a topic, skip the test."""

    def bind(self, topics: Iterable[str]) -> None:
        """Let an ingress serve the declared bindings, on these topics of others."""

    def deliver(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Append a record to a topic of others."""

    def redeliver(self) -> None:
        """Append every record of the inbox and of the command topics once more."""

    def restart(self) -> None:
        """Kill the reconciler; another takes over."""

    def close(self) -> None:
        """End everything."""
