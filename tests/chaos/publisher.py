"""Starts runs at a steady rate, and tells them what they wait for; keeps a journal of all of it."""

import heapq
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from confluent_kafka import KafkaError, Message, Producer
from kill.instance import Instance
from msgspec import Raw

from chaos.workflows import app
from stream_durable.core.messages import CancelRun, PauseRun, ResumeRun, RetryRun, SignalRun, StartRun
from stream_durable.core.messages import Message as InboxMessage
from stream_durable.kafka.config import PARTITIONER
from stream_durable.wire.inbox import encode

_MIX = {
    "chain": 30, "fan": 8, "flaky": 10, "doomed": 4, "restarted": 6, "approval": 8, "paid": 12, "bounded": 5,
    "sleepy": 5, "saga": 6, "large": 3, "lengthy": 5, "family": 4, "guarded": 4,
}  # fmt: skip
#: Of those that do harm there is one each so many seconds.
_HARMFUL = (("poison", 20.0), ("fatal", 90.0), ("blocked", 45.0), ("stuck", 200.0))
_TICK_SECONDS = 0.05
_FLUSH_SECONDS = 120


@dataclass
class Told:
    """A run, and all that it was told."""

    workflow: str
    input: dict[str, Any]
    at: float
    #: Whether Kafka has acknowledged the start.
    is_accepted: bool = False
    #: What it waits for, as it was told: the token of its event or signal.
    token: str | None = None
    orders: list[str] = field(default_factory=list)


