"""A person deciding about held steps, until every run has ended."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from msgspec import Raw

from stream_durable.core.failure import Failure
from stream_durable.core.format import HOLD
from stream_durable.core.messages import (
    CancelRun,
    CancelStep,
    ChangeHeld,
    CompleteHeld,
    FailHeld,
    Message,
    RetryRun,
    SkipStep,
)
from stream_durable.core.run.rows import RunRow, StepRow
from stream_durable.core.status import HELD
from stream_durable.memory.broker import Broker
from stream_durable.memory.process import Process
from stream_durable.memory.producing import RemotePublisher
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.weather import Weather
from stream_durable.ports import Outgoing
from stream_durable.retrying import retry_transient
from stream_durable.simulation.workload import Sent
from stream_durable.wire.inbox import encode
from stream_durable.wire.topics import INBOX

#: Under this key of its context a run keeps what was changed last.
CHANGED: Final = "changed"
#: What a changed step has of attempts.
ATTEMPTS: Final = 2
_PAUSE_SECONDS: Final = 0.3
#: After so long without an effect a decision is made once more.
_PATIENCE_SECONDS: Final = 6.0
#: A step is retried so often.
_RETRIES_MAX: Final = 2
_KINDS: Final = ("retry", "retry", "complete", "complete", "skip", "fail", "cancel", "cancel run")

#: A hold: the run, the step, and the attempt.
_Hold = tuple[str, str, int]


class Reviewer:
    """Looks at the store now and then, and sends a decision for each held step, at times with a change."""

    def __init__(
        self, weather: Weather, broker: Broker, store: MemoryStore, sent: Callable[[Sent], None]
    ) -> None:
        """Send nothing yet; acknowledged messages go to `sent`."""
        self._weather = weather
        self._broker = broker
        self._store = store
        self._sent = sent
        self.is_sending = False
        #: When something is said about a hold next.
        self._next: dict[_Hold, float] = {}
        #: How often something was said.
        self._said: Counter[_Hold] = Counter()
        self._retries: Counter[tuple[str, str]] = Counter()

    async def work(self) -> None:
        """Decide for ever."""
        publisher: RemotePublisher | None = None
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            for run, step in self._held():
                publisher = publisher or RemotePublisher(Process(self._weather, "reviewer"), self._broker)
                for said in self._due(run, step):
                    await self._send(publisher, said)

    def _held(self) -> list[tuple[RunRow, StepRow]]:
        tables = self._store.tables
        held = [step for step in tables.steps.values() if step.status == HELD]
        return [(tables.runs[step.run], step) for step in held if tables.runs[step.run].ended is None]

    async def _send(self, publisher: RemotePublisher, said: Message) -> None:
        sent = Sent(self._weather.loop.time(), INBOX, None, said.key.encode(), encode(said))
        message = Outgoing(sent.topic, None, sent.key, sent.value)
        self.is_sending = True
        await retry_transient(lambda: publisher.publish([(message, None)]), "send")
        self.is_sending = False
        self._sent(sent)

    def _due(self, run: RunRow, step: StepRow) -> Iterator[Message]:
        """Draw messages about a hold, if its moment has come."""
        hold, now = (run.id, step.name, step.attempt), self._weather.loop.time()
        rng = Random(f"review {hold} {self._said[hold]}")  # noqa: S311 - a simulation, not a secret
        if self._next.setdefault(hold, now + rng.uniform(0.0, 2.0)) > now:
            return
        self._next[hold] = now + _PATIENCE_SECONDS
        self._said[hold] += 1
        identity = f"review {self._said[hold]} {step.name} {step.attempt} {run.id}"
        about: dict[str, Any] = {"key": run.id, "id": identity, "by": "ann"}
        if rng.random() < 0.3:
            yield _change(rng, run, step, about | {"id": f"change {about['id']}"})
        decision = self._decision(rng, run, step, about)
        yield decision
        if rng.random() < 0.2:
            yield decision

    def _decision(self, rng: Random, run: RunRow, step: StepRow, about: dict[str, Any]) -> Message:
        kind = rng.choice(_KINDS)
        if kind == "retry" and self._retries[run.id, step.name] >= _RETRIES_MAX:
            kind = "complete"
        which: dict[str, Any] = about | {"step": step.name}
        match kind:
            case "retry":
                self._retries[run.id, step.name] += 1
                return RetryRun(**which)
            case "complete":
                attempt = rng.choice((0, step.attempt))
                return CompleteHeld(**which, format=HOLD, attempt=attempt, output=Raw(b'{"by":"ann"}'))
            case "skip":
                return SkipStep(**which)
            case "fail":
                failure = rng.choice((None, Failure("judged", "it is of no use")))
                return FailHeld(**which, format=HOLD, failure=failure)
            case "cancel":
                return CancelStep(**which)
            case _:
                return CancelRun(**about, reason="enough", compensate=rng.random() < 0.5)


def _change(rng: Random, run: RunRow, step: StepRow, about: dict[str, Any]) -> ChangeHeld:
    """Let the run have less trouble, or another context, or the step fewer attempts."""
    changed = ChangeHeld(**about, format=HOLD)
    if rng.random() < 0.5:
        changed.input = Raw(
            json.dumps(json.loads(run.input) | {"trouble": 0.0, "changed": about["id"]}).encode()
        )
    if rng.random() < 0.5 or step.name == "part":
        changed.context = {CHANGED: Raw(json.dumps(about["id"]).encode())}
    elif "said" not in step.name:
        changed.step, changed.attempts = step.name, ATTEMPTS
    else:
        changed.step, changed.timeout_ms = step.name, 300
    return changed
