"""The public topics, read while they are written, by schema and a general library alone."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from confluent_kafka import Message, TopicPartition
from kill.instance import Instance
from public_events import read_event

from stream_durable.kafka.lives import LastingConsumer

ENDED = {"run.completed", "run.failed", "run.cancelled", "run.compensated", "run.compensation_failed"}


@dataclass
class Completed:
    """What was said of a step that completed."""

    attempt: int
    token: str | None
    #: Log time in seconds.
    at: float
    output: Any


@dataclass
class Life:
    """All that was said about one run."""

    #: Digest of each statement, by its number.
    about_run: list[bytes] = field(default_factory=list)
    about_steps: list[bytes] = field(default_factory=list)
    last: str = ""
    code: str | None = None
    at: float = 0.0
    #: (step, attempt) to what came of it.
    completed: dict[tuple[str, int], Completed] = field(default_factory=dict)
    compensated: list[str] = field(default_factory=list)


class Ledger:
    """Reads both topics from their beginning; what contradicts itself is found at once."""

    def __init__(self, instance: Instance, heard: Callable[[str, str], None]) -> None:
        self.runs: dict[str, Life] = {}
        self.wrong: list[str] = []
        self.repeated = 0
        self.events = 0
        self._heard = heard
        self._topics = {instance.topic(name): name for name in ("runs", "steps")}
        self._lasting = LastingConsumer(
            {
                "bootstrap.servers": instance.settings.kafka.bootstrap,
                "group.id": "ledger",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
        parts = range(instance.partitions)
        self._lasting.consumer.assign([TopicPartition(topic, p, 0) for topic in self._topics for p in parts])
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._lasting.consumer.close()

    def _run(self) -> None:
        while not self._is_over.is_set():
            for message in self._lasting.consumer.consume(500, 0.2):
                if message.error() is None:
                    self._read(self._topics[message.topic()], message)
            self._lasting.renew()

    def _read(self, topic: str, message: Message) -> None:
        value = message.value()
        event = read_event(value)
        self.events += 1
        life = self.runs.setdefault(event["run"], Life())
        said = life.about_run if topic == "runs" else life.about_steps
        digest = blake2b(value, digest_size=8).digest()
        number = event["sequence"]
        if number <= len(said):
            self.repeated += 1
            if said[number - 1] != digest:
                self.wrong.append(f"{event['run']}: two different statements {number} on {topic}")
            return
        if number != len(said) + 1:
            self.wrong.append(f"{event['run']}: statement {number} on {topic} follows {len(said)}")
            said.extend([b""] * (number - len(said) - 1))
        said.append(digest)
        if topic == "runs":
            self._of_run(life, event)
        else:
            self._of_step(life, event)

    def _of_run(self, life: Life, event: Any) -> None:
        life.last, life.at = event["type"], _seconds(event["time"])
        life.code = (event["failure"] or {}).get("code")
        self._heard(event["run"], event["type"])

    def _of_step(self, life: Life, event: Any) -> None:
        if event["type"] == "step.compensated":
            life.compensated.append(event["step"])
        if event["type"] != "step.completed":
            return
        output = json.loads(event["output"]) if event["output"] else None
        token = output.get("token") if isinstance(output, dict) else None
        if isinstance(output, dict):
            output = {name: value for name, value in output.items() if name != "text"}
        made = Completed(event["attempt"], token, _seconds(event["time"]), output)
        life.completed[event["step"], event["attempt"]] = made


def _seconds(time_: Any) -> float:
    """Log time, whichever way the library gives it."""
    return time_.timestamp() if hasattr(time_, "timestamp") else time_ / 1_000
