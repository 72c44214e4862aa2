"""Who publishes events and answers from outside, with a journal of what Kafka has acknowledged."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import Any

from confluent_kafka import KafkaError, Message

from kill.heard import JOB, NEWS
from kill.instance import Instance
from kill.load import raw_producer

#: Runs that hear the same news, and runs that share a line of jobs.
CROWD, LINE = 10, 5
#: Of ten runs in a row.
_MIX = (
    "listener",
    "asked",
    "picker",
    "listener",
    "asked",
    "listener",
    "picker",
    "listener",
    "asked",
    "listener",
)
#: One in so many listeners begins to wait after its event was published.
_LATE_EVERY = 7
#: One in so many messages is sent twice, under the same id.
_TWICE_EVERY = 5
_PAUSE_SECONDS = 0.005
_PATIENCE_SECONDS = 90.0

Record = tuple[str, dict[str, Any]]


class Town:
    """Runs, and what is published for them in portions, from a thread."""

    def __init__(self, instance: Instance, out: str, runs: int) -> None:
        """Plan it all; send nothing yet."""
        self._topic = instance.topic("events")
        self._out = out
        #: Run to workflow.
        self.runs = {f"{instance.name}-{n}": _MIX[n % len(_MIX)] for n in range(runs)}
        #: Run to the key that it waits for.
        self.keys: dict[str, str] = {}
        #: Acknowledged: key of news, or run that asks, to the text that wakes.
        self.texts: dict[str, str] = {}
        #: Acknowledged: key of a line to the texts of its jobs.
        self.jobs: dict[str, set[str]] = defaultdict(set)
        self.refused: list[str] = []
        self.sent = 0
        of = {kind: [run for run, its in self.runs.items() if its == kind] for kind in set(_MIX)}
        self._keyed(of["listener"], "news", CROWD)
        self._keyed(of["picker"], "line", LINE)
        self._late = of["listener"][::_LATE_EVERY]
        self._asked = of["asked"]
        self._pickers = of["picker"]
        self._plan = list(self._planned())
        self._rest = iter(self._plan)
        self._producer = raw_producer(instance)

    @property
    def early(self) -> set[str]:
        """The runs that wait before anything is published for them."""
        return self.runs.keys() - set(self._late)

    def start(self) -> None:
        """Start the early runs."""
        for run in sorted(self.early):
            self._send(*self._start(run))
        assert self._producer.flush(60) == 0, "the starts were not acknowledged"

    def publish(self, parts: int) -> threading.Thread:
        """Go on with one of so many parts, in a thread."""
        portion = list(islice(self._rest, -(-len(self._plan) // parts)))

        def work() -> None:
            for record in portion:
                self._send(*record)
                self._producer.poll(_PAUSE_SECONDS)
            if left := self._producer.flush(_PATIENCE_SECONDS):
                self.refused.append(f"{left} are not acknowledged after {_PATIENCE_SECONDS:.0f} s")

        thread = threading.Thread(target=work, name="town")
        thread.start()
        return thread

    def _keyed(self, runs: list[str], name: str, size: int) -> None:
        self.keys |= {run: f"{name}-{n // size}" for n, run in enumerate(runs)}

    def _planned(self) -> Iterator[Record]:
        """All that is published, by turns of its kinds, and the late runs behind their events."""
        heard = [run for run in self.runs if run in self.keys and self.runs[run] == "listener"]
        lines: list[list[Record]] = [
            [self._news(key) for key in dict.fromkeys(self.keys[run] for run in heard)],
            [record for run in self._asked for record in self._answers(run)],
            [self._job(run) for run in self._pickers],
        ]
        begun = [(n / len(line), record) for line in lines for n, record in enumerate(line)]
        for _, record in sorted(begun, key=lambda at: at[0]):
            yield record
        for run in self._late:
            yield self._start(run)

    def _start(self, run: str) -> Record:
        data = {"key": self.keys.get(run), "out": self._out}
        return run, {"start": self.runs[run], "id": run, "input": data, "message_id": f"start-{run}"}

    def _news(self, key: str) -> Record:
        return key, {"type": NEWS, "key": key, "data": f"text of {key}", "message_id": f"m-{key}"}

    def _job(self, run: str) -> Record:
        key = self.keys[run]
        return key, {"type": JOB, "key": key, "data": f"job of {run}", "message_id": f"m-{run}"}

    def _answers(self, run: str) -> Iterator[Record]:
        """The answer that counts, and one that comes too late."""
        for which in ("first", "second"):
            answer = {"answer": f"{which} answer to {run}", "wait": "word", "message_id": f"{which}-{run}"}
            yield run, {**answer, "run": run}

    def _send(self, key: str, value: dict[str, Any]) -> None:
        self.sent += 1

        def heard(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                self.refused.append(error.str())
            elif "data" in value and value["type"] == JOB:
                self.jobs[key].add(value["data"])
            elif "data" in value:
                self.texts[key] = value["data"]
            elif "answer" in value:
                self.texts.setdefault(key, value["answer"])

        data = json.dumps(value).encode()
        for _ in range(2 if self.sent % _TWICE_EVERY == 0 else 1):
            self._producer.produce(self._topic, data, key, on_delivery=heard)