class Publisher:
    """A thread that acts as everybody outside does."""

    def __init__(self, instance: Instance, seed: int, rate: float, *, is_harmful: bool) -> None:
        self._instance = instance
        self._rng = Random(f"{seed}/publisher")
        self._rate = rate
        self._harmful = _HARMFUL if is_harmful else ()
        self._numbers = count()
        self._fingerprints = {name: workflow.fingerprint for name, workflow in app.workflows.items()}
        self._plans: list[tuple[float, int, Callable[[], None]]] = []
        self._plan_numbers = count()
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._is_resting = threading.Event()
        self._group: tuple[str, int] = ("", 0)
        self.runs: dict[str, Told] = {}
        self.refused: list[str] = []
        self.unacknowledged = 0
        self._producer = Producer(
            {
                "bootstrap.servers": instance.settings.kafka.bootstrap,
                "log_level": 0,
                # Repeats do no harm, since all has an id; an idempotent producer may never go on when a
                # broker was killed.
                "acks": "all",
                "max.in.flight.requests.per.connection": 1,
                "partitioner": PARTITIONER,
                "linger.ms": 0,
                "message.timeout.ms": 0,
                "reconnect.backoff.max.ms": 500,
                "queue.buffering.max.messages": 1_000_000,
                "log.connection.close": False,
            }
        )
        self._thread = threading.Thread(target=self._run, name="publisher")

    def start(self) -> None:
        self._thread.start()

    def rest(self) -> None:
        """Start no more; go on telling those that were started what they wait for."""
        self._is_resting.set()

    def stop(self) -> None:
        """Say all that is still to be said, and wait until it is acknowledged."""
        self.rest()
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()

    def kinds(self) -> Counter[str]:
        return Counter(told.workflow for told in list(self.runs.values()))

    def heard(self, run: str, type_: str) -> None:
        """React to what a run says in public: one that failed is tried again."""
        told = self.runs.get(run)
        if told is not None and told.workflow == "doomed" and type_ == "run.failed":
            number = len(told.orders)
            told.orders.append("retry")
            self._later(0.5, lambda: self._tell(RetryRun(key=run, id=f"{run}-retry-{number}")))

    def _run(self) -> None:
        begun = time.monotonic()
        started = 0
        harmful = {name: begun + self._rng.uniform(5, every) for name, every in self._harmful}
        while not self._is_over.wait(_TICK_SECONDS):
            now = time.monotonic()
            if not self._is_resting.is_set():
                while started < (now - begun) * self._rate:
                    started += 1
                    self._begin(self._rng.choices(list(_MIX), list(_MIX.values()))[0])
                for name, every in self._harmful:
                    if now >= harmful[name]:
                        harmful[name] = now + self._rng.uniform(0.5, 1.5) * every
                        self._begin(name)
            self._carry_out(now)
        # What was begun is seen through: a run that waits has to be told. What cannot be is for the verdict.
        deadline = time.monotonic() + _FLUSH_SECONDS
        while self._plans and time.monotonic() < deadline:
            self._carry_out(time.monotonic())
            time.sleep(_TICK_SECONDS)
        self.unacknowledged = self._producer.flush(_FLUSH_SECONDS)

    def _carry_out(self, now: float) -> None:
        while True:
            with self._lock:
                if not self._plans or self._plans[0][0] > now:
                    break
                _, _, act = heapq.heappop(self._plans)
            act()
        self._producer.poll(0)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        with self._lock:
            heapq.heappush(self._plans, (time.monotonic() + seconds, next(self._plan_numbers), act))

    def _begin(self, workflow: str) -> None:
        rng = self._rng
        run = f"{workflow}-{next(self._numbers)}"
        told = self.runs[run] = Told(workflow, self._input(workflow, run), time.time())
        if workflow == "paid" or workflow == "restarted":
            self._publish_for(told, run)
        if workflow == "approval":
            self._signal(told, run)
        if workflow in ("lengthy", "sleepy", "paid", "saga") and rng.random() < 0.1:
            told.orders.append("cancel")
            self._later(rng.uniform(0.2, 6), lambda: self._tell(CancelRun(key=run, id=f"{run}-cancel")))
        if workflow in ("chain", "fan", "sleepy") and rng.random() < 0.05:
            told.orders.append("pause")
            self._later(0.01, lambda: self._tell(PauseRun(key=run, id=f"{run}-pause")))
            self._later(rng.uniform(1, 4), lambda: self._tell(ResumeRun(key=run, id=f"{run}-resume")))
        self._start(run, told)

    def _input(self, workflow: str, run: str) -> dict[str, Any]:
        rng = self._rng
        draw: dict[str, Callable[[], dict[str, Any]]] = {
            "fan": lambda: {"items": list(range(rng.randrange(7)))},
            "flaky": lambda: {"fails": rng.randrange(3)},
            "restarted": lambda: {"fails": rng.randrange(3), "key": run},
            "doomed": lambda: {"fails": rng.randrange(1, 3)},
            "paid": lambda: {"key": self._shared(run)},
            "saga": lambda: {"fails": rng.choice((0, 1_000))},
            "poison": lambda: {"deaths": rng.randint(1, 2)},
            "fatal": lambda: {"deaths": 1_000},
            "blocked": lambda: {"seconds": rng.choice((3, 5, 8))},
            "stuck": lambda: {"seconds": 150},
            "large": lambda: {"bytes": rng.choice((50_000, 300_000, 800_000))},
            "lengthy": lambda: {"seconds": round(rng.uniform(1, 8), 1)},
        }
        return draw[workflow]() if workflow in draw else {"key": run}

    def _shared(self, run: str) -> str:
        """Now and then one event is for several runs."""
        key, left = self._group
        if left == 0:
            key, left = run, self._rng.choice((1, 1, 1, 3, 6))
        self._group = key, left - 1
        return key

    def _publish_for(self, told: Told, run: str) -> None:
        """Publish what a run waits for: sometimes before it waits, sometimes twice under one id."""
        key = told.input["key"]
        told.token = f"event for {key}"
        if key != run:
            return
        delay = self._rng.choice((0.0, 0.5, 2.0, 8.0, 20.0)) * self._rng.random()
        for name in ("chaos.paid", "chaos.seen") if told.workflow == "restarted" else ("chaos.paid",):
            event = {"type": name, "key": key, "data": {"token": told.token}, "message_id": f"{name}-{key}"}
            for _ in range(self._rng.choice((1, 1, 2))):
                self._later(delay, lambda e=event: self._emit(key, e))  # type: ignore[misc]
                delay += self._rng.uniform(0, 3)

    def _signal(self, told: Told, run: str) -> None:
        told.token = f"answer to {run}"
        data = {"token": told.token}
        # A signal to a run that nobody knows yet is a dead letter; both go through the same partition.
        if self._rng.random() < 0.5:
            signal = SignalRun(
                key=run, id=f"{run}-answer", signal="answer", data=Raw(json.dumps(data).encode())
            )
            self._later(self._rng.uniform(0.2, 5), lambda: self._tell(signal))
        else:
            form = {"signal": "answer", "run": run, "data": data, "message_id": f"{run}-answer"}
            self._later(
                self._rng.uniform(0.2, 5), lambda: self._once_accepted(told, lambda: self._emit(run, form))
            )

    def _once_accepted(self, told: Told, act: Callable[[], None]) -> None:
        """Do it when the run is on the log: by another topic it might come there first."""
        if told.is_accepted:
            self._later(0.5, act)
        else:
            self._later(0.3, lambda: self._once_accepted(told, act))

    def _start(self, run: str, told: Told) -> None:
        def accepted() -> None:
            told.is_accepted = True

        # Whatever is ordered by the inbox has to find the run there, and so its start goes there as well.
        if told.orders or told.workflow == "approval" or self._rng.random() < 0.7:
            fingerprint = self._fingerprints[told.workflow]
            data = Raw(json.dumps(told.input).encode())
            self._tell(
                StartRun(
                    key=run, id=f"start {run}", workflow=told.workflow, fingerprint=fingerprint, input=data
                ),
                accepted,
            )
        else:
            self._emit(run, {"start": told.workflow, "id": run, "input": told.input}, accepted)

    def _tell(self, message: InboxMessage, accepted: Callable[[], None] = lambda: None) -> None:
        self._send("inbox", message.key, encode(message), accepted)

    def _emit(self, key: str, form: dict[str, Any], accepted: Callable[[], None] = lambda: None) -> None:
        self._send("events", key, json.dumps(form).encode(), accepted)

    def _send(self, topic: str, key: str, value: bytes, accepted: Callable[[], None]) -> None:
        def heard(error: KafkaError | None, _: Message) -> None:
            if error is None:
                accepted()
            else:
                self.refused.append(f"{topic} {key}: {error.str()}")

        self._producer.produce(self._instance.topic(topic), value, key, on_delivery=heard)
