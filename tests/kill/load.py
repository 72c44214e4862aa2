"""Starts runs at a steady rate and sends those that wait their signal, from a thread of its own."""

import json
import threading
from collections import Counter, deque
from collections.abc import Callable
from itertools import count

from confluent_kafka import KafkaError, Message, Producer
from msgspec import Raw

from kill.instance import Instance
from kill.workflows import app
from stream_durable.core.messages import Message as InboxMessage
from stream_durable.core.messages import SignalRun, StartRun
from stream_durable.kafka.config import PARTITIONER
from stream_durable.wire.inbox import encode

#: Of twenty runs in a row; every 150th is a slow one instead.
_MIX = (
    *("chain", "diamond", "chain", "flaky", "diamond", "chain", "approval", "diamond", "chain", "flaky"),
    *("chain", "diamond", "chain", "approval", "diamond", "flaky", "chain", "diamond", "chain", "chain"),
)
_SLOW_EVERY = 150
#: Some signals come before their run waits for them, most come after.
_SIGNAL_AFTER = (0, 40)
_TICK_SECONDS = 0.02
#: Runs under way beyond which no more are started: a machine that is slow has no more left at the end.
_UNDER_WAY_MAX = 2_500


def raw_producer(instance: Instance) -> Producer:
    """Return a producer of somebody outside, which sends at once and comes back soon."""
    return Producer(
        {
            "bootstrap.servers": instance.settings.kafka.bootstrap,
            "log_level": 0,
            "enable.idempotence": True,
            "partitioner": PARTITIONER,
            "linger.ms": 0,
            "retry.backoff.ms": 50,
            "reconnect.backoff.max.ms": 500,
            "log.connection.close": False,
        }
    )


class Load:
    """Runs that were asked for; started means that Kafka has acknowledged it."""

    def __init__(self, instance: Instance, rate: int) -> None:
        self._inbox = instance.topic("inbox")
        self._events = instance.topic("events")
        self._name = instance.name
        self._per_tick = max(1, int(rate * _TICK_SECONDS))
        self._fingerprints = {name: workflow.fingerprint for name, workflow in app.workflows.items()}
        #: Run to workflow.
        self.started: dict[str, str] = {}
        #: What an approval was answered: run to token.
        self.answers: dict[str, str] = {}
        self.refused: list[str] = []
        #: How many have ended, as far as the scene has looked.
        self.ended = 0
        self._owed: deque[tuple[int, str]] = deque()
        self._is_over = threading.Event()
        self._producer = raw_producer(instance)
        self._thread = threading.Thread(target=self._run, name="load")
        self._thread.start()

    @property
    def workflows(self) -> Counter[str]:
        return Counter(self.started.values())

    def start_by_event(self, run: str) -> None:
        """Start a run by way of the ingress."""

        def heard(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self.started[run] = "chain"
            else:
                self.refused.append(error.str())

        value = json.dumps({"start": "chain", "id": run}).encode()
        self._producer.produce(self._events, value, run, on_delivery=heard)

    def stop(self) -> None:
        """Start no more; return when all that was sent is acknowledged."""
        self._is_over.set()
        self._thread.join()
        assert not self.refused, self.refused

    def _run(self) -> None:
        numbers = count()
        while not self._is_over.wait(_TICK_SECONDS):
            for _ in range(self._per_tick if len(self.started) - self.ended < _UNDER_WAY_MAX else 0):
                self._start(next(numbers))
            self._producer.poll(0)
        self._signal(None)
        assert self._producer.flush(60) == 0, "the load was not acknowledged"

    def _start(self, n: int) -> None:
        run = f"{self._name}-{n}"
        workflow = "slow" if n % _SLOW_EVERY == _SLOW_EVERY - 1 else _MIX[n % len(_MIX)]
        fingerprint = self._fingerprints[workflow]
        start = StartRun(key=run, id=f"start-{n}", workflow=workflow, fingerprint=fingerprint)
        self._send(start, lambda: self.started.__setitem__(run, workflow))
        if workflow == "approval":
            self._owed.append((n + _SIGNAL_AFTER[n % 4 != 2], run))
        self._signal(n)

    def _signal(self, n: int | None) -> None:
        while self._owed and (n is None or self._owed[0][0] <= n):
            _, run = self._owed.popleft()
            token = self.answers[run] = f"answer to {run}"
            data = Raw(json.dumps({"token": token}).encode())
            self._send(SignalRun(key=run, id=f"{run}-answer", signal="answer", data=data))

    def _send(self, message: InboxMessage, acknowledged: Callable[[], None] = lambda: None) -> None:
        def heard(error: KafkaError | None, _: Message) -> None:
            if error is None:
                acknowledged()
            else:
                self.refused.append(error.str())

        self._producer.produce(self._inbox, encode(message), message.key, on_delivery=heard)
